//! `outrigger health-check`: whether services serve.

mod http;

use std::{path::PathBuf, time::Duration};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use plugin_core::SERVING;
use reqwest::Client;
use serde::Serialize;
use server_core::{address::Unshown, duration::parse_timeout};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep},
};
use url::Url;
use xtask::exit::{Exit, usage};

use crate::{output::Output, progress, table::Table};

/// Asks running services for their health: gRPC health on an API port, or a GET of the path if the URL has one.
///
/// `http://host:8000` asks a service of Outrigger, the sidecar or any server of grpc.health.v1; its answer has to be
/// SERVING. `http://host:9090/readyz` asks an admin port; the answer has to be a 2xx. Several URLs are asked at the
/// same time.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// What to ask: http, or https if the service has a certificate.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8000", value_parser = Unshown(parse_url))]
    urls: Vec<Url>,

    /// Certificate authorities to trust instead of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// How long an answer may take.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_timeout)]
    timeout: Duration,

    /// Ask again until all are healthy, for so long at most.
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    wait: Option<Duration>,

    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(500);

/// What a service answered.
#[derive(Debug, Clone, Serialize)]
struct Answer {
    #[serde(serialize_with = "as_text")]
    url: Url,
    healthy: bool,
    /// `SERVING`, another status of gRPC, or one of HTTP. None if there was no answer.
    status: Option<String>,
    /// Why there was none, or what the body says.
    message: String,
}

fn as_text<S: serde::Serializer>(url: &Url, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(url)
}

fn parse_url(text: &str) -> Result<Url, String> {
    let invalid = |reason: &str| format!("{reason}; use for example http://bigquery.flyte:8000");
    let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid("the scheme must be http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must have no user"));
    }
    Ok(url)
}

/// Asks, and prints a line for each URL. The exit code is 1 if one is not healthy.
pub(crate) fn run(args: Args) -> Result<Exit> {
    let output = args.output;
    let client = http::client(args.ca_file.as_deref(), args.timeout).map_err(usage)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let answers = runtime.block_on(async {
        progress::during("asking for health", until_healthy(args, &client)).await
    });
    output.print(&table(&answers), &answers)?;
    let all = answers.iter().all(|answer| answer.healthy);
    Ok(if all { Exit::Ok } else { Exit::Failed })
}

fn table(answers: &[Answer]) -> String {
    let mut table = Table::titled(&["STATUS", "URL", "MESSAGE"]);
    for Answer { url, healthy, status, message } in answers {
        let color = if *healthy { AnsiColor::Green } else { AnsiColor::Red };
        let status = status.clone().unwrap_or_else(|| "no answer".to_owned());
        let plain = |text: String| (text, Style::new());
        let status = (status, color.on_default());
        table.add_styled([status, plain(url.to_string()), plain(message.clone())]);
    }
    table.text()
}

/// The answers of all, in the order of the arguments.
async fn until_healthy(args: Args, client: &Client) -> Vec<Answer> {
    let until = args.wait.map(|wait| Instant::now() + wait);
    loop {
        let answers = ask_all(&args, client).await;
        let is_late = until.is_none_or(|until| Instant::now() + AGAIN > until);
        if is_late || answers.iter().all(|answer| answer.healthy) {
            return answers;
        }
        sleep(AGAIN).await;
    }
}

async fn ask_all(args: &Args, client: &Client) -> Vec<Answer> {
    let mut asking = JoinSet::new();
    for (number, url) in args.urls.iter().cloned().enumerate() {
        let (args, client) = (args.clone(), client.clone());
        asking.spawn(async move { (number, ask(url, &args, &client).await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn ask(url: Url, args: &Args, client: &Client) -> Answer {
    if url.path() != "/" || url.query().is_some() {
        return http::ask(url, client).await;
    }
    match plugin_core::health(&url, args.ca_file.as_deref(), args.timeout).await {
        Ok(status) => Answer {
            url,
            healthy: status == SERVING,
            status: Some(status.to_owned()),
            message: String::new(),
        },
        Err(error) => Answer::none(url, &error.to_string()),
    }
}

impl Answer {
    /// No answer, and why. The column beside has the URL already.
    fn none(url: Url, why: &str) -> Self {
        let own = format!("{url}: ");
        let message = why.strip_prefix(&own).unwrap_or(why).to_owned();
        Self { url, healthy: false, status: None, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server() {
        for valid in ["http://h:1", "https://h", "http://[::1]:9090/readyz", "http://h/x?verbose"] {
            assert!(parse_url(valid).is_ok(), "{valid}");
        }
        for wrong in ["", "h:8000", "unix:/x", "http://u:p@h", "ftp://h"] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }
}
