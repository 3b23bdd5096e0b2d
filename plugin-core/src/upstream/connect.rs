//! Connections to the upstream: TLS, and the tunnels of a proxy.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use server_core::{
    Result,
    tls::{distrusting_client_config, system_client_config},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::rustls::ClientConfig;
use tower::{BoxError, Service, ServiceExt as _};

/// How long a connection may take, with its handshakes.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A silent connection is probed, so that one that is dead is noticed within a minute.
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;
/// How long what was sent may stay unacknowledged.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// A connection, directly or through a proxy.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connecting<S> = BoxFuture<'static, Result<S, BoxError>>;

/// Connects to an upstream. hyper clones it for every request, whether or not that needs a connection.
#[derive(Clone)]
pub(super) struct Connector(Arc<HttpsConnector<Route>>);

/// Connects to an upstream. `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` apply with `use_proxy`, to https alone:
/// few proxies tunnel anything else. `agent` tells a proxy who connects. Without `use_tls`, no certificate is trusted.
///
/// # Errors
/// `Internal` if the system has no certificate authorities.
pub(super) fn connector(agent: &HeaderValue, use_proxy: bool, use_tls: bool) -> Result<Connector> {
    // A start should not wait for certificate authorities that nobody needs.
    let tls = if use_tls { system_client_config()? } else { distrusting_client_config()? };
    let route = Route::new(&tls, agent, use_proxy.then(Matcher::from_env));
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(Connector(Arc::new(https.enable_all_versions().wrap_connector(route))))
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Stream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connector = HttpsConnector::clone(&self.0);
        let connecting = timeout(CONNECT_WITHIN, connector.oneshot(to));
        async move { connecting.await? }.boxed()
    }
}

/// Connects without TLS, directly or through a proxy.
#[derive(Clone)]
struct Route {
    tcp: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
    to_proxies: HeaderMap,
    /// `None` if none is used.
    proxies: Option<Arc<Matcher>>,
}

impl Route {
    fn new(tls: &ClientConfig, agent: &HeaderValue, proxies: Option<Matcher>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared by the addresses of a host, so that one that does not answer leaves time for the next.
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        tcp.set_keepalive(Some(PROBE_EVERY));
        tcp.set_keepalive_interval(Some(PROBE_EVERY));
        tcp.set_keepalive_retries(Some(PROBES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(ACKNOWLEDGED_WITHIN));
        // Proxies, too, may want TLS; theirs is HTTP/1.1.
        let to_proxy = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let to_proxy = to_proxy.enable_http1().wrap_connector(tcp.clone());
        let to_proxies = HeaderMap::from_iter([(header::USER_AGENT, agent.clone())]);
        Self { tcp, to_proxy, to_proxies, proxies: proxies.map(Arc::new) }
    }

    fn proxy(&self, to: &Uri) -> Option<Intercept> {
        let proxies = self.proxies.as_ref().filter(|_| to.scheme_str() == Some("https"));
        proxies?.intercept(to)
    }
}

impl Service<Uri> for Route {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(proxy) = self.proxy(&to) else {
            let connecting = self.tcp.call(to);
            return async move { Ok(MaybeHttpsStream::Http(connecting.await?)) }.boxed();
        };
        let tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        let mut tunnel = tunnel.with_headers(self.to_proxies.clone());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        async move { tunnel.call(to).await.map_err(Into::into) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    fn route(proxies: Option<Matcher>) -> Route {
        let agent = HeaderValue::from_static("outrigger");
        Route::new(&system_client_config().unwrap(), &agent, proxies)
    }

    async fn connected(route: &Route, to: &str) -> bool {
        route.clone().call(to.parse().unwrap()).await.is_ok()
    }

    #[tokio::test]
    async fn https_goes_through_the_tunnel_of_a_proxy_and_nothing_else_does() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://me:pass@{}", proxy.local_addr().unwrap());
        let proxies = Matcher::builder().all(address).no("localhost").build();
        let route = route(Some(proxies));
        let serve = async {
            let (mut stream, _) = proxy.accept().await.unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&head[..read]).to_lowercase()
        };
        let (head, tunnelled) = tokio::join!(serve, connected(&route, "https://vendor.example"));
        assert!(tunnelled);
        assert!(head.starts_with("connect vendor.example:443 http/1.1\r\n"), "{head}");
        assert!(head.contains("proxy-authorization: basic bwu6cgfzcw=="), "{head}");
        assert!(head.contains("user-agent: outrigger"), "{head}");

        let port = vendor.local_addr().unwrap().port();
        for direct in [format!("http://127.0.0.1:{port}"), format!("https://localhost:{port}")] {
            let (accepted, connected) = tokio::join!(vendor.accept(), connected(&route, &direct));
            assert!(accepted.is_ok() && connected, "{direct}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_stands_still_ends_in_time() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = format!("https://{}", silent.local_addr().unwrap());
        let agent = HeaderValue::from_static("outrigger");
        let connecting = connector(&agent, false, true).unwrap().call(to.parse().unwrap());
        assert!(connecting.await.err().unwrap().is::<tokio::time::error::Elapsed>());
    }
}
