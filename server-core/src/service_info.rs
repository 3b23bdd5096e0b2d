//! The name and version of a program.

/// The name and version of a program; [`service_info!`](crate::service_info!) returns that of a crate.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// The crate's name, which is also the plugin's, for example `bigquery`.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
}

/// The [`ServiceInfo`] of the calling crate.
#[macro_export]
macro_rules! service_info {
    () => {
        $crate::ServiceInfo {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
        }
    };
}
