//! What a path and a method ask for, as upstream's `RequestInfoFactory` reads them.

use crate::request::Request;
use api::{FieldSelector, Gvr, LabelSelector};
use cluster::Attributes;
use http::Method;

/// A request for objects, or for anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedPath {
    Resource(RequestInfo),
    /// `/api`, `/apis/apps/v1`, `/healthz`, …
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    pub gvr: Gvr,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl ParsedPath {
    /// `segments` are the path's, decoded.
    pub fn parse(segments: &[String]) -> ParsedPath {
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return ParsedPath::Other,
        };
        let (namespace, rest) = match rest {
            // a namespace itself, and its parts, are objects of the cluster
            ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, None, None),
            [resource, name] => (*resource, Some(*name), None),
            [resource, name, subresource] => (*resource, Some(*name), Some(*subresource)),
            // what is behind it is another's path
            [resource, name, "proxy", ..] => (*resource, Some(*name), Some("proxy")),
            _ => return ParsedPath::Other,
        };
        let owned = str::to_owned;
        ParsedPath::Resource(RequestInfo {
            gvr: Gvr {
                group: owned(group).into(),
                version: owned(version).into(),
                resource: owned(resource).into(),
            },
            namespace: namespace.map(owned),
            name: name.map(owned),
            subresource: subresource.map(owned),
        })
    }
}

/// Upstream's deprecated paths of watches, `/api/v1/watch/pods` and `/apis/G/V/watch/namespaces/NS/RESOURCE/NAME`, are read as the
/// paths without it that ask for a watch. Who logs or passes on the path has it as it was sent.
pub(crate) fn read_watch_path(request: &mut Request) {
    let place = match request.segments.first().map(String::as_str) {
        Some("api") => 2,
        Some("apis") => 3,
        _ => return,
    };
    if request.method != Method::GET || request.segments.get(place).is_none_or(|segment| segment != "watch") {
        return;
    }
    let mut segments = request.segments.clone();
    segments.remove(place);
    // of parts there are no watches
    let ParsedPath::Resource(RequestInfo { subresource: None, .. }) = ParsedPath::parse(&segments) else {
        return;
    };
    request.segments = segments;
    request.query.retain(|(key, _)| key != "watch");
    request.query.push(("watch".to_owned(), "true".to_owned()));
}

impl RequestInfo {
    /// `list`, `deletecollection`, … A method that stands for none is forbidden to all that may not do everything.
    pub(crate) fn verb(&self, request: &Request) -> &'static str {
        let watch = request.flag("watch").unwrap_or(true);
        match (&request.method, self.name.is_some()) {
            (&Method::GET | &Method::HEAD, _) if watch && self.subresource.is_none() => "watch",
            (&Method::GET | &Method::HEAD, false) => "list",
            (&Method::GET | &Method::HEAD, true) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, false) => "deletecollection",
            (&Method::DELETE, true) => "delete",
            _ => "",
        }
    }

    /// Its answer goes on for as long as somebody wants it (upstream's `longRunningRequestCheck`); a watch's does too.
    pub(crate) fn is_a_connection(&self) -> bool {
        let part = self.subresource.as_deref();
        matches!(part, Some("attach" | "exec" | "log" | "portforward" | "proxy"))
    }

    /// What must be allowed before anything else is looked at.
    pub(crate) fn attributes(&self, request: &Request) -> Attributes {
        let verb = self.verb(request);
        let mut attributes = Attributes {
            verb: verb.to_owned(),
            group: self.gvr.group.to_string(),
            version: self.gvr.version.to_string(),
            resource: self.gvr.resource.to_string(),
            subresource: self.subresource.clone().unwrap_or_default(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ..Attributes::default()
        };
        if matches!(verb, "list" | "watch" | "deletecollection") {
            // what can not be read is refused by whoever selects
            let given = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
            attributes.fields = FieldSelector::parse(&given("fieldSelector")).unwrap_or_default();
            attributes.labels = LabelSelector::parse(&given("labelSelector")).unwrap_or_default();
        }
        if matches!(verb, "list" | "watch") && attributes.name.is_none() {
            attributes.name = attributes.fields.exact_name().map(str::to_owned);
        }
        attributes.in_own_namespace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<String> {
        let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        match ParsedPath::parse(&segments) {
            ParsedPath::Other => None,
            ParsedPath::Resource(info) => {
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                let (at, name, part) =
                    (or_dash(info.namespace), or_dash(info.name), or_dash(info.subresource));
                Some(format!("{} {} {at} {name} {part}", info.gvr.api_version(), info.gvr.resource))
            }
        }
    }

    #[test]
    fn paths_are_read_as_upstream_reads_them() {
        let cases = [
            ("/api/v1/pods", Some("v1 pods - - -")),
            ("/api/v1/namespaces", Some("v1 namespaces - - -")),
            ("/api/v1/namespaces/a", Some("v1 namespaces - a -")),
            ("/api/v1/namespaces/a/finalize", Some("v1 namespaces - a finalize")),
            ("/api/v1/namespaces/a/pods", Some("v1 pods a - -")),
            ("/api/v1/namespaces/a/pods/p/log", Some("v1 pods a p log")),
            ("/apis/apps/v1/namespaces/a/deployments/d/scale", Some("apps/v1 deployments a d scale")),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/x",
                Some("rbac.authorization.k8s.io/v1 clusterroles - x -"),
            ),
            ("/api/v1/namespaces/a/pods/p:80/proxy", Some("v1 pods a p:80 proxy")),
            ("/api/v1/namespaces/a/services/s/proxy/x/y/z", Some("v1 services a s proxy")),
            ("/api/v1/nodes/n/proxy/logs/", Some("v1 nodes - n proxy")),
            ("/api/v1", None),
            ("/apis/apps", None),
            ("/healthz", None),
            ("/api/v1/namespaces/a/pods/p/log/more", None),
        ];
        for (path, want) in cases {
            assert_eq!(parse(path).as_deref(), want, "{path}");
        }
    }

    #[test]
    fn the_deprecated_paths_of_watches_are_watches() {
        let cases = [
            ("GET", "/api/v1/watch/pods", "", "watch pods - -"),
            ("GET", "/api/v1/watch/pods", "watch=false", "watch pods - -"),
            ("GET", "/api/v1/watch/namespaces", "", "watch namespaces - -"),
            ("GET", "/api/v1/watch/namespaces/a", "", "watch namespaces a a"),
            ("GET", "/api/v1/watch/namespaces/a/pods/p", "", "watch pods a p"),
            ("GET", "/apis/apps/v1/watch/namespaces/a/deployments", "", "watch deployments a -"),
            // no watches
            ("GET", "/api/v1/watch", "", "list watch - -"),
            ("GET", "/api/v1/watch/namespaces/a/pods/p/log", "", ""),
            ("DELETE", "/api/v1/watch/pods", "", "delete watch - pods"),
        ];
        for (method, path, query, want) in cases {
            let mut request = Request::for_tests(method, path, query, Vec::new());
            read_watch_path(&mut request);
            assert_eq!(request.path, path);
            let got = match ParsedPath::parse(&request.segments) {
                ParsedPath::Other => String::new(),
                ParsedPath::Resource(info) => {
                    let asked = info.attributes(&request);
                    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                    format!(
                        "{} {} {} {}",
                        asked.verb,
                        asked.resource,
                        or_dash(asked.namespace),
                        or_dash(asked.name)
                    )
                }
            };
            assert_eq!(got, want, "{method} {path}?{query}");
        }
    }

    #[test]
    fn what_must_be_allowed_is_in_method_path_and_query() {
        let cases = [
            ("GET", "/api/v1/namespaces/a/pods/p", "", "get pods a p -"),
            ("HEAD", "/api/v1/namespaces/a/pods", "", "list pods a - -"),
            ("GET", "/api/v1/pods", "watch=1", "watch pods - - -"),
            ("GET", "/api/v1/pods", "watch=false&fieldSelector=metadata.name%3Dp", "list pods - p -"),
            ("GET", "/api/v1/namespaces/a/pods/p/log", "watch=true", "get pods a p log"),
            ("POST", "/api/v1/namespaces/a/pods/p/eviction", "", "create pods a p eviction"),
            ("PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale", "", "update deployments a d scale"),
            ("PATCH", "/api/v1/nodes/n", "", "patch nodes - n -"),
            (
                "DELETE",
                "/api/v1/namespaces/a/pods",
                "fieldSelector=metadata.name%3Dp",
                "deletecollection pods a - -",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/a/pods",
                "labelSelector=app%3Dweb,!old",
                "deletecollection pods a - - app=web,!old",
            ),
            (
                "GET",
                "/api/v1/pods",
                "labelSelector=app%20in%20(x,y)&watch=true",
                "watch pods - - - app in (x,y)",
            ),
            ("GET", "/api/v1/pods", "fieldSelector=nonsense&labelSelector=,,", "list pods - - -"),
            // of one object nothing is selected
            ("GET", "/api/v1/namespaces/a/pods/p", "labelSelector=app", "get pods a p -"),
            ("DELETE", "/api/v1/namespaces/a/pods/p", "labelSelector=app", "delete pods a p -"),
            // a namespace is in itself, as are its parts
            ("GET", "/api/v1/namespaces/a", "", "get namespaces a a -"),
            ("PUT", "/api/v1/namespaces/a/finalize", "", "update namespaces a a finalize"),
            ("POST", "/api/v1/namespaces", "", "create namespaces - - -"),
            ("TRACE", "/api/v1/namespaces/a/pods/p", "", " pods a p -"),
        ];
        for (method, path, query, want) in cases {
            let request = Request::for_tests(method, path, query, Vec::new());
            let ParsedPath::Resource(info) = ParsedPath::parse(&request.segments) else { panic!("{path}") };
            let asked = info.attributes(&request);
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let part = Some(asked.subresource).filter(|part| !part.is_empty());
            let selected = asked.labels.to_string();
            let got = format!(
                "{} {} {} {} {} {selected}",
                asked.verb,
                asked.resource,
                or_dash(asked.namespace),
                or_dash(asked.name),
                or_dash(part)
            );
            assert_eq!(got.trim_end(), want, "{method} {path}?{query}");
            let fields = asked.fields.requirements.len();
            assert_eq!(fields, usize::from(query.contains("metadata.name")), "{method} {path}?{query}");
        }
    }
}
