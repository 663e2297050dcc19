//! What is answered and not stored, and so is no kind of the registry: reviews, which are questions, and metrics and the
//! statuses of components, which are found out when somebody asks.

use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::server_state::ServerState;
use crate::{component_statuses, resource_metrics, reviews};
use api::Status;
use cluster::{Actor, METRICS_GROUP};
use warp::reply::Response;

const READ: &[&str] = &["get", "list"];

/// As discovery tells it.
pub(crate) struct Unstored {
    pub(crate) resource: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) verbs: &'static [&'static str],
    pub(crate) short_names: &'static [&'static str],
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
const CORE: &[Unstored] = &[Unstored {
    resource: "componentstatuses",
    kind: "ComponentStatus",
    singular: "componentstatus",
    namespaced: false,
    verbs: READ,
    short_names: &["cs"],
}];
// the metrics server has no singular names
const METRICS: &[Unstored] = &[
    Unstored {
        resource: "nodes",
        kind: "NodeMetrics",
        singular: "",
        namespaced: false,
        verbs: READ,
        short_names: &[],
    },
    Unstored {
        resource: "pods",
        kind: "PodMetrics",
        singular: "",
        namespaced: true,
        verbs: READ,
        short_names: &[],
    },
];

const fn review(
    resource: &'static str,
    kind: &'static str,
    singular: &'static str,
    namespaced: bool,
) -> Unstored {
    Unstored { resource, kind, singular, namespaced, verbs: &["create"], short_names: &[] }
}

pub(crate) fn of(group: &str, version: &str) -> &'static [Unstored] {
    match (group, version) {
        ("", "v1") => CORE,
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
    edge: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    match info.gvr.group.as_ref() {
        METRICS_GROUP => resource_metrics::answer(edge, actor, request, info).await,
        "" => component_statuses::answer(edge, request, info),
        _ => reviews::answer(edge, actor, request, info).await,
    }
}
