//! Ingresses as a table: by host and path to a backend. Pure. The rules are those of the Ingress API: an exact host goes
//! before a wildcard and that before none, an exact path before the longest prefix.

use crate::options::{self, Options};
use crate::patterns::{Pattern, Patterns, Round};
use crate::remarks::Remarks;
use crate::rewrite::TooLong;
use api::ObjectKey;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend};
use kinds::key_of;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Of all patterns that one request may meet, in bytes of them by bytes of its path: a tenth of a second of the worst.
const MOST_MATCHING: usize = 1 << 30;
/// Letters of a path that is left out.
const SHOWN: usize = 200;
/// What is a letter as any other in a path, and has a meaning in a pattern.
const SPECIAL: [char; 14] = ['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'];

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
    /// `None` for the default.
    route: Option<&'r Route>,
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
    /// As patterns are matched, of a text in which nothing is special.
    Beginning(String),
    /// With the length of its text.
    Pattern(Arc<Pattern>, usize),
}

/// The oldest first: a host's certificate and paths stay whose they were first.
pub(crate) fn by_age(ingresses: &[Arc<Ingress>]) -> Vec<&Arc<Ingress>> {
    let mut sorted: Vec<&Arc<Ingress>> = ingresses.iter().collect();
    sorted.sort_by_cached_key(|ingress| {
        (ingress.metadata.creation_timestamp.clone(), key_of(&ingress.metadata))
    });
    sorted
}

impl Routes {
    /// The older ingress wins where two say the same.
    pub(crate) fn new(ingresses: &[Arc<Ingress>], patterns: &mut Patterns, remarks: &mut Remarks) -> Routes {
        let mut routes = Routes::default();
        let mut round = patterns.begin();
        for ingress in by_age(ingresses) {
            routes.add(ingress, &mut round, remarks);
        }
        for of_host in routes.hosts.values_mut() {
            of_host.sort_by_key(|route| std::cmp::Reverse(route.path.weight()));
        }
        routes
    }

    fn add(&mut self, ingress: &Arc<Ingress>, patterns: &mut Round<'_>, remarks: &mut Remarks) {
        let Some(spec) = &ingress.spec else { return };
        let namespace = ingress.metadata.namespace.as_deref();
        let secure = spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten());
        let secure: BTreeSet<&str> = secure.map(String::as_str).collect();
        let default = spec.default_backend.as_ref().and_then(|backend| backend_of(backend, namespace));
        if self.default.is_none() {
            self.default.clone_from(&default);
        }
        let options = match options::of(ingress) {
            Ok(options) => Arc::new(options),
            Err(why) => {
                remarks.add(ingress, "BadAnnotation", || format!("its rules are left out: {why}"));
                return;
            }
        };
        let key = key_of(&ingress.metadata);
        for rule in spec.rules.iter().flatten() {
            let host = rule.host.as_deref().unwrap_or_default().to_ascii_lowercase();
            let of_host = self.hosts.entry(host.clone()).or_default();
            let paths = rule.http.iter().flat_map(|http| &http.paths);
            of_host.extend(paths.filter_map(|path| {
                let backend = backend_of(&path.backend, namespace)?;
                let matched = Match::new(path, &options, |text| patterns.get(&key, text));
                let left_out = |(text, why): (&str, String)| {
                    let text: String = text.chars().take(SHOWN).collect();
                    format!("the path {text:?} is left out: {why}")
                };
                let path = matched.map_err(|bad| remarks.add(ingress, "BadPath", || left_out(bad))).ok()?;
                let has_certificate = secure.contains(host.as_str());
                Some(Route { path, backend, options: options.clone(), has_certificate })
            }));
        }
    }

    /// Every service that something leads to.
    pub(crate) fn services(&self) -> impl Iterator<Item = &ObjectKey> {
        let routed = self.hosts.values().flatten().map(|route| &route.backend);
        routed.chain(&self.default).map(|backend| &backend.service)
    }

    /// `host` as the request has it, perhaps with a port and the root's dot; `path` normalised, without its query.
    ///
    /// # Errors
    /// That the path is too long for the patterns that it would have to be compared with.
    pub(crate) fn find(&self, host: &str, path: &str) -> Result<Option<Found<'_>>, TooLong> {
        let host = host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .map_or(host, |(host, _)| host);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let candidates = [Some(host), wildcard, Some(String::new())];
        let routes = candidates.iter().flatten().filter_map(|host| self.hosts.get(host)).flatten();
        let mut matching = 0usize;
        for route in routes {
            matching = matching.saturating_add(route.path.cost(path));
            if matching > MOST_MATCHING {
                return Err(TooLong);
            }
            if route.path.takes(path) {
                let to_https = route.options.ssl_redirect.unwrap_or(route.has_certificate);
                return Ok(Some(Found { backend: &route.backend, route: Some(route), to_https }));
            }
        }
        Ok(self.default.as_ref().map(|backend| Found { backend, route: None, to_https: false }))
    }
}

impl Found<'_> {
    /// In the place of the request's own path, which is the one that was found by; `None` for that itself.
    ///
    /// # Errors
    /// That it is too long.
    pub(crate) fn rewritten(&self, path: &str) -> Result<Option<String>, TooLong> {
        self.route.map_or(Ok(None), |route| route.rewritten(path))
    }
}

impl Route {
    fn rewritten(&self, path: &str) -> Result<Option<String>, TooLong> {
        let Some(target) = &self.options.rewrite_target else { return Ok(None) };
        let whole = |number: usize, end: usize| match number {
            0 => path.get(..end).unwrap_or_default(),
            _ => "",
        };
        match &self.path {
            Match::Pattern(pattern, _) => match pattern.captures(path) {
                None => Ok(None),
                Some(groups) => {
                    let group = |number| groups.get(number).and_then(|found| path.get(found.range()));
                    target.expand(|number| group(number).unwrap_or_default()).map(Some)
                }
            },
            Match::Beginning(text) => target.expand(|number| whole(number, text.len())).map(Some),
            Match::Exact(_) | Match::Prefix(_) => target.expand(|number| whole(number, path.len())).map(Some),
        }
    }
}

impl Match {
    /// # Errors
    /// The text, and why no pattern is made of it: the ingress is served without it.
    fn new<'p>(
        path: &'p HTTPIngressPath,
        options: &Options,
        compile: impl FnOnce(&str) -> Result<Arc<Pattern>, String>,
    ) -> Result<Match, (&'p str, String)> {
        let text = path.path.as_deref().filter(|text| !text.is_empty()).unwrap_or("/");
        if path.path_type == "Exact" {
            return Ok(Match::Exact(crate::path::of_rule(text)));
        }
        if !options.use_regex {
            return Ok(Match::Prefix(crate::path::of_rule(text).trim_end_matches('/').to_owned()));
        }
        if text.is_ascii() && !text.contains(SPECIAL) {
            return Ok(Match::Beginning(text.to_owned()));
        }
        match compile(text) {
            Ok(pattern) => Ok(Match::Pattern(pattern, text.len())),
            Err(why) => Err((text, why)),
        }
    }

    fn takes(&self, path: &str) -> bool {
        match self {
            Match::Exact(exact) => path == exact,
            Match::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Match::Beginning(text) => {
                path.get(..text.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(text))
            }
            Match::Pattern(pattern, _) => pattern.is_match(path),
        }
    }

    fn cost(&self, path: &str) -> usize {
        match self {
            Match::Pattern(pattern, _) => pattern.cost(path),
            Match::Exact(_) | Match::Prefix(_) | Match::Beginning(_) => 0,
        }
    }

    /// What is more exact, then what is longer, comes first.
    fn weight(&self) -> (bool, usize) {
        match self {
            Match::Exact(path) => (true, path.len()),
            Match::Prefix(path) | Match::Beginning(path) => (false, path.len()),
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

    fn routes(ingresses: &[Arc<Ingress>]) -> (Routes, Vec<String>) {
        let mut remarks = Remarks::default();
        let routes = Routes::new(ingresses, &mut Patterns::default(), &mut remarks);
        (routes, remarks.0.into_iter().map(|remark| remark.words).collect())
    }

    fn found<'r>(routes: &'r Routes, host: &str, path: &str) -> Option<Found<'r>> {
        routes.find(host, path).unwrap()
    }

    fn service(routes: &Routes, host: &str, path: &str) -> String {
        found(routes, host, path)
            .map_or_else(|| "-".to_owned(), |found| found.backend.service.name.to_string())
    }

    #[test]
    fn hosts_and_paths() {
        let rules = json!({"rules": [
            rule("a.example", &[path("/", "Prefix", "root"), path("/api", "Prefix", "api"), path("/api/v1", "Exact", "exact")]),
            rule("*.example", &[path("/", "Prefix", "wild")]),
            rule("", &[path("/any", "ImplementationSpecific", "any")]),
        ]});
        let (routes, _) = routes(&[ingress(&json!({}), &rules)]);
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
        let (routes, _) = routes(&[ingress(&json!({}), &json!({"defaultBackend": backend}))]);
        assert_eq!(service(&routes, "x", "/"), "default");
        assert_eq!(found(&routes, "x", "/").unwrap().backend.port, Port::Name("http".into()));
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
            let (routes, _) = routes(&[ingress(&rewrite(target), &rules)]);
            let rewritten = found(&routes, "x", asked).unwrap().rewritten(asked).unwrap();
            assert_eq!(rewritten.as_deref(), Some(want), "{target} {pattern} {asked}");
        }
    }

    #[test]
    fn a_text_without_anything_special_needs_no_pattern() {
        let regex = json!({"nginx.ingress.kubernetes.io/use-regex": "true"});
        let paths: Vec<Value> = (0..3000)
            .map(|n| path(&format!("/Shop-{n}/"), "ImplementationSpecific", &n.to_string()))
            .collect();
        let mut patterns = Patterns::default();
        let ingress = ingress(&regex, &json!({"rules": [rule("", &paths)]}));
        let routes = Routes::new(&[ingress], &mut patterns, &mut Remarks::default());
        assert_eq!(patterns.kept(), 0);
        assert_eq!(service(&routes, "x", "/shop-7/x"), "7");
        assert_eq!(service(&routes, "x", "/shop-7"), "-", "as the pattern ^/shop-7/ has it");
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let target = format!("/{}", "$1".repeat(120_000));
        let rewrite = json!({"nginx.ingress.kubernetes.io/rewrite-target": target});
        let rules = json!({"rules": [rule("", &[path("/(.*)", "ImplementationSpecific", "web")])]});
        let (of_target, words) = routes(&[ingress(&rewrite, &rules)]);
        assert!(found(&of_target, "x", "/a").is_none());
        assert!(words[0].contains("rewrite-target: it is longer than 1024 bytes"), "{words:?}");

        let regex = json!({"nginx.ingress.kubernetes.io/use-regex": "true"});
        let many = (0..1500).map(|n| path(&format!("/{n}.{{0,1000}}"), "ImplementationSpecific", "web"));
        let mut many: Vec<Value> = many.collect();
        many.push(path("/plain", "ImplementationSpecific", "plain"));
        let (of_many, words) = routes(&[ingress(&regex, &json!({"rules": [rule("", &many)]}))]);
        assert_eq!(service(&of_many, "x", "/plain"), "plain");
        assert!(
            words.len() <= 16 && words[0].starts_with("the path \"/0.{0,1000}\" is left out: "),
            "{words:?}"
        );
    }

    #[test]
    fn a_path_becomes_no_longer_than_a_pod_reads() {
        let rewrite = json!({"nginx.ingress.kubernetes.io/rewrite-target": format!("/{}", "$1".repeat(32))});
        let rules = json!({"rules": [rule("", &[path("/(.*)", "ImplementationSpecific", "web")])]});
        let (routes, _) = routes(&[ingress(&rewrite, &rules)]);
        let asked = format!("/{}", "a".repeat(60 << 10));
        assert_eq!(found(&routes, "x", &asked).unwrap().rewritten(&asked), Err(TooLong));
    }

    #[test]
    fn a_long_path_meets_so_much_of_patterns() {
        let regex = json!({"nginx.ingress.kubernetes.io/use-regex": "true"});
        let paths = (0..100).map(|n| path(&format!("/{n}(a|b){{1,20}}c"), "ImplementationSpecific", "web"));
        let rules = json!({"rules": [rule("", &paths.collect::<Vec<_>>())]});
        let (routes, _) = routes(&[ingress(&regex, &rules)]);
        assert_eq!(service(&routes, "x", "/7abac"), "web");
        assert!(routes.find("x", &format!("/{}", "a".repeat(60 << 10))).is_err());
    }

    #[test]
    fn a_host_with_a_certificate_is_served_securely_unless_told_otherwise() {
        let spec = json!({"tls": [{"hosts": ["a"], "secretName": "s"}], "rules": [rule("a", &[path("/", "Prefix", "web")])]});
        let no = json!({"nginx.ingress.kubernetes.io/ssl-redirect": "false"});
        assert!(found(&routes(&[ingress(&json!({}), &spec)]).0, "a", "/").unwrap().to_https);
        assert!(!found(&routes(&[ingress(&no, &spec)]).0, "a", "/").unwrap().to_https);
    }
}
