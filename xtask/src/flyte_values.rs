//! `cargo xtask flyte-values`: Helm values that make Flyte send task types to their services.

use anyhow::Result;
use serde_json::{Value as Json, json};
use tera::Context;

use crate::{
    exit::{self, Exit, usage},
    image::PROXY,
    scaffold::{
        generator::Generator,
        plugin_toml::{Mode, TaskType},
        project::Member,
        render,
    },
};

/// Prints Helm values of Flyte that send the plugins' task types to their services.
///
/// Types of these plugins go to them, whether they answer or not; every other type goes where it went
/// before. The values are for plugins that are installed under their own names, as in `helm install
/// bigquery charts/bigquery`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// The plugins that are installed; all, if none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// The version of Flyte, or the one it is most like: 1.13 to 1.15, 1.16, or 2.
    #[arg(long, value_enum)]
    flyte: Flyte,

    /// Flyte's chart.
    #[arg(long, value_enum)]
    chart: Chart,

    /// The namespace that the plugins are installed in.
    #[arg(long, default_value = "flyte")]
    namespace: String,

    /// The domain of the cluster's names.
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,

    /// Send calls through a sidecar of propeller's pod, propeller-proxy, that gives them the token of its
    /// ServiceAccount; the services then know who calls.
    #[arg(long)]
    proxy: bool,

    /// The sidecar's image; by default that of this version.
    #[arg(long, value_name = "IMAGE", requires = "proxy")]
    proxy_image: Option<String>,

    /// Call the services over TLS: their charts have `tls.enabled`.
    #[arg(long)]
    tls: bool,

    /// The Secret in Flyte's namespace whose `ca.crt` signed their certificates; by default the sidecar
    /// trusts the system's authorities.
    #[arg(long, value_name = "SECRET", requires_all = ["tls", "proxy"])]
    ca_secret: Option<String>,

    /// Send this optional task type, too; may be given more than once.
    #[arg(long = "with", value_name = "TYPE")]
    optional: Vec<String>,
}

/// A version of Flyte, by what its configuration is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Flyte {
    #[value(name = "1.13")]
    V1_13,
    #[value(name = "1.16")]
    V1_16,
    #[value(name = "2")]
    V2,
}

/// One of Flyte's charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Chart {
    Core,
    Binary,
}

impl Flyte {
    /// The section of its configuration.
    const fn section(self) -> &'static str {
        if matches!(self, Self::V1_13) { "agent-service" } else { "connector-service" }
    }

    /// What its keys are called.
    fn words(self) -> Json {
        match self {
            Self::V1_13 => json!({
                "connectors": "agents", "for_types": "agentForTaskTypes", "list": "ListAgents",
            }),
            Self::V1_16 | Self::V2 => json!({
                "connectors": "connectors", "for_types": "connectorForTaskTypes", "list": "ListConnectors",
            }),
        }
    }
}

/// Spreads calls over the replicas that a headless Service names.
const BALANCING: &str = r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#;
/// And sends those again that never reached a replica.
const RETRYING: &str = r#"{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{"service":"flyteidl.service.AsyncAgentService"},{"service":"flyteidl2.connector.AsyncConnectorService"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}"#;

/// Where the sidecar listens for the first plugin, the next for the second: above what Flyte's own
/// programs listen on.
const FIRST_PROXY_PORT: u16 = 18001;
/// What the sidecar listens on for probes, unless told otherwise.
const PROXY_ADMIN_PORT: u16 = 9091;
/// What charts expect Flyte's token to be for.
const AUDIENCE: &str = "flyte-connectors";

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    if args.flyte == Flyte::V2 && args.chart == Chart::Core {
        return Err(usage("Flyte 2 has no flyte-core: say --chart binary"));
    }
    let members = generator.project.chosen(&args.names)?;
    check_optional(args, &members)?;
    // Flyte 2 knows no tasks that are answered at once.
    let (served, not): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| args.flyte != Flyte::V2 || member.file.plugin.mode == Mode::Async);
    for member in &not {
        eprintln!(
            "left out: {} is a sync plugin, and Flyte 2 has no call for those",
            member.name()
        );
    }
    print!("{}", values(args, &served, generator)?);
    Ok(Exit::Ok)
}

fn check_optional(args: &Args, members: &[Member]) -> Result<()> {
    let known = |name: &&String| {
        let types = members.iter().flat_map(|member| &member.file.plugin.optional_task_types);
        types.into_iter().any(|each| each.name == **name)
    };
    match args.optional.iter().find(|name| !known(name)) {
        Some(unknown) => {
            Err(usage(format!("--with {unknown}: no plugin here has it as an optional task type")))
        }
        None => Ok(()),
    }
}

/// The task types of `member` that Flyte is to send to it.
fn types<'a>(args: &'a Args, member: &'a Member) -> impl Iterator<Item = &'a TaskType> {
    let plugin = &member.file.plugin;
    let wanted = |each: &&TaskType| args.optional.contains(&each.name);
    plugin.task_types.iter().chain(plugin.optional_task_types.iter().filter(wanted))
}

fn values(args: &Args, members: &[Member], generator: &Generator) -> Result<String> {
    let named = |member: &Member| {
        let plugin = member.name().to_owned();
        types(args, member)
            .map(move |each| json!({ "name": each.name, "plugin": plugin }))
            .collect::<Vec<_>>()
    };
    let all = members.iter().flat_map(named).collect::<Vec<_>>();
    let jobs = members.iter().filter(|member| member.file.plugin.mode == Mode::Async);
    let plugins = members.iter().zip(FIRST_PROXY_PORT..).map(|(member, proxy_port)| {
        let (name, port) = (member.name(), member.file.ports.api);
        let Args { namespace, cluster_domain, .. } = args;
        let host = format!("{name}-headless.{namespace}.svc.{cluster_domain}:{port}");
        let direct = format!("dns:///{host}");
        let listen = format!("127.0.0.1:{proxy_port}");
        let proxied = format!("dns:///{listen}");
        json!({
            "name": name,
            "mode": member.file.plugin.mode,
            "endpoint": if args.proxy { &proxied } else { &direct },
            "listen": listen,
            "target": if args.tls { format!("https://{host}") } else { direct },
        })
    });
    let mut context = Context::from_serialize(&json!({
        "titles": members.iter().map(|member| member.file.plugin.title()).collect::<Vec<_>>().join(", "),
        "chart": if args.chart == Chart::Core { "flyte-core" } else { "flyte-binary" },
        "flyte": version(args.flyte),
        "command": command(args),
        "section": args.flyte.section(),
        "words": args.flyte.words(),
        "types": all,
        "jobs": jobs.flat_map(named).collect::<Vec<_>>(),
        "plugins": plugins.collect::<Vec<_>>(),
        "balancing": BALANCING,
        "retrying": RETRYING,
        // What is called through the sidecar is called on loopback.
        "insecure": args.proxy || !args.tls,
        "proxy": proxy(args, generator)?,
    }))?;
    let engine = render::of_charts(&[
        ("connectors", include_str!("flyte_values/connectors.yaml")),
        ("values", include_str!("flyte_values/values.yaml")),
        ("proxy", include_str!("flyte_values/proxy.yaml")),
    ])?;
    let connectors = engine.render("connectors", &context)?;
    context.insert("connectors", connectors.trim_end());
    let values = engine.render("values", &context)?;
    Ok(if args.proxy { values + &engine.render("proxy", &context)? } else { values })
}

/// What the sidecar is made of.
fn proxy(args: &Args, generator: &Generator) -> Result<Json> {
    let image = match &args.proxy_image {
        Some(image) => image.clone(),
        None => {
            let registry = &generator.template.manifest.image_registry;
            format!("{registry}/{PROXY}:{}", generator.project.version()?)
        }
    };
    let volumes = match args.chart {
        Chart::Core => "additionalVolumes",
        Chart::Binary => "extraVolumes",
    };
    Ok(json!({
        "image": image,
        "directory": "/var/run/secrets/outrigger",
        "admin_port": PROXY_ADMIN_PORT,
        "volumes": volumes,
        "audience": AUDIENCE,
        "ca_secret": args.ca_secret.as_deref().unwrap_or_default(),
    }))
}

fn version(flyte: Flyte) -> &'static str {
    match flyte {
        Flyte::V1_13 => "1.13 to 1.15",
        Flyte::V1_16 => "1.16",
        Flyte::V2 => "2",
    }
}

/// The command that makes these values again.
fn command(args: &Args) -> String {
    let flyte = if args.flyte == Flyte::V1_13 { "1.13" } else { version(args.flyte) };
    let chart = if args.chart == Chart::Core { "core" } else { "binary" };
    let names = args.names.iter().map(|name| format!(" {name}")).collect::<String>();
    let with = args.optional.iter().map(|each| format!(" --with {each}")).collect::<String>();
    let proxy = if args.proxy { " --proxy" } else { "" };
    let image = args.proxy_image.iter().map(|image| format!(" --proxy-image {image}"));
    let image = image.collect::<String>();
    let tls = if args.tls { " --tls" } else { "" };
    let secret = args.ca_secret.iter().map(|secret| format!(" --ca-secret {secret}"));
    let secret = secret.collect::<String>();
    let domain = match args.cluster_domain.as_str() {
        "cluster.local" => String::new(),
        domain => format!(" --cluster-domain {domain}"),
    };
    format!(
        "cargo xtask flyte-values{names} --flyte {flyte} --chart {chart} --namespace {}{domain}{proxy}{image}{tls}{secret}{with}",
        args.namespace
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sidecar_is_what_the_charts_and_its_own_program_expect() {
        let values = include_str!("../../template/chart/values.yaml");
        assert!(values.contains(&format!("audience: {AUDIENCE}\n")));
        let program = include_str!("../../services/propeller-proxy/src/args.rs");
        assert!(program.contains(&format!("default_value = \"0.0.0.0:{PROXY_ADMIN_PORT}\"")));
    }

    /// The notes after an install say the same as these values.
    #[test]
    fn the_chart_s_notes_balance_and_retry_alike() {
        let notes = include_str!("../../template/chart/templates/_flyte.tpl");
        for config in [BALANCING, RETRYING] {
            assert!(notes.contains(&format!("defaultServiceConfig: '{config}'")), "{config}");
        }
    }
}
