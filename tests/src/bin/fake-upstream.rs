//! A vendor that plays a scripted part, for demos and for tests in other languages.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use tests::{
    discovery::Discovery,
    fakes::bigquery::{Ending, FakeBigQuery, Options},
};

/// Serves a vendor's API without the vendor.
#[derive(Parser)]
struct Args {
    /// Which vendor.
    #[arg(value_enum)]
    vendor: Vendor,

    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// How many polls find a job unfinished.
    #[arg(long, default_value_t = 2)]
    polls: u32,

    /// How jobs end: `success`, `stuck`, or an error reason of the vendor, for example invalidQuery.
    #[arg(long, default_value = "success")]
    ending: String,

    /// Refuse what the vendor's published schema does not allow; the schema must be installed.
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Vendor {
    Bigquery,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let discovery = if args.check { Discovery::installed()? } else { None };
    if args.check && discovery.is_none() {
        bail!("{} is missing; cargo xtask test installs it", Discovery::path().display());
    }
    let ending = match args.ending.as_str() {
        "success" => Ending::Success,
        "stuck" => Ending::Stuck("RUNNING".to_owned()),
        reason => Ending::Failure { reason: reason.to_owned(), message: "as scripted".to_owned() },
    };
    match args.vendor {
        Vendor::Bigquery => {
            let options = Options {
                listen: args.listen,
                polls: args.polls,
                ending,
                discovery,
                require_token: true,
            };
            let fake = FakeBigQuery::start(options).await?;
            println!("{}", fake.url());
            fake.serve().await;
        }
    }
    Ok(())
}
