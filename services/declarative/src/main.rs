//! Serves plugins that are YAML files; see lib.rs.

fn main() -> std::process::ExitCode {
    plugin_core::run_with_tools::<declarative::Declarative>(
        plugin_core::service_info!(),
        &declarative::tools::TOOLS,
    )
}
