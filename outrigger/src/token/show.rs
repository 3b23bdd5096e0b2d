//! `outrigger token show`: what is in a token, and who accepts it.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value as Json, json};
use xtask::exit::{Exit, usage};

use super::{claims::Contents, input, verdict::Verdict};
use crate::{output::Output, table::Table};

/// Shows what a token says, without its signature: its issuer, audience, subject, dates and other claims.
///
/// With --auth it also tells whether a service with that authentication file accepts the token, by which issuer and
/// role, and for what; or why not, and what the file trusts. Nothing is verified without --auth.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with the token [default: standard input, as with -].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// A service's authentication file. The files that it names are read, and the keys of issuers that publish them
    /// are fetched.
    #[arg(long, value_name = "FILE")]
    auth: Option<PathBuf>,

    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Prints the token's contents. The exit code is 1 if the service would refuse it.
pub(crate) async fn run(args: &Args) -> Result<Exit> {
    let token = input::read(args.file.as_deref())?;
    let about = |why| usage(format!("{}: {why}", input::name(args.file.as_deref())));
    let contents = Contents::of(token.expose_secret()).map_err(about)?;
    let verdict = match &args.auth {
        Some(file) => Some(Verdict::of(&token, file).await?),
        None => None,
    };
    let now = Timestamp::now();
    let text = text(&contents, verdict.as_ref(), now);
    args.output.print(&text, &json(&contents, verdict.as_ref(), now))?;
    let is_refused = verdict.is_some_and(|verdict| !verdict.is_accepted());
    Ok(if is_refused { Exit::Failed } else { Exit::Ok })
}

fn text(contents: &Contents, verdict: Option<&Verdict>, now: Timestamp) -> String {
    let mut table = Table::default();
    let lateness = lateness(contents, verdict, now);
    let title = |table: &mut Table, text: &str| {
        table.add_styled([(text.to_owned(), Style::new().bold())]);
    };
    let rows = |table: &mut Table, rows: Vec<(String, String)>| {
        for (name, value) in rows {
            let (value, style) = match lateness.filter(|_| name == "exp") {
                Some(word) => (format!("{value}: {word}"), AnsiColor::Red.on_default()),
                None => (value, Style::new()),
            };
            table.add_styled([(format!("  {name}"), Style::new().dimmed()), (value, style)]);
        }
    };
    title(&mut table, "header");
    rows(&mut table, plain(&contents.header));
    title(&mut table, "claims");
    rows(&mut table, contents.described(now));
    let verdict = match verdict {
        Some(verdict) => verdict.text(),
        None => "not verified: --auth FILE tells whether a service accepts it\n".to_owned(),
    };
    format!("{}\n{verdict}", table.text())
}

/// What there is to say of a token after its time. A service accepts it a little longer, for clocks that differ: its
/// verdict counts.
fn lateness(
    contents: &Contents,
    verdict: Option<&Verdict>,
    now: Timestamp,
) -> Option<&'static str> {
    let word = match verdict {
        Some(verdict) if verdict.is_accepted() => "within the service's clock_skew",
        _ => "expired",
    };
    contents.is_expired(now).then_some(word)
}

fn plain(header: &Map<String, Json>) -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    header.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn json(contents: &Contents, verdict: Option<&Verdict>, now: Timestamp) -> Json {
    json!({
        "header": contents.header,
        "claims": contents.claims,
        "expires_at": contents.expires_at().map(|expiry| expiry.to_string()),
        "expired": contents.is_expired(now) && !verdict.is_some_and(Verdict::is_accepted),
        "verdict": verdict.map(Verdict::json),
    })
}
