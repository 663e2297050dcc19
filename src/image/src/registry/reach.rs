//! Where a registry may send. What listens at the machine's loopback trusts the machine, and at link-local addresses clouds hand out
//! their keys (169.254.169.254). Whoever may make a pod may name a registry of his own: its redirects and its token server would be
//! asked there for any path, and what is answered as a token be shown to the registry.

use crate::registries::{Registries, is_loopback};
use http::Uri;
use std::net::IpAddr;

/// Kubernetes' range: also at the machine's loopback there is a registry of anybody who may make Services.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// Which addresses of the machine's own may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Who pulls has named this server himself.
    Anywhere,
    /// A registry on this machine has sent, as one with a token server beside it does.
    Loopback,
    /// A registry has sent.
    Outside,
}

impl Reach {
    /// For a request to `to`, for the sake of the registry `home`.
    pub(super) fn of(registries: &Registries, home: &str, to: &Uri) -> Reach {
        let server = server(to);
        let port = home.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if server == home || registries.is_insecure(&server) {
            Reach::Anywhere
        } else if is_loopback(home) && port.is_none_or(|port| !NODE_PORTS.contains(&port)) {
            Reach::Loopback
        } else {
            Reach::Outside
        }
    }

    /// # Errors
    /// In words.
    pub(super) fn check(self, address: IpAddr, to: &Uri) -> Result<(), String> {
        let address = address.to_canonical();
        let is_link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let is_own = address.is_loopback() || address.is_unspecified();
        let may = match self {
            Reach::Anywhere => true,
            Reach::Loopback => !is_link_local,
            Reach::Outside => !(is_link_local || is_own),
        };
        if may {
            return Ok(());
        }
        let host = server(to);
        Err(format!(
            "the registry sends to {host}, which is this machine's own ({address}); allow it with --insecure-registry {host}"
        ))
    }

    /// Of an address that is one by the letter, so that nobody is connected to.
    pub(super) fn check_literal(self, to: &Uri) -> Result<(), String> {
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
        host.parse::<IpAddr>().map_or(Ok(()), |address| self.check(address, to))
    }
}

/// Without a user in front, which could pass for one (`10.0.0.7:x@127.0.0.1`).
fn server(to: &Uri) -> String {
    let host = to.host().unwrap_or_default();
    to.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_sends_nobody_to_the_machine_itself() {
        let insecure = vec!["127.0.0.1:5001".to_owned(), "10.0.0.0/8".to_owned()];
        let registries = Registries { insecure, ..Registries::default() };
        for (home, to, address, may) in [
            ("reg.example", "https://auth.example/token", "192.0.2.1", true),
            ("reg.example", "http://10.0.0.7:5000/", "10.0.0.7", true),
            ("reg.example", "http://127.0.0.1:8001/token", "127.0.0.1", false),
            ("reg.example", "http://[::1]/", "::1", false),
            ("reg.example", "http://10.0.0.7:x@127.0.0.1:8001/token", "127.0.0.1", false),
            ("reg.example", "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", false),
            ("reg.example", "http://0.0.0.0/", "0.0.0.0", false),
            ("reg.example", "https://rebound.example/", "127.8.0.1", false),
            ("reg.example", "http://169.254.169.254/latest/", "169.254.169.254", false),
            ("reg.example", "https://rebound.example/", "fe80::1", false),
            // another server of the same host
            ("reg.example", "https://reg.example:2376/", "127.0.0.1", false),
            // who pulls has said so
            ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/", "127.0.0.1", true),
            ("reg.lan", "https://reg.lan/v2/", "127.0.0.1", true),
            ("169.254.1.1:5000", "https://169.254.1.1:5000/v2/", "169.254.1.1", true),
            ("reg.example", "http://127.0.0.1:5001/token", "127.0.0.1", true),
            // a registry of this machine's, and one behind a node port
            ("localhost:5000", "http://localhost:5002/token", "127.0.0.1", true),
            ("localhost:5000", "http://169.254.169.254/", "169.254.169.254", false),
            ("127.0.0.1:30000", "http://127.0.0.1:8001/", "127.0.0.1", false),
        ] {
            let to: Uri = to.parse().unwrap();
            let reach = Reach::of(&registries, home, &to);
            assert_eq!(reach.check(address.parse().unwrap(), &to).is_ok(), may, "{home} {to} {address}");
            if !to.host().unwrap().ends_with("example") {
                assert!(may || reach.check_literal(&to).is_err(), "{home} {to}");
            }
        }
    }
}
