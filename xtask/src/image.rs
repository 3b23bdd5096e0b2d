//! `cargo xtask image`: builds a plugin's image reproducibly and without a container engine.

mod target;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    dependencies,
    exit::{self, Exit, usage},
    home::{self, Home},
    process::{cargo, program, run as run_program},
    scaffold::{
        generator::Generator,
        kind::Kind,
        project::{Member, Project},
        render,
    },
    target,
};

pub(crate) use self::target::Target;

/// Builds a plugin's OCI image archive without a container engine.
///
/// The image is `FROM scratch`, runs as user 65532, and contains a static binary and Mozilla's CA
/// certificates. The same sources produce the same bytes. Push it with `skopeo copy oci-archive:FILE
/// docker://NAME`, or load it locally with `docker load -i FILE` or `podman load -i FILE`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// The plugin to package.
    #[arg(
        value_name = "NAME",
        required_unless_present_any = OTHER_THAN_PLUGINS,
        conflicts_with_all = OTHER_THAN_PLUGINS
    )]
    name: Option<String>,

    /// Package services/bridge: connectors, and plugins in any language.
    #[arg(long, conflicts_with_all = ["bundle", "declarative", "proxy", "outrigger", "fake_vendor"])]
    bridge: bool,

    /// Package services/bundle: several plugins in one program.
    #[arg(long, conflicts_with_all = ["outrigger", "fake_vendor"])]
    bundle: bool,

    /// Package services/declarative: plugins that are YAML files.
    #[arg(long, conflicts_with_all = ["bundle", "proxy", "outrigger", "fake_vendor"])]
    declarative: bool,

    /// Package services/propeller-proxy: the sidecar that adds a token to propeller's calls.
    #[arg(long, conflicts_with_all = ["bundle", "outrigger", "fake_vendor"])]
    proxy: bool,

    /// Package outrigger: the program for people who run and write plugins.
    #[arg(long)]
    outrigger: bool,

    /// Package fake-upstream: the vendors' fakes, to try a service without an account.
    #[arg(long, conflicts_with = "outrigger")]
    fake_vendor: bool,

    /// Registry of the image's name, such as registry.example.com/team [default: the workspace's; none in a plain checkout].
    #[arg(long, value_parser = home::check_registry)]
    registry: Option<String>,

    /// Where to write the archive [default: target/image/NAME.tar].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// An image of a program in Rust.
pub(crate) struct Image {
    /// The package that has the program; both have one name.
    pub(crate) package: String,
    /// The name without a tag.
    pub(crate) repository: String,
    description: String,
    ports: Vec<u16>,
}

/// How programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audit {
    /// With the list of crates that they consist of, which scanners read from an image: as released.
    Embedded,
    /// Without it, which needs no other tool.
    Absent,
}

/// A variable that images set, and its value.
pub(crate) const ENVIRONMENT: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "131072");
/// The package of the bridge.
pub(crate) const BRIDGE: &str = "bridge";
/// The package of plugins that are files.
pub(crate) const DECLARATIVE: &str = "declarative";
/// The package of the bundle.
pub(crate) const BUNDLE: &str = "bundle";
/// The package of the sidecar.
pub(crate) const PROXY: &str = "propeller-proxy";
/// The package of the program for people.
pub(crate) const OUTRIGGER: &str = "outrigger";
/// The package of the vendors' fakes.
const FAKE_VENDOR: &str = "fake-upstream";

/// The packages that have images of a release and are no plugins, and their directories. A plugin's Dockerfile is
/// generated, and so is the bridge's.
pub(crate) const OTHERS: [(&str, &str); 4] = [
    (BUNDLE, "services/bundle"),
    (DECLARATIVE, "services/declarative"),
    (PROXY, "services/propeller-proxy"),
    (OUTRIGGER, "outrigger"),
];
/// The flags of [`Args`] that name an image.
const OTHER_THAN_PLUGINS: [&str; 6] =
    ["bridge", "bundle", "declarative", "proxy", "outrigger", "fake_vendor"];

/// The ports of a service that is not a plugin.
const SERVICE_PORTS: &[u16] = &[8000, 9090];

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let mut home = Home::of_release(&generator.project.root).unwrap_or_default();
    if let Some(registry) = &args.registry {
        home.registry.clone_from(registry);
    }
    let image = image(args, generator, &home)?;
    let version = generator.project.version()?;
    let programs =
        build(&generator.project, &[&image.package], Target::native(), Audit::Absent, &home)?;
    let default = || target("image").join(format!("{}.tar", image.package));
    let output = args.output.clone().unwrap_or_else(default);
    image.pack(&version, &home, &programs, &output)?;
    println!("{}", output.display());
    Ok(Exit::Ok)
}

fn image(args: &Args, generator: &Generator, home: &Home) -> Result<Image> {
    let Some(name) = &args.name else {
        return Ok(Image::of_service(other(args), home));
    };
    let members = generator.project.chosen(std::slice::from_ref(name))?;
    let member = members.first().context("one plugin")?;
    if member.file.plugin.kind == Kind::Declarative {
        return Err(usage(format!(
            "{name} is a YAML file, which the image of --declarative serves; it has none of its own"
        )));
    }
    if member.file.plugin.kind == Kind::Bridge {
        let directory = generator.project.layout.place(&member.file.plugin).path(".");
        return Err(usage(format!(
            "{name} is not written in Rust: build its image with docker build {directory}, and the bridge's with --bridge"
        )));
    }
    Ok(Image::of_plugin(member, home))
}

/// The image of every program in Rust: the plugins', the bridge's, the bundle's, the sidecar's, and those to try and check services with.
///
/// # Errors
/// If a plugin.toml is invalid.
pub(crate) fn all(generator: &Generator, home: &Home) -> Result<Vec<Image>> {
    let members = generator.project.members()?;
    let in_rust = members.iter().filter(|member| member.file.plugin.kind == Kind::Rust);
    let services = [BRIDGE, BUNDLE, DECLARATIVE, PROXY, OUTRIGGER, FAKE_VENDOR]
        .map(|package| Image::of_service(package, home));
    Ok(in_rust.map(|member| Image::of_plugin(member, home)).chain(services).collect())
}

impl Image {
    fn of_plugin(member: &Member, home: &Home) -> Self {
        Self {
            package: member.name().to_owned(),
            repository: repository(home, &render::image(&member.file)),
            description: member.file.plugin.description.clone(),
            ports: vec![member.file.ports.api, member.file.ports.admin],
        }
    }

    fn of_service(package: &str, home: &Home) -> Self {
        let (description, ports) = match package {
            BRIDGE => ("Runs Flyte's connectors and plugins in any language", SERVICE_PORTS),
            DECLARATIVE => ("Runs Flyte tasks of plugins that are YAML files", SERVICE_PORTS),
            // Its ports depend on its routes.
            PROXY => ("Gives FlytePropeller's calls a token", &[][..]),
            OUTRIGGER => ("Values for Flyte, new plugins, checks, tokens and health", &[][..]),
            FAKE_VENDOR => ("Fakes of vendors, to try a service without an account", &[][..]),
            _ => ("Runs Flyte's tasks on several services", SERVICE_PORTS),
        };
        Self {
            package: package.to_owned(),
            repository: repository(home, package),
            description: description.to_owned(),
            ports: ports.to_vec(),
        }
    }
}

/// The package of an image that is no plugin's.
fn other(args: &Args) -> &'static str {
    let chosen = [
        (args.bridge, BRIDGE),
        (args.declarative, DECLARATIVE),
        (args.proxy, PROXY),
        (args.outrigger, OUTRIGGER),
        (args.fake_vendor, FAKE_VENDOR),
    ];
    chosen.iter().find(|(is_chosen, _)| *is_chosen).map_or(BUNDLE, |(_, package)| package)
}

/// The name of an image without a tag. One that plugin.toml gives with its registry stays.
pub(crate) fn repository(home: &Home, name: &str) -> String {
    let has_registry = name.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']));
    if has_registry { name.to_owned() } else { home.image(None, name) }
}

/// Builds static programs for `for_target`, with local paths remapped. Returns their directory.
pub(crate) fn build(
    project: &Project,
    packages: &[&str],
    for_target: Target,
    audit: Audit,
    home: &Home,
) -> Result<PathBuf> {
    let triple = for_target.triple();
    if !cfg!(target_os = "linux") {
        return Err(usage(
            "a static binary can only be built on Linux; elsewhere use docker build with the Dockerfile",
        ));
    }
    for_target.check_tools()?;
    let cargo_home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let root = project.root.display();
    // Use the getrandom system call: an image may have no /dev/urandom.
    let flags = format!(
        "-Ctarget-feature=+crt-static --cfg=getrandom_backend=\"linux_getrandom\" --remap-path-prefix={root}=/src --remap-path-prefix={}=/cargo",
        cargo_home.unwrap_or_default()
    );
    let named = packages.join(", ");
    eprintln!("building {named} for {triple} (the first time takes a few minutes) …");
    // With an explicit target, build scripts and macros are built without these flags.
    let mut args = vec!["build", "--release", "--locked", "--quiet", "--target", &triple];
    if audit == Audit::Embedded {
        args.insert(0, "auditable");
    }
    args.extend(packages.iter().flat_map(|package| ["--package", package]));
    let directory = target("image/build");
    let mut command = cargo(&args);
    command.current_dir(&project.root).env("RUSTFLAGS", flags).envs(home.build_variables());
    for_target.configure(&mut command);
    if audit == Audit::Embedded {
        command.env("PATH", with_path(&dependencies::cargo_auditable()?)?);
    }
    run_program(command.env("CARGO_TARGET_DIR", &directory))?;
    Ok(directory.join(triple).join("release"))
}

impl Image {
    /// Packs the program in the directory `programs` into the archive `output`.
    ///
    /// # Errors
    /// If the program is missing or not static, or the archive cannot be written.
    pub(crate) fn pack(
        &self,
        version: &str,
        home: &Home,
        programs: &Path,
        output: &Path,
    ) -> Result<()> {
        let labels = [
            ("title", self.package.as_str()),
            ("description", &self.description),
            ("licenses", "Apache-2.0"),
            ("version", version),
            ("revision", &revision()),
        ];
        let source = Some(("source", home.repository.as_str()));
        let source = source.filter(|(_, url)| !url.is_empty());
        let mut command = cargo(&["run", "--quiet", "--package", "oci-image", "--", "--program"]);
        command.arg(programs.join(&self.package)).arg("--output").arg(output);
        command.args(["--name", &format!("{}:{version}", self.repository)]);
        command.args(["--platform", &format!("linux/{}", architecture())]);
        for (key, value) in labels.into_iter().chain(source) {
            command.args(["--label", &format!("org.opencontainers.image.{key}={value}")]);
        }
        for port in &self.ports {
            command.args(["--port", &port.to_string()]);
        }
        run_program(&mut command)
    }
}

/// `PATH` with `directory` before the others.
fn with_path(directory: &Path) -> Result<OsString> {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&others));
    Ok(std::env::join_paths(all)?)
}

/// This machine's architecture, as images name it.
pub(crate) fn architecture() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" }
}

/// The commit being built, with `-dirty` appended if there are uncommitted changes.
pub(crate) fn revision() -> String {
    let git = |args: &[&str]| {
        let output = program("git").args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    match (git(&["rev-parse", "HEAD"]), git(&["status", "--porcelain"])) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit}-dirty"),
        _ => "unknown".to_owned(),
    }
}
