//! An API server on loopback with a cluster in memory, and clients that speak HTTP by hand: what a well-behaved library would
//! not send is what these tests are about.

#![allow(dead_code)] // each test program uses its part

use api::ObjectKey;
use apiserver::{ApiServer, ApiServerConfig};
use audit::AuditLog;
use authentication::Configuration;
use cluster::{Actor, Cluster};
use cri::PodAccess;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What 18 doublings, ten thousand aliases or a million empty objects must not reach.
pub const MEMORY: u64 = 768 * 1024 * 1024;

/// From now on an allocation that would make this process larger fails, and with it the test.
pub fn limit_memory() {
    let limit = rustix::process::Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    rustix::process::setrlimit(rustix::process::Resource::Data, limit).unwrap();
}

/// For tests with many connections: both ends are in this process.
pub fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let current = most.map(|most| most.min(16_384)).or(Some(16_384));
    setrlimit(Resource::Nofile, Rlimit { current, maximum: most }).unwrap();
}

/// Of this process, in bytes: `RssAnon` or `VmHWM`.
pub fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', '\t', ' ', 'k', 'B']).parse::<u64>().unwrap() * 1024
}

pub fn give_back_memory() {
    // SAFETY: takes a number, and the allocator's own locks; nobody's memory moves.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anonymous,
    /// Known, and allowed nothing.
    Nobody,
    /// Of `system:masters`.
    Admin,
}

pub struct Server {
    pub address: SocketAddr,
    pub cluster: Cluster,
    ca_key: KeyPair,
    ca: CertificateParams,
    ca_pem: String,
    api: ApiServer,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(None, Configuration::default(), None).await
    }

    pub async fn reaching_into(pods: Arc<dyn PodAccess>) -> Self {
        Self::with(None, Configuration::default(), Some(pods)).await
    }

    pub async fn with(
        audit: Option<AuditLog>,
        authentication: Configuration,
        pods: Option<Arc<dyn PodAccess>>,
    ) -> Self {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&ca, &ca_key);
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        drop(issuer);
        let cluster = testkit::cluster(testkit::config()).await;
        let root = cluster.acting_as(Actor::root());
        let mut account = ServiceAccount::default();
        account.metadata.name = Some("default".to_owned());
        account.metadata.namespace = Some("default".to_owned());
        root.api().create(account).await.unwrap();
        let config = ApiServerConfig {
            front_proxy: None,
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            client_ca_pem: ca_pem.clone(),
            authentication,
            audit: audit.map(Arc::new),
            ready: watch::channel(true).1,
            flags: [("secure-port", "8443".to_owned())].into(),
            give_back_memory,
        };
        let server = ApiServer::new(cluster.clone(), pods, config).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server.clone().follow_flow_control(stop.clone()));
        tokio::spawn(server.clone().serve(listener, stop.clone()));
        Server {
            address,
            cluster,
            ca_key,
            ca,
            ca_pem,
            api: server,
            stop: stop.clone(),
            _stop: stop.drop_guard(),
        }
    }

    /// From now on these are believed.
    pub fn authenticate_by(&self, configuration: Configuration) {
        self.api.authenticate_by(configuration);
    }

    /// From now on its kubelet's port is asked, of the node `n`.
    pub async fn ask_kubelet(&mut self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        self.address = listener.local_addr().unwrap();
        tokio::spawn(self.api.clone().serve_kubelet(listener, "n".to_owned(), self.stop.clone()));
    }

    /// An empty config map of the namespace `default`.
    pub async fn config_map(&self, name: &str) {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.to_owned());
        map.metadata.namespace = Some("default".to_owned());
        self.cluster.acting_as(Actor::root()).api().create(map).await.unwrap();
    }

    pub fn find_config_map(&self, name: &str) -> Option<ConfigMap> {
        let root = self.cluster.acting_as(Actor::root());
        root.api().find(&ObjectKey::namespaced("default", name)).unwrap()
    }

    pub fn tls(&self, who: Who, protocol: &str) -> TlsConnector {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let groups: &[&str] = if who == Who::Admin { &["system:masters"] } else { &[] };
        let mut config = match who {
            Who::Anonymous => config.with_no_client_auth(),
            Who::Admin | Who::Nobody => {
                let (chain, key) = self.client_certificate(&format!("{who:?}").to_lowercase(), groups);
                config.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    fn client_certificate(
        &self,
        name: &str,
        groups: &[&str],
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.ca, &self.ca_key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    pub async fn connect(&self, who: Who) -> TlsStream<TcpStream> {
        self.connect_with(&self.tls(who, "http/1.1")).await.unwrap()
    }

    pub async fn connect_with(&self, tls: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.address).await?;
        tls.connect(ServerName::try_from("localhost").unwrap(), socket).await
    }

    /// One request on a connection of its own. Code, head and body of the answer.
    pub async fn ask(&self, who: Who, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect(who).await;
        let mut head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // who is refused may be cut off while he sends
        let _ = stream.write_all(body).await;
        // what TLS has taken it keeps for itself while the socket is full, and reading does not send it
        let _ = stream.flush().await;
        Answer::read(stream).await
    }

    pub async fn post(&self, who: Who, path: &str, media: &str, body: &[u8]) -> Answer {
        self.ask(who, &format!("POST {path}"), &[("Content-Type", media)], body).await
    }

    pub async fn patch(&self, who: Who, path: &str, media: &str, body: &[u8]) -> Answer {
        self.ask(who, &format!("PATCH {path}"), &[("Content-Type", media)], body).await
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// To the end of the connection.
    pub async fn read(mut stream: impl tokio::io::AsyncRead + Unpin) -> Self {
        let mut bytes = Vec::new();
        // without a close_notify what came before it counts
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { code, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}
