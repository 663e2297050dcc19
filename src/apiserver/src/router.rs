//! From a request to the one who answers it: who asks, whether he may, and only then what the body says.

use crate::authorization::authorize;
use crate::metrics::{Answered, Labels};
use crate::negotiate::Format;
use crate::parse_budget::{Beside, weight_of};
use crate::request::Request;
use crate::request_info::{ParsedPath, RequestInfo};
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use crate::{
    aggregator, audited, authentication, computed, discovery, flow_control, flow_control_dump, health,
    impersonation, metrics, negotiate, objects, openapi_documents, pods, pretty, proxy, responses, unread,
    watch_socket, zpages,
};
use api::Status;
use bytes::Bytes;
use cluster::metrics::WebhookWait;
use cluster::{Actor, Attributes};
use http::{Method, header};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use warp::reply::Response;

/// What this server is called where components are told apart.
const COMPONENT: &str = "kube-apiserver";
/// Of their objects, patterns and expressions are compiled: a few bytes may be work for a second.
const COMPILED: [&str; 2] = ["admissionregistration.k8s.io", "apiextensions.k8s.io"];
/// By then the body of most requests is there.
const SOON: Duration = Duration::from_secs(1);

/// Never fails: a refusal is an answer.
pub(crate) async fn answer(state: Arc<ServerState>, mut request: Request) -> Response {
    let accept = request.header(http::header::ACCEPT);
    let (format, takes_json) = (negotiate::format(accept), negotiate::takes_json(accept));
    let is_of_objects = matches!(request.segments.first().map(String::as_str), Some("api" | "apis"));
    let takes_gzip = negotiate::takes_gzip(request.header(http::header::ACCEPT_ENCODING));
    let is_for_people = pretty::is_asked(&request);
    let response = match authentication::authenticate(&state, &request).await {
        Ok(user) => {
            let trail = audited::begin(state.audit.as_ref(), &user, &request);
            request.follow(trail.clone());
            request.count_stream(&state.streams, &user);
            request.count_body(&state.incoming, &user);
            // in a box: strangers have no need of it
            let answer = Box::pin(route(&state, user, request)).await;
            trail.answered(answer.unwrap_or_else(|status| responses::refusal(&status))).await
        }
        Err(status) => {
            audited::unauthenticated(state.audit.as_ref(), &request, &status);
            responses::refusal(&refused(&mut request, status).await)
        }
    };
    let is_ours = response.extensions().get::<responses::Verbatim>().is_none();
    // other documents have one format, or negotiations of their own
    let is_converted = is_ours && (is_of_objects || response.status().as_u16() >= 400);
    let response = match response.extensions().get::<Format>().copied().unwrap_or(format) {
        Format::Protobuf if is_converted => {
            responses::as_protobuf(response, takes_json, &state.parsing).await
        }
        Format::Yaml if is_converted => responses::as_yaml(response, takes_json, &state.parsing).await,
        _ if is_ours && is_for_people => pretty::indented(response).await,
        _ => response,
    };
    let response = match takes_gzip && is_ours {
        true => responses::packed(response).await,
        false => response,
    };
    unread::hold(response)
}

async fn route(state: &Arc<ServerState>, user: Actor, mut request: Request) -> Result<Response, Status> {
    let actor = match impersonation::impersonate(&state.cluster, &request.headers, user).await {
        Ok(actor) => actor,
        Err(status) => return Err(refused(&mut request, status).await),
    };
    request.trail.impersonate(&actor);
    let asked = Instant::now();
    let held = flow_control::admit(state, &actor, &request).await;
    request.waited = asked.elapsed();
    let held = match held {
        Ok(held) => held,
        Err(status) => {
            count_turned_away(state, &request, &status);
            return Err(refused(&mut request, status).await);
        }
    };
    request.seat = held.clone();
    // in a box of its own: whoever waits for a seat above has none yet
    let answer = Box::pin(let_in(state, actor, request)).await;
    Ok(held.with_answer(answer.unwrap_or_else(|status| responses::refusal(&status))))
}

async fn let_in(state: &Arc<ServerState>, actor: Actor, mut request: Request) -> Result<Response, Status> {
    if let Some(service) = aggregator::asked(state, &request.segments) {
        return Box::pin(aggregator::answer(state, &actor, &mut request, &service)).await;
    }
    match ParsedPath::parse(&request.segments) {
        ParsedPath::Resource(info) => counted(state, actor, request, info).await,
        ParsedPath::Other => {
            let is_read = request.method == Method::GET || request.method == Method::HEAD;
            let _in_flight = state.metrics.requests.in_flight(is_read);
            match other(state, &actor, &request).await {
                Ok(response) => Ok(response),
                Err(status) => Err(refused(&mut request, status).await),
            }
        }
    }
}

/// Of a request that goes on for as long as its client wants it is told that it came, and no more.
async fn counted(
    state: &Arc<ServerState>,
    actor: Actor,
    request: Request,
    info: RequestInfo,
) -> Result<Response, Status> {
    let authorised = info.verb(&request);
    let verb = Labels::verb(authorised, &info, &request);
    let is_over_when_answered = authorised != "watch" && !info.is_a_connection();
    let is_read = matches!(verb, "GET" | "LIST");
    let _in_flight = is_over_when_answered.then(|| state.metrics.requests.in_flight(is_read));
    let (came, waited) = (request.came, request.waited);
    let is_dry_run = request.parameter("dryRun").is_some();
    let webhooks = Arc::new(WebhookWait::default());
    let labels = Labels::of(verb, &info, &state.cluster.registry());
    let outcome = request.outcome.clone();
    if is_over_when_answered {
        let (state, labels, webhooks) = (state.clone(), labels.clone(), webhooks.clone());
        outcome.when_given_up(Box::new(move || {
            let (took, waited) = (Some(came.elapsed()), waited + webhooks.so_far());
            let late = Answered { code: 504, is_dry_run, took, waited, size: None };
            state.metrics.requests.count(&labels, &late);
        }));
    }
    let answer = resource(state, actor, request, info, webhooks.clone()).await;
    if !outcome.answered() {
        return answer;
    }
    let answered = Answered {
        code: answer.as_ref().map_or_else(|status| status.code, |response| response.status().as_u16()),
        is_dry_run,
        took: is_over_when_answered.then(|| came.elapsed()),
        waited: waited + webhooks.so_far(),
        size: answer.as_ref().ok().and_then(|response| hyper::body::Body::size_hint(response.body()).exact()),
    };
    state.metrics.requests.count(&labels, &answered);
    answer
}

/// It got no seat: that it came is told, and no latency, as nothing was done for it (upstream's `RecordDroppedRequest`).
fn count_turned_away(state: &ServerState, request: &Request, status: &Status) {
    let ParsedPath::Resource(info) = ParsedPath::parse(&request.segments) else { return };
    let verb = Labels::verb(info.verb(request), &info, request);
    let is_dry_run = request.parameter("dryRun").is_some();
    let answered = Answered { code: status.code, is_dry_run, ..Answered::default() };
    state.metrics.requests.count(&Labels::of(verb, &info, &state.cluster.registry()), &answered);
}

/// Whoever is refused holds up nobody while he still sends.
async fn refused(request: &mut Request, status: Status) -> Status {
    request.seat.leave();
    request.discard_body().await;
    status
}

/// The whole body. Who has not sent it soon has no seats while he sends, or a few hundred such would hold up all others; he waits for
/// seats again when it is there.
async fn received(state: &ServerState, actor: &Actor, request: &mut Request) -> Result<Bytes, Status> {
    let seat = request.seat.clone();
    let body = {
        let mut reading = pin!(request.body());
        match timeout(SOON, reading.as_mut()).await {
            Ok(body) => return body,
            Err(_) => seat.leave(),
        }
        reading.await?
    };
    seat.take_from(&flow_control::admit(state, actor, request).await?);
    Ok(body)
}

/// What it leads to is boxed: the state of all these together would be on the stack at each step of whatever is around it.
async fn resource(
    state: &Arc<ServerState>,
    actor: Actor,
    mut request: Request,
    info: RequestInfo,
    webhooks: Arc<WebhookWait>,
) -> Result<Response, Status> {
    if let Err(status) = authorize(state, &actor, &request, &info.attributes(&request)).await {
        return Err(refused(&mut request, status).await);
    }
    if info.subresource.is_none() && watch_socket::is_asked(&request)? {
        let watch = Box::pin(objects::answer(state, &actor, &mut request, &info)).await?;
        return Ok(watch_socket::accept(&mut request)?.carry(watch));
    }
    if proxy::is_asked(&info) {
        return Box::pin(proxy::answer(state, &actor, &mut request, &info)).await;
    }
    match (info.gvr.resource.as_ref(), info.subresource.as_deref()) {
        ("pods", Some("log" | "exec" | "attach" | "portforward")) => {
            Box::pin(pods::answer(state, &actor, &mut request, &info)).await
        }
        _ if request.method == Method::GET || request.method == Method::HEAD => {
            Box::pin(on_objects(state, &actor, &mut request, &info)).await
        }
        _ => {
            let (media, body) = (request.media_type(), received(state, &actor, &mut request).await?);
            let seat = request.take_body_seat();
            let beside = beside(state, &request, &info);
            let work = {
                let state = state.clone();
                let (media, body) = (media.clone(), body.clone());
                async move {
                    request.check_client()?;
                    request.trail.sent(&media, &body);
                    webhooks.follow(on_objects(&state, &actor, &mut request, &info)).await
                }
            };
            Box::pin(state.parsing.run(&media, &body, seat, beside, work)).await
        }
    }
}

/// What a write costs of which its body says nothing.
fn beside(state: &ServerState, request: &Request, info: &RequestInfo) -> Beside {
    let version = state.cluster.registry().by_gvr(&info.gvr);
    let is_long = COMPILED.contains(&info.gvr.group.as_ref())
        || info.verb(request) == "deletecollection"
        || version.as_ref().is_some_and(|version| state.cluster.evaluates(version));
    let stored = version.and_then(|version| objects::stored(state, &version, info));
    Beside { is_long, stored: stored.as_ref().map_or(0, weight_of) }
}

async fn on_objects(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    match state.cluster.registry().computed(&info.gvr).is_some() {
        true => computed::answer(state, actor, request, info).await,
        false => objects::answer(state, actor, request, info).await,
    }
}

/// Whether a request is led to somebody else, who ends with it.
pub(crate) fn is_proxied(state: &ServerState, request: &Request) -> bool {
    if aggregator::asked(state, &request.segments).is_some() {
        return true;
    }
    match ParsedPath::parse(&request.segments) {
        ParsedPath::Resource(info) => proxy::is_asked(&info),
        ParsedPath::Other => false,
    }
}

/// What there is to ask beside objects, sorted.
fn paths(state: &ServerState) -> Vec<String> {
    const OTHERS: [&str; 9] = [
        "/.well-known/openid-configuration",
        "/flagz",
        "/metrics",
        "/metrics/slis",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/statusz",
        "/version",
    ];
    let others = OTHERS.into_iter().map(str::to_owned);
    let mut paths: Vec<String> = others.chain(health::paths()).chain(discovery::paths(state)).collect();
    paths.sort();
    paths
}

async fn other(state: &ServerState, actor: &Actor, request: &Request) -> Result<Response, Status> {
    let verb = request.method.as_str().to_lowercase();
    authorize(state, actor, request, &Attributes::non_resource(&verb, &request.path)).await?;
    if request.method != Method::GET && request.method != Method::HEAD {
        return Err(method_not_allowed());
    }
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["version"] => Ok(responses::json(200, &discovery::version())),
        ["healthz" | "livez" | "readyz", ..] => {
            health::answer(state, request, &segments).await.ok_or_else(not_found)
        }
        ["debug", "api_priority_and_fairness", dump] => {
            flow_control_dump::answer(state, request, dump).ok_or_else(not_found)
        }
        ["metrics"] => {
            let page = metrics::page(&state.metrics, &state.flow, &state.cluster);
            Ok(responses::typed(200, metrics::CONTENT_TYPE, page))
        }
        ["metrics", "slis"] => Ok(responses::typed(200, metrics::CONTENT_TYPE, health::slis(state).await)),
        ["statusz"] => zpages::statusz(request.header(header::ACCEPT), COMPONENT, &paths(state)),
        ["flagz"] => zpages::flagz(request.header(header::ACCEPT), COMPONENT, &state.flags),
        [".well-known", "openid-configuration"] => {
            Ok(responses::json(200, &state.cluster.openid_configuration()))
        }
        ["openid", "v1", "jwks"] => {
            let keys = state.cluster.tokens().jwks().to_string();
            Ok(responses::typed(200, "application/jwk-set+json", keys))
        }
        ["openapi", version, path @ ..] => openapi_documents::answer(state, request, version, path).await,
        [] => Ok(responses::json(200, &serde_json::json!({"paths": paths(state)}))),
        _ => discovery::answer(state, request).ok_or_else(not_found),
    }
}
