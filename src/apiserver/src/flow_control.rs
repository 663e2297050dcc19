//! Priority and fairness in the API server: what a request is, for [`FlowControl`](flowcontrol::FlowControl), and the objects that say
//! how it is treated.

use crate::body::LARGEST_BODY;
use crate::held_seat::HeldSeat;
use crate::request::Request;
use crate::request_info::{ParsedPath, RequestInfo};
use crate::server_state::ServerState;
use crate::{negotiate, pretty};
use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Controller, unless_gone};
use flowcontrol::{Asked, Rejected, ResourceAsked};
use http::header;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaCondition, FlowSchemaStatus, PriorityLevelConfiguration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::key_of;
use std::sync::Arc;
use store::Resource;
use tokio_util::sync::CancellationToken;

const NAME: &str = "flow-control";
const DANGLING: &str = "Dangling";
/// Upstream's estimate of a list: a seat for each hundred objects, ten at most.
const OBJECTS_A_SEAT: usize = 100;
const MOST_SEATS: usize = 10;
/// Of what an answer has in bytes, however few objects they are in: not upstream's, whose answers can take all of the memory. All
/// seats of the server are 600, and the daemon may have no more than a gigabyte.
const BYTES_A_SEAT: usize = 512 * 1024;

/// Waits for its turn. Nothing is held by what goes on for as long as its client wants: it would hold its seat for ever.
///
/// # Errors
/// `TooManyRequests`.
pub(crate) async fn admit(state: &ServerState, actor: &Actor, request: &Request) -> Result<HeldSeat, Status> {
    let info = match ParsedPath::parse(&request.segments) {
        ParsedPath::Resource(info) => Some(info),
        ParsedPath::Other => None,
    };
    if info.as_ref().is_some_and(RequestInfo::is_a_connection) {
        return Ok(HeldSeat::default());
    }
    let method = request.method.as_str().to_ascii_lowercase();
    let verb = info.as_ref().map_or(method.as_str(), |info| info.verb(request));
    let resource = info.as_ref().map(|info| ResourceAsked {
        group: &info.gvr.group,
        version: &info.gvr.version,
        resource: &info.gvr.resource,
        subresource: info.subresource.as_deref().unwrap_or_default(),
        namespace: info.namespace.as_deref(),
        name: info.name.as_deref(),
    });
    let asked = Asked { user: &actor.name, groups: &actor.groups, verb, resource, path: &request.path };
    let width = match (&info, verb) {
        (Some(info), "list") => width_of_list(state, request, info),
        (Some(info), "get" | "create" | "update" | "patch" | "delete") => {
            width_of_object(state, request, info)
        }
        _ => 1,
    };
    let admitted = tokio::select! {
        admitted = state.flow.admit(&asked, width) => admitted,
        // upstream tells it as all who waited in vain
        () = request.client_gone.cancelled() => Err(Rejected::TimeOut),
    };
    admitted.map(HeldSeat::from).map_err(|_| {
        let mut refused = Status::new(Reason::TooManyRequests, "too many requests, please try again later");
        refused.retry_after_seconds = Some(1);
        refused
    })
}

fn width_of_list(state: &ServerState, request: &Request, info: &RequestInfo) -> u32 {
    let Some(version) = state.cluster.registry().by_gvr(&info.gvr) else { return 1 };
    let resource = Resource::from(&version.info().storage);
    let there = state.cluster.store().snapshot().count(&resource, info.namespace.as_deref());
    let limit = request.number("limit").ok().flatten().filter(|limit: &usize| *limit > 0);
    let shown = there.min(limit.unwrap_or(usize::MAX));
    // what is large is large in memory too, until it is read
    let snapshot = state.cluster.store().snapshot();
    let objects = snapshot.list(&resource, info.namespace.as_deref(), None).take(shown);
    let bytes: usize = objects.map(|object| object.bytes().len()).sum();
    let seats = (shown / OBJECTS_A_SEAT).min(MOST_SEATS).max(seats_of(bytes, request));
    u32::try_from(seats).unwrap_or(u32::MAX)
}

/// Who reads or writes one object is shown it: as it is stored, or about as long as it is sent.
fn width_of_object(state: &ServerState, request: &Request, info: &RequestInfo) -> u32 {
    let sent = bytes_sent(request);
    let stored = info.name.as_deref().and_then(|name| {
        let version = state.cluster.registry().by_gvr(&info.gvr)?;
        let key = ObjectKey::new(info.namespace.as_deref(), name);
        state.cluster.store().snapshot().get(&Resource::from(&version.info().storage), &key)
    });
    let stored = stored.map_or(0, |object| object.bytes().len());
    u32::try_from(seats_of(stored.max(sent), request)).unwrap_or(u32::MAX)
}

/// As the client says, who may say anything: what is larger is refused, and takes no level's seats all at once.
fn bytes_sent(request: &Request) -> usize {
    request.header(header::CONTENT_LENGTH).parse().unwrap_or(0).min(LARGEST_BODY)
}

/// What is held of an answer of so many bytes.
fn seats_of(bytes: usize, request: &Request) -> usize {
    (bytes.saturating_mul(copies(request)) / BYTES_A_SEAT).max(1)
}

/// How many times an answer holds the bytes of what it shows, until it is read. Stored bytes go out as they are; gzip is made of
/// all of them together, lines for people are a few times as long, and other forms are made of a tree of values.
fn copies(request: &Request) -> usize {
    let accept = request.header(header::ACCEPT);
    let is_converted = negotiate::may_be_converted(accept);
    let is_packed = negotiate::takes_gzip(request.header(header::ACCEPT_ENCODING));
    let is_indented = pretty::is_asked(request);
    1 + if is_converted { 8 } else { 0 }
        + if is_indented { pretty::MOST_TIMES } else { 0 }
        + usize::from(is_packed)
}

/// Follows the objects, and says of each FlowSchema whether its level is there.
pub(crate) async fn run(state: Arc<ServerState>, stop: CancellationToken) {
    // all of them at once: each change may concern each of them, and what is written together is synced together
    let all = ObjectKey::cluster(NAME);
    let of_levels = all.clone();
    Controller::new(NAME, &state.cluster)
        .watches::<FlowSchema>(move |queue, _| queue.add(all.clone()))
        .watches::<PriorityLevelConfiguration>(move |queue, _| queue.add(of_levels.clone()))
        .run(stop, state, |state, _| async move { reconcile(&state).await })
        .await;
}

async fn reconcile(state: &ServerState) -> Result<(), Status> {
    let schemas = state.cluster.informer::<FlowSchema>().list(None);
    let levels = state.cluster.informer::<PriorityLevelConfiguration>().list(None);
    state.flow.configure(&schemas, &levels);
    state.cluster.restore_flow_control().await?;
    let said = schemas.iter().map(|schema| say_whether_dangling(state, schema, &levels));
    futures::future::join_all(said).await.into_iter().collect()
}

async fn say_whether_dangling(
    state: &ServerState,
    schema: &FlowSchema,
    levels: &[Arc<PriorityLevelConfiguration>],
) -> Result<(), Status> {
    let level = schema.spec.priority_level_configuration.name.as_str();
    let wanted = condition(level, levels.iter().any(|known| known.metadata.name.as_deref() == Some(level)));
    let mut known = schema.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_same = |known: &FlowSchemaCondition| {
        (&known.type_, &known.status, &known.message) == (&wanted.type_, &wanted.status, &wanted.message)
    };
    if known.any(is_same) {
        return Ok(());
    }
    let set = |schema: &mut FlowSchema| {
        let status = schema.status.get_or_insert_with(FlowSchemaStatus::default);
        let conditions = status.conditions.get_or_insert_default();
        conditions.retain(|known| known.type_ != wanted.type_);
        conditions.push(wanted.clone());
        Ok(())
    };
    let schemas = state.cluster.acting_as(Actor::root()).api::<FlowSchema>();
    unless_gone(schemas.modify_status(&key_of(&schema.metadata), set).await).map(drop)
}

fn condition(level: &str, exists: bool) -> FlowSchemaCondition {
    let (status, reason, there) = match exists {
        true => ("False", "Found", "and it exists"),
        false => ("True", "NotFound", "but there is no such object"),
    };
    let message =
        format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?} {there}");
    FlowSchemaCondition {
        type_: DANGLING.to_owned(),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(Time(jiff::Timestamp::now())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_body_is_no_larger_than_what_is_taken() {
        for (said, want) in [("", 0), ("1000", 1000), ("9000000000000", LARGEST_BODY), ("x", 0)] {
            let mut request = Request::for_tests("POST", "/api/v1/namespaces/a/configmaps", "", Vec::new());
            request.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static(said));
            assert_eq!(bytes_sent(&request), want, "{said:?}");
        }
    }

    #[test]
    fn a_large_answer_takes_seats_for_what_is_held_of_it() {
        const JSON: &str = "application/json";
        let mib = 1 << 20;
        for (name, bytes, query, accept, want) in [
            ("a small one", 1000, "", JSON, 1),
            ("the largest ConfigMap", mib, "", JSON, 2),
            ("the largest object", 3 * mib, "", JSON, 6),
            ("the largest object, for people", 3 * mib, "pretty=true", JSON, 30),
            ("the largest object, in another form", 3 * mib, "", "application/yaml", 54),
        ] {
            let mut request =
                Request::for_tests("GET", "/api/v1/namespaces/a/configmaps/b", query, Vec::new());
            request.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(seats_of(bytes, &request), want, "{name}");
        }
    }
}
