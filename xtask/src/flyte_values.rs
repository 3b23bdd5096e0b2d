//! `cargo xtask flyte-values`: Helm values that make Flyte route task types to the plugins' services.

use anyhow::Result;
use serde_json::{Value as Json, json};
use tera::Context;

use crate::{
    exit::{self, Exit, usage},
    home::{self, Home},
    image::PROXY,
    scaffold::{
        generator::Generator,
        kind::Kind,
        plugin_toml::{Mode, Plugin, PluginToml},
        project::{self, Member},
        render,
        task_type::TaskType,
    },
    tool,
};

/// Prints Helm values for Flyte that route task types to the plugins' services.
///
/// The plugins' task types always go to these services, even while they are unavailable; the routing of
/// all other types does not change. The values assume that each Helm release has its plugin's name, as
/// in `helm install bigquery charts/bigquery`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub struct Args {
    /// Installed plugins [default: all].
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Flyte's version: `1.13` for 1.13 to 1.15, `1.16` or `2`.
    #[arg(long, value_enum)]
    flyte: Flyte,

    /// Flyte's Helm chart: flyte-core or flyte-binary.
    #[arg(long, value_enum)]
    chart: Chart,

    /// Namespace of the plugins.
    #[arg(long, default_value = "flyte", value_parser = label)]
    namespace: String,

    /// DNS domain of the cluster.
    #[arg(long, default_value = "cluster.local", value_parser = domain)]
    cluster_domain: String,

    /// Send calls through propeller-proxy, a sidecar in propeller's pod that adds the token of the pod's
    /// ServiceAccount, so that the services can authenticate Flyte.
    #[arg(long)]
    proxy: bool,

    /// Registry of the sidecar's image, such as registry.example.com/team [default: the workspace's; none in a plain checkout].
    #[arg(long, requires = "proxy", value_parser = home::check_registry)]
    registry: Option<String>,

    /// The sidecar's image [default: propeller-proxy of this version, in the registry].
    #[arg(long, value_name = "IMAGE", requires = "proxy", conflicts_with = "registry", value_parser = image)]
    proxy_image: Option<String>,

    /// Call the services over TLS; requires `tls.enabled` in their charts.
    #[arg(long)]
    tls: bool,

    /// Secret in Flyte's namespace with the CA certificate of the services, `ca.crt` [default: the system's
    /// certificate authorities].
    #[arg(long, value_name = "SECRET", requires_all = ["tls", "proxy"], value_parser = domain)]
    ca_secret: Option<String>,

    /// Also route this optional task type; may be repeated.
    #[arg(long = "with", value_name = "TYPE")]
    optional: Vec<String>,
}

impl Args {
    /// Whether plugins are named.
    #[must_use]
    pub fn has_names(&self) -> bool {
        !self.names.is_empty()
    }
}

/// A namespace: a label of RFC 1123, as Kubernetes has it.
fn label(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty()
        || text.len() > 63
        || !text.chars().all(legal)
        || text.starts_with('-')
        || text.ends_with('-')
    {
        return Err("must be at most 63 lower case letters, digits and -, such as flyte".to_owned());
    }
    Ok(text.to_owned())
}

/// A domain, or the name of an object: labels with dots between them.
fn domain(text: &str) -> Result<String, String> {
    text.split('.').try_for_each(|part| label(part).map(drop)).map_err(|_| {
        "must be lower case letters, digits, - and ., such as cluster.local".to_owned()
    })?;
    Ok(text.to_owned())
}

/// The name of an image, with its tag or digest.
fn image(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if text.is_empty() || text.contains("://") || !text.chars().all(legal) {
        return Err(
            "must be an image's name, without a scheme, such as registry.example.com/team/propeller-proxy:1.2.3"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A version of Flyte, as far as its configuration keys differ.
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
    /// The name of the configuration section.
    const fn section(self) -> &'static str {
        if matches!(self, Self::V1_13) { "agent-service" } else { "connector-service" }
    }

    /// The names of the configuration keys.
    fn keys(self) -> Json {
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

/// gRPC service config: balances calls over the addresses of a headless Service.
const BALANCING: &str = r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#;
/// [`BALANCING`] with retries of calls that no replica answered, for services whose repeated creates start no second job.
const RETRYING: &str = r#"{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{"service":"flyteidl.service.AsyncAgentService"},{"service":"flyteidl2.connector.AsyncConnectorService"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.2s","maxBackoff":"2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}"#;

/// The sidecar's port for the first plugin; the others follow. Above the ports of Flyte's own programs.
const FIRST_PROXY_PORT: u16 = 18001;
/// The sidecar's default port for probes.
const PROXY_ADMIN_PORT: u16 = 9091;
/// The audience that the charts expect in Flyte's token.
const AUDIENCE: &str = "flyte-connectors";

/// The plugins that values may be for, and what they are released with.
pub(crate) struct Plugins {
    members: Vec<Member>,
    home: Home,
    /// The version of the sidecar's image.
    version: String,
    /// The options of the command line that are not in [`Args`], each with a space before it.
    options: String,
}

impl Plugins {
    /// Plugins by the contents of their plugin.toml, each with its name in errors, of the release that this program
    /// belongs to.
    ///
    /// # Errors
    /// If a plugin.toml is invalid.
    pub(crate) fn released(files: &[(String, String)], options: String) -> Result<Self> {
        let member = |(name, text): &(String, String)| {
            let file =
                PluginToml::parse(text).map_err(|error| usage(format!("{name}: {error:#}")))?;
            Ok(Member { file, text: text.clone() })
        };
        let members = files.iter().map(member).collect::<Result<_>>()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { members, home: Home::built_in()?, version, options })
    }

    /// The plugins of a repository.
    fn of(generator: &Generator) -> Result<Self> {
        let Generator { project, .. } = generator;
        Ok(Self {
            members: project.members()?,
            home: Home::of(&project.root)?,
            version: project.version()?,
            options: String::new(),
        })
    }
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    print!("{}", checked_values(args, &Plugins::of(generator)?)?);
    Ok(Exit::Ok)
}

/// The values that `args` ask for. Says on standard error which plugins they leave out.
///
/// # Errors
/// If `args` name what is not there, or do not fit each other.
pub(crate) fn checked_values(args: &Args, plugins: &Plugins) -> Result<String> {
    if args.flyte == Flyte::V2 && args.chart == Chart::Core {
        return Err(usage("Flyte 2 has no flyte-core chart; use --chart binary"));
    }
    let members = project::chosen(plugins.members.clone(), &args.names)?;
    check_optional(args, &members)?;
    // Flyte 2 has no sync connectors.
    let (served, not): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| args.flyte != Flyte::V2 || member.file.plugin.mode == Mode::Async);
    for member in &not {
        eprintln!("left out: {} is a sync plugin, which Flyte 2 cannot call", member.name());
    }
    values(args, &served, plugins)
}

fn check_optional(args: &Args, members: &[Member]) -> Result<()> {
    let known = |name: &&String| {
        let types = members.iter().flat_map(|member| &member.file.plugin.optional_task_types);
        types.into_iter().any(|each| each.name == **name)
    };
    match args.optional.iter().find(|name| !known(name)) {
        Some(unknown) => Err(usage(format!(
            "--with {unknown}: not an optional task type of any selected plugin"
        ))),
        None => Ok(()),
    }
}

/// The task types to route to `member`.
fn types<'a>(args: &'a Args, member: &'a Member) -> impl Iterator<Item = &'a TaskType> {
    let plugin = &member.file.plugin;
    let wanted = |each: &&TaskType| args.optional.contains(&each.name);
    plugin.task_types.iter().chain(plugin.optional_task_types.iter().filter(wanted))
}

fn values(args: &Args, members: &[Member], of: &Plugins) -> Result<String> {
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
            "is_repeatable": is_repeatable(member),
            "endpoint": if args.proxy { &proxied } else { &direct },
            "listen": listen,
            "target": if args.tls { format!("https://{host}") } else { direct },
        })
    });
    let mut context = Context::from_serialize(&json!({
        "titles": members.iter().map(|member| member.file.plugin.title()).collect::<Vec<_>>().join(", "),
        "chart": if args.chart == Chart::Core { "flyte-core" } else { "flyte-binary" },
        "flyte": version(args.flyte),
        "command": command(args, &of.options),
        "section": args.flyte.section(),
        "keys": args.flyte.keys(),
        "types": all,
        "jobs": jobs.flat_map(named).collect::<Vec<_>>(),
        "plugins": plugins.collect::<Vec<_>>(),
        "balancing": BALANCING,
        "retrying": RETRYING,
        // The sidecar is called on loopback, without TLS.
        "insecure": args.proxy || !args.tls,
        "proxy": proxy(args, of)?,
    }))?;
    let engine = render::chart_engine(&[
        ("connectors", include_str!("flyte_values/connectors.yaml")),
        ("values", include_str!("flyte_values/values.yaml")),
        ("proxy", include_str!("flyte_values/proxy.yaml")),
    ])?;
    let connectors = engine.render("connectors", &context)?;
    context.insert("connectors", connectors.trim_end());
    let values = engine.render("values", &context)?;
    Ok(if args.proxy { values + &engine.render("proxy", &context)? } else { values })
}

/// Whether a repeated create starts no second job. Behind the bridge that is up to the plugin: an exception in its create
/// is answered with UNAVAILABLE, too, and may have come after the job was submitted.
fn is_repeatable(member: &Member) -> bool {
    let Plugin { mode, kind, .. } = &member.file.plugin;
    *mode == Mode::Async && *kind == Kind::Rust
}

/// Template variables for the sidecar.
fn proxy(args: &Args, of: &Plugins) -> Result<Json> {
    let image = match &args.proxy_image {
        Some(image) => image.clone(),
        None if !args.proxy => String::new(),
        None => {
            let registry = of
                .home
                .registry(args.registry.as_deref())
                .ok_or_else(|| home::no_registry("--proxy needs the sidecar's image"))?;
            format!("{registry}/{PROXY}:{}", of.version)
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

/// The command that prints these values.
fn command(args: &Args, options: &str) -> String {
    let flyte = if args.flyte == Flyte::V1_13 { "1.13" } else { version(args.flyte) };
    let chart = if args.chart == Chart::Core { "core" } else { "binary" };
    let names = args.names.iter().map(|name| format!(" {name}")).collect::<String>();
    let with = args.optional.iter().map(|each| format!(" --with {each}")).collect::<String>();
    let proxy = if args.proxy { " --proxy" } else { "" };
    let registry = args.registry.iter().map(|registry| format!(" --registry {registry}"));
    let registry = registry.collect::<String>();
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
        "{} flyte-values{names}{options} --flyte {flyte} --chart {chart} --namespace {}{domain}{proxy}{registry}{image}{tls}{secret}{with}",
        tool(),
        args.namespace
    )
}

#[cfg(test)]
mod tests;
