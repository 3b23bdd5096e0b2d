//! A token that was given: in a file or on standard input, never on the command line, which other users see.

use std::{
    io::{Error, ErrorKind, IsTerminal as _},
    path::Path,
};

use anyhow::Result;
use secrecy::{ExposeSecret as _, SecretString};
use xtask::exit::usage;

use crate::bounded::read_at_most;

/// The longest text that is read. Services accept tokens of 16 KiB.
const MAX_BYTES: u64 = 64 << 10;

/// What the file with the token is called in messages.
pub(super) fn name(file: Option<&Path>) -> String {
    named(file).map_or_else(|| "standard input".to_owned(), |file| file.display().to_string())
}

fn named(file: Option<&Path>) -> Option<&Path> {
    file.filter(|file| *file != Path::new("-"))
}

/// Reads the token from `file`, or from standard input without one or if it is `-`. A header's `Bearer` before it is
/// left out.
pub(super) fn read(file: Option<&Path>) -> Result<SecretString> {
    if file.is_none() && std::io::stdin().is_terminal() {
        return Err(usage(
            "give the token on standard input or name its FILE, as in: kubectl create token NAME | outrigger token show",
        ));
    }
    let text = match named(file) {
        Some(file) => std::fs::File::open(file).and_then(limited),
        None => limited(std::io::stdin()),
    };
    let text = text.map_err(|error| usage(format!("{}: {}", name(file), why(&error))))?;
    let token = text.expose_secret().trim();
    let bare = token.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(bare.map_or(token, |(_, token)| token.trim()).to_owned().into())
}

/// What is wrong with a file, in words without numbers of errors.
fn why(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::InvalidData => "it is no text, so no token".to_owned(),
        _ => error.to_string(),
    }
}

fn limited(from: impl std::io::Read) -> std::io::Result<SecretString> {
    let too_large = || Error::new(ErrorKind::FileTooLarge, "it is too large for a token");
    let bytes = read_at_most(from, MAX_BYTES)?.ok_or_else(too_large)?;
    let text = String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData)?;
    Ok(text.into())
}
