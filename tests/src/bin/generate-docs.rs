//! Writes the documents that are generated from code.

use anyhow::Result;
use tests::{documents::DOCUMENTS, repository};

fn main() -> Result<()> {
    for document in DOCUMENTS {
        std::fs::write(repository().join(document.path), (document.generate)())?;
        println!("{}", document.path);
    }
    Ok(())
}
