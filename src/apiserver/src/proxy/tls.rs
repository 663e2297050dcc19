//! TLS to a pod, whose certificate is its own affair: upstream's proxy does not check it either.

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| Arc::new(tls::trusting_anyone()));

/// # Errors
/// Who is there does not speak TLS.
pub(super) async fn connect(stream: TcpStream, address: IpAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::IpAddress(address.into());
    TlsConnector::from(CONFIG.clone()).connect(name, stream).await
}
