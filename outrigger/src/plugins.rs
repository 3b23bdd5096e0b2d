//! The plugins that this release has.

/// The plugin.toml of each plugin, by its path in the repository. Written by the build script.
static PLUGINS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The plugin.toml of each plugin, by its path in the repository.
pub(crate) fn released() -> Vec<(String, String)> {
    PLUGINS.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// The plugins' names. Each is that of the plugin's directory.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names = PLUGINS.iter().filter_map(|(path, _)| path.rsplit('/').nth(1));
    let mut names = names.by_ref().collect::<Vec<_>>();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_knows_the_plugins_of_the_repository() {
        let names = names();
        for wanted in ["bigquery", "databricks", "snowflake", "sql"] {
            assert!(names.contains(&wanted), "{names:?}");
        }
        assert_eq!(names.len(), released().len());
    }
}
