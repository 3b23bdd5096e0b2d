//! Vendors that play scripted parts over real sockets.

pub mod bigquery;
pub mod databricks;
mod server;
pub mod snowflake;
