//! One connection to one endpoint: TCP, TLS where it has it, HTTP/2.

use crate::{Credentials, Endpoint};
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tower_service::Service;

/// A peer whose machine is gone says nothing: it is asked this often, and is taken for gone when it does not answer.
const ASK_PEER: Duration = Duration::from_secs(5);
const PEER_PATIENCE: Duration = Duration::from_secs(3);
/// Flow control must not slow down the reading of everything at the start.
const WINDOW: u32 = 8 << 20; // bytes

/// The task of a connection that ended tells why right after those who wait for answers hear of its end.
const END_IS_TOLD: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub(crate) struct Channel {
    send: SendRequest<Body>,
    /// Why it ended, once it has.
    end: watch::Receiver<Option<String>>,
}

impl Channel {
    /// # Errors
    /// In words: which step failed, and why.
    pub(crate) async fn open(endpoint: &Endpoint, credentials: &Credentials) -> Result<Channel, String> {
        let connected = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let stream = connected.map_err(|e| e.to_string())?;
        // a commit waits for each request
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if !endpoint.tls {
            return Channel::speak(TokioIo::new(stream)).await;
        }
        let config = tls(credentials)?;
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|e| e.to_string())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Channel::speak(TokioIo::new(stream.map_err(|e| format!("TLS: {e}"))?)).await
    }

    async fn speak<C: Read + Write + Unpin + Send + 'static>(connection: C) -> Result<Channel, String> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(ASK_PEER)
            .keep_alive_timeout(PEER_PATIENCE)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let (send, connection) = builder.handshake(connection).await.map_err(|e| words(&e))?;
        let (tell, end) = watch::channel(None);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                let why = words(&error);
                tracing::debug!(error = why, "a connection to etcd broke");
                tell.send_replace(Some(why));
            }
        });
        Ok(Channel { send, end })
    }

    /// Why a request failed that `said` so: where its connection has ended, what ended that. One that does not like our certificate says
    /// so when we take the connection for made (TLS 1.3), and the request hears only that it is closed.
    pub(crate) async fn why(&self, said: String) -> String {
        if !self.send.is_closed() {
            return said;
        }
        let mut end = self.end.clone();
        let ended = timeout(END_IS_TOLD, end.wait_for(Option::is_some)).await;
        let why = ended.ok().and_then(|ended| ended.ok()?.clone());
        why.unwrap_or(said)
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, hyper::Result<Response<Incoming>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.send.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.send.send_request(request))
    }
}

fn tls(credentials: &Credentials) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(authorities(credentials.authority.as_deref())?);
    let mut config = match &credentials.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let key_of = PrivateKeyDer::from_pem_file(key).map_err(|e| read(key, &e))?;
            let mismatch = |e| format!("{} and {}: {e}", certificate.display(), key.display());
            builder.with_client_auth_cert(chain, key_of).map_err(mismatch)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all.map_err(|e| read(file, &e))? {
        none if none.is_empty() => Err(format!("{} holds no certificate in PEM", file.display())),
        some => Ok(some),
    }
}

fn read(file: &Path, error: &rustls_pki_types::pem::Error) -> String {
    match error {
        // its words are those of a debugger
        rustls_pki_types::pem::Error::Io(error) => format!("{}: {error}", file.display()),
        rustls_pki_types::pem::Error::NoItemsFound => format!("{} holds no key in PEM", file.display()),
        error => format!("{}: {error}", file.display()),
    }
}

/// With its cause, which hyper does not print.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |all, cause| {
        let cause = cause.to_string();
        if all.contains(&cause) { all } else { format!("{all}: {cause}") }
    })
}
