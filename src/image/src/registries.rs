//! How each registry is reached: plain or not, by which mirrors, with whose certificates.

use crate::error::{ImageError, Result};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A directory for each registry, named by its host and port.
const CERTS_DIR: &str = "/etc/docker/certs.d";

/// Where Docker Hub's registry is.
const HUB: &str = "registry-1.docker.io";

/// How registries are reached, as the settings say. Without any: HTTPS, and for loopback also plain HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Registries {
    /// `host:port` of registries that may speak plain HTTP, or HTTPS with a certificate that nobody vouches for; or a network
    /// (`10.0.0.0/24`), for those that are named by an address in it.
    pub insecure: Vec<String>,
    /// Asked in turn before the registry itself: `docker.io` → `mirror.example:5000`, or with a scheme in front.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// `host:port` → a PEM file with certificate authorities to trust for it, beside the machine's.
    pub ca_files: BTreeMap<String, PathBuf>,
    /// Where else than in `/etc/docker/certs.d` there is a directory for each registry.
    pub certs_dir: Option<PathBuf>,
    /// Of this run only: settings that are written down do not hold them.
    #[serde(skip)]
    pub proxies: Proxies,
}

/// What stands between this machine and registries, as the environment of Docker's daemon says it too.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    pub http: String,
    pub https: String,
    /// Names, domains and networks that are reached without.
    pub no: String,
}

impl Proxies {
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in capitals or small.
    pub fn of_the_environment() -> Proxies {
        let variable = |name: &str| {
            let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            value(name).or_else(|| value(&name.to_ascii_lowercase())).unwrap_or_default()
        };
        Proxies { http: variable("HTTP_PROXY"), https: variable("HTTPS_PROXY"), no: variable("NO_PROXY") }
    }
}

/// A proxy's address may hold its user's password.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies(redacted)")
    }
}

/// Files that say how TLS goes with one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Certificates {
    /// Whose word counts, beside the machine's own authorities.
    pub(crate) authorities: Vec<PathBuf>,
    /// What this machine shows of itself: a certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// One place to ask for a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// `registry-1.docker.io`, `localhost:5000`
    pub(crate) host: String,
    pub(crate) scheme: Scheme,
    /// A mirror gets no credentials of the registry that it mirrors.
    pub(crate) is_mirror: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Https,
    Http,
    /// HTTPS where the other side speaks it, else HTTP.
    Either,
}

impl Registries {
    /// Where to ask for an image of `domain`, in order.
    pub(crate) fn endpoints(&self, domain: &str) -> Vec<Endpoint> {
        let mirrors = self.mirrors.get(domain).into_iter().flatten().map(|text| self.endpoint(text, true));
        let host = if domain == "docker.io" { HUB } else { domain };
        mirrors.chain([self.endpoint(host, false)]).collect()
    }

    fn endpoint(&self, text: &str, is_mirror: bool) -> Endpoint {
        let (scheme, host) = match text.split_once("://") {
            Some(("http", host)) => (Scheme::Http, host),
            Some((_, host)) => (Scheme::Https, host),
            None if self.is_insecure(text) || is_loopback(text) => (Scheme::Either, text),
            None => (Scheme::Https, text),
        };
        Endpoint { host: host.trim_end_matches('/').to_owned(), scheme, is_mirror }
    }

    /// Names are not looked up for a network's sake, other than in Docker: who answers for a name would choose who is believed.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        let address = without_port(host).parse::<IpAddr>().ok();
        let is_in = |network: &str| {
            let network = network.parse::<IpNet>();
            address.is_some_and(|address| network.is_ok_and(|network| network.contains(&address)))
        };
        self.insecure.iter().any(|insecure| insecure == host || is_in(insecure))
    }

    /// One of [`Registries::insecure`] from what somebody typed. A scheme in front is left out, as Docker's daemon does it.
    ///
    /// # Errors
    /// What is neither a host, with or without a port, nor a network.
    pub fn insecure_registry(text: &str) -> Result<String> {
        let schemes = ["http://", "https://"];
        let bare = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let bare = bare.trim_end_matches('/');
        match !bare.is_empty() && (!bare.contains('/') || bare.parse::<IpNet>().is_ok()) {
            true => Ok(bare.to_owned()),
            false => Err(ImageError::InvalidName(format!(
                "registry {text:?}: expected host, host:port or a network like 10.0.0.0/24"
            ))),
        }
    }

    /// As Docker has it: in the registry's directory `*.crt` are authorities, `NAME.cert` and `NAME.key` belong together.
    ///
    /// # Errors
    /// A certificate without its key, or the reverse.
    pub(crate) fn certificates(&self, host: &str) -> Result<Certificates> {
        let directory = self.certs_dir.as_deref().unwrap_or(Path::new(CERTS_DIR));
        let name = if host == HUB { "docker.io" } else { host };
        let files = if name.is_empty() { Vec::new() } else { files_in(&directory.join(name)) };
        let of_kind =
            |kind: &'static str| files.iter().filter(move |f| f.extension().is_some_and(|e| e == kind));
        let named = self.ca_files.get(host).cloned();
        let authorities = named.map_or_else(|| of_kind("crt").cloned().collect(), |file| vec![file]);
        for key in of_kind("key") {
            let certificate = key.with_extension("cert");
            if !files.contains(&certificate) {
                return Err(missing(&certificate, "client certificate", key));
            }
        }
        let identity = of_kind("cert").next().map(|certificate| {
            let key = certificate.with_extension("key");
            if files.contains(&key) {
                Ok((certificate.clone(), key))
            } else {
                Err(missing(&key, "key", certificate))
            }
        });
        Ok(Certificates { authorities, identity: identity.transpose()? })
    }

    /// Settings that can never work are refused at the start, not at the first pull.
    pub(crate) fn check(&self) -> Result<()> {
        for registry in &self.insecure {
            Self::insecure_registry(registry)?;
        }
        match self.ca_files.keys().find(|host| host.contains('/')) {
            Some(host) => {
                Err(ImageError::InvalidName(format!("registry {host:?}: expected host or host:port")))
            }
            None => Ok(()),
        }
    }
}

impl Certificates {
    /// Changes when one of the files does: what is put there counts at once.
    pub(crate) fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        for file in self.authorities.iter().chain(identity) {
            file.hash(&mut hasher);
            if let Ok(facts) = std::fs::metadata(file) {
                (facts.len(), facts.modified().ok()).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.authorities.is_empty() && self.identity.is_none()
    }
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn missing(what: &Path, kind: &str, beside: &Path) -> ImageError {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ImageError::Refused(format!(
        "missing {kind} {} for {}: certificates of authorities must use the extension .crt",
        name(what),
        beside.display()
    ))
}

/// `localhost`, 127.0.0.0/8 and ::1, with or without a port.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_has_its_places_to_ask() {
        let registries = Registries {
            insecure: vec!["reg.lan:5000".into(), "10.96.0.0/12".into(), "fd00::/8".into()],
            mirrors: BTreeMap::from([("docker.io".into(), vec!["http://m1:80/".into(), "m2".into()])]),
            ..Default::default()
        };
        let shown = |domain: &str| -> Vec<String> {
            let places = registries.endpoints(domain);
            places.iter().map(|e| format!("{:?} {} {}", e.scheme, e.host, e.is_mirror)).collect()
        };
        for (domain, want) in [
            ("docker.io", vec!["Http m1:80 true", "Https m2 true", "Https registry-1.docker.io false"]),
            ("reg.lan:5000", vec!["Either reg.lan:5000 false"]),
            ("localhost:5000", vec!["Either localhost:5000 false"]),
            ("127.0.0.2:1", vec!["Either 127.0.0.2:1 false"]),
            ("[::1]:5000", vec!["Either [::1]:5000 false"]),
            ("10.100.1.2:5000", vec!["Either 10.100.1.2:5000 false"]),
            ("10.100.1.2", vec!["Either 10.100.1.2 false"]),
            ("10.112.0.1:5000", vec!["Https 10.112.0.1:5000 false"]),
            ("[fd00::5]:5000", vec!["Either [fd00::5]:5000 false"]),
            ("[fe80::5]:5000", vec!["Https [fe80::5]:5000 false"]),
            ("10.100.1.2.example", vec!["Https 10.100.1.2.example false"]),
            ("127.evil.example", vec!["Https 127.evil.example false"]),
            ("localhost.example", vec!["Https localhost.example false"]),
        ] {
            assert_eq!(shown(domain), want, "{domain}");
        }
        assert!(registries.check().is_ok());
        assert!(Registries { insecure: vec!["x/y".into()], ..Default::default() }.check().is_err());
    }

    #[test]
    fn what_is_typed_for_an_insecure_registry() {
        for (text, want) in [
            ("reg.lan", Some("reg.lan")),
            ("reg.lan:5000", Some("reg.lan:5000")),
            ("http://reg.lan:5000/", Some("reg.lan:5000")),
            ("https://reg.lan", Some("reg.lan")),
            ("10.0.0.0/24", Some("10.0.0.0/24")),
            ("10.0.0.7/24", Some("10.0.0.7/24")),
            ("fd00::/8", Some("fd00::/8")),
            ("10.0.0.0/33", None),
            ("reg.lan/team", None),
            ("ftp://reg.lan", None),
            ("", None),
            ("http://", None),
        ] {
            assert_eq!(Registries::insecure_registry(text).ok().as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_registry_has_its_directory_of_certificates() {
        for (name, files, authorities, identity) in [
            ("nothing", &[][..], Ok(0), false),
            ("an authority", &["ca.crt", "readme"][..], Ok(1), false),
            ("all", &["ca.crt", "other.crt", "client.cert", "client.key"], Ok(2), true),
            ("no key", &["client.cert"], Err("missing key client.key"), false),
            ("no certificate", &["client.key"], Err("missing client certificate client.cert"), false),
        ] {
            let dir = tempfile::TempDir::new().unwrap();
            let directory = dir.path().join("reg.lan:5000");
            std::fs::create_dir(&directory).unwrap();
            files.iter().for_each(|file| std::fs::write(directory.join(file), "").unwrap());
            let registries = Registries { certs_dir: Some(dir.path().to_owned()), ..Default::default() };
            match (registries.certificates("reg.lan:5000"), authorities) {
                (Ok(found), Ok(count)) => {
                    assert_eq!(
                        (found.authorities.len(), found.identity.is_some()),
                        (count, identity),
                        "{name}"
                    );
                }
                (Err(e), Err(want)) => assert!(e.to_string().contains(want), "{name}: {e}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
            assert_eq!(registries.certificates("other.lan").unwrap(), Certificates::default(), "{name}");
        }
    }
}
