use crate::{Actor, Attributes, Cluster, Target};
use ::api::{FieldSelector, LabelSelector, Object, ObjectKey, Reason, ResourceVersion, Status};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use store::Snapshot;

/// Snapshots kept for clients that are in the middle of a paged list. They share all but what changed since, so
/// they cost little; a client that is slower than this many others gets 410 and starts again, as with etcd's compaction.
const KEPT_SNAPSHOTS: usize = 32;

/// `resourceVersionMatch`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    NotOlderThan,
    Exact,
}

#[derive(Debug, Clone, Default)]
pub struct ListParams {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
    /// 0 is no limit.
    pub limit: usize,
    pub continue_token: Option<String>,
    pub resource_version: Option<ResourceVersion>,
    pub version_match: Option<VersionMatch>,
}

/// One page of a list, all of it at one revision.
#[derive(Debug, Clone, Default)]
pub struct List {
    pub objects: Vec<Object>,
    pub revision: ResourceVersion,
    pub continue_token: Option<String>,
    /// How many more there are, where no selector makes that unknown.
    pub remaining: Option<i64>,
}

#[derive(Default)]
pub(crate) struct Pages(Mutex<VecDeque<(Instant, Snapshot)>>);

#[derive(Clone, Serialize, Deserialize)]
struct ContinueToken {
    v: String,
    /// `None`: whatever is newest, so that the list is of several revisions (upstream's -1).
    rv: Option<u64>,
    namespace: Option<String>,
    name: String,
    /// How many come after it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<usize>,
}

/// Where a page begins, in what.
struct Start {
    snapshot: Snapshot,
    after: Option<ObjectKey>,
    /// How many there are from there on, where an earlier page has said it.
    rest: Option<usize>,
}

impl Cluster {
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub fn get(&self, actor: &Actor, target: &Target) -> Result<Object, Status> {
        self.authorize(actor, &Attributes::of("get", target))?;
        self.read_stored(target)
    }

    pub(crate) fn read_stored(&self, target: &Target) -> Result<Object, Status> {
        let key = target.key()?;
        self.store().snapshot().get(&target.stored_in(), &key).ok_or_else(|| target.not_found())
    }

    /// Lets go of lists that nobody has gone on with since: they hold whatever was deleted meanwhile.
    pub fn forget_pages(&self, before: Instant) {
        self.0.pages.forget(before);
    }

    /// # Errors
    /// `Forbidden`, `BadRequest` for selectors that the kind does not support, `Expired` for a token or a revision
    /// that is no longer held.
    pub fn list(&self, actor: &Actor, target: &Target, params: &ListParams) -> Result<List, Status> {
        let mut attributes = Attributes::of("list", target);
        attributes.name = params.fields.exact_name().map(str::to_owned);
        self.authorize(actor, &attributes)?;
        let selection = Selection::new(target, params.labels.clone(), params.fields.clone())?;
        let start = self.start_of(params)?;
        Ok(self.page(target, params, &selection, &start))
    }

    fn page(&self, target: &Target, params: &ListParams, selection: &Selection, start: &Start) -> List {
        let (resource, namespace) = (target.stored_in(), target.namespace.as_deref());
        let snapshot = &start.snapshot;
        let limit = if params.limit == 0 { usize::MAX } else { params.limit };
        let mut page = List { revision: snapshot.revision(), ..List::default() };
        let mut rest =
            snapshot.list(&resource, namespace, start.after.as_ref()).filter(|o| selection.matches(o));
        page.objects.extend(rest.by_ref().take(limit).cloned());
        if rest.next().is_none() {
            return page;
        }
        let last = page.objects.last().map(Object::key).unwrap_or_else(|| ObjectKey::cluster(""));
        // counted from the front: what comes after a page costs nothing, however many they are
        let all = match (&start.after, start.rest) {
            (None, _) => Some(snapshot.count(&resource, namespace)),
            (Some(_), said) => said,
        };
        let after =
            all.filter(|_| selection.is_everything()).map(|all| all.saturating_sub(page.objects.len()));
        page.remaining = after.and_then(|count| i64::try_from(count).ok());
        page.continue_token = Some(ContinueToken::after(&last, snapshot.revision(), after).encode());
        self.0.pages.keep(snapshot.clone());
        page
    }

    fn start_of(&self, params: &ListParams) -> Result<Start, Status> {
        let now = self.store().snapshot();
        if let Some(token) = &params.continue_token {
            let token = ContinueToken::decode(token)?;
            let snapshot = match token.rv {
                Some(revision) => self.0.pages.find(revision, now).ok_or_else(|| continue_expired(&token))?,
                None => now,
            };
            let after = ObjectKey::new(token.namespace.as_deref(), &token.name);
            return Ok(Start { snapshot, after: Some(after), rest: token.rest });
        }
        let from = |snapshot| Start { snapshot, after: None, rest: None };
        match (params.resource_version, params.version_match) {
            (Some(ResourceVersion(wanted)), Some(VersionMatch::Exact)) if wanted != now.revision().0 => {
                let held = self.0.pages.find(wanted, now.clone());
                let too_old = || Status::too_old_resource_version(ResourceVersion(wanted), now.revision());
                held.map(from).ok_or_else(too_old)
            }
            (Some(wanted), _) if wanted > now.revision() => Err(too_large(wanted, now.revision())),
            _ => Ok(from(now)),
        }
    }
}

fn too_large(wanted: ResourceVersion, current: ResourceVersion) -> Status {
    let mut status =
        Status::new(Reason::Timeout, format!("Too large resource version: {wanted}, current: {current}"));
    status.causes.push(::api::Cause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        field: String::new(),
    });
    status.retry_after_seconds = Some(1);
    status
}

/// With a token for the rest of the list as it is now: upstream's `handleCompactedErrorForPaging`.
fn continue_expired(token: &ContinueToken) -> Status {
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.continue_token = Some(token.inconsistent().encode());
    status
}

impl Pages {
    fn keep(&self, snapshot: Snapshot) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // a client that is in the middle of it has its time anew
        kept.retain(|(_, held)| held.revision() != snapshot.revision());
        if kept.len() == KEPT_SNAPSHOTS {
            kept.pop_front();
        }
        kept.push_back((Instant::now(), snapshot));
    }

    fn forget(&self, before: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(used, _)| *used >= before);
    }

    fn find(&self, revision: u64, now: Snapshot) -> Option<Snapshot> {
        if now.revision().0 == revision {
            return Some(now);
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|(_, held)| held).find(|held| held.revision().0 == revision).cloned()
    }
}

impl ContinueToken {
    fn after(key: &ObjectKey, revision: ResourceVersion, rest: Option<usize>) -> Self {
        ContinueToken {
            v: "meta.k8s.io/v1".into(),
            rv: Some(revision.0),
            namespace: key.namespace.as_deref().map(str::to_owned),
            name: key.name.to_string(),
            rest,
        }
    }

    /// From the same place, in what there is by then.
    fn inconsistent(&self) -> Self {
        ContinueToken { rv: None, rest: None, ..self.clone() }
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str) -> Result<Self, Status> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token: Option<ContinueToken> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token.ok_or_else(|| Status::bad_request("continue key is not valid: encoding not recognized"))
    }
}

/// The objects that a list or a watch asks for.
pub(crate) struct Selection {
    version: std::sync::Arc<kinds::Version>,
    namespace: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
    /// Some field besides name and namespace is asked for, so objects must be decoded.
    needs_decoding: bool,
}

impl Selection {
    pub(crate) fn new(
        target: &Target,
        labels: LabelSelector,
        mut fields: FieldSelector,
    ) -> Result<Self, Status> {
        let version = target.version.clone();
        if let Some(name) = &target.name {
            fields.requirements.push(::api::selector::FieldRequirement {
                field: "metadata.name".into(),
                value: name.clone(),
                equal: true,
            });
        }
        let simple = |field: &str| matches!(field, "metadata.name" | "metadata.namespace");
        for requirement in &fields.requirements {
            let field = requirement.field.as_str();
            if !simple(field) && !version.selects_by(field) {
                return Err(Status::bad_request(version.refuse_selector(field)));
            }
        }
        let needs_decoding = fields.requirements.iter().any(|r| !simple(&r.field));
        Ok(Selection { version, namespace: target.namespace.clone(), labels, fields, needs_decoding })
    }

    fn is_everything(&self) -> bool {
        self.labels.requirements.is_empty() && self.fields.requirements.is_empty()
    }

    pub(crate) fn matches(&self, object: &Object) -> bool {
        let meta = object.meta();
        if self.namespace.is_some() && meta.namespace != self.namespace {
            return false;
        }
        self.labels.matches(&meta.labels) && self.fields_match(object)
    }

    fn fields_match(&self, object: &Object) -> bool {
        if self.fields.requirements.is_empty() {
            return true;
        }
        let meta = object.meta();
        let decoded = self.needs_decoding.then(|| self.version.decode_stored(object).ok()).flatten();
        self.fields.requirements.iter().all(|requirement| {
            let value = match requirement.field.as_str() {
                "metadata.name" => meta.name.clone(),
                "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
                field => decoded.as_ref().map(|instance| instance.field(field)).unwrap_or_default(),
            };
            (value == requirement.value) == requirement.equal
        })
    }
}
