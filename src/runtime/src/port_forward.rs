//! Connections into a sandbox's network namespace.

use crate::runtime::Inner;
use cri::{CriError, Duplex, Result, SandboxId};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;

/// A listener on a loopback device answers at once; one that does not is behind a filter.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inner {
    pub async fn port_forward(&self, id: &SandboxId, port: u16) -> Result<Box<dyn Duplex>> {
        let sandbox = self.sandbox(id)?;
        sandbox.client()?;
        let record = sandbox.record();
        let namespace =
            record.made.filter(|_| !record.config.host_network).map(|m| m.shim.network_namespace());
        let failed = |why: io::Error| CriError::failed(format_args!("port-forward to sandbox {id}"), why);
        let stream = connect(namespace, port).await.map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        Ok(Box::new(tokio::net::TcpStream::from_std(stream).map_err(failed)?))
    }
}

/// A socket belongs to the namespace that its maker was in. The thread that goes there ends there.
async fn connect(namespace: Option<PathBuf>, port: u16) -> io::Result<TcpStream> {
    let (tell, done) = oneshot::channel();
    std::thread::Builder::new().name("port-forward".into()).spawn(move || {
        let _ = tell.send(connect_in(namespace, port));
    })?;
    done.await.unwrap_or_else(|_| Err(io::Error::other("the connecting thread died")))
}

fn connect_in(namespace: Option<PathBuf>, port: u16) -> io::Result<TcpStream> {
    if let Some(namespace) = namespace {
        setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
    }
    let (four, six) =
        (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    TcpStream::connect_timeout(&four, PATIENCE).or_else(|v4| {
        TcpStream::connect_timeout(&six, PATIENCE).map_err(|v6| {
            let (v4, v6) = (refusal("tcp4", four, &v4), refusal("tcp6", six, &v6));
            // containerd's words
            io::Error::other(format!("failed to connect to localhost:{port}, IPv4: {v4} IPv6 {v6}"))
        })
    })
}

/// As Go says it: whoever types `kubectl port-forward` reads it.
fn refusal(network: &str, address: SocketAddr, error: &io::Error) -> String {
    let why = match error.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_lowercase(),
        None => error.to_string(),
    };
    format!("dial {network} {address}: connect: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn four_first_then_six_then_both_reasons() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect(None, port).await.unwrap().peer_addr().unwrap().is_ipv4());
        drop(listener);
        let why = connect(None, port).await.unwrap_err().to_string();
        let four = format!(
            "IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused IPv6 dial tcp6 [::1]:{port}: "
        );
        assert!(why.contains(&four) && !why.contains("os error"), "{why}");
    }
}
