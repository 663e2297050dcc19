//! The listener: TLS, peers, and one warp filter behind which the router stands.

use crate::authentication::actor_of_certificate;
use crate::client_tls::ClientIdentity;
use crate::connection_seats::{AllSeats, ConnectionSeats};
use crate::discovery::cache::AggregatedDiscovery;
use crate::health_state::Health;
use crate::incoming::IncomingBodies;
use crate::issuers::Issuers;
use crate::leftovers::Leftovers;
use crate::metrics::{ConfigFile, Metrics};
use crate::openapi_cache::OpenapiCache;
use crate::parse_budget::ParseBudget;
use crate::peer::Peer;
use crate::proxy::pages::Pages;
use crate::request::Request;
use crate::request_info::read_watch_path;
use crate::server_state::ServerState;
use crate::stream_seats::StreamSeats;
use crate::watch_seats::WatchSeats;
use crate::{aggregator, flow_control, request_timeout, responses, router};
use api::Status;
use arc_swap::ArcSwap;
use audit::AuditLog;
use cluster::Cluster;
use cri::PodAccess;
use flowcontrol::FlowControl;
use http::{HeaderMap, HeaderValue, Method, header};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use listener::{Seat, accept_all, serve_http, tls_handshake};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use warp::Filter;
use warp::filters::path::FullPath;
use warp::reply::Response;

pub struct ApiServerConfig {
    pub chain_pem: String,
    pub key_pem: String,
    /// Whose client certificates are believed.
    pub client_ca_pem: String,
    /// What extension API servers know the API server by.
    pub front_proxy: Option<ClientIdentity>,
    /// Who is believed beside the cluster itself.
    pub authentication: ::authentication::Configuration,
    /// Who did what is told there.
    pub audit: Option<Arc<AuditLog>>,
    pub ready: watch::Receiver<bool>,
    /// How it is set, as upstream's flags say it: `/flagz` shows them, so none holds a secret.
    pub flags: BTreeMap<&'static str, String>,
    /// Returns to the kernel what the allocator keeps: called after large bodies and answers.
    pub give_back_memory: fn(),
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("certificate: {0}")]
    Certificate(String),
}

#[derive(Clone)]
pub struct ApiServer {
    pub(crate) state: Arc<ServerState>,
    tls: TlsAcceptor,
}

impl ApiServer {
    /// # Errors
    /// Certificates or keys that are none.
    pub fn new(
        cluster: Cluster,
        pods: Option<Arc<dyn PodAccess>>,
        config: ApiServerConfig,
    ) -> Result<Self, ServeError> {
        let tls = acceptor(&config)?;
        let leftovers = Leftovers::new(config.give_back_memory);
        let state = ServerState {
            cluster,
            pods,
            audit: config.audit,
            issuers: ArcSwap::from_pointee(Issuers::new(config.authentication, &Issuers::default())),
            flow: FlowControl::default(),
            streams: StreamSeats::default(),
            watches: WatchSeats::default(),
            incoming: IncomingBodies::default(),
            health: Health::default(),
            ready: config.ready,
            stop: OnceLock::new(),
            metrics: Metrics::default(),
            flags: config.flags,
            parsing: ParseBudget::new(leftovers.clone()),
            views: Arc::default(),
            leftovers,
            pages: Pages::default(),
            openapi: OpenapiCache::default(),
            front_proxy: config.front_proxy,
            aggregated: aggregator::documents::Documents::default(),
            discovery: AggregatedDiscovery::default(),
        };
        Ok(ApiServer { state: Arc::new(state), tls })
    }

    /// From now on these are believed beside the cluster itself, and no others.
    pub fn authenticate_by(&self, configuration: ::authentication::Configuration) {
        let before = self.state.issuers.load_full();
        self.state.issuers.store(Arc::new(Issuers::new(configuration, &before)));
    }

    /// A file has changed; the metrics tell whether what it says now is in force.
    pub fn count_reload(&self, file: ConfigFile, is_in_force: bool) {
        self.state.metrics.count_reload(file, is_in_force);
    }

    /// Says of each APIService whether it can be asked, until `stop`.
    pub async fn follow_api_services(self, stop: CancellationToken) {
        aggregator::follow_availability(self.state, stop).await;
    }

    /// Has requests take turns as FlowSchemas and priority levels say, until `stop`.
    pub async fn follow_flow_control(self, stop: CancellationToken) {
        flow_control::run(self.state, stop).await;
    }

    /// Until `stop`; open streams are given a second.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let _ = self.state.stop.set(stop.clone());
        let (server, seats) = (Arc::new(self), AllSeats::default());
        let handle = |socket, peer: SocketAddr| {
            let (server, stop, seats) = (server.clone(), stop.clone(), seats.take(peer.ip()));
            async move { seats.clone().hold(server.connection(socket, peer.ip(), seats, stop)).await }
        };
        accept_all("the API server", &listener, &stop, handle).await;
    }

    pub(crate) fn filter(
        &self,
    ) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone + use<> {
        catch_all(self.state.clone())
    }

    /// Who is there, as far as a certificate shows it; `None` where the handshake fails, or takes too long.
    pub(crate) async fn peer_behind(
        &self,
        socket: TcpStream,
        address: IpAddr,
        seats: &ConnectionSeats,
    ) -> Option<(TlsStream<TcpStream>, Arc<Peer>)> {
        let stream = tls_handshake(&self.tls, socket).await?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| actor_of_certificate(chain.first()?));
        let (certified, certified_until) = certificate.unzip();
        let (seat, user_seat) = (Some(seats.stranger.clone()), Some(seats.user.clone()));
        let peer = Peer { certified, certified_until, address: Some(address), seat, user_seat };
        peer.recognise();
        Some((stream, Arc::new(peer)))
    }

    async fn connection(
        &self,
        socket: TcpStream,
        address: IpAddr,
        seats: ConnectionSeats,
        stop: CancellationToken,
    ) {
        let Some((stream, peer)) = self.peer_behind(socket, address, &seats).await else { return };
        let filtered = TowerToHyperService::new(warp::service(self.filter()));
        let leftovers = self.state.leftovers.clone();
        let strangers = seats.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            let leftovers = leftovers.clone();
            request.extensions_mut().insert(peer.clone());
            if let Some(seat) = strangers.request() {
                request.extensions_mut().insert(seat);
            }
            name_host(&mut request);
            let answer = has_path(&request).then(|| Service::call(&filtered, request));
            async move {
                let answer: Response = match answer {
                    Some(answer) => answer.await?,
                    None => responses::refusal(&responses::method_not_allowed()),
                };
                Ok::<_, Infallible>(leftovers.follow(answer))
            }
        });
        serve_http(stream, service, Some(seats.user), &stop).await;
    }
}

/// What asks for a tunnel has none, and the filter would stumble over it.
pub(crate) fn has_path<B>(request: &http::Request<B>) -> bool {
    request.method() != Method::CONNECT && request.uri().path_and_query().is_some()
}

/// Over HTTP/2 the host that a client asks for is no header (RFC 9113, 8.3.1), and the filter would lose it; whoever gets the request
/// passed on over HTTP/1.1 must be told.
pub(crate) fn name_host<B>(request: &mut http::Request<B>) {
    let Some(authority) = request.uri().authority().map(|authority| authority.as_str()) else { return };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let Ok(host) = HeaderValue::from_str(host) else { return };
    request.headers_mut().entry(header::HOST).or_insert(host);
}

/// One filter for everything: chains of alternatives compile, and dispatch, slowly.
fn catch_all(state: Arc<ServerState>) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Arc<Peer>>())
        .and(warp::ext::optional::<Arc<Seat>>())
        .and(warp::ext::optional::<hyper::upgrade::OnUpgrade>())
        .and(warp::body::stream())
        .and(warp::any().map(move || state.clone()))
        .then(
            |method: Method,
             path: FullPath,
             query: String,
             headers: HeaderMap,
             peer,
             stranger: Option<Arc<Seat>>,
             upgrade,
             body,
             state: Arc<ServerState>| async move {
                let line = (method, path.as_str().to_owned(), query);
                let mut request = Request::new(line, headers, peer, upgrade, body);
                request.stranger = stranger;
                carry_out(state, request).await
            },
        )
}

/// When a client hangs up, hyper drops what it waits for, and with it all work of a read. A write that has begun is carried out
/// all the same: what is booked beside the store (addresses, ports) would be given back though the store keeps the object. One
/// that still waits for its turn hears that nobody waits for it, and does not begin.
async fn carry_out(state: Arc<ServerState>, mut request: Request) -> Response {
    read_watch_path(&mut request);
    let limit = match request_timeout::of(&request) {
        Ok(limit) => limit,
        Err(status) => return responses::refusal(&status),
    };
    let outcome = request.outcome.clone();
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if is_read || router::is_proxied(&state, &request) {
        // in a box: whoever waits for it, and each who waits for him, has room for it twice, and a stranger has thousands of requests
        let answer = Box::pin(router::answer(state, request));
        return request_timeout::within(limit, &outcome, answer).await;
    }
    let _waits = request.client_gone.clone().drop_guard();
    let answer = tokio::spawn(router::answer(state, request));
    let answer = async { answer.await.unwrap_or_else(|error| responses::refusal(&Status::internal(error))) };
    request_timeout::within(limit, &outcome, answer).await
}

fn acceptor(config: &ApiServerConfig) -> Result<TlsAcceptor, ServeError> {
    let bad = |why: &dyn std::fmt::Display| ServeError::Certificate(why.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(config.client_ca_pem.as_bytes()) {
        authorities.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| bad(&e))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(config.chain_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(config.key_pem.as_bytes()).map_err(|e| bad(&e))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.map_err(|e| bad(&e))?, key)
        .map_err(|e| bad(&e))?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, F: Future>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// It had 28 kilobytes, twice, whoever sent it: two hundred connections with a hundred requests each ended the daemon.
    #[test]
    fn a_request_takes_little_before_anybody_is_known() {
        let size = size_of_future(carry_out);
        assert!(size < 10 << 10, "{size}");
    }

    #[test]
    fn a_host_that_is_no_header_becomes_one() {
        for (uri, given, want) in [
            ("https://localhost:8443/api", None, Some("localhost:8443")),
            ("https://[::1]:8443/api", None, Some("[::1]:8443")),
            ("https://user@localhost/api", None, Some("localhost")),
            ("https://localhost:8443/api", Some("example.com"), Some("example.com")),
            ("/api", Some("example.com"), Some("example.com")),
            ("/api", None, None),
        ] {
            let mut request = http::Request::builder().uri(uri);
            if let Some(given) = given {
                request = request.header(header::HOST, given);
            }
            let mut request = request.body(()).unwrap();
            name_host(&mut request);
            let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap());
            assert_eq!(host, want, "{uri} {given:?}");
        }
    }
}
