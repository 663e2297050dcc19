//! What a path and a method ask for, as upstream's `RequestInfoFactory` reads them.

use api::Gvr;

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
            ("/api/v1", None),
            ("/apis/apps", None),
            ("/healthz", None),
            ("/api/v1/namespaces/a/pods/p/log/more", None),
        ];
        for (path, want) in cases {
            assert_eq!(parse(path).as_deref(), want, "{path}");
        }
    }
}
