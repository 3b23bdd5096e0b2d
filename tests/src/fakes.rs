//! Fakes of vendors' APIs with scripted behaviour, over real sockets.

pub mod athena;
pub mod aws;
pub mod aws_batch;
pub mod bigquery;
pub mod connector;
pub mod databricks;
pub mod emr_serverless;
pub mod jobs;
pub mod plugin_server;
pub mod redshift;
pub mod sagemaker;
mod server;
pub mod snowflake;
