//! Serves the plugin; see lib.rs.
fn main() -> std::process::ExitCode {
    plugin_core::run::<acme_batch::AcmeBatch>(plugin_core::service_info!())
}
