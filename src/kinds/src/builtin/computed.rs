//! Kinds whose objects are stored nowhere: reviews, which are questions; metrics and the statuses of components, which are found
//! out when somebody asks; bindings, which are carried out. A row here; who answers is said by the API server.

use crate::{Durability, ResourceInfo, Scope};
use api::{Gvk, Gvr};

/// The group of `kubectl top`.
pub const METRICS_GROUP: &str = "metrics.k8s.io";

struct Row {
    /// Group, version, kind, plural, singular.
    names: (&'static str, &'static str, &'static str, &'static str, &'static str),
    short_names: &'static [&'static str],
    scope: Scope,
    verbs: &'static [&'static str],
}

const CREATE: &[&str] = &["create"];
const READ: &[&str] = &["get", "list"];

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

const ROWS: &[Row] = &[
    Row {
        names: ("", "v1", "Binding", "bindings", "binding"),
        short_names: &[],
        scope: Scope::Namespaced,
        verbs: CREATE,
    },
    Row {
        names: ("", "v1", "ComponentStatus", "componentstatuses", "componentstatus"),
        short_names: &["cs"],
        scope: Scope::Cluster,
        verbs: READ,
    },
    review(AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", Scope::Cluster),
    review(AUTHENTICATION, "TokenReview", "tokenreviews", "tokenreview", Scope::Cluster),
    review(
        AUTHORIZATION,
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        Scope::Namespaced,
    ),
    review(
        AUTHORIZATION,
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        Scope::Cluster,
    ),
    review(
        AUTHORIZATION,
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
        Scope::Cluster,
    ),
    review(
        AUTHORIZATION,
        "SubjectAccessReview",
        "subjectaccessreviews",
        "subjectaccessreview",
        Scope::Cluster,
    ),
    // both versions have the same fields
    metrics("v1", "NodeMetrics", "nodes", Scope::Cluster),
    metrics("v1", "PodMetrics", "pods", Scope::Namespaced),
    metrics("v1beta1", "NodeMetrics", "nodes", Scope::Cluster),
    metrics("v1beta1", "PodMetrics", "pods", Scope::Namespaced),
];

/// The metrics server has no singular names.
const fn metrics(version: &'static str, kind: &'static str, plural: &'static str, scope: Scope) -> Row {
    Row { names: (METRICS_GROUP, version, kind, plural, ""), short_names: &[], scope, verbs: READ }
}

const fn review(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    scope: Scope,
) -> Row {
    Row { names: (group, "v1", kind, plural, singular), short_names: &[], scope, verbs: CREATE }
}

pub(crate) fn computed() -> impl Iterator<Item = ResourceInfo> {
    ROWS.iter().map(|row| {
        let (group, version, kind, plural, singular) = row.names;
        let gvr = Gvr::new(group, version, plural);
        ResourceInfo {
            storage: gvr.group_resource(),
            gvk: Gvk::new(group, version, kind),
            gvr,
            singular: singular.into(),
            short_names: row.short_names.iter().map(|name| (*name).into()).collect(),
            categories: Vec::new(),
            scope: row.scope,
            verbs: row.verbs,
            subresources: Vec::new(),
            durability: Durability::Lazy,
        }
    })
}
