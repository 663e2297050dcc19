//! Where etcd is, and by what it knows us.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const STANDARD_PORT: u16 = 2379;

/// `https://HOST:PORT`, or `http://` where nobody else can listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub tls: bool,
    /// A name or an address; IPv6 without its brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("begin it with https:// or http://")]
    Scheme,
    /// Said without repeating them.
    #[error("it holds a user or a password: etcd is told who we are by a certificate")]
    Credentials,
    #[error("give a host and a port, and nothing behind them: https://HOST:{STANDARD_PORT}")]
    Authority,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(EndpointError::Scheme),
        };
        if rest.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = authority.parse().map_err(|_| EndpointError::Authority)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let has_port = authority.as_str().len() > authority.host().len();
        let port = authority.port_u16().or((!has_port).then_some(STANDARD_PORT));
        match port {
            Some(port) if !host.is_empty() => Ok(Endpoint { tls, host, port }),
            _ => Err(EndpointError::Authority),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl Endpoint {
    /// Whether what is sent there stays on this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// Files in PEM, read anew for each connection, so that they can be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// Whom we trust; the machine's own authorities where there is none.
    pub authority: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_they_are_written() {
        let cases: [(&str, Result<&str, EndpointError>); 11] = [
            ("https://a.example:2379", Ok("https://a.example:2379")),
            ("https://a.example", Ok("https://a.example:2379")),
            ("https://10.0.0.1:4001/", Ok("https://10.0.0.1:4001")),
            ("http://[::1]:2379", Ok("http://[::1]:2379")),
            ("http://[::1]", Ok("http://[::1]:2379")),
            ("a.example:2379", Err(EndpointError::Scheme)),
            ("etcd://a.example:2379", Err(EndpointError::Scheme)),
            ("https://root:secret@a.example:2379", Err(EndpointError::Credentials)),
            ("https://a.example:2379/prefix", Err(EndpointError::Authority)),
            ("https://:2379", Err(EndpointError::Authority)),
            ("https://a.example:70000", Err(EndpointError::Authority)),
        ];
        for (text, want) in cases {
            let got = text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
            assert_eq!(got, want.map(str::to_owned), "{text}");
        }
        let secret = "https://root:secret@a:1".parse::<Endpoint>().unwrap_err();
        assert!(!secret.to_string().contains("secret"), "{secret}");
    }
}
