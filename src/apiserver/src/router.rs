//! From a request to the one who answers it.

use crate::request::Request;
use crate::request_info::{ParsedPath, RequestInfo};
use crate::server::Edge;
use crate::{
    authentication, discovery, health, negotiate, objects, openapi_documents, pods, responses, reviews,
    watch_socket,
};
use api::{Reason, Status};
use cluster::{Actor, Attributes};
use http::Method;
use warp::reply::Response;

/// Never fails: a refusal is an answer.
pub(crate) async fn answer(edge: &Edge, request: Request) -> Response {
    let only_protobuf = negotiate::only_protobuf(request.header(http::header::ACCEPT));
    let response = match route(edge, request).await {
        Ok(response) => response,
        Err(status) => responses::refusal(&status),
    };
    match only_protobuf {
        true => responses::as_protobuf(response).await,
        false => response,
    }
}

async fn route(edge: &Edge, mut request: Request) -> Result<Response, Status> {
    let actor = authentication::authenticate(&edge.cluster, &request)?;
    match ParsedPath::parse(&request.segments) {
        ParsedPath::Resource(info) => {
            let answer = resource(edge, &actor, &mut request, info.clone()).await;
            count(edge, &request, info, &answer);
            answer
        }
        ParsedPath::Other => other(edge, &actor, &request),
    }
}

async fn resource(
    edge: &Edge,
    actor: &Actor,
    request: &mut Request,
    info: RequestInfo,
) -> Result<Response, Status> {
    if reviews::is_review(&info) {
        return reviews::answer(edge, actor, request, &info).await;
    }
    match (info.gvr.resource.as_ref(), info.subresource.as_deref()) {
        ("pods", Some("log" | "exec" | "attach" | "portforward")) => {
            pods::answer(edge, actor, request, &info).await
        }
        (_, None) if watch_socket::is_asked(request)? => {
            let socket = watch_socket::accept(request)?;
            Ok(socket.carry(objects::answer(edge, actor, request, &info).await))
        }
        _ => objects::answer(edge, actor, request, &info).await,
    }
}

/// Kinds that nobody serves are one: a client could make up any number of names.
fn count(edge: &Edge, request: &Request, info: RequestInfo, answer: &Result<Response, Status>) {
    let code = answer.as_ref().map_or_else(|status| status.code, |response| response.status().as_u16());
    let known = reviews::is_review(&info) || edge.cluster.registry().by_gvr(&info.gvr).is_some();
    if !known || (code == 404 && info.subresource.is_some()) {
        return edge.metrics.count((
            verb(request, &info).to_owned(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            code,
        ));
    }
    let text = |text: Option<String>| text.unwrap_or_default();
    edge.metrics.count((
        verb(request, &info).to_owned(),
        info.gvr.group.to_string(),
        info.gvr.version.to_string(),
        info.gvr.resource.to_string(),
        text(info.subresource),
        code,
    ));
}

fn verb(request: &Request, info: &RequestInfo) -> &'static str {
    let watch = request.flag("watch").unwrap_or(false);
    match (&request.method, info.name.is_some()) {
        (&Method::GET, false) if watch => "WATCH",
        (&Method::GET | &Method::HEAD, false) => "LIST",
        (&Method::GET | &Method::HEAD, true) => "GET",
        (&Method::POST, _) => "POST",
        (&Method::PUT, _) => "PUT",
        (&Method::PATCH, _) => "PATCH",
        (&Method::DELETE, false) => "DELETECOLLECTION",
        (&Method::DELETE, true) => "DELETE",
        _ => "OTHER",
    }
}

pub(crate) fn not_found() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}

pub(crate) fn method_not_allowed() -> Status {
    Status::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}

fn other(edge: &Edge, actor: &Actor, request: &Request) -> Result<Response, Status> {
    let verb = request.method.as_str().to_lowercase();
    edge.cluster.authorize(actor, &Attributes::non_resource(&verb, &request.path))?;
    if request.method != Method::GET && request.method != Method::HEAD {
        return Err(method_not_allowed());
    }
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["version"] => Ok(responses::json(200, &discovery::version())),
        ["healthz" | "livez" | "readyz", ..] => {
            health::answer(request, &segments, *edge.ready.borrow()).ok_or_else(not_found)
        }
        ["metrics"] => {
            Ok(responses::typed(200, "text/plain; version=0.0.4; charset=utf-8", edge.metrics.text()))
        }
        ["openid", "v1", "jwks"] => Ok(responses::json(200, &edge.cluster.tokens().jwks())),
        ["openapi", version, path @ ..] => openapi_documents::answer(request, version, path),
        [] => Ok(responses::json(
            200,
            &serde_json::json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}),
        )),
        _ => discovery::answer(edge, request).ok_or_else(not_found),
    }
}
