//! Prepares the repository's pages for mdBook, and checks their links before and after.
//!
//! A program of its own, so that `cargo xtask` builds without a parser for Markdown.

mod contents;
mod links;
mod markdown;
mod pages;
mod rendered;
mod stage;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::{contents::Contents, pages::Pages};

/// Prepares the pages of the documentation site and checks links. `cargo xtask site` runs it.
#[derive(Parser)]
enum Command {
    /// Check the links of every page in the repository, and that the contents name every page of docs/.
    Links {
        /// Root of the repository.
        root: PathBuf,
    },
    /// Write the pages of the site, with their table of contents, as mdBook reads them.
    Stage {
        /// Root of the repository.
        root: PathBuf,
        /// Directory to write; what was in it is removed.
        directory: PathBuf,
        /// Where the sources are published, as `https://HOST/PATH`; without it, links to directories become plain text.
        #[arg(long, default_value = "")]
        repository: String,
    },
    /// Check the links of the pages that mdBook wrote.
    Rendered {
        /// mdBook's output.
        directory: PathBuf,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Links { root } => {
            let pages = Pages::of_repository(&root)?;
            let contents = Contents::of(&pages)?;
            println!("   {}", links::check(&pages, &contents)?);
        }
        Command::Stage { root, directory, repository } => {
            let pages = Pages::of_repository(&root)?;
            let contents = Contents::of(&pages)?;
            println!("   {}", stage::write(&pages, &contents, &directory, &repository)?);
        }
        Command::Rendered { directory } => println!("   {}", rendered::check(&directory)?),
    }
    Ok(())
}
