//! The client behind all registries: pools of connections by whose certificates count, proxies, and whether a host speaks TLS
//! at all.

use super::interim::Patient;
use super::proxy::{Dialer, Route};
use super::reach::{Homes, Reach};
use super::trust;
use crate::error::{ImageError, Result};
use crate::registries::{Endpoint, Registries, Scheme};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// As Docker's own; a registry over a slow line answers within seconds.
const CONNECT: Duration = Duration::from_secs(30);
/// Until the head of an answer is there: registries check large uploads before they answer.
const ANSWER: Duration = Duration::from_secs(120);
/// An idle connection is kept for the next layer, not for the next day.
const KEEP_IDLE: Duration = Duration::from_secs(30);

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
type HttpClient = Client<Patient<HttpsConnector<Dialer>>, Body>;

/// Connections to registries: one pool for each way of trusting certificates.
pub(crate) struct Transport {
    registries: Registries,
    route: Route,
    homes: Arc<Homes>,
    /// Each with the state of the files that its certificates came from.
    clients: Mutex<HashMap<Pool, (u64, HttpClient)>>,
    /// What `Scheme::Either` turned out to be.
    schemes: Mutex<HashMap<String, &'static str>>,
}

/// Whose certificates count, whether it is the registry itself that is spoken to, and where its connections may lead.
#[derive(PartialEq, Eq, Hash)]
struct Pool {
    home: String,
    is_home: bool,
    reach: Reach,
}

pub(crate) fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Transport {
    pub(crate) fn new(registries: Registries) -> Transport {
        let route = Route::new(&registries.proxies);
        let (homes, clients, schemes) = (Arc::default(), Mutex::default(), Mutex::default());
        Transport { registries, route, homes, clients, schemes }
    }

    pub(crate) fn registries(&self) -> &Registries {
        &self.registries
    }

    /// `home` is the registry for whose sake it is asked: its certificates count also for its token server and for the
    /// storage that it sends to, as in Docker.
    pub(crate) async fn send(&self, mut request: Request<Body>, home: &str) -> Result<Response<Incoming>> {
        if let Some(authorization) = self.route.authorization(request.uri()) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
        }
        request.headers_mut().insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("monopod/", env!("CARGO_PKG_VERSION"))),
        );
        let shown = format!("{} {:?}", capitalised(request.method().as_str()), without_query(request.uri()));
        let client = self.client(request.uri(), home)?;
        let host = self.address(request.uri());
        match tokio::time::timeout(ANSWER, client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(e)) => Err(ImageError::Registry(format!("{shown}: {}", explain(&e, &host)))),
            Err(_) => Err(ImageError::Registry(format!("{shown}: no answer within {} s", ANSWER.as_secs()))),
        }
    }

    /// `http` or `https`; finds out by asking where both may be.
    pub(crate) async fn scheme(&self, endpoint: &Endpoint) -> Result<&'static str> {
        match endpoint.scheme {
            Scheme::Https => return Ok("https"),
            Scheme::Http => return Ok("http"),
            Scheme::Either => {}
        }
        let known = self.schemes.lock().get(&endpoint.host).copied();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.probe(&endpoint.host).await?;
        self.schemes.lock().insert(endpoint.host.clone(), found);
        Ok(found)
    }

    /// A certificate that is there but not trusted is an error, not a reason to talk in the clear.
    async fn probe(&self, host: &str) -> Result<&'static str> {
        let uri = parse_uri(&format!("https://{host}/v2/"))?;
        let client = self.client(&uri, host)?;
        let request = Request::get(uri.clone())
            .body(body(Bytes::new()))
            .map_err(|e| ImageError::Registry(e.to_string()))?;
        match tokio::time::timeout(CONNECT, client.request(request)).await {
            Ok(Ok(_)) => Ok("https"),
            Ok(Err(e)) if speaks_no_tls(&e) => Ok("http"),
            Ok(Err(e)) => {
                Err(ImageError::Registry(format!("Get \"{uri}\": {}", explain(&e, &self.address(&uri)))))
            }
            Err(_) => {
                Err(ImageError::Registry(format!("Get \"{uri}\": no answer within {} s", CONNECT.as_secs())))
            }
        }
    }

    fn client(&self, uri: &Uri, home: &str) -> Result<HttpClient> {
        let certificates = self.registries.certificates(home)?;
        let special = self.registries.is_insecure(home) || !certificates.is_empty();
        let is_home = uri.authority().is_some_and(|authority| authority.as_str() == home);
        let reach = Reach::of(&self.registries, home, uri);
        let pool = match special {
            true => Pool { home: home.to_owned(), is_home, reach },
            false => Pool { home: String::new(), is_home: false, reach },
        };
        let state = certificates.state();
        let mut clients = self.clients.lock();
        if let Some((_, client)) = clients.get(&pool).filter(|(known, _)| *known == state) {
            return Ok(client.clone());
        }
        let client = self.build(&pool)?;
        clients.insert(pool, (state, client.clone()));
        Ok(client)
    }

    /// HTTP/1.1 only: several large downloads go faster over several connections than over one with windows.
    fn build(&self, pool: &Pool) -> Result<HttpClient> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEP_IDLE));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(trust::tls(&self.registries, &pool.home, pool.is_home)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Dialer {
                tcp,
                route: self.route.clone(),
                reach: pool.reach,
                homes: self.homes.clone(),
            });
        Ok(Client::builder(TokioExecutor::new())
            .pool_idle_timeout(KEEP_IDLE)
            .pool_timer(TokioTimer::new())
            .build(Patient(https)))
    }

    /// Who is dialed, for the words of an error.
    fn address(&self, uri: &Uri) -> String {
        self.route.shown(uri).map_or_else(|| address(uri), |proxy| format!("proxy {proxy}"))
    }
}

pub(crate) fn parse_uri(text: &str) -> Result<Uri> {
    text.parse().map_err(|e| ImageError::Registry(format!("address {text:?}: {e}")))
}

fn capitalised(method: &str) -> String {
    let mut text = method.to_ascii_lowercase();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// A query may hold a signature.
fn without_query(uri: &Uri) -> String {
    uri.to_string().split('?').next().unwrap_or_default().to_owned()
}

fn address(uri: &Uri) -> String {
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    format!("{}:{port}", uri.host().unwrap_or_default())
}

/// Every error inside this one. An `io::Error` gives what it wraps only when it is asked for it.
fn sources<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&e| {
        let wrapped = e.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| e.source())
    })
}

fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    sources(error).filter_map(|e| e.downcast_ref::<T>()).last()
}

/// A server of plain HTTP answers a TLS greeting with text, or hangs up on it.
fn speaks_no_tls(error: &(dyn Error + 'static)) -> bool {
    match find::<rustls::Error>(error) {
        Some(rustls::Error::InvalidMessage(_)) => true,
        Some(_) => false,
        None => find::<io::Error>(error).is_some_and(|io| {
            matches!(
                io.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            )
        }),
    }
}

/// The innermost reason, in the words that Go's clients made familiar.
fn explain(error: &(dyn Error + 'static), host: &str) -> String {
    let chain: Vec<String> = sources(error).map(ToString::to_string).collect();
    if let Some(tls) = find::<rustls::Error>(error) {
        return format!("tls: failed to verify certificate or to agree with {host}: {tls}");
    }
    if chain.iter().any(|text| text == "dns error") {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        return format!("dial tcp: lookup {name}: no such host");
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => format!("dial tcp {host}: connect: connection refused"),
        Some(io::ErrorKind::TimedOut) => format!("dial tcp {host}: i/o timeout"),
        Some(io::ErrorKind::NetworkUnreachable) => {
            format!("dial tcp {host}: connect: network is unreachable")
        }
        Some(io::ErrorKind::HostUnreachable) => format!("dial tcp {host}: connect: no route to host"),
        _ => chain.last().cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_listens_on_the_machine_hears_nothing_of_registries_elsewhere() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let length = stream.read(&mut head).await.unwrap_or(0);
                if length > 0 {
                    tell.send(()).unwrap();
                }
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            }
        });
        let transport = Transport::new(Registries::default());
        for (host, home, may) in [
            ("127.0.0.1", "reg.example", false),
            ("localhost", "reg.example", false),
            ("127.0.0.1", "localhost:5000", true),
            // a connection that is there already is another registry's
            ("127.0.0.1", "reg.example", false),
        ] {
            let request = Request::get(format!("http://{host}:{port}/token")).body(body("")).unwrap();
            let answer = transport.send(request, home).await;
            let told = answer.as_ref().map_or_else(ToString::to_string, |answer| answer.status().to_string());
            assert_eq!(answer.is_ok(), may, "{home} {host}: {told}");
            assert!(may || told.contains("this machine's own"), "{home} {host}: {told}");
            assert_eq!(heard.try_recv().is_ok(), may, "{home} {host}");
        }
    }
}
