//! `cargo xtask wheel`: builds the Python package with the programs that it starts.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    exit::{self, Exit, usage},
    home::Home,
    image::{self, Audit},
    process::{program, run as run_program},
    python::{self, PLUGINS, Python},
    scaffold::generator::Generator,
    target,
};

/// Builds the Python wheel with the programs that `outrigger` starts.
///
/// The programs are static, so that one wheel suits every Linux of this machine's architecture, with glibc
/// or musl, and every Python from 3.10 on. Install it with `pip install FILE`.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// Directory to write the wheel to [default: target/wheel].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Directory with programs that are already built, instead of building them. The wheel then says that
    /// it suits this machine's Linux only.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// The packages of the programs; each program has the name of its package.
pub(crate) const PROGRAMS: [&str; 2] = ["bridge", "outrigger"];
/// The Python package.
const PACKAGE: &str = "clients/python";

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let output = args.output.clone().unwrap_or_else(|| target("wheel"));
    let Some(python) = Python::prepare(PLUGINS)? else { bail!("{}", python::MISSING) };
    let wheel = match &args.programs {
        Some(programs) => pack(&python, programs, &this_linux(), &output)?,
        None => {
            let home = Home::of_release(&generator.project.root)?;
            let programs = image::build(&generator.project, &PROGRAMS, Audit::Absent, &home)?;
            pack(&python, &programs, &every_linux(), &output)?
        }
    };
    println!("{}", wheel.display());
    Ok(Exit::Ok)
}

/// The wheel of a release, with the static programs in a directory.
///
/// # Errors
/// If a program is missing, or the wheel cannot be built.
pub(crate) fn of_release(programs: &Path, output: &Path) -> Result<PathBuf> {
    let Some(python) = Python::prepare(PLUGINS)? else { bail!("{}", python::MISSING) };
    pack(&python, programs, &every_linux(), output)
}

/// A wheel with the programs that `cargo build` made, for tests.
///
/// # Errors
/// If a program is missing, or the wheel cannot be built.
pub(crate) fn of_debug_programs(python: &Python, output: &Path) -> Result<PathBuf> {
    let programs = target("wheel/programs");
    std::fs::create_dir_all(&programs)?;
    for name in PROGRAMS {
        // Most of a debug build is symbols.
        let from = target("debug").join(name);
        run_program(program("strip").arg("-o").arg(programs.join(name)).arg(from))?;
    }
    pack(python, &programs, &this_linux(), output)
}

/// The platform of programs that may need this machine's libraries.
fn this_linux() -> String {
    format!("linux_{}", std::env::consts::ARCH)
}

/// The platforms of static programs.
pub(crate) fn every_linux() -> String {
    let arch = std::env::consts::ARCH;
    format!("manylinux_2_17_{arch}.musllinux_1_1_{arch}")
}

/// Builds the wheel for `platform` with the programs in a directory.
fn pack(python: &Python, programs: &Path, platform: &str, output: &Path) -> Result<PathBuf> {
    let programs = std::path::absolute(programs)?;
    let missing = PROGRAMS.iter().find(|name| !programs.join(name).is_file());
    if let Some(missing) = missing {
        return Err(usage(format!("{} has no program {missing}", programs.display())));
    }
    std::fs::create_dir_all(output)?;
    let output = std::path::absolute(output)?;
    for old in wheels(&output)? {
        std::fs::remove_file(old)?;
    }
    let mut build = python.module_in(PACKAGE, &["hatchling", "build", "--target", "wheel"]);
    build.arg("--directory").arg(&output);
    run_program(with_programs(&mut build, &programs, platform).stdout(std::io::stderr()))?;
    wheels(&output)?.pop().context("hatchling wrote no wheel")
}

/// What `hatch_build.py` reads.
fn with_programs<'a>(build: &'a mut Command, programs: &Path, platform: &str) -> &'a mut Command {
    build.env("OUTRIGGER_PROGRAMS", programs).env("OUTRIGGER_PLATFORM", platform)
}

/// The wheels of the package in a directory.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn wheels(directory: &Path) -> Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let files = files.collect::<Result<Vec<_>>>()?;
    let is_ours = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("outrigger_plugin-") && name.ends_with(".whl")
    };
    Ok(files.into_iter().filter(is_ours).collect())
}
