//! Detects continuous integration.

/// Whether the variable `CI` is set to anything but `false`.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
