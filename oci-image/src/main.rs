//! Packs a static program into a reproducible OCI image, without a container engine.
//!
//! The image is `FROM scratch`: the program and the CA certificates that it trusts. The same program
//! gives the same bytes, whoever packs it and when.
#![allow(clippy::disallowed_methods, reason = "here is no runtime to block")]

mod image;
mod layer;
mod roots;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use jiff::Timestamp;

use crate::image::{Image, Platform};

/// Packs a static program into an OCI image archive.
#[derive(Debug, Parser)]
struct Args {
    /// The program.
    #[arg(long, value_name = "FILE")]
    program: PathBuf,

    /// The image's name with its tag, for example `ghcr.io/acme/bigquery:1.2.3`.
    #[arg(long)]
    name: String,

    /// Where the archive goes.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,

    /// What it runs on.
    #[arg(long, value_enum)]
    platform: Platform,

    /// Labels, each `key=value`: those of the OCI image specification, for example.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Ports that it listens on; for people who read the image.
    #[arg(long = "port")]
    ports: Vec<u16>,

    /// When it was made, in seconds since 1970.
    #[arg(long, env = "SOURCE_DATE_EPOCH", default_value_t = 0)]
    created: i64,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn main() -> Result<()> {
    let args = Args::parse();
    let file = args.program.display().to_string();
    let program = std::fs::read(&args.program).with_context(|| format!("cannot read {file}"))?;
    if is_dynamic(&program)? {
        bail!("{file} needs shared libraries, and the image has none: build it with crt-static");
    }
    let layers = vec![
        layer::of(&[("etc/ssl/certs/ca-certificates.crt", roots::pem().as_bytes(), 0o644)])?,
        layer::of(&[("service", &program, 0o755)])?,
    ];
    let image = Image {
        name: args.name,
        platform: args.platform,
        labels: args.labels.into_iter().collect(),
        ports: args.ports,
        created: Timestamp::from_second(args.created).context("--created")?,
        layers,
    };
    let packed = image.pack()?;
    std::fs::write(&args.output, &packed.archive)
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    println!("{} {} bytes compressed", packed.digest, packed.compressed);
    Ok(())
}

/// Whether an ELF program asks for an interpreter, the dynamic linker.
fn is_dynamic(program: &[u8]) -> Result<bool> {
    const INTERPRETER: u32 = 3;
    let word = |at: usize, size: usize| -> Option<u64> {
        let bytes = program.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        bail!("the program is no 64-bit little-endian ELF file");
    }
    let headers = || {
        let (start, size, count) = (word(0x20, 8)?, word(0x36, 2)?, word(0x38, 2)?);
        (0..count)
            .map(|number| word(usize::try_from(start + number * size).ok()?, 4))
            .collect::<Option<Vec<_>>>()
    };
    let headers = headers().context("the program's ELF header is cut off")?;
    Ok(headers.contains(&u64::from(INTERPRETER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_libraries_is_told_apart() {
        let mut elf = [b"\x7fELF\x02\x01".as_slice(), &[0; 0x40 - 6 + 0x38]].concat();
        (elf[0x20], elf[0x36], elf[0x38]) = (0x40, 0x38, 1);
        assert!(!is_dynamic(&elf).unwrap());
        elf[0x40] = 3;
        assert!(is_dynamic(&elf).unwrap());
        elf[0x38] = 9;
        assert!(is_dynamic(&elf).unwrap_err().to_string().contains("cut off"));
        assert!(is_dynamic(b"#!/bin/sh").is_err());
    }
}
