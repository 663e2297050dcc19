//! Reading: one object, or a list, whole or in pages. A page and those after it are of one revision, which is kept for as long as
//! `KEPT_SNAPSHOTS` says; nothing is copied for it. What is not kept is made of the events that watches begin with. Objects leave as
//! they are stored, in another version where the path asks for one.

use crate::conversion::MOST_OBJECTS;
use crate::recent_fields::RecentFields;
use crate::yield_budget::YieldBudget;
use crate::{Actor, Attributes, Cluster, Target};
use ::api::selector::FieldRequirement;
use ::api::{FieldSelector, LabelSelector, Object, ObjectKey, Reason, ResourceVersion, Status};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kinds::Version;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Resource, Snapshot};

/// Snapshots kept for clients that are in the middle of a paged list. They share all but what changed since, so
/// they cost little; a client that is slower than this many others, and than the events that are held, gets 410 and starts again, as
/// with etcd's compaction.
const KEPT_SNAPSHOTS: usize = 32;

/// `--etcd-compaction-interval` of upstream's API server: for so long at least a list can be gone on with there. Here it ends then,
/// however little has happened since, so that clients meet it where they were written for it (and upstream's own tests do).
const CONTINUED_FOR: Duration = Duration::from_secs(5 * 60);

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
pub(crate) struct Pages(Mutex<VecDeque<Kept>>);

struct Kept {
    used: Instant,
    snapshot: Snapshot,
    /// The one whose objects are in it, where it was made of events.
    only: Option<Resource>,
}

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
    /// When the list began, in seconds since 1970; not said by earlier versions of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
}

/// Where a page begins, in what.
struct Start {
    snapshot: Snapshot,
    /// The one whose objects are in the snapshot, where it was made of events.
    only: Option<Resource>,
    after: Option<ObjectKey>,
    /// How many there are from there on, where an earlier page has said it.
    rest: Option<usize>,
    /// When its first page was asked for, in seconds since 1970.
    began: i64,
}

impl Cluster {
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub fn get(&self, actor: &Actor, target: &Target) -> Result<Object, Status> {
        self.authorize(actor, &Attributes::of("get", target))?;
        self.read_stored(target)
    }

    /// What is stored there, for who asks what it would cost: no client hears of it.
    pub fn peek(&self, target: &Target) -> Option<Object> {
        self.read_stored(target).ok()
    }

    pub(crate) fn read_stored(&self, target: &Target) -> Result<Object, Status> {
        let key = target.key()?;
        self.store().snapshot().get(&target.stored_in(), &key).ok_or_else(|| target.not_found())
    }

    /// Lets go of lists that nobody has gone on with since: they hold whatever was deleted meanwhile.
    pub fn forget_pages(&self, before: Instant) {
        self.0.pages.forget(before);
    }

    /// Objects as they are stored, and selected as they are stored: for the process itself.
    ///
    /// # Errors
    /// `Forbidden`, `BadRequest` for selectors that the kind does not support, `Expired` for a token or a revision
    /// that is no longer held.
    pub fn list(&self, actor: &Actor, target: &Target, params: &ListParams) -> Result<List, Status> {
        let selection = self.listed(actor, target, params)?;
        self.select_stored(target, params, &selection)
    }

    /// Objects in the version that is asked for, and selected by its labels and fields.
    ///
    /// # Errors
    /// As [`Cluster::list`], and `InternalError` where a webhook that converts fails.
    pub async fn list_in_version(
        &self,
        actor: &Actor,
        target: &Target,
        params: &ListParams,
    ) -> Result<List, Status> {
        let mut list = self.list_selected(actor, target, params).await?;
        list.objects = self.in_version(&target.version, list.objects).await?;
        Ok(list)
    }

    /// Objects that are selected by the labels and fields of the version that is asked for. They are converted only where that
    /// needs it.
    ///
    /// # Errors
    /// As [`Cluster::list_in_version`].
    pub(crate) async fn list_selected(
        &self,
        actor: &Actor,
        target: &Target,
        params: &ListParams,
    ) -> Result<List, Status> {
        let selection = self.listed(actor, target, params)?.of_list(&self.0.recent_fields);
        match selection.is_of_converted() {
            true => self.select_converted(target, params, &selection).await,
            false => self.select_with_breaks(target, params, &selection).await,
        }
    }

    /// As [`Cluster::select_stored`], which nobody can break off.
    async fn select_with_breaks(
        &self,
        target: &Target,
        params: &ListParams,
        selection: &Selection,
    ) -> Result<List, Status> {
        let start = self.start_of(target, params)?;
        let (mut found, mut budget) = (Vec::new(), YieldBudget::default());
        for object in start.candidates(target) {
            if selection.matches(object) {
                found.push(object.clone());
            }
            if found.len() == params.page_and_one() {
                break;
            }
            budget.spend(object.bytes().len()).await;
        }
        Ok(self.page(target, params, selection, &start, found))
    }

    fn select_stored(
        &self,
        target: &Target,
        params: &ListParams,
        selection: &Selection,
    ) -> Result<List, Status> {
        let start = self.start_of(target, params)?;
        let found = start.candidates(target).filter(|o| selection.matches(o));
        let found = found.take(params.page_and_one()).cloned().collect();
        Ok(self.page(target, params, selection, &start, found))
    }

    async fn select_converted(
        &self,
        target: &Target,
        params: &ListParams,
        selection: &Selection,
    ) -> Result<List, Status> {
        let start = self.start_of(target, params)?;
        let mut candidates = start.candidates(target).filter(|o| selection.may_match(o)).cloned();
        let mut found = Vec::new();
        while found.len() < params.page_and_one() {
            let batch: Vec<Object> = candidates.by_ref().take(MOST_OBJECTS).collect();
            if batch.is_empty() {
                break;
            }
            let converted = self.in_version(&target.version, batch).await?;
            found.extend(converted.into_iter().filter(|o| selection.matches(o)));
        }
        found.truncate(params.page_and_one());
        Ok(self.page(target, params, selection, &start, found))
    }

    fn listed(&self, actor: &Actor, target: &Target, params: &ListParams) -> Result<Selection, Status> {
        let mut attributes = Attributes::of("list", target).selecting(&params.labels, &params.fields);
        attributes.name = params.fields.exact_name().map(str::to_owned);
        self.authorize(actor, &attributes)?;
        Selection::new(target, params.labels.clone(), params.fields.clone())
    }

    /// Of what was found, as far as [`ListParams::page_and_one`] goes.
    fn page(
        &self,
        target: &Target,
        params: &ListParams,
        selection: &Selection,
        start: &Start,
        mut found: Vec<Object>,
    ) -> List {
        let snapshot = &start.snapshot;
        let is_last = found.len() < params.page_and_one();
        if !is_last {
            found.pop();
        }
        let mut page = List { objects: found, revision: snapshot.revision(), ..List::default() };
        if is_last {
            return page;
        }
        let last = page.objects.last().map(Object::key).unwrap_or_else(|| ObjectKey::cluster(""));
        // counted from the front: what comes after a page costs nothing, however many they are
        let all = match (&start.after, start.rest) {
            (None, _) => Some(snapshot.count(&target.stored_in(), target.namespace.as_deref())),
            (Some(_), said) => said,
        };
        let after =
            all.filter(|_| selection.is_everything()).map(|all| all.saturating_sub(page.objects.len()));
        page.remaining = after.and_then(|count| i64::try_from(count).ok());
        let token = ContinueToken {
            at: Some(start.began),
            ..ContinueToken::after(&last, snapshot.revision(), after)
        };
        page.continue_token = Some(token.encode());
        self.0.pages.keep(snapshot.clone(), start.only.clone());
        page
    }

    fn start_of(&self, target: &Target, params: &ListParams) -> Result<Start, Status> {
        let (now, time) = (self.store().snapshot(), jiff::Timestamp::now().as_second());
        if let Some(token) = &params.continue_token {
            let token = ContinueToken::decode(token)?;
            let (snapshot, only) = match token.rv.map(ResourceVersion) {
                // what is there now is never too old
                Some(revision) if token.is_old(time) && revision != now.revision() => {
                    return Err(continue_expired(&token));
                }
                Some(revision) => {
                    let held = self.as_of(revision, target, now);
                    held.ok_or_else(|| continue_expired(&token))?
                }
                None => (now, None),
            };
            let after = ObjectKey::new(token.namespace.as_deref(), &token.name);
            let began = token.at.unwrap_or(time);
            return Ok(Start { snapshot, only, after: Some(after), rest: token.rest, began });
        }
        let from = |(snapshot, only)| Start { snapshot, only, after: None, rest: None, began: time };
        match params.resource_version {
            Some(wanted) if wanted > now.revision() => Err(too_large(wanted, now.revision())),
            Some(wanted) if params.is_of_one_revision() => {
                let held = self.as_of(wanted, target, now);
                held.map(from).ok_or_else(|| Status::expired(LIST_EXPIRED))
            }
            _ => Ok(from((now, None))),
        }
    }

    /// The snapshot of this revision, and whose objects alone are in it. `None` where it is too old, or not there yet.
    fn as_of(
        &self,
        revision: ResourceVersion,
        target: &Target,
        now: Snapshot,
    ) -> Option<(Snapshot, Option<Resource>)> {
        if now.revision() == revision {
            return Some((now, None));
        }
        let resource = target.stored_in();
        self.0.pages.find(revision, &resource).or_else(|| {
            let made = self.store().snapshot_at(&resource, revision)?;
            Some((made, Some(resource)))
        })
    }
}

impl ListParams {
    /// A page, and one that says that there is another.
    fn page_and_one(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit.saturating_add(1) }
    }

    /// The same of what there is now, also where it goes on with an earlier list: who acts on what is selected must not act on what was.
    ///
    /// # Errors
    /// `BadRequest` for a token that is none.
    pub(crate) fn of_now(&self) -> Result<ListParams, Status> {
        let now = |token: &str| ContinueToken::decode(token).map(|token| token.inconsistent().encode());
        Ok(ListParams {
            continue_token: self.continue_token.as_deref().map(now).transpose()?,
            version_match: Some(VersionMatch::NotOlderThan),
            ..self.clone()
        })
    }

    /// Of exactly the revision that is asked for. Without a word about it, the first of several pages is (upstream's legacy case); no
    /// revision is 0, which is "any".
    fn is_of_one_revision(&self) -> bool {
        let is_any = self.resource_version.is_none_or(|revision| revision.0 == 0);
        !is_any
            && match self.version_match {
                Some(VersionMatch::Exact) => true,
                Some(VersionMatch::NotOlderThan) => false,
                None => self.limit > 0,
            }
    }
}

impl Start {
    fn candidates<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a Object> {
        self.snapshot.list(&target.stored_in(), target.namespace.as_deref(), self.after.as_ref())
    }
}

/// Upstream's, of a revision that its etcd has compacted.
const LIST_EXPIRED: &str = "The resourceVersion for the provided list is too old.";

pub(crate) fn too_large(wanted: ResourceVersion, current: ResourceVersion) -> Status {
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
    fn keep(&self, snapshot: Snapshot, only: Option<Resource>) {
        let mut kept = self.0.lock();
        // a client that is in the middle of it has its time anew
        kept.retain(|held| held.snapshot.revision() != snapshot.revision() || held.only != only);
        if kept.len() == KEPT_SNAPSHOTS {
            kept.pop_front();
        }
        kept.push_back(Kept { used: Instant::now(), snapshot, only });
    }

    fn forget(&self, before: Instant) {
        self.0.lock().retain(|held| held.used >= before);
    }

    /// One that has the objects of `resource`, and whether it has others.
    fn find(&self, revision: ResourceVersion, resource: &Resource) -> Option<(Snapshot, Option<Resource>)> {
        let kept = self.0.lock();
        let has = |held: &&Kept| {
            held.snapshot.revision() == revision && held.only.as_ref().is_none_or(|only| only == resource)
        };
        kept.iter().find(has).map(|held| (held.snapshot.clone(), held.only.clone()))
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
            at: None,
        }
    }

    /// From the same place, in what there is by then: another list, which begins then.
    fn inconsistent(&self) -> Self {
        ContinueToken { rv: None, rest: None, at: None, ..self.clone() }
    }

    /// At this time, in seconds since 1970.
    fn is_old(&self, time: i64) -> bool {
        self.at.is_some_and(|at| time.saturating_sub(at) >= CONTINUED_FOR.as_secs() as i64)
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

/// The objects that a list or a watch asks for. Names are what they are in every version; a webhook that converts may change
/// labels, so that it is asked before they are looked at, as it is before fields are.
pub(crate) struct Selection {
    version: Arc<Version>,
    namespace: Option<String>,
    labels: LabelSelector,
    /// Of name and namespace.
    names: Vec<FieldRequirement>,
    /// Of all else: objects must be decoded.
    fields: Vec<FieldRequirement>,
    /// Many look at the same object: all watches of its kind, and of a large one whoever lists by a field.
    recent: Option<Arc<RecentFields>>,
    is_watch: bool,
}

impl Selection {
    pub(crate) fn new(target: &Target, labels: LabelSelector, fields: FieldSelector) -> Result<Self, Status> {
        let version = target.version.clone();
        let is_name =
            |r: &FieldRequirement| matches!(r.field.as_str(), "metadata.name" | "metadata.namespace");
        let (mut names, fields): (Vec<_>, Vec<_>) = fields.requirements.into_iter().partition(is_name);
        if let Some(unknown) = fields.iter().find(|r| !version.selects_by(&r.field)) {
            return Err(Status::bad_request(version.refuse_selector(&unknown.field)));
        }
        names.extend(target.name.clone().map(|value| FieldRequirement {
            field: "metadata.name".into(),
            value,
            equal: true,
        }));
        let namespace = target.namespace.clone();
        Ok(Selection { version, namespace, labels, names, fields, recent: None, is_watch: false })
    }

    /// What others of its kind have found out is asked for. An object that is converted is another in each version.
    pub(crate) fn of_watch(self, recent: &Arc<RecentFields>) -> Self {
        Selection { is_watch: true, ..self.of_list(recent) }
    }

    /// As [`Selection::of_watch`], of large objects.
    fn of_list(self, recent: &Arc<RecentFields>) -> Self {
        let recent = self.version.conversion().is_none().then(|| recent.clone());
        Selection { recent, ..self }
    }

    fn is_everything(&self) -> bool {
        self.labels.requirements.is_empty() && self.names.is_empty() && self.fields.is_empty()
    }

    /// Whether objects must be converted before it is known which of them are selected.
    pub(crate) fn is_of_converted(&self) -> bool {
        let by_more_than_names = !self.fields.is_empty() || !self.labels.requirements.is_empty();
        by_more_than_names && self.version.conversion().is_some()
    }

    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    /// Of an object in the version that is asked for.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.matches_names(object)
            && self.labels.matches(&object.meta().labels)
            && self.matches_fields(object)
    }

    /// Of an object as it is stored: false where it is not selected, however it is converted.
    pub(crate) fn may_match(&self, object: &Object) -> bool {
        let labels = || self.version.conversion().is_some() || self.labels.matches(&object.meta().labels);
        self.matches_names(object) && labels()
    }

    fn matches_names(&self, object: &Object) -> bool {
        let meta = object.meta();
        if self.namespace.is_some() && meta.namespace != self.namespace {
            return false;
        }
        let has = |r: &FieldRequirement| match r.field.as_str() {
            "metadata.name" => meta.name == r.value,
            _ => meta.namespace.as_deref().unwrap_or_default() == r.value,
        };
        self.names.iter().all(|r| has(r) == r.equal)
    }

    fn matches_fields(&self, object: &Object) -> bool {
        if self.fields.is_empty() {
            return true;
        }
        let known = self.recent.as_ref().and_then(|recent| match self.is_watch {
            true => Some(recent.of(&self.version, object)),
            false => recent.of_large(&self.version, object),
        });
        if let Some(known) = known {
            let value = |r: &FieldRequirement| known.iter().find(|(path, _)| *path == r.field);
            let is_so = |r: &FieldRequirement| value(r).map_or("", |(_, value)| value.as_str()) == r.value;
            return self.fields.iter().all(|r| is_so(r) == r.equal);
        }
        let decoded = self.version.decode_stored(object).ok();
        let value = |r: &FieldRequirement| decoded.as_ref().map(|instance| instance.field(&r.field));
        self.fields.iter().all(|r| (value(r).unwrap_or_default() == r.value) == r.equal)
    }
}
