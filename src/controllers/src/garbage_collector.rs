//! Deletes what is owned by nobody any more; settles foreground and orphaning deletions.

use crate::WORKERS;
use api::{Object, ObjectKey, Reason, ResourceVersion, Status};
use cluster::{
    Actor, Client, Cluster, DeleteOptions, Propagation, Target, Verb, WatchEvent, WatchParams, WorkQueue,
    WriteOptions, run_workers,
};
use kinds::Handler;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const NAME: &str = "generic-garbage-collector";
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// An object to look at: of which kind, where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Item {
    gvr: api::Gvr,
    key: ObjectKey,
}

/// Who owns whom, by uid.
#[derive(Default)]
struct Graph {
    dependents: HashMap<String, HashSet<Item>>,
    owners: HashMap<Item, Vec<String>>,
    where_is: HashMap<String, Item>,
}

type Shared = Arc<Mutex<Graph>>;

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let queue: WorkQueue<Item> = WorkQueue::new();
    let graph = Shared::default();
    let mut watchers = JoinSet::new();
    let mut seen = HashSet::new();
    for handler in cluster.registry().iter() {
        if seen.insert(handler.info().storage.clone()) {
            watchers.spawn(watch(
                client.clone(),
                handler.clone(),
                graph.clone(),
                queue.clone(),
                stop.clone(),
            ));
        }
    }
    run_workers(NAME, queue, WORKERS, stop, move |item| {
        let (client, graph) = (client.clone(), graph.clone());
        async move { settle(&client, &graph, &item).await }
    })
    .await;
    while watchers.join_next().await.is_some() {}
}

async fn watch(
    client: Client,
    handler: Arc<dyn Handler>,
    graph: Shared,
    queue: WorkQueue<Item>,
    stop: CancellationToken,
) {
    let target = Target::collection(&handler, None);
    let params = WatchParams { resource_version: Some(ResourceVersion(0)), ..WatchParams::default() };
    while !stop.is_cancelled() {
        let Ok(mut events) = client.cluster().watch(client.actor(), &target, &params) else { return };
        while let Some(Ok(event)) = stop.run_until_cancelled(events.next()).await {
            let woken = locked(&graph, |graph| graph.see(&handler, &event));
            woken.into_iter().for_each(|item| queue.add(item));
        }
    }
}

fn locked<R>(graph: &Shared, act: impl FnOnce(&mut Graph) -> R) -> R {
    act(&mut graph.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Graph {
    /// Takes the event in, and says whom to look at now.
    fn see(&mut self, handler: &Arc<dyn Handler>, event: &WatchEvent) -> Vec<Item> {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                self.put(item_of(handler, object), object)
            }
            WatchEvent::Deleted(object) => self.remove(&item_of(handler, object), &object.meta().uid),
            WatchEvent::InitialEventsEnd(_) => Vec::new(),
        }
    }

    fn put(&mut self, item: Item, object: &Object) -> Vec<Item> {
        let owners: Vec<String> = object.meta().owner_references.iter().map(|o| o.uid.clone()).collect();
        self.forget_owners(&item);
        for owner in &owners {
            self.dependents.entry(owner.clone()).or_default().insert(item.clone());
        }
        let look = !owners.is_empty() || object.meta().is_deleting();
        if !owners.is_empty() {
            self.owners.insert(item.clone(), owners);
        }
        self.where_is.insert(object.meta().uid.clone(), item.clone());
        if look { vec![item] } else { Vec::new() }
    }

    fn remove(&mut self, item: &Item, uid: &str) -> Vec<Item> {
        let mut woken: Vec<Item> = self.dependents.remove(uid).into_iter().flatten().collect();
        // an owner in foreground deletion may have waited for it
        let owners = self.owners.get(item).cloned().unwrap_or_default();
        woken.extend(owners.iter().filter_map(|owner| self.where_is.get(owner)).cloned());
        self.forget_owners(item);
        self.where_is.remove(uid);
        woken
    }

    fn forget_owners(&mut self, item: &Item) {
        for owner in self.owners.remove(item).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&owner) {
                dependents.remove(item);
            }
        }
    }

    fn dependents_of(&self, uid: &str) -> Vec<Item> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }
}

fn item_of(handler: &Arc<dyn Handler>, object: &Object) -> Item {
    Item { gvr: handler.info().gvr.clone(), key: object.key() }
}

async fn settle(client: &Client, graph: &Shared, item: &Item) -> Result<(), Status> {
    let Some(target) = target_of(client, item) else { return Ok(()) };
    let Some(object) = found(client.cluster().get(client.actor(), &target))? else { return Ok(()) };
    let meta = object.meta();
    let has = |finalizer: &str| meta.finalizers.iter().any(|f| f == finalizer);
    if meta.is_deleting() && has(ORPHAN) {
        return orphan_dependents(client, graph, &target, &object).await;
    }
    if meta.is_deleting() && has(FOREGROUND) {
        return delete_dependents_first(client, graph, &target, &object).await;
    }
    if meta.is_deleting() || meta.owner_references.is_empty() {
        return Ok(());
    }
    let (mut there, mut waiting) = (Vec::new(), Vec::new());
    for owner in &meta.owner_references {
        match owner_state(client, &meta.namespace, owner)? {
            OwnerState::There => there.push(owner.uid.clone()),
            OwnerState::WaitsForDependents => waiting.push(owner.uid.clone()),
            OwnerState::Absent => {}
        }
    }
    if !there.is_empty() {
        if there.len() + waiting.len() == meta.owner_references.len() {
            return Ok(());
        }
        return keep_owners(client, &target, &there).await;
    }
    // its own dependents go with it, and before it where its owner waits
    let propagation = if waiting.is_empty() { Propagation::Background } else { Propagation::Foreground };
    let propagation = match locked(graph, |graph| graph.dependents_of(&meta.uid).is_empty()) {
        true => Propagation::Background,
        false => propagation,
    };
    let options = DeleteOptions {
        uid: Some(meta.uid.clone()),
        propagation: Some(propagation),
        ..DeleteOptions::default()
    };
    found(client.cluster().delete(client.actor(), &target, &options).await).map(|_| ())
}

enum OwnerState {
    There,
    WaitsForDependents,
    Absent,
}

fn owner_state(
    client: &Client,
    namespace: &Option<String>,
    owner: &api::OwnerRef,
) -> Result<OwnerState, Status> {
    let gvk = api::Gvk::parse(&owner.api_version, &owner.kind);
    // a kind that nobody serves may be served later: its objects are not known to be gone
    let Some(handler) = client.cluster().registry().by_gvk(&gvk) else { return Ok(OwnerState::There) };
    let namespace = namespace.as_deref().filter(|_| handler.info().scope == kinds::Scope::Namespaced);
    let target = Target::object(handler, namespace, &owner.name);
    let state = match found(client.cluster().get(client.actor(), &target))? {
        Some(object) if object.meta().uid != owner.uid => OwnerState::Absent,
        Some(object)
            if object.meta().is_deleting() && object.meta().finalizers.iter().any(|f| f == FOREGROUND) =>
        {
            OwnerState::WaitsForDependents
        }
        Some(_) => OwnerState::There,
        None => OwnerState::Absent,
    };
    Ok(state)
}

fn target_of(client: &Client, item: &Item) -> Option<Target> {
    let handler = client.cluster().registry().by_gvr(&item.gvr)?;
    Some(Target::object(handler, item.key.namespace.as_deref(), &item.key.name))
}

async fn orphan_dependents(
    client: &Client,
    graph: &Shared,
    target: &Target,
    owner: &Object,
) -> Result<(), Status> {
    let uid = owner.meta().uid.clone();
    for item in locked(graph, |graph| graph.dependents_of(&uid)) {
        let Some(dependent) = target_of(client, &item) else { continue };
        edit(client, &dependent, |meta| {
            if let Some(owners) = meta.owner_references.as_mut() {
                owners.retain(|owner| owner.uid != uid);
            }
        })
        .await?;
    }
    drop_finalizer(client, target, ORPHAN).await
}

async fn delete_dependents_first(
    client: &Client,
    graph: &Shared,
    target: &Target,
    owner: &Object,
) -> Result<(), Status> {
    let uid = &owner.meta().uid;
    let mut blocked = false;
    for item in locked(graph, |graph| graph.dependents_of(uid)) {
        let Some(dependent) = target_of(client, &item) else { continue };
        let Some(object) = found(client.cluster().get(client.actor(), &dependent))? else { continue };
        let reference = object.meta().owner_references.iter().find(|o| o.uid == *uid);
        blocked |= reference.is_some_and(|o| o.block_owner_deletion == Some(true));
        if !object.meta().is_deleting() {
            settle_dependent(client, graph, &dependent, &object).await?;
        }
    }
    if blocked { Ok(()) } else { drop_finalizer(client, target, FOREGROUND).await }
}

/// What it owns itself goes before it, as it goes before its owner.
async fn settle_dependent(
    client: &Client,
    graph: &Shared,
    target: &Target,
    object: &Object,
) -> Result<(), Status> {
    let owns = !locked(graph, |graph| graph.dependents_of(&object.meta().uid).is_empty());
    let options = DeleteOptions {
        uid: Some(object.meta().uid.clone()),
        propagation: Some(if owns { Propagation::Foreground } else { Propagation::Background }),
        ..DeleteOptions::default()
    };
    found(client.cluster().delete(client.actor(), target, &options).await).map(|_| ())
}

async fn keep_owners(client: &Client, target: &Target, there: &[String]) -> Result<(), Status> {
    edit(client, target, |meta| {
        if let Some(owners) = meta.owner_references.as_mut() {
            owners.retain(|owner| there.contains(&owner.uid));
        }
    })
    .await
}

async fn drop_finalizer(client: &Client, target: &Target, finalizer: &str) -> Result<(), Status> {
    edit(client, target, |meta| {
        if let Some(finalizers) = meta.finalizers.as_mut() {
            finalizers.retain(|f| f != finalizer);
        }
    })
    .await
}

async fn edit(
    client: &Client,
    target: &Target,
    change: impl Fn(&mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) + Send + Sync,
) -> Result<(), Status> {
    let edit = |current: &Object| {
        let mut instance = target.handler.decode_stored(current)?;
        change(instance.meta_mut());
        instance.meta_mut().resource_version = None;
        Ok(instance)
    };
    let options = WriteOptions::default();
    found(client.cluster().modify(client.actor(), target, Verb::Patch, &options, &edit).await).map(|_| ())
}

/// `None` for what is gone already.
fn found<T>(outcome: Result<T, Status>) -> Result<Option<T>, Status> {
    match outcome {
        Err(status) if status.is(Reason::NotFound) => Ok(None),
        // another object has its name by now
        Err(status) if status.is(Reason::Conflict) => Ok(None),
        other => other.map(Some),
    }
}
