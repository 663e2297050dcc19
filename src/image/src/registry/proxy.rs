//! The way to a registry: straight, or through the proxy that the daemon's environment names. What is spoken in the clear
//! goes to the proxy as a whole; TLS goes through a tunnel (CONNECT), so that a proxy sees names and no content.

use super::reach::{Homes, Reach};
use crate::registries::{Proxies, is_loopback};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;

/// Which proxy there is for an address.
#[derive(Clone)]
pub(super) struct Route(Arc<Matcher>);

impl Route {
    pub(super) fn new(proxies: &Proxies) -> Route {
        let builder = Matcher::builder().http(proxies.http.clone()).https(proxies.https.clone());
        Route(Arc::new(builder.no(proxies.no.clone()).build()))
    }

    /// As Go has it, what is on this machine is never asked for through a proxy.
    fn proxy(&self, to: &Uri) -> Option<Intercept> {
        let authority = to.authority()?;
        if is_loopback(authority.as_str()) { None } else { self.0.intercept(to) }
    }

    /// What a proxy wants to see of its user with each request in the clear.
    pub(super) fn authorization(&self, to: &Uri) -> Option<HeaderValue> {
        let clear = to.scheme_str() == Some("http");
        self.proxy(to).filter(|_| clear)?.basic_auth().cloned()
    }

    /// The proxy as errors name it: without its user's password.
    pub(super) fn shown(&self, to: &Uri) -> Option<String> {
        self.proxy(to).map(|proxy| proxy.uri().authority().map_or_else(String::new, ToString::to_string))
    }
}

/// Connects, perhaps by a detour.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) tcp: HttpConnector,
    pub(super) route: Route,
    /// Of what is connected to without a proxy, which has its own rules.
    pub(super) reach: Reach,
    pub(super) homes: Arc<Homes>,
}

type Failed = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Dialer {
    type Response = Dialed;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<Dialed, Failed>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut tcp = self.tcp.clone();
        let (proxy, reach, homes) = (self.route.proxy(&to), self.reach, self.homes.clone());
        async move {
            let Some(proxy) = proxy else {
                reach.check_literal(&to)?;
                let io = tcp.call(to.clone()).await?;
                // what a name leads to is known now, and nothing is said yet
                let address = io.inner().peer_addr()?.ip();
                reach.check(address, &to)?;
                homes.check(reach, address, &to)?;
                return Ok(Dialed { io, as_proxy: false });
            };
            if proxy.uri().scheme_str() != Some("http") {
                let scheme = proxy.uri().scheme_str().unwrap_or_default();
                return Err(format!("proxy {scheme}://…: only http:// proxies are spoken to").into());
            }
            if to.scheme_str() == Some("http") {
                return Ok(Dialed { io: tcp.call(proxy.uri().clone()).await?, as_proxy: true });
            }
            let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            Ok(Dialed { io: tunnel.call(to).await?, as_proxy: false })
        }
        .boxed()
    }
}

/// A connection that knows whether a proxy, who wants whole addresses, reads the requests at its end.
pub(super) struct Dialed {
    io: TokioIo<TcpStream>,
    as_proxy: bool,
}

impl Connection for Dialed {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.as_proxy)
    }
}

impl Read for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Dialed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_a_proxy() {
        let route = Route::new(&Proxies {
            http: "http://plain:3128".into(),
            https: "http://user:secret@tunnel:3128".into(),
            no: "reg.lan,.corp.example,10.0.0.0/8".into(),
        });
        for (to, want) in [
            ("http://reg.example/v2/", Some("plain:3128")),
            ("https://reg.example/v2/", Some("tunnel:3128")),
            ("https://reg.lan/v2/", None),
            ("https://a.corp.example/v2/", None),
            ("http://10.1.2.3:5000/v2/", None),
            ("http://localhost:5000/v2/", None),
            ("https://127.0.0.1/v2/", None),
            ("http://[::1]:5000/v2/", None),
        ] {
            assert_eq!(route.shown(&to.parse().unwrap()).as_deref(), want, "{to}");
        }
        let none = Route::new(&Proxies::default());
        assert_eq!(none.shown(&"https://reg.example/".parse().unwrap()), None);
    }
}
