//! Who controls what: controller references, and what a selector claims.

use api::{GroupResource, LabelSelector, Object, ObjectKey, Status};
use cluster::{Api, Change, Client, Informer, ListParams, Target, WorkQueue, unless_gone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kinds::{TypedKind, key_of};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// The reference that makes `owner` an object's controller.
pub(crate) fn controller_reference<K: TypedKind>(owner: &K) -> OwnerReference {
    let meta = owner.metadata();
    OwnerReference {
        api_version: K::API_VERSION.to_owned(),
        kind: K::KIND.to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

pub(crate) fn is_controlled_by<K: TypedKind>(meta: &ObjectMeta, owner: &K) -> bool {
    controller_of(meta).is_some_and(|reference| Some(&reference.uid) == owner.metadata().uid.as_ref())
}

/// What an object is to an owner with a selector: upstream's `ControllerRefManager`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Mine,
    /// Nobody's, and the selector finds it.
    Orphan,
    /// Its own, but the selector finds it no more.
    Lost,
    Foreign,
}

pub(crate) fn claim<K: TypedKind>(meta: &ObjectMeta, owner: &K, selector: &LabelSelector) -> Claim {
    let none = BTreeMap::new();
    // an empty selector would claim everything
    let fits = !selector.requirements.is_empty() && selector.matches(meta.labels.as_ref().unwrap_or(&none));
    match (controller_of(meta), fits) {
        (Some(_), true) if is_controlled_by(meta, owner) => Claim::Mine,
        (Some(_), false) if is_controlled_by(meta, owner) => Claim::Lost,
        (None, true) => Claim::Orphan,
        _ => Claim::Foreign,
    }
}

/// Which owners a dependent is for: its own, or, where it has none, those whose selector `finds` it.
pub(crate) fn owners_of<K: TypedKind>(
    meta: &ObjectMeta,
    known: &Informer<K>,
    finds: impl Fn(&K, &BTreeMap<String, String>) -> bool,
) -> Vec<ObjectKey> {
    let namespace = meta.namespace.as_deref();
    match controller_of(meta) {
        Some(owner) if owner.kind == K::KIND => vec![ObjectKey::new(namespace, &owner.name)],
        Some(_) => Vec::new(),
        None => {
            let none = BTreeMap::new();
            let labels = meta.labels.as_ref().unwrap_or(&none);
            let finding = known.list(namespace).into_iter().filter(|owner| finds(owner, labels));
            finding.map(|owner| key_of(owner.metadata())).collect()
        }
    }
}

/// Wakes the owners of a dependent, as it was and as it is.
pub(crate) fn wake_owners<D: TypedKind, K: TypedKind>(
    queue: &WorkQueue<ObjectKey>,
    change: &Change<D>,
    known: &Informer<K>,
    finds: impl Fn(&K, &BTreeMap<String, String>) -> bool,
) {
    for dependent in change.versions() {
        owners_of(dependent.metadata(), known, &finds).into_iter().for_each(|owner| queue.add(owner));
    }
}

/// What may be the owner's, from the store: what the last round made and deleted is seen for certain, and needs no
/// remembering. By the selector, or by the owner's uid.
pub(crate) fn candidates<D: TypedKind, K: TypedKind>(
    client: &Client,
    owner: &K,
    selector: &LabelSelector,
) -> Result<Vec<Arc<D>>, Status> {
    let all = stored::<D>(client, owner.metadata().namespace.as_deref())?;
    Ok(all.of(owner, selector)?.into_iter().map(Arc::new).collect())
}

/// All dependents of a kind in a namespace, from the store, as they were at that moment: for who must look at the owner after them.
pub(crate) fn stored<D: TypedKind>(client: &Client, namespace: Option<&str>) -> Result<Stored<D>, Status> {
    let gvr = D::info().gvr;
    let missing = || Status::internal(format!("kind {gvr:?} is not registered"));
    let version = client.cluster().registry().by_gvr(&gvr).ok_or_else(missing)?;
    let target = Target::collection(&version, namespace);
    let all = client.cluster().list(client.actor(), &target, &ListParams::default())?;
    Ok(Stored { objects: all.objects, kind: PhantomData })
}

/// Not decoded yet: most are another's.
pub(crate) struct Stored<D> {
    objects: Vec<Object>,
    kind: PhantomData<D>,
}

impl<D: TypedKind> Stored<D> {
    /// Those that may be this owner's: its own, and those that its selector finds.
    pub(crate) fn of<K: TypedKind>(&self, owner: &K, selector: &LabelSelector) -> Result<Vec<D>, Status> {
        let meta = owner.metadata();
        let is_its = |object: &&Object| {
            let of = object.meta();
            // an empty selector would find everything
            (!selector.requirements.is_empty() && selector.matches(&of.labels))
                || of.controller().is_some_and(|c| Some(&c.uid) == meta.uid.as_ref())
        };
        let found = self.objects.iter().filter(is_its);
        found.map(|object| object.decode_without_managed_fields().map_err(Status::internal)).collect()
    }
}

/// What may be the owner's, from a cache: what its selector finds, and what names it as its controller. In the order of names.
pub(crate) fn cached<D: TypedKind, K: TypedKind>(
    known: &Informer<D>,
    owner: &K,
    selector: &LabelSelector,
) -> Vec<Arc<D>> {
    let meta = owner.metadata();
    let namespace = meta.namespace.as_deref();
    // an empty selector would find everything
    let selected = match selector.requirements.is_empty() {
        true => Vec::new(),
        false => known.select(namespace, selector),
    };
    // what changes between the two looks is in one of them at least, and of two versions the later one counts
    let mut found = known.controlled_by(namespace, K::KIND, meta.name.as_deref().unwrap_or_default());
    found.extend(selected);
    found.sort_by(|one, other| one.metadata().name.cmp(&other.metadata().name));
    found.dedup_by(|later, kept| later.metadata().name == kept.metadata().name);
    found
}

/// Whether the owner, of which a cache may be behind, is neither gone nor going.
pub(crate) fn is_alive<K: TypedKind>(owners: &Api<K>, owner: &K) -> Result<bool, Status> {
    let now = owners.find(&key_of(owner.metadata()))?;
    Ok(now.is_some_and(|now| {
        now.metadata().uid == owner.metadata().uid && now.metadata().deletion_timestamp.is_none()
    }))
}

/// The owner's of these dependents. It takes in those that its selector finds, nobody has and `may_adopt` allows, unless it is on
/// its way out, and lets go of its own ones that the selector does not find any more.
pub(crate) async fn claim_all<D: TypedKind, K: TypedKind, T: Borrow<D>>(
    dependents: &Api<D>,
    owners: &Api<K>,
    owner: &K,
    selector: &LabelSelector,
    found: Vec<T>,
    may_adopt: impl Fn(&D) -> bool,
) -> Result<Vec<T>, Status> {
    let is_going = owner.metadata().deletion_timestamp.is_some();
    let mut mine = Vec::new();
    for one in found {
        let dependent: &D = one.borrow();
        match claim(dependent.metadata(), owner, selector) {
            Claim::Mine => mine.push(one),
            Claim::Lost => release(dependents, dependent, owner).await?,
            Claim::Orphan if !is_going && may_adopt(dependent) => {
                if adopt(dependents, dependent, owners, owner).await? {
                    mine.push(one);
                }
            }
            Claim::Orphan | Claim::Foreign => {}
        }
    }
    Ok(mine)
}

/// Makes `owner` the orphan's controller, unless the owner itself is gone or going by now (a cache may be behind): what a
/// dead owner took in, the garbage collector would delete. Says whether it is the owner's now.
pub(crate) async fn adopt<D: TypedKind, K: TypedKind>(
    dependents: &Api<D>,
    orphan: &D,
    owners: &Api<K>,
    owner: &K,
) -> Result<bool, Status> {
    adopt_with(dependents, orphan, owners, owner, |_| ()).await
}

/// The same, with another change in the same write.
pub(crate) async fn adopt_with<D: TypedKind, K: TypedKind>(
    dependents: &Api<D>,
    orphan: &D,
    owners: &Api<K>,
    owner: &K,
    also: impl Fn(&mut ObjectMeta) + Send + Sync,
) -> Result<bool, Status> {
    if !is_alive(owners, owner)? {
        return Ok(false);
    }
    let reference = controller_reference(owner);
    let key = key_of(orphan.metadata());
    let adopted = dependents.modify(&key, |dependent| {
        is_still(dependent, orphan.metadata())?;
        let meta = dependent.metadata_mut();
        if controller_of(meta).is_none() {
            meta.owner_references.get_or_insert_default().push(reference.clone());
            also(meta);
        }
        Ok(())
    });
    Ok(unless_gone(adopted.await)?.is_some_and(|adopted| is_controlled_by(adopted.metadata(), owner)))
}

pub(crate) async fn release<D: TypedKind, K: TypedKind>(
    dependents: &Api<D>,
    lost: &D,
    owner: &K,
) -> Result<(), Status> {
    let uid = owner.metadata().uid.clone().unwrap_or_default();
    let key = key_of(lost.metadata());
    let released = dependents.modify(&key, |dependent| {
        if let Some(owners) = dependent.metadata_mut().owner_references.as_mut() {
            owners.retain(|reference| reference.uid != uid);
        }
        Ok(())
    });
    unless_gone(released.await).map(|_| ())
}

/// Whether an object is the one that was seen: names are used again, and what was found out about one is not true of another.
///
/// # Errors
/// `NotFound`.
pub(crate) fn is_still<K: TypedKind>(now: &K, seen: &ObjectMeta) -> Result<(), Status> {
    match now.metadata().uid == seen.uid {
        true => Ok(()),
        false => {
            let name = seen.name.as_deref().unwrap_or_default();
            Err(Status::not_found(&GroupResource::new(K::GROUP, K::PLURAL), name))
        }
    }
}
