//! The programs of this repository that a benchmark runs, built as they are shipped.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context as _, Result};

use crate::{
    image,
    process::{cargo, run},
    target,
};

/// The service that is measured.
const SERVICE: &str = "bigquery";

/// The service of plugins that are files, and the file that is measured beside the service.
const DECLARATIVE: &str = "declarative";
pub(super) const FILE: &str = "services/declarative/examples/bigquery.yaml";

/// The directory with the programs of `tests/bench`, below `target/`.
static DIRECTORY: OnceLock<&str> = OnceLock::new();

/// Builds the programs of `tests/bench` with optimisations, and the service as its image has it.
///
/// # Errors
/// When one does not build.
pub(super) fn build() -> Result<()> {
    println!("Building the service's image and the programs of tests/bench with optimisations …");
    run(&mut cargo(&["xtask", "image", SERVICE]))?;
    run(&mut cargo(&["build", "--release", "--locked", "--quiet", "--package", "bench", "--bins"]))
}

/// Builds the service as its image has it, and the programs of `tests/bench` as tests have them: they are
/// not measured themselves. The first call of this or [`bench()`] decides which are run.
///
/// # Errors
/// When one does not build.
pub(super) fn build_to_count() -> Result<()> {
    let _ = DIRECTORY.set("debug");
    run(&mut cargo(&["xtask", "image", SERVICE]))?;
    run(&mut cargo(&["xtask", "image", "--declarative"]))?;
    run(&mut cargo(&["build", "--locked", "--quiet", "--package", "bench", "--bins"]))
}

/// Builds the bridge as its image has it.
///
/// # Errors
/// When it does not build.
pub(super) fn build_bridge() -> Result<()> {
    run(&mut cargo(&["xtask", "image", "--bridge"]))
}

/// The program in the image: static, with the profile `release`.
pub(super) fn service() -> PathBuf {
    in_image(SERVICE)
}

/// The bridge in its image, likewise.
pub(super) fn bridge() -> PathBuf {
    in_image(image::BRIDGE)
}

/// The program in the image of the service of plugins that are files.
pub(super) fn declarative() -> PathBuf {
    in_image(DECLARATIVE)
}

fn in_image(package: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    target("image/build").join(triple).join("release").join(package)
}

/// A program of `tests/bench`.
pub(super) fn bench(name: &str) -> PathBuf {
    target(DIRECTORY.get_or_init(|| "release")).join(name)
}

/// The size of a file in MiB.
///
/// # Errors
/// When the file is not there.
pub(super) fn mib_of(file: &Path) -> Result<f64> {
    let bytes = fs::metadata(file).with_context(|| format!("no {}", file.display()))?.len();
    Ok(bytes as f64 / f64::from(1 << 20))
}
