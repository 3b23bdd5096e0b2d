//! Fakes of vendors' APIs with scripted behaviour, over real sockets.

pub mod bigquery;
pub mod connector;
pub mod databricks;
mod server;
pub mod snowflake;
