//! The answers of those kinds whose objects are made when somebody asks, or carried out when somebody sends them, and stored nowhere.

use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::server_state::ServerState;
use crate::{bindings, component_statuses, resource_metrics, reviews};
use api::Status;
use cluster::{Actor, METRICS_GROUP};
use warp::reply::Response;

/// Of a kind that the registry has among the computed ones.
pub(crate) async fn answer(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    match (info.gvr.group.as_ref(), info.gvr.resource.as_ref()) {
        (METRICS_GROUP, _) => resource_metrics::answer(state, actor, request, info).await,
        ("", "bindings") => bindings::answer(state, actor, request, info).await,
        ("", _) => component_statuses::answer(state, request, info),
        _ => reviews::answer(state, actor, request, info).await,
    }
}
