//! The step of `cargo xtask test` for images: other tools can read one, rebuilding gives the same bytes,
//! and it runs unprivileged in an otherwise empty root directory.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use sha2::{Digest as _, Sha256};

use crate::{
    image::ENVIRONMENT,
    process::{Background, answers_ok, cargo, program, run, works, write},
    root, target,
};

/// The plugin whose image is tested; all images are built the same way.
const PLUGIN: &str = "bigquery";
/// The maximum size of a compressed image.
const MAX_BYTES: u64 = 12 << 20;
/// The files that shape images.
const SHAPES: [&str; 7] = [
    "oci-image",
    "xtask/src/image.rs",
    "plugin-core/build.rs",
    "Cargo.lock",
    "Cargo.toml",
    "rust-toolchain.toml",
    ".cargo",
];
/// How long a service may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// What is missing to test images here; `None` if nothing is.
pub(crate) fn missing() -> Option<&'static str> {
    let there = |name: &str| works(program(name).arg("--version"));
    if !cfg!(target_os = "linux") || !there("skopeo") || !there("umoci") {
        return Some("skopeo and umoci are not installed");
    }
    // chroot and changing the user need root.
    let is_root = program("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    (!is_root).then_some("running a program in a chroot requires root")
}

/// Tests the image.
///
/// # Errors
/// If a check fails.
pub(crate) fn check() -> Result<()> {
    let (first, again) = (target("image/first.tar"), target("image/again.tar"));
    let bytes = build(&first)?;
    if bytes > MAX_BYTES {
        bail!("the compressed image is {bytes} bytes; the limit is {MAX_BYTES}");
    }
    let (shape, recorded) = (shape()?, target("image/reproducible"));
    if std::fs::read_to_string(&recorded).is_ok_and(|recorded| recorded == shape) {
        println!("   not built twice: nothing that shapes images has changed since it was");
    } else {
        rebuild(&again)?;
        if std::fs::read(&first)? != std::fs::read(&again)? {
            bail!("building the same sources again gives another image");
        }
        write(&recorded, shape)?;
    }
    let root = unpack(&first)?;
    run_as_nobody(&root)
}

/// A digest of what decides whether images are reproducible: what packs them, what generates code, the
/// compiler, its settings and the dependencies. A plugin's own sources do not.
fn shape() -> Result<String> {
    let mut digest = Sha256::new();
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "--"];
    let files = program("git").args(list).args(SHAPES).output()?;
    for file in String::from_utf8(files.stdout)?.lines() {
        digest.update(file);
        digest.update(std::fs::read(root().join(file)).unwrap_or_default());
    }
    digest.update(program("rustc").arg("-vV").output()?.stdout);
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Builds the image, and returns how many bytes it weighs.
fn build(output: &Path) -> Result<u64> {
    let built = cargo(&["xtask", "image", PLUGIN, "--output"])
        .arg(output)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let said = String::from_utf8(built.stdout)?;
    print!("{said}");
    if !built.status.success() {
        bail!("cargo xtask image {PLUGIN} failed: {}", built.status);
    }
    let bytes = said.split_whitespace().nth(1).and_then(|bytes| bytes.parse().ok());
    bytes.with_context(|| format!("cargo xtask image printed no size: {said}"))
}

/// Builds the image again after removing the plugin's build output.
fn rebuild(output: &Path) -> Result<()> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let clean = ["clean", "--quiet", "--release", "--package", PLUGIN];
    run(cargo(&clean).args(["--target", &triple, "--target-dir"]).arg(target("image/build")))?;
    build(output).map(drop)
}

/// Unpacks the image with skopeo and umoci and returns its root directory.
fn unpack(archive: &Path) -> Result<PathBuf> {
    let (layout, bundle) = (target("image/layout"), target("image/bundle"));
    for stale in [&layout, &bundle] {
        let _ = std::fs::remove_dir_all(stale);
    }
    let archive = format!("oci-archive:{}", archive.display());
    let config = program("skopeo").args(["inspect", "--config", &archive]).output()?;
    let config: serde_json::Value = serde_json::from_slice(&config.stdout)
        .with_context(|| format!("skopeo: {}", String::from_utf8_lossy(&config.stderr)))?;
    let config_of = |name: &str| &config["config"][name];
    let (variable, value) = ENVIRONMENT;
    if config_of("User") != "65532:65532"
        || config_of("Entrypoint")[0] != "/service"
        || config_of("Env")[0] != format!("{variable}={value}")
    {
        bail!("unexpected image configuration: {config}");
    }
    // What `docker load` reads.
    let docker = archive.replace("oci-archive:", "docker-archive:");
    run(program("skopeo").args(["inspect", &docker]).stdout(Stdio::null()))?;
    let to = format!("oci:{}:tried", layout.display());
    run(program("skopeo").args(["copy", "--quiet", &archive, &to]))?;
    let image = format!("{}:tried", layout.display());
    run(program("umoci").args(["unpack", "--image", &image]).arg(&bundle).stdout(Stdio::null()))?;
    Ok(bundle.join("rootfs"))
}

/// Starts the service unprivileged, with only the image's files, and runs its health check.
fn run_as_nobody(root: &Path) -> Result<()> {
    let (api, admin) = (free_address()?, free_address()?);
    let mut service = in_root(root);
    service
        .args(["--insecure-no-auth", "--emulator-host=127.0.0.1:1"])
        .arg(format!("--listen={api}"))
        .arg(format!("--admin-listen={admin}"))
        .stdout(Stdio::null());
    let mut service = Background::start(&mut service)?;
    let deadline = Instant::now() + STARTS_WITHIN;
    while !answers_ok(admin, "/readyz") {
        if !service.is_running() || Instant::now() > deadline {
            bail!("the service did not start in a root directory with only the image's files");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    run(in_root(root).args(["health-check", &format!("http://{api}")]))
}

/// The image's program, run unprivileged in `root`.
fn in_root(root: &Path) -> Command {
    let mut command = program("chroot");
    // Only the path on which chroot itself is found.
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.arg("--userspec=65532:65532").arg(root).arg("/service");
    command
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
