//! `outrigger token`: tokens for services, and what is in a token.

mod claims;
mod input;
mod key;
mod mint;
mod new_key;
mod show;
mod verdict;

use anyhow::Result;
use tokio::runtime::Builder;
use xtask::exit::Exit;

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    Mint(mint::Args),
    Show(show::Args),
    NewKey(new_key::Args),
}

/// Does it.
pub(crate) fn run(verb: &Verb) -> Result<Exit> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match verb {
        Verb::Mint(args) => mint::run(args),
        Verb::Show(args) => runtime.block_on(show::run(args)),
        Verb::NewKey(args) => new_key::run(args),
    }
}
