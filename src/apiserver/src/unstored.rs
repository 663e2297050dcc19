//! What is answered and not stored, and so is no kind of the registry: reviews, which are questions, and metrics, which are
//! measured when somebody asks.

use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::server::Edge;
use crate::{resource_metrics, reviews};
use api::Status;
use cluster::{Actor, METRICS_GROUP};
use warp::reply::Response;

/// As discovery tells it.
pub(crate) struct Unstored {
    pub(crate) resource: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) verbs: &'static [&'static str],
}

pub(crate) const GROUP_VERSIONS: [(&str, &str); 3] = [
    ("authentication.k8s.io", "v1"),
    ("authorization.k8s.io", "v1"),
    (METRICS_GROUP, resource_metrics::VERSION),
];

const AUTHENTICATION: &[Unstored] = &[
    review("selfsubjectreviews", "SelfSubjectReview", "selfsubjectreview", false),
    review("tokenreviews", "TokenReview", "tokenreview", false),
];
const AUTHORIZATION: &[Unstored] = &[
    review("localsubjectaccessreviews", "LocalSubjectAccessReview", "localsubjectaccessreview", true),
    review("selfsubjectaccessreviews", "SelfSubjectAccessReview", "selfsubjectaccessreview", false),
    review("selfsubjectrulesreviews", "SelfSubjectRulesReview", "selfsubjectrulesreview", false),
    review("subjectaccessreviews", "SubjectAccessReview", "subjectaccessreview", false),
];
// the metrics server has no singular names
const METRICS: &[Unstored] = &[
    Unstored {
        resource: "nodes",
        kind: "NodeMetrics",
        singular: "",
        namespaced: false,
        verbs: &["get", "list"],
    },
    Unstored {
        resource: "pods",
        kind: "PodMetrics",
        singular: "",
        namespaced: true,
        verbs: &["get", "list"],
    },
];

const fn review(
    resource: &'static str,
    kind: &'static str,
    singular: &'static str,
    namespaced: bool,
) -> Unstored {
    Unstored { resource, kind, singular, namespaced, verbs: &["create"] }
}

pub(crate) fn of(group: &str, version: &str) -> &'static [Unstored] {
    match (group, version) {
        ("authentication.k8s.io", "v1") => AUTHENTICATION,
        ("authorization.k8s.io", "v1") => AUTHORIZATION,
        (METRICS_GROUP, resource_metrics::VERSION) => METRICS,
        _ => &[],
    }
}

pub(crate) fn is_asked(info: &RequestInfo) -> bool {
    of(&info.gvr.group, &info.gvr.version).iter().any(|known| info.gvr.resource == known.resource)
}

/// Of what [`is_asked`].
pub(crate) async fn answer(
    edge: &Edge,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    match info.gvr.group == METRICS_GROUP {
        true => resource_metrics::answer(edge, actor, request, info).await,
        false => reviews::answer(edge, actor, request, info).await,
    }
}
