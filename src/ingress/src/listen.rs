//! The two ports, bound while there is something to serve.

use crate::IngressConfig;
use crate::certificates::{Resolver, fallback};
use crate::forward::{self, Downstream};
use crate::table::Shared;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use listener::{Seat, Seats, WriteTimeout, accept_all, serve_http, tls_handshake};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Connections without a request, at each port.
const MOST_IDLE: usize = 1024;
/// A client that takes nothing of its answer for so long has gone; nginx's `send_timeout`.
const SENDING: Duration = Duration::from_secs(60);

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
        tokio::spawn(serve_port(http, config.http_port, None, shared.clone(), stop.clone()));
        tokio::spawn(serve_port(https, config.https_port, Some(tls), shared.clone(), stop.clone()));
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

pub(crate) async fn serve_port(
    listener: TcpListener,
    port: u16,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let seats = Seats::new(MOST_IDLE);
    let handle = |socket, client: SocketAddr| {
        let (tls, shared, stop) = (tls.clone(), shared.clone(), stop.clone());
        let seat = Arc::new(seats.take(client.ip()));
        async move {
            let downstream = Downstream { client: client.ip(), secure: tls.is_some(), port };
            seat.clone().hold(connection(socket, tls, downstream, shared, seat, &stop)).await;
        }
    };
    accept_all("an ingress", &listener, &stop, handle).await;
}

async fn connection(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    downstream: Downstream,
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    stop: &CancellationToken,
) {
    let whose = seat.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, seat) = (shared.clone(), whose.clone());
        async move { Ok::<_, Infallible>(forward::answer(&shared, &seat, downstream, request).await) }
    });
    let socket = WriteTimeout::new(socket, SENDING);
    match tls {
        None => serve_http(socket, service, Some(seat), stop).await,
        Some(tls) => {
            if let Some(stream) = tls_handshake(&tls, socket).await {
                serve_http(stream, service, Some(seat), stop).await;
            }
        }
    }
}
