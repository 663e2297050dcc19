//! The two ports, bound while there is something to serve.

use crate::IngressConfig;
use crate::certificates::{Resolver, fallback};
use crate::forward::{self, Door};
use crate::run::Shared;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADER: Duration = Duration::from_secs(30);

/// Open until it is dropped.
pub(crate) struct Ports {
    _stop: DropGuard,
}

impl Ports {
    /// # Errors
    /// A sentence for the user: mostly that another program has the port.
    pub(crate) async fn open(config: &IngressConfig, shared: &Arc<Shared>) -> Result<Ports, String> {
        let (http, https) = (bind(config.http_port).await?, bind(config.https_port).await?);
        let tls = acceptor(shared)?;
        let stop = CancellationToken::new();
        tokio::spawn(accept_all(http, config.http_port, None, shared.clone(), stop.clone()));
        tokio::spawn(accept_all(https, config.https_port, Some(tls), shared.clone(), stop.clone()));
        Ok(Ports { _stop: stop.drop_guard() })
    }
}

async fn bind(port: u16) -> Result<TcpListener, String> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("port {port} of this machine is taken by another program"),
        _ => format!("listen on port {port}: {error}"),
    })
}

fn acceptor(shared: &Arc<Shared>) -> Result<TlsAcceptor, String> {
    let shared = shared.clone();
    let table = move |name: &str| shared.table.load().certificates.find(name).cloned();
    let resolver = Resolver { table, fallback: fallback()? };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

async fn accept_all(
    listener: TcpListener,
    port: u16,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((socket, client)) => {
                let _ = socket.set_nodelay(true);
                let serving = connection(socket, client, port, tls.clone(), shared.clone());
                let stop = stop.clone();
                tokio::spawn(async move { stop.run_until_cancelled(serving).await });
            }
            Err(error) => {
                // out of file descriptors: those who are connected will free some
                tracing::warn!(%error, "a connection to an ingress was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    socket: TcpStream,
    client: SocketAddr,
    port: u16,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    let door = Door { client: client.ip(), secure: tls.is_some(), port };
    match tls {
        None => converse(socket, door, shared).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await {
                converse(stream, door, shared).await;
            }
        }
    }
}

async fn converse<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: I,
    door: Door,
    shared: Arc<Shared>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = shared.clone();
        async move {
            let table = shared.table.load_full();
            Ok::<_, Infallible>(forward::answer(&table, &shared.turn, door, request).await)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER);
    builder.http2().timer(TokioTimer::new());
    // a client that breaks off is no news
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(io), service).await;
}
