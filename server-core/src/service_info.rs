//! The name and version of a program.

/// The name and version of a program. [`service_info!`](crate::service_info) makes that of a crate.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// The crate's name, which is the plugin's: `bigquery`.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
}

/// The [`ServiceInfo`] of the crate that calls it.
#[macro_export]
macro_rules! service_info {
    () => {
        $crate::ServiceInfo {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
        }
    };
}
