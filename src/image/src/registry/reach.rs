//! Where a registry may send. What listens at the machine's loopback trusts the machine, and at link-local addresses clouds hand out
//! their keys (169.254.169.254). Whoever may make a pod may name a registry of his own: its redirects and its token server would be
//! asked there for any path, and what is answered as a token be shown to the registry.

use crate::registries::{Registries, is_loopback};
use http::Uri;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::net::IpAddr;

/// Kubernetes' range: also at the machine's loopback there is a registry of anybody who may make Services.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

/// Which addresses of the machine's own may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Whoever has set this machine up has named this server.
    Anywhere,
    /// Who pulls has named it: the registry itself, as long as it is where it was ([`Homes`]).
    Home,
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
        if registries.is_insecure(&server) {
            Reach::Anywhere
        } else if server == home {
            Reach::Home
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
            Reach::Anywhere | Reach::Home => true,
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

/// How many registries are kept in mind. Whoever wants one to be forgotten has to bring as many others between two of its answers.
const MOST_HOMES: usize = 10_000;

/// The registries that have been met elsewhere. One whose name leads to this machine later has not moved here: who has the name's DNS
/// would have what listens at the loopback asked for the paths that he has sent to, as those of his registry.
#[derive(Default)]
pub(super) struct Homes(Mutex<HashSet<String>>);

impl Homes {
    /// # Errors
    /// In words.
    pub(super) fn check(&self, reach: Reach, address: IpAddr, to: &Uri) -> Result<(), String> {
        if reach != Reach::Home {
            return Ok(());
        }
        let (server, mut elsewhere) = (server(to), self.0.lock());
        match Reach::Outside.check(address, to) {
            Err(why) if elsewhere.contains(&server) => Err(why),
            Err(_) => Ok(()),
            Ok(()) => {
                if elsewhere.len() >= MOST_HOMES {
                    elsewhere.clear();
                }
                elsewhere.insert(server);
                Ok(())
            }
        }
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

    /// The attack: a name of two addresses. At the first one it is a registry that says where tokens are, by that name.
    #[test]
    fn a_registry_that_was_elsewhere_is_not_this_machine_all_at_once() {
        let homes = Homes::default();
        for (name, to, reach, address, may) in [
            ("on this machine", "https://reg.lan/v2/", Reach::Home, "127.0.0.1", true),
            ("still there", "https://reg.lan/v2/", Reach::Home, "127.0.0.1", true),
            ("elsewhere", "https://reg.example:8001/v2/", Reach::Home, "192.0.2.1", true),
            ("here", "http://reg.example:8001/admin", Reach::Home, "127.0.0.1", false),
            ("at the cloud's keys", "http://reg.example:8001/latest", Reach::Home, "169.254.169.254", false),
            ("at another address", "https://reg.example:8001/v2/", Reach::Home, "192.0.2.2", true),
            ("as --insecure-registry", "http://reg.example:8001/v2/", Reach::Anywhere, "127.0.0.1", true),
            ("another port", "https://reg.example:8002/v2/", Reach::Home, "127.0.0.1", true),
        ] {
            let to: Uri = to.parse().unwrap();
            assert_eq!(homes.check(reach, address.parse().unwrap(), &to).is_ok(), may, "{name}");
        }
        for number in 0..=MOST_HOMES {
            let to: Uri = format!("https://reg{number}.example/").parse().unwrap();
            homes.check(Reach::Home, "192.0.2.1".parse().unwrap(), &to).unwrap();
        }
        assert!(homes.0.lock().len() <= MOST_HOMES);
    }
}
