//! The client at the other end of a connection.

use std::{net::SocketAddr, sync::Arc};

use tokio_rustls::rustls::pki_types::CertificateDer;

/// The client at the other end of a connection: an extension of each of its requests.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Its address; `None` for a socket in the file system.
    pub address: Option<SocketAddr>,
    /// The certificate chain it presented, its own first. Empty for now: [`tls`](crate::tls) requests no
    /// client certificates.
    pub certificates: Arc<[CertificateDer<'static>]>,
}
