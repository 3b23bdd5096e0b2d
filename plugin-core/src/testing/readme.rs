//! The README of a plugin documents every setting that the plugin adds.

use clap::{Arg, Command};
use server_core::ServiceInfo;

/// Makes a test that a README names the flag and the environment variable of each of a plugin's settings.
///
/// ```text
/// plugin_core::readme_test!(plugin_core::command::<bigquery::BigQuery>, include_str!("../README.md"));
/// ```
#[macro_export]
macro_rules! readme_test {
    ($command:expr, $readme:expr) => {
        #[test]
        fn readme_names_every_setting() {
            $crate::testing::readme_names_every_setting($command, $readme);
        }
    };
}

/// Checks that `readme` names every setting that the plugin adds to `command`.
///
/// # Panics
/// When a flag or a variable is missing, with its name.
pub fn readme_names_every_setting(command: fn(ServiceInfo) -> Command, readme: &str) {
    let command = command(ServiceInfo { name: "plugin", version: "0" });
    let own = |arg: &&Arg| arg.get_help_heading() == Some("Plugin");
    for arg in command.get_arguments().filter(own) {
        let flag = arg.get_long().map(|long| format!("`--{long}`"));
        let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
        for name in flag.into_iter().chain(variable) {
            assert!(readme.contains(&name), "README.md does not document the setting {name}");
        }
    }
}
