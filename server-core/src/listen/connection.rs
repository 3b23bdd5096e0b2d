//! The life of one connection: TLS, its requests, and an end that loses no call.

use std::{io, pin::pin, sync::Arc};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt as _;

use super::{
    Answers, CONNECTION_WINDOW, Connections, KEEP_ALIVE, KEEP_ALIVE_PROBES, KEEP_ALIVE_TIMEOUT,
    MAX_HEADERS, MAX_STREAMS, OnRead, Peer, STREAM_WINDOW, Stream,
    activity::{Activity, Call, Counted, Driven, REQUEST_TIMEOUT},
};
use crate::tls::ServerCertificate;

impl Connections {
    pub(super) async fn serve_one(self, stream: Stream, service: impl Answers) {
        let activity = Activity::new(Instant::now(), self.http1_idle, self.grace);
        match stream {
            Stream::Tcp(stream) => self.serve_tcp(stream, activity, service).await,
            Stream::Unix(stream) => {
                self.serve_http(stream, Peer::default(), activity, service).await;
            }
        }
    }

    async fn serve_tcp(self, stream: TcpStream, activity: Arc<Activity>, service: impl Answers) {
        // Responses are small; waiting to fill a packet only adds latency.
        let _ = stream.set_nodelay(true);
        let _ = keep_alive(&stream);
        let mut peer = Peer { address: stream.peer_addr().ok(), ..Peer::default() };
        let Some(tls) = self.tls.clone() else {
            return self.serve_http(stream, peer, activity, service).await;
        };
        if let Some(stream) = self.secured(&tls, stream).await {
            let (_, session) = stream.get_ref();
            peer.certificates = session.peer_certificates().unwrap_or_default().into();
            self.serve_http(stream, peer, activity, service).await;
        }
    }

    /// The stream after its TLS handshake, which counts towards the time until the first request.
    pub(super) async fn secured<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        tls: &ServerCertificate,
        stream: S,
    ) -> Option<TlsStream<S>> {
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        let handshake = timeout(REQUEST_TIMEOUT, handshake);
        match self.stop.run_until_cancelled(handshake).await? {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake timed out"),
        }
        None
    }

    pub(super) async fn serve_http(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        activity: Arc<Activity>,
        service: impl Answers,
    ) {
        let reading = Arc::clone(&activity);
        let stream = OnRead::new(stream, move |_: &[u8]| reading.received());
        let io = TokioIo::new(stream.for_small_messages());
        let calls = Arc::clone(&activity);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let call = calls.begin(request.version());
            answer(service.clone(), request, call)
        });
        let builder = builder();
        let mut connection = pin!(builder.serve_connection(io, service));
        tokio::select! {
            driven = activity.drive(connection.as_mut()) => {
                // What is still in progress has had its grace.
                if driven == Driven::Ended || activity.is_busy() {
                    return;
                }
            }
            () = async {
                self.expired().await;
                activity.retire().await;
            } => {}
            () = self.stop.cancelled() => {}
        }
        // hyper sends two GOAWAYs, so that no call is lost that was on its way at the first.
        connection.as_mut().graceful_shutdown();
        activity.close();
        let closed = timeout(self.grace, activity.drive(connection)).await;
        if closed != Ok(Driven::Ended) {
            tracing::debug!("a connection was closed before its client was done");
        }
    }

    /// Completes after the maximum age, plus or minus a tenth, so that connections opened together do not
    /// end together.
    async fn expired(&self) {
        match self.age {
            Some(age) => sleep(age.mul_f64(rand::random_range(0.9..1.1))).await,
            None => std::future::pending().await,
        }
    }
}

async fn answer<S: Answers>(
    service: S,
    request: Request<Incoming>,
    call: Call,
) -> Result<Response<Counted<S::Body>>, S::Error> {
    Ok(call.answered(service.oneshot(request).await?))
}

/// Has the kernel ask a silent client whether it is there: HTTP/1.1 has no pings.
pub(super) fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE_TIMEOUT / KEEP_ALIVE_PROBES)
        .with_retries(KEEP_ALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keep_alive)
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper's timeout of heads begins when it waits for one, not with its first byte; `activity` has ours.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADERS as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_WINDOW as usize)
        .max_header_list_size(MAX_HEADERS);
    builder
}
