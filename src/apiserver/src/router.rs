//! From a request to the one who answers it: who asks, whether he may, and only then what the body says.

use crate::authorization::authorize;
use crate::request::Request;
use crate::request_info::{ParsedPath, RequestInfo};
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use crate::{
    aggregator, audited, authentication, computed, discovery, flow_control, health, held_seat, impersonation,
    negotiate, objects, openapi_documents, pods, proxy, responses, watch_socket,
};
use api::Status;
use cluster::{Actor, Attributes};
use http::Method;
use std::sync::Arc;
use warp::reply::Response;

/// Never fails: a refusal is an answer.
pub(crate) async fn answer(edge: Arc<ServerState>, mut request: Request) -> Response {
    let only_protobuf = negotiate::only_protobuf(request.header(http::header::ACCEPT));
    // documents of other forms have negotiations of their own
    let only_yaml = matches!(request.segments.first().map(String::as_str), Some("api" | "apis"))
        && negotiate::only_yaml(request.header(http::header::ACCEPT));
    let takes_gzip = negotiate::takes_gzip(request.header(http::header::ACCEPT_ENCODING));
    let response = match authentication::authenticate(&edge, &request).await {
        Ok(user) => {
            let trail = audited::begin(edge.audit.as_ref(), &user, &request);
            request.follow(trail.clone());
            let answer = route(&edge, user, request).await;
            trail.answered(answer.unwrap_or_else(|status| responses::refusal(&status))).await
        }
        Err(status) => {
            audited::unauthenticated(edge.audit.as_ref(), &request, &status);
            responses::refusal(&refused(&mut request, status).await)
        }
    };
    let is_ours = response.extensions().get::<responses::Verbatim>().is_none();
    let response = match (only_protobuf, only_yaml) {
        (true, _) if is_ours => responses::as_protobuf(response).await,
        (_, true) if is_ours => responses::as_yaml(response).await,
        _ => response,
    };
    let response = match takes_gzip && is_ours {
        true => responses::packed(response).await,
        false => response,
    };
    held_seat::hold(response)
}

async fn route(edge: &Arc<ServerState>, user: Actor, mut request: Request) -> Result<Response, Status> {
    let actor = match impersonation::impersonate(&edge.cluster, &request.headers, user).await {
        Ok(actor) => actor,
        Err(status) => return Err(refused(&mut request, status).await),
    };
    request.trail.impersonate(&actor);
    let held = flow_control::admit(edge, &actor, &request).await;
    let held = match held {
        Ok(held) => held,
        Err(status) => return Err(refused(&mut request, status).await),
    };
    request.seat = held.clone();
    let answer = let_in(edge, actor, request).await;
    Ok(held.with_answer(answer.unwrap_or_else(|status| responses::refusal(&status))))
}

async fn let_in(edge: &Arc<ServerState>, actor: Actor, mut request: Request) -> Result<Response, Status> {
    if let Some(service) = aggregator::asked(edge, &request.segments) {
        return aggregator::answer(edge, &actor, &mut request, &service).await;
    }
    match ParsedPath::parse(&request.segments) {
        ParsedPath::Resource(info) => {
            let verb = info.verb(&request);
            let answer = resource(edge, actor, request, info.clone()).await;
            count(edge, verb, info, &answer);
            answer
        }
        ParsedPath::Other => match other(edge, &actor, &request).await {
            Ok(response) => Ok(response),
            Err(status) => Err(refused(&mut request, status).await),
        },
    }
}

/// Whoever is refused holds up nobody while he still sends.
async fn refused(request: &mut Request, status: Status) -> Status {
    request.seat.leave();
    request.discard_body().await;
    status
}

async fn resource(
    edge: &Arc<ServerState>,
    actor: Actor,
    mut request: Request,
    info: RequestInfo,
) -> Result<Response, Status> {
    if let Err(status) = authorize(edge, &actor, &request, &info.attributes(&request)).await {
        return Err(refused(&mut request, status).await);
    }
    if info.subresource.is_none() && watch_socket::is_asked(&request)? {
        let watch = objects::answer(edge, &actor, &mut request, &info).await?;
        return Ok(watch_socket::accept(&mut request)?.carry(watch));
    }
    if proxy::is_asked(&info) {
        return proxy::answer(edge, &actor, &mut request, &info).await;
    }
    match (info.gvr.resource.as_ref(), info.subresource.as_deref()) {
        ("pods", Some("log" | "exec" | "attach" | "portforward")) => {
            pods::answer(edge, &actor, &mut request, &info).await
        }
        _ if request.method == Method::GET || request.method == Method::HEAD => {
            on_objects(edge, &actor, &mut request, &info).await
        }
        _ => {
            let (media, body) = (request.media_type(), request.body().await?);
            let work = {
                let edge = edge.clone();
                let (media, body) = (media.clone(), body.clone());
                async move {
                    request.trail.sent(&media, &body);
                    on_objects(&edge, &actor, &mut request, &info).await
                }
            };
            edge.parsing.run(&media, &body, work).await
        }
    }
}

async fn on_objects(
    edge: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    match edge.cluster.registry().computed(&info.gvr).is_some() {
        true => computed::answer(edge, actor, request, info).await,
        false => objects::answer(edge, actor, request, info).await,
    }
}

/// Whether a request is led to somebody else, who ends with it.
pub(crate) fn is_proxied(edge: &ServerState, request: &Request) -> bool {
    if aggregator::asked(edge, &request.segments).is_some() {
        return true;
    }
    match ParsedPath::parse(&request.segments) {
        ParsedPath::Resource(info) => proxy::is_asked(&info),
        ParsedPath::Other => false,
    }
}

/// Kinds that nobody serves are one: a client could make up any number of names.
fn count(edge: &ServerState, verb: &'static str, info: RequestInfo, answer: &Result<Response, Status>) {
    let code = answer.as_ref().map_or_else(|status| status.code, |response| response.status().as_u16());
    let verb = verb.to_ascii_uppercase();
    let registry = edge.cluster.registry();
    let known = registry.computed(&info.gvr).is_some() || registry.by_gvr(&info.gvr).is_some();
    if !known || (code == 404 && info.subresource.is_some()) {
        let none = String::new;
        return edge.metrics.count((verb, none(), none(), none(), none(), code));
    }
    let text = |text: Option<String>| text.unwrap_or_default();
    edge.metrics.count((
        verb,
        info.gvr.group.to_string(),
        info.gvr.version.to_string(),
        info.gvr.resource.to_string(),
        text(info.subresource),
        code,
    ));
}

async fn other(edge: &ServerState, actor: &Actor, request: &Request) -> Result<Response, Status> {
    let verb = request.method.as_str().to_lowercase();
    authorize(edge, actor, request, &Attributes::non_resource(&verb, &request.path)).await?;
    if request.method != Method::GET && request.method != Method::HEAD {
        return Err(method_not_allowed());
    }
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["version"] => Ok(responses::json(200, &discovery::version())),
        ["healthz" | "livez" | "readyz", ..] => {
            health::answer(request, &segments, *edge.ready.borrow()).ok_or_else(not_found)
        }
        ["metrics"] => Ok(responses::typed(
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            edge.metrics.text(&edge.flow.counts(), edge.cluster.store().usage()),
        )),
        [".well-known", "openid-configuration"] => {
            Ok(responses::json(200, &edge.cluster.openid_configuration()))
        }
        ["openid", "v1", "jwks"] => {
            let keys = edge.cluster.tokens().jwks().to_string();
            Ok(responses::typed(200, "application/jwk-set+json", keys))
        }
        ["openapi", version, path @ ..] => openapi_documents::answer(edge, request, version, path).await,
        [] => Ok(responses::json(
            200,
            &serde_json::json!({"paths": ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"]}),
        )),
        _ => discovery::answer(edge, request).ok_or_else(not_found),
    }
}
