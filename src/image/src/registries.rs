use crate::error::{ImageError, Result, doing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A folder for each registry, named by its host and port.
const CERTS_DIR: &str = "/etc/docker/certs.d";

/// How registries are reached, as the settings say. Without any: HTTPS, and for loopback also plain HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Registries {
    /// `host:port` of registries that may speak plain HTTP, or HTTPS with a certificate that nobody vouches for.
    pub insecure: Vec<String>,
    /// Asked in turn before the registry itself: `docker.io` → `mirror.example:5000`, or with a scheme in front.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// `host:port` → a PEM file with certificate authorities to trust for it, beside the machine's.
    pub ca_files: BTreeMap<String, PathBuf>,
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
        let host = if domain == "docker.io" { "registry-1.docker.io" } else { domain };
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

    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        self.insecure.iter().any(|insecure| insecure == host)
    }

    /// The file of authorities for `host`: the one that the settings name, else the one where Docker's users put it.
    pub(crate) fn ca_file(&self, host: &str) -> Option<PathBuf> {
        let well_known = || Path::new(CERTS_DIR).join(host).join("ca.crt");
        let named = self.ca_files.get(host).cloned();
        named.or_else(|| Some(well_known()).filter(|file| !host.is_empty() && file.exists()))
    }

    /// The PEM text of the authorities for `host`.
    pub(crate) fn authorities(&self, host: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.ca_file(host) else { return Ok(None) };
        let pem =
            std::fs::read(&file).map_err(doing(format!("read the CA file {} of {host}", file.display())))?;
        Ok(Some(pem))
    }

    /// Settings that can never work are refused at the start, not at the first pull.
    pub(crate) fn check(&self) -> Result<()> {
        let hosts = self.insecure.iter().chain(self.ca_files.keys());
        match hosts.clone().find(|host| host.contains("://") || host.contains('/')) {
            Some(host) => {
                Err(ImageError::InvalidName(format!("registry {host:?}: expected host or host:port")))
            }
            None => Ok(()),
        }
    }
}

/// `localhost`, 127.0.0.0/8 and ::1, with or without a port.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_has_its_places_to_ask() {
        let registries = Registries {
            insecure: vec!["reg.lan:5000".into()],
            mirrors: BTreeMap::from([("docker.io".into(), vec!["http://m1:80/".into(), "m2".into()])]),
            ca_files: BTreeMap::new(),
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
            ("127.evil.example", vec!["Https 127.evil.example false"]),
            ("localhost.example", vec!["Https localhost.example false"]),
        ] {
            assert_eq!(shown(domain), want, "{domain}");
        }
        assert!(Registries { insecure: vec!["http://x".into()], ..Default::default() }.check().is_err());
    }
}
