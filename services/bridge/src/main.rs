//! Serves the task types of connectors in another process; see lib.rs.

fn main() -> std::process::ExitCode {
    plugin_core::run_raw::<bridge::Bridge>(plugin_core::service_info!())
}
