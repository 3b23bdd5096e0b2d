//! Serves the plugin; see lib.rs.
fn main() -> std::process::ExitCode {
    plugin_core::run::<snowflake::Snowflake>(plugin_core::service_info!())
}
