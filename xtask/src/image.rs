//! `cargo xtask image`: builds a plugin's image reproducibly and without a container engine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    exit::{self, Exit, usage},
    home::{self, Home},
    process::{cargo, program, run as run_program},
    scaffold::{generator::Generator, kind::Kind, project::Project, render},
    target,
};

/// Builds a plugin's OCI image archive without a container engine.
///
/// The image is `FROM scratch`, runs as user 65532, and contains a static binary and Mozilla's CA
/// certificates. The same sources produce the same bytes. Push it with `skopeo copy oci-archive:FILE
/// docker://NAME`, or load it locally with `podman load -i FILE`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// The plugin to package.
    #[arg(
        value_name = "NAME",
        required_unless_present_any = ["bridge", "bundle", "declarative", "proxy"],
        conflicts_with_all = ["bridge", "bundle", "declarative", "proxy"]
    )]
    name: Option<String>,

    /// Package services/bridge: connectors, and plugins in any language.
    #[arg(long, conflicts_with_all = ["bundle", "declarative", "proxy"])]
    bridge: bool,

    /// Package services/bundle: several plugins in one program.
    #[arg(long)]
    bundle: bool,

    /// Package services/declarative: plugins that are YAML files.
    #[arg(long, conflicts_with_all = ["bundle", "proxy"])]
    declarative: bool,

    /// Package services/propeller-proxy: the sidecar that adds a token to propeller's calls.
    #[arg(long, conflicts_with = "bundle")]
    proxy: bool,

    /// Registry of the image's name, such as registry.example.com/team [default: the workspace's; none in a plain checkout].
    #[arg(long, value_parser = home::check_registry)]
    registry: Option<String>,

    /// Where to write the archive [default: target/image/NAME.tar].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The image to build.
struct Image {
    package: String,
    /// Without a tag.
    repository: String,
    description: String,
    ports: Vec<u16>,
}

/// A variable that images set, and its value.
pub(crate) const ENVIRONMENT: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "131072");
/// The package of the bridge.
const BRIDGE: &str = "bridge";
/// The package of plugins that are files.
pub(crate) const DECLARATIVE: &str = "declarative";
/// The package of the bundle.
pub(crate) const BUNDLE: &str = "bundle";
/// The package of the sidecar.
pub(crate) const PROXY: &str = "propeller-proxy";

/// The ports of a service that is not a plugin.
const SERVICE_PORTS: &[u16] = &[8000, 9090];

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let image = image(args, generator)?;
    let version = generator.project.version()?;
    let binary = build(&generator.project, &[&image.package])?.join(&image.package);
    let default = || target("image").join(format!("{}.tar", image.package));
    let output = args.output.clone().unwrap_or_else(default);
    pack(&image, &version, &binary, &output)?;
    println!("{}", output.display());
    Ok(Exit::Ok)
}

fn image(args: &Args, generator: &Generator) -> Result<Image> {
    let Some(name) = &args.name else {
        let (package, description, ports) = match (args.bridge, args.proxy) {
            (true, _) => {
                (BRIDGE, "Runs Flyte's connectors and plugins in any language", SERVICE_PORTS)
            }
            // Its ports depend on its routes.
            (_, true) => (PROXY, "Gives FlytePropeller's calls a token", &[][..]),
            _ if args.declarative => {
                (DECLARATIVE, "Runs Flyte tasks of plugins that are YAML files", SERVICE_PORTS)
            }
            _ => (BUNDLE, "Runs Flyte's tasks on several services", SERVICE_PORTS),
        };
        return Ok(Image {
            package: package.to_owned(),
            repository: name_of(args, generator, package)?,
            description: description.to_owned(),
            ports: ports.to_vec(),
        });
    };
    let members = generator.project.chosen(std::slice::from_ref(name))?;
    let member = members.first().context("one plugin")?;
    if member.file.plugin.kind == Kind::Bridge {
        let directory = generator.project.layout.place(&member.file.plugin).path(".");
        return Err(usage(format!(
            "{name} is not written in Rust: build its image with docker build {directory}, and the bridge's with --bridge"
        )));
    }
    Ok(Image {
        package: name.clone(),
        repository: name_of(args, generator, &render::image(&member.file))?,
        description: member.file.plugin.description.clone(),
        ports: vec![member.file.ports.api, member.file.ports.admin],
    })
}

/// The name of an image without a tag. One that plugin.toml gives with its registry stays.
fn name_of(args: &Args, generator: &Generator, name: &str) -> Result<String> {
    let has_registry = name.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']));
    if has_registry {
        return Ok(name.to_owned());
    }
    Ok(Home::of(&generator.project.root).unwrap_or_default().image(args.registry.as_deref(), name))
}

/// Builds static programs for this machine's architecture, with local paths remapped. Returns their
/// directory.
pub(crate) fn build(project: &Project, packages: &[&str]) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    if !cfg!(target_os = "linux") {
        return Err(usage(
            "a static binary can only be built on Linux; elsewhere use docker build with the Dockerfile",
        ));
    }
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let root = project.root.display();
    // Use the getrandom system call: an image may have no /dev/urandom.
    let flags = format!(
        "-Ctarget-feature=+crt-static --cfg=getrandom_backend=\"linux_getrandom\" --remap-path-prefix={root}=/src --remap-path-prefix={}=/cargo",
        home.unwrap_or_default()
    );
    let named = packages.join(", ");
    eprintln!("building {named} for {triple} (the first time takes a few minutes) …");
    // With an explicit target, build scripts and macros are built without these flags.
    let mut args = vec!["build", "--release", "--locked", "--quiet", "--target", &triple];
    args.extend(packages.iter().flat_map(|package| ["--package", package]));
    let directory = target("image/build");
    run_program(
        cargo(&args)
            .current_dir(&project.root)
            .env("RUSTFLAGS", flags)
            .env("CARGO_TARGET_DIR", &directory),
    )?;
    Ok(directory.join(triple).join("release"))
}

fn pack(image: &Image, version: &str, binary: &Path, output: &Path) -> Result<()> {
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let labels = [
        ("title", image.package.as_str()),
        ("description", &image.description),
        ("licenses", "Apache-2.0"),
        ("version", version),
        ("revision", &revision()),
    ];
    let source = Home::of(crate::root()).unwrap_or_default().repository;
    let source = (!source.is_empty()).then_some(("source", source.as_str()));
    let mut command = cargo(&["run", "--quiet", "--package", "oci-image", "--", "--program"]);
    command.arg(binary).arg("--output").arg(output);
    command.args(["--name", &format!("{}:{version}", image.repository)]);
    command.args(["--platform", &format!("linux/{architecture}")]);
    for (key, value) in labels.into_iter().chain(source) {
        command.args(["--label", &format!("org.opencontainers.image.{key}={value}")]);
    }
    for port in &image.ports {
        command.args(["--port", &port.to_string()]);
    }
    run_program(&mut command)
}

/// The commit being built, with `-dirty` appended if there are uncommitted changes.
fn revision() -> String {
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
