//! Priority and fairness at the edge: what a request is, for [`FlowControl`](flowcontrol::FlowControl), and the objects that say
//! how it is treated.

use crate::request::Request;
use crate::request_info::{ParsedPath, RequestInfo};
use crate::responses;
use crate::server_state::ServerState;
use api::{ObjectKey, Reason, Status};
use bytes::Bytes;
use cluster::{Actor, Controller};
use flowcontrol::{Asked, ResourceAsked, Seat};
use futures::StreamExt;
use http::{HeaderName, HeaderValue, header};
use http_body_util::BodyExt;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaCondition, FlowSchemaStatus, PriorityLevelConfiguration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::key_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::Resource;
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

const NAME: &str = "flow-control";
const DANGLING: &str = "Dangling";
static SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
static LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
/// Upstream's estimate of a list: a seat for each hundred objects, ten at most.
const OBJECTS_A_SEAT: usize = 100;
const MOST_SEATS: usize = 10;
/// Of what a list has in bytes, however few they are in: not upstream's, whose lists can take all of the memory.
const BYTES_A_SEAT: usize = 1 << 20;
/// The kernel takes an answer of that size from us at once, whether it is read or not.
const LARGEST_UNHELD: u64 = 128 * 1024;
const PIECE: usize = 64 * 1024;

/// The seats of a request, which are left once: when its answer is written, or sooner by who has no more to do for it.
#[derive(Clone, Default)]
pub(crate) struct HeldSeat(Arc<Mutex<Option<Seat>>>);

impl HeldSeat {
    pub(crate) fn leave(&self) {
        drop(self.lock().take());
    }

    /// Goes along with the answer, which says by what the request was let in.
    pub(crate) fn with_answer(self, mut response: Response) -> Response {
        if let Some([schema, level]) = self.lock().as_ref().and_then(|seat| seat.uids.clone()) {
            for (name, uid) in [(&SCHEMA_UID, schema), (&LEVEL_UID, level)] {
                if let Ok(uid) = HeaderValue::from_str(&uid) {
                    response.headers_mut().insert(name.clone(), uid);
                }
            }
        }
        response.extensions_mut().insert(self);
        response
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that does not read a large answer keeps its seats until it has: what it holds in memory is what it has seats for. A
/// small one is with the kernel at once, and a stream, a watch above all, goes on for as long as somebody wants it.
pub(crate) fn hold(mut response: Response) -> Response {
    let Some(seat) = response.extensions_mut().remove::<HeldSeat>() else { return response };
    let size = hyper::body::Body::size_hint(response.body()).exact();
    let Some(size) = size.filter(|size| *size > LARGEST_UNHELD) else { return response };
    let (mut head, body) = response.into_parts();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    let chunks = body.into_data_stream().flat_map(move |chunk| {
        let _held = &seat;
        futures::stream::iter(pieces(chunk))
    });
    Response::from_parts(head, responses::body(chunks).into_body())
}

/// As much as is written at a time: what is in one piece would be taken at once, and be nobody's.
fn pieces<E>(chunk: Result<Bytes, E>) -> impl Iterator<Item = Result<Bytes, E>> {
    let (mut bytes, error) = match chunk {
        Ok(bytes) => (bytes, None),
        Err(error) => (Bytes::new(), Some(error)),
    };
    let piece = move || (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(PIECE)));
    std::iter::from_fn(piece).map(Ok).chain(error.map(Err))
}

/// Waits for its turn. Nothing is held by what goes on for as long as its client wants: it would hold its seat for ever.
///
/// # Errors
/// `TooManyRequests`.
pub(crate) async fn admit(edge: &ServerState, actor: &Actor, request: &Request) -> Result<HeldSeat, Status> {
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
        resource: &info.gvr.resource,
        subresource: info.subresource.as_deref().unwrap_or_default(),
        namespace: info.namespace.as_deref(),
    });
    let asked = Asked { user: &actor.name, groups: &actor.groups, verb, resource, path: &request.path };
    let width = info.as_ref().filter(|_| verb == "list").map_or(1, |info| width_of_list(edge, request, info));
    let admitted = edge.flow.admit(&asked, width).await;
    let held = |seat| HeldSeat(Arc::new(Mutex::new(Some(seat))));
    admitted.map(held).map_err(|_| {
        let mut refused = Status::new(Reason::TooManyRequests, "too many requests, please try again later");
        refused.retry_after_seconds = Some(1);
        refused
    })
}

fn width_of_list(edge: &ServerState, request: &Request, info: &RequestInfo) -> u32 {
    let Some(version) = edge.cluster.registry().by_gvr(&info.gvr) else { return 1 };
    let resource = Resource::from(&version.info().storage);
    let there = edge.cluster.store().snapshot().count(&resource, info.namespace.as_deref());
    let limit = request.number("limit").ok().flatten().filter(|limit: &usize| *limit > 0);
    let shown = there.min(limit.unwrap_or(usize::MAX));
    if shown < OBJECTS_A_SEAT / 10 {
        return 1;
    }
    // what is large is large in memory too, until it is read
    let snapshot = edge.cluster.store().snapshot();
    let objects = snapshot.list(&resource, info.namespace.as_deref(), None).take(shown);
    let bytes: usize = objects.map(|object| object.bytes().len()).sum();
    let seats = (shown / OBJECTS_A_SEAT).min(MOST_SEATS).max(bytes / BYTES_A_SEAT).max(1);
    u32::try_from(seats).unwrap_or(u32::MAX)
}

/// Follows the objects, and says of each FlowSchema whether its level is there.
pub(crate) async fn run(edge: Arc<ServerState>, stop: CancellationToken) {
    // all of them at once: each change may concern each of them, and what is written together is synced together
    let all = ObjectKey::cluster(NAME);
    let of_levels = all.clone();
    Controller::new(NAME, &edge.cluster)
        .watches::<FlowSchema>(move |queue, _| queue.add(all.clone()))
        .watches::<PriorityLevelConfiguration>(move |queue, _| queue.add(of_levels.clone()))
        .run(stop, edge, |edge, _| async move { reconcile(&edge).await })
        .await;
}

async fn reconcile(edge: &ServerState) -> Result<(), Status> {
    let schemas = edge.cluster.informer::<FlowSchema>().list(None);
    let levels = edge.cluster.informer::<PriorityLevelConfiguration>().list(None);
    edge.flow.configure(&schemas, &levels);
    edge.cluster.restore_flow_control().await?;
    let said = schemas.iter().map(|schema| say_whether_dangling(edge, schema, &levels));
    futures::future::join_all(said).await.into_iter().collect()
}

async fn say_whether_dangling(
    edge: &ServerState,
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
    let schemas = edge.cluster.acting_as(Actor::root()).api::<FlowSchema>();
    match schemas.modify_status(&key_of(&schema.metadata), set).await {
        Err(status) if !status.is(Reason::NotFound) => Err(status),
        _ => Ok(()),
    }
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
