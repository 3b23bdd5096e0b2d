//! `cargo xtask image`: a plugin's image, reproducibly and without a container engine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    exit::{self, Exit, usage},
    process::{cargo, program, run as run_program},
    scaffold::{generator::Generator, project::Project},
    target,
};

/// Builds a static program and packs it into an OCI image archive: `FROM scratch`, user 65532, with the
/// CA certificates that Mozilla trusts.
///
/// The same sources give the same bytes. `skopeo copy oci-archive:FILE docker://NAME` pushes it,
/// `podman load -i FILE` runs it here.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// The plugin.
    #[arg(
        value_name = "NAME",
        required_unless_present_any = ["bundle", "proxy"],
        conflicts_with_all = ["bundle", "proxy"]
    )]
    name: Option<String>,

    /// services/bundle: several plugins in one program.
    #[arg(long)]
    bundle: bool,

    /// services/propeller-proxy: the sidecar that gives propeller's calls a token.
    #[arg(long, conflicts_with = "bundle")]
    proxy: bool,

    /// Where the archive goes; by default target/image/NAME.tar.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What to build.
struct Wanted {
    package: String,
    /// Without a tag.
    repository: String,
    description: String,
    ports: Vec<u16>,
}

/// The package of the bundle.
pub(crate) const BUNDLE: &str = "bundle";
/// The package of the sidecar.
pub(crate) const PROXY: &str = "propeller-proxy";

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let wanted = wanted(args, generator)?;
    let version = generator.project.version()?;
    let binary = build(&generator.project, &wanted.package)?;
    let default = || target("image").join(format!("{}.tar", wanted.package));
    let output = args.output.clone().unwrap_or_else(default);
    pack(&wanted, &version, &binary, &output)?;
    println!("{}", output.display());
    Ok(Exit::Ok)
}

fn wanted(args: &Args, generator: &Generator) -> Result<Wanted> {
    let Some(name) = &args.name else {
        return Ok(if args.proxy {
            // Which ports it listens on, its routes say.
            apart(PROXY, "Gives FlytePropeller's calls a token", vec![], generator)
        } else {
            apart(BUNDLE, "Runs Flyte's tasks on several services", vec![8000, 9090], generator)
        });
    };
    let members = generator.project.chosen(std::slice::from_ref(name))?;
    let member = members.first().context("one plugin")?;
    Ok(Wanted {
        package: name.clone(),
        repository: generator.image(member)?,
        description: member.file.plugin.description.clone(),
        ports: vec![member.file.ports.api, member.file.ports.admin],
    })
}

/// A program of this repository that is no plugin.
fn apart(package: &str, description: &str, ports: Vec<u16>, generator: &Generator) -> Wanted {
    Wanted {
        package: package.to_owned(),
        repository: format!("{}/{package}", generator.template.manifest.image_registry),
        description: description.to_owned(),
        ports,
    }
}

/// A static program for this machine's architecture, without this machine's paths in it.
fn build(project: &Project, package: &str) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    if !cfg!(target_os = "linux") {
        return Err(usage(
            "a static program is built on Linux; elsewhere docker build -f its Dockerfile does",
        ));
    }
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let root = project.root.display();
    // Randomness by system call: in an image there may be no /dev/urandom.
    let flags = format!(
        "-Ctarget-feature=+crt-static --cfg=getrandom_backend=\"linux_getrandom\" --remap-path-prefix={root}=/src --remap-path-prefix={}=/cargo",
        home.unwrap_or_default()
    );
    eprintln!("building {package} for {triple} (the first time takes some minutes) …");
    // With the target named, build scripts and macros are built without these flags.
    let args =
        ["build", "--release", "--locked", "--quiet", "--package", package, "--target", &triple];
    let directory = target("image/build");
    run_program(
        cargo(&args)
            .current_dir(&project.root)
            .env("RUSTFLAGS", flags)
            .env("CARGO_TARGET_DIR", &directory),
    )?;
    Ok(directory.join(triple).join("release").join(package))
}

fn pack(wanted: &Wanted, version: &str, binary: &Path, output: &Path) -> Result<()> {
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let labels = [
        ("title", wanted.package.as_str()),
        ("description", &wanted.description),
        ("licenses", "Apache-2.0"),
        ("source", "https://github.com/outrigger/outrigger"),
        ("version", version),
        ("revision", &revision()),
    ];
    let mut command = cargo(&["run", "--quiet", "--package", "oci-image", "--", "--program"]);
    command.arg(binary).arg("--output").arg(output);
    command.args(["--name", &format!("{}:{version}", wanted.repository)]);
    command.args(["--platform", &format!("linux/{architecture}")]);
    for (key, value) in labels {
        command.args(["--label", &format!("org.opencontainers.image.{key}={value}")]);
    }
    for port in &wanted.ports {
        command.args(["--port", &port.to_string()]);
    }
    run_program(&mut command)
}

/// The commit that is built; with changes that are not committed, no more than that.
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
