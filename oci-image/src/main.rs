//! Packs a static program into a reproducible OCI image, without a container engine, and joins images of several platforms.
//!
//! The image is `FROM scratch` and contains the program and CA certificates. The same program always
//! produces the same bytes.
#![allow(clippy::disallowed_methods, reason = "there is no async runtime to block")]

mod image;
mod join;
mod layer;
mod roots;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use jiff::Timestamp;

use crate::image::{Image, Platform};

/// Packs a static program into an OCI image archive, or joins archives for several platforms in one.
#[derive(Debug, Parser)]
struct Args {
    /// The program, a statically linked ELF binary.
    #[arg(long, value_name = "FILE", required_unless_present = "join", requires = "platform")]
    program: Option<PathBuf>,

    /// An OCI archive of an image for one platform; give one for each. Prints `index DIGEST`, then `PLATFORM DIGEST` for each.
    #[arg(long, value_name = "FILE", conflicts_with = "program")]
    join: Vec<PathBuf>,

    /// The image's name with its tag, for example `ghcr.io/acme/bigquery:1.2.3`.
    #[arg(long)]
    name: String,

    /// Where to write the archive.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,

    /// Platform of the program.
    #[arg(long, value_enum)]
    platform: Option<Platform>,

    /// A label of the image, for example `org.opencontainers.image.title=bigquery`; may be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// A port that the program listens on, as documentation; may be repeated.
    #[arg(long = "port")]
    ports: Vec<u16>,

    /// The image's creation time, in seconds since 1970.
    #[arg(long, env = "SOURCE_DATE_EPOCH", default_value_t = 0)]
    created: i64,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn main() -> Result<()> {
    let args = Args::parse();
    let output = args.output.clone();
    let (archive, told) = match (&args.program, args.platform) {
        (Some(program), Some(platform)) => pack(&args, program, platform)?,
        _ => joined(&args)?,
    };
    std::fs::write(&output, archive)
        .with_context(|| format!("cannot write {}", output.display()))?;
    println!("{told}");
    Ok(())
}

/// The archive of a program, and what to say of it.
fn pack(args: &Args, program: &Path, platform: Platform) -> Result<(Vec<u8>, String)> {
    let file = program.display().to_string();
    let program = read(program)?;
    if is_dynamic(&program)? {
        bail!(
            "{file} is dynamically linked, but the image has no shared libraries: build it with crt-static"
        );
    }
    let layers = vec![
        layer::of(&[("etc/ssl/certs/ca-certificates.crt", roots::pem().as_bytes(), 0o644)])?,
        layer::of(&[("service", &program, 0o755)])?,
    ];
    let image = Image {
        name: args.name.clone(),
        platform,
        labels: args.labels.iter().cloned().collect(),
        ports: args.ports.clone(),
        created: Timestamp::from_second(args.created).context("--created")?,
        layers,
    };
    let packed = image.pack()?;
    Ok((packed.archive, format!("{} {} bytes compressed", packed.digest, packed.compressed)))
}

/// The archive of several platforms, and what to say of it.
fn joined(args: &Args) -> Result<(Vec<u8>, String)> {
    let archives = args.join.iter().map(|path| Ok((path.display().to_string(), read(path)?)));
    let joined = join::join(&archives.collect::<Result<Vec<_>>>()?, &args.name)?;
    let parts = joined.parts.iter().map(|(platform, digest)| format!("{platform} {digest}"));
    let lines = std::iter::once(format!("index {}", joined.digest)).chain(parts);
    Ok((joined.archive, lines.collect::<Vec<_>>().join("\n")))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether an ELF program requests an interpreter, the dynamic linker.
fn is_dynamic(program: &[u8]) -> Result<bool> {
    const INTERPRETER: u32 = 3;
    let word = |at: usize, size: usize| -> Option<u64> {
        let bytes = program.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        bail!("the program is not a 64-bit little-endian ELF file");
    }
    let headers = || {
        let (start, size, count) = (word(0x20, 8)?, word(0x36, 2)?, word(0x38, 2)?);
        (0..count)
            .map(|number| word(usize::try_from(start + number * size).ok()?, 4))
            .collect::<Option<Vec<_>>>()
    };
    let headers = headers().context("the program's ELF header is truncated")?;
    Ok(headers.contains(&u64::from(INTERPRETER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamically_linked_programs_are_detected() {
        let mut elf = [b"\x7fELF\x02\x01".as_slice(), &[0; 0x40 - 6 + 0x38]].concat();
        (elf[0x20], elf[0x36], elf[0x38]) = (0x40, 0x38, 1);
        assert!(!is_dynamic(&elf).unwrap());
        elf[0x40] = 3;
        assert!(is_dynamic(&elf).unwrap());
        elf[0x38] = 9;
        assert!(is_dynamic(&elf).unwrap_err().to_string().contains("truncated"));
        assert!(is_dynamic(b"#!/bin/sh").is_err());
    }
}
