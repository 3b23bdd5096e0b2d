//! Serves the plugin; see lib.rs.
fn main() -> std::process::ExitCode {
    plugin_core::run::<bigquery::BigQuery>(plugin_core::service_info!())
}
