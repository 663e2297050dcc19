//! Ingresses as a table: by host and path to a backend. Pure. The rules are those of the Ingress API: an exact host goes
//! before a wildcard and that before none, an exact path before the longest prefix.

use crate::options::{self, Options};
use api::ObjectKey;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend};
use kinds::key_of;
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A port of a Service, as ingresses name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) service: ObjectKey,
    pub(crate) port: Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Port {
    Number(i32),
    Name(String),
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Found<'r> {
    pub(crate) backend: &'r Backend,
    /// In the place of the request's own.
    pub(crate) path: Option<String>,
    pub(crate) to_https: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Empty for every host, `*.example` for one more label.
    hosts: BTreeMap<String, Vec<Route>>,
    default: Option<Backend>,
}

#[derive(Debug)]
struct Route {
    path: Match,
    backend: Backend,
    options: Arc<Options>,
    has_certificate: bool,
}

#[derive(Debug)]
enum Match {
    Exact(String),
    /// Without a slash at the end.
    Prefix(String),
    Pattern(Regex, usize),
}

/// The oldest first: a host's certificate and paths stay whose they were first.
pub(crate) fn by_age(ingresses: &[Arc<Ingress>]) -> Vec<&Arc<Ingress>> {
    let mut sorted: Vec<&Arc<Ingress>> = ingresses.iter().collect();
    sorted.sort_by_key(|ingress| (ingress.metadata.creation_timestamp.clone(), key_of(&ingress.metadata)));
    sorted
}

impl Routes {
    /// The older ingress wins where two say the same.
    pub(crate) fn new(ingresses: &[Arc<Ingress>]) -> Routes {
        let mut routes = Routes::default();
        for ingress in by_age(ingresses) {
            routes.add(ingress);
        }
        for of_host in routes.hosts.values_mut() {
            of_host.sort_by_key(|route| std::cmp::Reverse(route.path.weight()));
        }
        routes
    }

    fn add(&mut self, ingress: &Ingress) {
        let Some(spec) = &ingress.spec else { return };
        let namespace = ingress.metadata.namespace.as_deref();
        let options = Arc::new(options::of(ingress));
        let secure = spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten());
        let secure: BTreeSet<&str> = secure.map(String::as_str).collect();
        let default = spec.default_backend.as_ref().and_then(|backend| backend_of(backend, namespace));
        if self.default.is_none() {
            self.default.clone_from(&default);
        }
        for rule in spec.rules.iter().flatten() {
            let host = rule.host.as_deref().unwrap_or_default().to_ascii_lowercase();
            let of_host = self.hosts.entry(host.clone()).or_default();
            let paths = rule.http.iter().flat_map(|http| &http.paths);
            of_host.extend(paths.filter_map(|path| {
                Some(Route {
                    path: Match::new(path, &options)?,
                    backend: backend_of(&path.backend, namespace)?,
                    options: options.clone(),
                    has_certificate: secure.contains(host.as_str()),
                })
            }));
        }
    }

    /// Every service that something leads to.
    pub(crate) fn services(&self) -> impl Iterator<Item = &ObjectKey> {
        let routed = self.hosts.values().flatten().map(|route| &route.backend);
        routed.chain(&self.default).map(|backend| &backend.service)
    }

    /// `host` as the request has it, perhaps with a port and the root's dot; `path` normalised, without its query.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<Found<'_>> {
        let host = host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .map_or(host, |(host, _)| host);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let candidates = [Some(host), wildcard, Some(String::new())];
        let found = candidates
            .into_iter()
            .flatten()
            .filter_map(|host| self.hosts.get(&host))
            .find_map(|of_host| of_host.iter().find(|route| route.path.takes(path)));
        match found {
            Some(route) => Some(Found {
                backend: &route.backend,
                path: route.rewritten(path),
                to_https: route.options.ssl_redirect.unwrap_or(route.has_certificate),
            }),
            None => self.default.as_ref().map(|backend| Found { backend, path: None, to_https: false }),
        }
    }
}

impl Route {
    fn rewritten(&self, path: &str) -> Option<String> {
        let target = self.options.rewrite_target.as_ref()?;
        let Match::Pattern(pattern, _) = &self.path else { return Some(target.clone()) };
        let mut rewritten = String::new();
        pattern.captures(path)?.expand(&braced(target), &mut rewritten);
        Some(if rewritten.starts_with('/') { rewritten } else { format!("/{rewritten}") })
    }
}

/// `$1x` means the first group and then an x, not a group of that name.
fn braced(target: &str) -> String {
    let mut out = String::new();
    let mut rest = target;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        out += before;
        match digits {
            0 => out += "$$",
            digits => out += &format!("${{{}}}", &after[..digits]),
        }
        rest = &after[digits..];
    }
    out + rest
}

impl Match {
    /// `None` for a pattern that is none; its ingress is served without it.
    fn new(path: &HTTPIngressPath, options: &Options) -> Option<Match> {
        let text = path.path.as_deref().filter(|text| !text.is_empty()).unwrap_or("/");
        if path.path_type == "Exact" {
            return Some(Match::Exact(crate::path::of_rule(text)));
        }
        if options.use_regex {
            // as ingress-nginx has it: from the beginning, whatever the letters' case, and on from there
            let pattern =
                RegexBuilder::new(&format!("^{text}")).case_insensitive(true).size_limit(1 << 20).build();
            return pattern.ok().map(|pattern| Match::Pattern(pattern, text.len()));
        }
        Some(Match::Prefix(crate::path::of_rule(text).trim_end_matches('/').to_owned()))
    }

    fn takes(&self, path: &str) -> bool {
        match self {
            Match::Exact(exact) => path == exact,
            Match::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Match::Pattern(pattern, _) => pattern.is_match(path),
        }
    }

    /// What is more exact, then what is longer, comes first.
    fn weight(&self) -> (bool, usize) {
        match self {
            Match::Exact(path) => (true, path.len()),
            Match::Prefix(path) => (false, path.len()),
            Match::Pattern(_, length) => (false, *length),
        }
    }
}

fn backend_of(backend: &IngressBackend, namespace: Option<&str>) -> Option<Backend> {
    let service = backend.service.as_ref()?;
    let port = service.port.as_ref()?;
    let port = match (&port.name, port.number) {
        (Some(name), _) if !name.is_empty() => Port::Name(name.clone()),
        (_, Some(number)) => Port::Number(number),
        _ => return None,
    };
    Some(Backend { service: ObjectKey::new(namespace, &service.name), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn path(path: &str, kind: &str, service: &str) -> Value {
        json!({"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}})
    }

    fn ingress(annotations: &Value, spec: &Value) -> Arc<Ingress> {
        let metadata = json!({"name": "web", "namespace": "shop", "annotations": annotations});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
    }

    fn rule(host: &str, paths: &[Value]) -> Value {
        json!({"host": host, "http": {"paths": paths}})
    }

    fn service(routes: &Routes, host: &str, path: &str) -> String {
        routes.find(host, path).map_or_else(|| "-".to_owned(), |found| found.backend.service.name.to_string())
    }

    #[test]
    fn hosts_and_paths() {
        let rules = json!({"rules": [
            rule("a.example", &[path("/", "Prefix", "root"), path("/api", "Prefix", "api"), path("/api/v1", "Exact", "exact")]),
            rule("*.example", &[path("/", "Prefix", "wild")]),
            rule("", &[path("/any", "ImplementationSpecific", "any")]),
        ]});
        let routes = Routes::new(&[ingress(&json!({}), &rules)]);
        for (host, path, want) in [
            ("a.example", "/", "root"),
            ("A.Example:8080", "/x", "root"),
            ("a.example", "/api", "api"),
            ("a.example", "/api/v1", "exact"),
            ("a.example", "/api/v1/x", "api"),
            ("a.example", "/apis", "root"),
            ("b.example", "/", "wild"),
            ("c.b.example", "/", "-"),
            ("else", "/any/x", "any"),
            ("else", "/", "-"),
        ] {
            assert_eq!(service(&routes, host, path), want, "{host} {path}");
        }
    }

    #[test]
    fn what_nobody_takes_goes_to_the_default() {
        let backend = json!({"service": {"name": "default", "port": {"name": "http"}}});
        let routes = Routes::new(&[ingress(&json!({}), &json!({"defaultBackend": backend}))]);
        assert_eq!(service(&routes, "x", "/"), "default");
        assert_eq!(routes.find("x", "/").unwrap().backend.port, Port::Name("http".into()));
    }

    #[test]
    fn paths_are_rewritten_as_nginx_does() {
        let rewrite = |target: &str| json!({"nginx.ingress.kubernetes.io/rewrite-target": target});
        for (target, pattern, asked, want) in [
            ("/$2", "/api(/|$)(.*)", "/api/v1/x", "/v1/x"),
            ("/$2", "/api(/|$)(.*)", "/api", "/"),
            ("/", "/foo", "/foo/bar", "/"),
            ("/x$1y", "/(.)", "/z", "/xzy"),
        ] {
            let rules = json!({"rules": [rule("", &[path(pattern, "ImplementationSpecific", "web")])]});
            let routes = Routes::new(&[ingress(&rewrite(target), &rules)]);
            assert_eq!(
                routes.find("x", asked).unwrap().path.as_deref(),
                Some(want),
                "{target} {pattern} {asked}"
            );
        }
    }

    #[test]
    fn a_host_with_a_certificate_is_served_securely_unless_told_otherwise() {
        let spec = json!({"tls": [{"hosts": ["a"], "secretName": "s"}], "rules": [rule("a", &[path("/", "Prefix", "web")])]});
        let no = json!({"nginx.ingress.kubernetes.io/ssl-redirect": "false"});
        assert!(Routes::new(&[ingress(&json!({}), &spec)]).find("a", "/").unwrap().to_https);
        assert!(!Routes::new(&[ingress(&no, &spec)]).find("a", "/").unwrap().to_https);
    }
}
