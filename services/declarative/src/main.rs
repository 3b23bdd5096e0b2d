//! Serves plugins that are YAML files; see lib.rs.

fn main() -> std::process::ExitCode {
    plugin_core::run_with_tools::<declarative::Declarative, _>(
        plugin_core::service_info!(),
        declarative::tools::Tools::run,
    )
}
