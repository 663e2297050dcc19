//! What a request is to the audit log: who asks for what, from where.

use crate::audit_trail::{AUDIT_ID, AuditTrail, cut, user_info};
use crate::request::Request;
use crate::request_info::{ParsedPath, RequestInfo};
use api::Status;
use audit::{AuditLog, Event, Level, ObjectReference, ResourceOf, ResponseStatus, Stage, Subject};
use cluster::{Actor, Attributes};
use http::header;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Of the identifier that a client may give its request.
const LONGEST_ID: usize = 64;
/// Upstream's, of who asks.
const LONGEST_AGENT: usize = 1024;

/// Tells that the request has come.
pub(crate) fn begin(log: Option<&Arc<AuditLog>>, user: &Actor, request: &Request) -> AuditTrail {
    let trail = trail(log, user, request);
    trail.tell(Stage::RequestReceived);
    trail
}

/// Tells of a client that is not who he says.
pub(crate) fn unauthenticated(log: Option<&Arc<AuditLog>>, request: &Request, refused: &Status) {
    let method = if request.peer.certified.is_some() { "bearer, x509" } else { "bearer" };
    let mut refused = refused.to_json();
    refused["message"] = format!("Authentication failed, attempted: {method}").into();
    let trail = trail(log, &Actor::user("", &[]), request);
    trail.end(ResponseStatus::of_status(&refused), Stage::ResponseStarted);
}

fn trail(log: Option<&Arc<AuditLog>>, user: &Actor, request: &Request) -> AuditTrail {
    let Some(log) = log else { return AuditTrail::default() };
    let info = match ParsedPath::parse(&request.segments) {
        ParsedPath::Resource(info) => Some(info),
        ParsedPath::Other => None,
    };
    let verb = match &info {
        Some(info) => info.verb(request).to_owned(),
        None => request.method.as_str().to_ascii_lowercase(),
    };
    let attributes = info.as_ref().map(|info| info.attributes(request));
    let resource = attributes.as_ref().map(resource_of);
    let subject =
        Subject { user: &user.name, groups: &user.groups, verb: &verb, resource, path: &request.path };
    let decision = log.decide(&subject);
    if decision.level == Level::None {
        return AuditTrail::default();
    }
    let is_long_running = verb == "watch" || info.as_ref().is_some_and(RequestInfo::is_a_connection);
    let now = Timestamp::now();
    let event = Event {
        level: decision.level,
        audit_id: id_of(request),
        stage: Stage::RequestReceived,
        request_uri: match request.raw_query.as_str() {
            "" => request.path.clone(),
            query => format!("{}?{query}", request.path),
        },
        object_ref: info.as_ref().zip(attributes.as_ref()).map(|(info, of)| reference(info, of)),
        verb,
        user: user_info(user),
        impersonated_user: None,
        source_ips: source_ips(request),
        user_agent: cut(request.header(header::USER_AGENT), LONGEST_AGENT),
        response_status: None,
        request_object: None,
        response_object: None,
        request_received_timestamp: now,
        stage_timestamp: now,
        annotations: BTreeMap::new(),
    };
    AuditTrail::new(log, decision, is_long_running, event)
}

/// That of the client, where it can be one.
fn id_of(request: &Request) -> String {
    let given = request.header(AUDIT_ID.clone());
    let is_one =
        !given.is_empty() && given.len() <= LONGEST_ID && given.bytes().all(|b| b.is_ascii_graphic());
    if is_one { given.to_owned() } else { uuid::Uuid::new_v4().to_string() }
}

fn resource_of(attributes: &Attributes) -> ResourceOf<'_> {
    ResourceOf {
        group: &attributes.group,
        resource: &attributes.resource,
        subresource: &attributes.subresource,
        namespace: attributes.namespace.as_deref().unwrap_or_default(),
        name: attributes.name.as_deref().unwrap_or_default(),
    }
}

fn reference(info: &RequestInfo, attributes: &Attributes) -> ObjectReference {
    ObjectReference {
        resource: attributes.resource.clone(),
        namespace: attributes.namespace.clone().unwrap_or_default(),
        name: attributes.name.clone().unwrap_or_default(),
        api_group: attributes.group.clone(),
        api_version: info.gvr.version.to_string(),
        subresource: attributes.subresource.clone(),
    }
}

/// Upstream's `SourceIPs`: what proxies say on the way, and then who is connected.
fn source_ips(request: &Request) -> Vec<String> {
    let addresses = |name: &'static str| {
        let given = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let each =
            given.flat_map(|value| value.split(',')).filter_map(|one| one.trim().parse::<IpAddr>().ok());
        each.collect::<Vec<IpAddr>>()
    };
    let mut all = addresses("x-forwarded-for");
    all.extend(
        addresses("x-real-ip").into_iter().filter(|real| all.first() != Some(real)).collect::<Vec<_>>(),
    );
    all.extend(request.peer.address.filter(|address| all.last() != Some(address)));
    all.iter().map(IpAddr::to_string).collect()
}
