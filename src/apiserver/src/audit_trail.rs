//! What the audit log hears of one request, from its head to the end of its answer. It goes along with the request, so that
//! who decides, admits or carries adds what it knows; when the last who holds it lets go, the answer is complete.
//!
//! Requests that no policy wants to hear of have an empty trail, and cost one look at the policy. What the components of this
//! process do is no request, and is not told of.

use crate::responses::Verbatim;
use crate::{body, responses};
use api::Status;
use audit::{AuditLog, Decision, Event, Level, ResponseStatus, Stage, UserInfo};
use bytes::Bytes;
use cluster::Actor;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use warp::reply::Response;

pub(crate) static AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// No name of an object is longer.
const LONGEST_NAME: usize = 253;
const DECISION: &str = "authorization.k8s.io/decision";
const REASON: &str = "authorization.k8s.io/reason";

/// Clones are of the same request.
#[derive(Clone, Default)]
pub(crate) struct AuditTrail(Option<Arc<Told>>);

struct Told {
    log: Arc<AuditLog>,
    decision: Decision,
    is_long_running: bool,
    event: Mutex<Pending>,
}

struct Pending {
    event: Event,
    is_complete: bool,
}

impl AuditTrail {
    pub(crate) fn new(log: &Arc<AuditLog>, decision: Decision, is_long_running: bool, event: Event) -> Self {
        let event = Mutex::new(Pending { event, is_complete: false });
        AuditTrail(Some(Arc::new(Told { log: log.clone(), decision, is_long_running, event })))
    }

    /// Tells that it is over, and nothing after that.
    pub(crate) fn end(&self, status: Option<ResponseStatus>, stage: Stage) {
        let Some(told) = &self.0 else { return };
        told.pending().event.response_status = status;
        told.complete(stage);
    }

    /// Somebody will read what [`AuditTrail::annotate`] is told.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn impersonate(&self, actor: &Actor) {
        if let Some(mut pending) = self.pending() {
            let wanted = user_info(actor);
            if wanted != pending.event.user {
                pending.event.impersonated_user = Some(wanted);
            }
        }
    }

    pub(crate) fn annotate(&self, annotations: BTreeMap<String, String>) {
        if let Some(mut pending) = self.pending() {
            pending.event.annotations.extend(annotations);
        }
    }

    /// Whether the actor may do it, and by what.
    pub(crate) fn authorized(&self, decision: &cluster::Decision) {
        if !self.is_kept() {
            return;
        }
        let is_allowed = decision.is_allowed();
        let reason =
            if !is_allowed && decision.error.is_some() { "internal error" } else { &decision.reason };
        let verdict = if is_allowed { "allow" } else { "forbid" };
        let both = [(DECISION, verdict.to_owned()), (REASON, reason.to_owned())];
        self.annotate(both.map(|(key, value)| (key.to_owned(), value)).into());
    }

    /// What the client sent. A new object's name may stand there alone.
    pub(crate) fn sent(&self, media: &str, bytes: &Bytes) {
        let Some(told) = &self.0 else { return };
        let object = match media {
            protobuf::MEDIA_TYPE => {
                let json = body::to_json(media, bytes.clone());
                json.ok().and_then(|json| serde_json::from_slice(&json).ok())
            }
            _ => body::to_value(bytes).ok(),
        };
        let Some(mut object) = object else { return };
        let mut pending = told.pending();
        if let Some(reference) = &mut pending.event.object_ref
            && reference.name.is_empty()
            && let Ok(Named { metadata }) = Named::deserialize(&object)
        {
            reference.name = cut(&metadata.name, LONGEST_NAME);
        }
        if told.decision.level >= Level::Request {
            told.tidy(&mut object);
            pending.event.request_object = Some(object);
        }
    }

    /// Tells of the answer: now where it is whole, and when it has ended where it goes on.
    pub(crate) async fn answered(self, mut response: Response) -> Response {
        let Some(told) = self.0.clone() else { return response };
        let status = response.status();
        {
            let mut pending = told.pending();
            pending.event.response_status = Some(ResponseStatus::of_code(status.as_u16()));
            if let Ok(id) = HeaderValue::from_str(&pending.event.audit_id) {
                response.headers_mut().insert(AUDIT_ID.clone(), id);
            }
        }
        let is_refused = status.is_client_error() || status.is_server_error();
        if told.is_long_running && !is_refused {
            self.tell(Stage::ResponseStarted);
            // the connection itself holds the trail of one that changes its protocol
            return if status == StatusCode::SWITCHING_PROTOCOLS { response } else { held(response, self) };
        }
        let is_wanted = told.decision.level >= Level::RequestResponse && told.is_of_a_resource();
        if (is_refused || is_wanted) && is_whole_json(&response) {
            let (head, body) = response.into_parts();
            let bytes = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => return responses::refusal(&Status::internal(error)),
            };
            told.hear(&bytes, is_wanted);
            response =
                Response::from_parts(head, warp::reply::Reply::into_response(bytes.to_vec()).into_body());
        }
        told.complete(Stage::ResponseComplete);
        response
    }

    pub(crate) fn tell(&self, stage: Stage) {
        if let Some(told) = &self.0 {
            told.tell(&mut told.pending().event, stage);
        }
    }

    fn pending(&self) -> Option<MutexGuard<'_, Pending>> {
        self.0.as_ref().map(|told| told.pending())
    }
}

impl Told {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.event.lock()
    }

    fn is_of_a_resource(&self) -> bool {
        self.pending().event.object_ref.is_some()
    }

    fn tell(&self, event: &mut Event, stage: Stage) {
        if self.decision.tells(stage) {
            event.stage = stage;
            event.stage_timestamp = Timestamp::now();
            self.log.write(event);
        }
    }

    fn complete(&self, stage: Stage) {
        let mut pending = self.pending();
        if !std::mem::replace(&mut pending.is_complete, true) {
            self.tell(&mut pending.event, stage);
        }
    }

    /// What the client is answered.
    fn hear(&self, body: &[u8], is_wanted: bool) {
        let Ok(mut object) = serde_json::from_slice::<Value>(body) else { return };
        let mut pending = self.pending();
        if let Some(status) = ResponseStatus::of_status(&object) {
            pending.event.response_status = Some(status);
        }
        if is_wanted {
            self.tidy(&mut object);
            pending.event.response_object = Some(object);
        }
    }

    fn tidy(&self, object: &mut Value) {
        if !self.decision.omit_managed_fields {
            return;
        }
        let forget = |object: &mut Value| {
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("managedFields");
            }
        };
        forget(object);
        object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(forget);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let stage = if std::thread::panicking() { Stage::Panic } else { Stage::ResponseComplete };
        self.complete(stage);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
}

/// The trail lives as long as the body.
fn held(response: Response, trail: AuditTrail) -> Response {
    let (head, body) = response.into_parts();
    let chunks = body.into_data_stream().map(move |chunk| {
        let _trail = &trail;
        chunk
    });
    Response::from_parts(head, responses::body(chunks).into_body())
}

/// What others say through us is theirs, and may never end.
fn is_whole_json(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_ours = response.extensions().get::<Verbatim>().is_none();
    let is_whole = hyper::body::Body::size_hint(response.body()).exact().is_some();
    is_ours && is_whole && content_type.is_some_and(|of| of.as_bytes() == b"application/json")
}

pub(crate) fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

pub(crate) fn user_info(actor: &Actor) -> UserInfo {
    let Actor { name, uid, groups, extra, .. } = actor.clone();
    UserInfo { username: name, uid, groups, extra }
}
