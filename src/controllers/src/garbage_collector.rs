//! Deletes what is owned by nobody any more; carries out foreground and orphaning deletions.
//!
//! `graph.rs` is the picture of who owns whom, `plan.rs` decides, this file looks and acts. Every decision rests on the
//! live object, on live owners, and on a picture that holds everything up to the revision of that live object: whoever is
//! orphaned or waited for was in it, and nobody is forgotten because a watch was late. Read [`Collector::attempt`] first.

mod graph;
mod plan;

use api::{Object, OwnerRef, ResourceVersion, Status};
use cluster::roles::{ALL, ComponentRole, events, rule};
use cluster::{
    Actor, Client, Cluster, Controller, DeleteOptions, EventType, ListParams, Propagation, Recorder, Subject,
    Target, Verb, WatchAll, WatchEvent, WorkQueue, WriteOptions, unless_gone,
};
use graph::{Deletion, FOREGROUND, Graph, Item, ORPHAN};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::{Scope, TypedKind, Version};
use parking_lot::Mutex;
use plan::{OwnerState, Verdict, plan};
use std::collections::HashSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAME: &str = "generic-garbage-collector";
/// Owners of one object that are looked for in all other namespaces, to tell who wrote them of his mistake: an object may name
/// forty thousand.
const SOUGHT_ELSEWHERE: usize = 10;
/// Owners that are looked at before others have their turn.
const AT_ONCE: usize = 256;
/// As upstream's events name it.
const COMPONENT: &str = "garbage-collector-controller";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![rule(&["delete", "get", "list", "patch", "update", "watch"], ALL, ALL), events()],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let controller = Controller::new(NAME, &cluster);
    let collector = Arc::new(Collector {
        events: client.recorder(COMPONENT, None),
        picture: Mutex::new(Picture::new(&cluster)),
        queue: controller.queue(),
        client,
    });
    controller
        .listens(|_| Box::pin(listen(collector.clone())))
        .run(stop, collector, |collector, item| async move { collector.attempt(&item).await })
        .await;
}
/// Every write may make garbage.
async fn listen(collector: Arc<Collector>) {
    let mut revisions = collector.client.cluster().store().revisions();
    loop {
        collector.catch_up();
        if revisions.changed().await.is_err() {
            return;
        }
    }
}

/// The graph, and what keeps it current.
struct Picture {
    graph: Graph,
    all: WatchAll,
}

impl Picture {
    fn new(cluster: &Cluster) -> Self {
        Picture { graph: Graph::default(), all: cluster.watch_all() }
    }

    /// Takes in all that has happened, and says whom to look at.
    ///
    /// # Errors
    /// `Expired`: some of it is no longer held.
    fn catch_up(&mut self) -> Result<Vec<Item>, Status> {
        let mut woken = Vec::new();
        while let Some((version, event)) = self.all.try_next()? {
            // as upstream: events own nothing, nobody owns them, and they are many
            if version.info().storage.resource == "events" {
                continue;
            }
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    woken.extend(self.graph.put(item_of(&version, &object), object.meta()));
                }
                WatchEvent::Deleted(object) => woken.extend(self.graph.remove(&object.meta().uid)),
                WatchEvent::InitialEventsEnd(_) => {}
            }
        }
        Ok(woken)
    }
}

struct Collector {
    client: Client,
    picture: Mutex<Picture>,
    queue: WorkQueue<Item>,
    events: Recorder,
}

impl Collector {
    fn catch_up(&self) {
        self.with_graph(|_| ());
    }

    /// Asks the graph as of now.
    fn with_graph<R>(&self, ask: impl FnOnce(&Graph) -> R) -> R {
        let mut picture = self.picture.lock();
        let woken = match picture.catch_up() {
            Ok(woken) => woken,
            Err(_) => self.paint_again(&mut picture),
        };
        woken.into_iter().for_each(|item| self.queue.add(item));
        ask(&picture.graph)
    }

    /// Deletions may have been missed: everything is looked at again.
    fn paint_again(&self, picture: &mut Picture) -> Vec<Item> {
        *picture = Picture::new(self.client.cluster());
        picture.catch_up().unwrap_or_default()
    }

    /// The same, when the graph holds everything up to `revision`: what is read is shown before it is told.
    async fn with_graph_at<R>(&self, revision: ResourceVersion, ask: impl FnOnce(&Graph) -> R) -> R {
        let mut revisions = self.client.cluster().store().revisions();
        let _ = revisions.wait_for(|told| *told >= revision).await;
        self.with_graph(ask)
    }

    async fn attempt(&self, item: &Item) -> Result<(), Status> {
        let Some(target) = self.target_of(item) else { return Ok(()) };
        let Some(object) = unless_gone(self.client.cluster().get(self.client.actor(), &target))? else {
            return Ok(());
        };
        let meta = object.meta();
        let owns = self.with_graph_at(object.revision(), |graph| graph.has_dependents(&meta.uid)).await;
        let owners = match Deletion::of(meta) {
            Deletion::NotAsked => self.owner_states(&target, &object).await?,
            _ => Vec::new(),
        };
        match plan(meta, &owners, owns) {
            Verdict::Keep => Ok(()),
            Verdict::DropOwners(gone) => self.drop_owners(&target, &meta.uid, &gone).await,
            Verdict::Delete(propagation) => self.delete(&target, &object, propagation).await,
            Verdict::Orphan => self.orphan_dependents(&target, &object).await,
            Verdict::DeleteDependents => self.delete_dependents_first(item, &target, &object).await,
        }
    }

    fn target_of(&self, item: &Item) -> Option<Target> {
        let version = self.client.cluster().registry().by_gvr(&item.gvr)?;
        Some(Target::object(&version, item.key.namespace.as_deref(), &item.key.name))
    }

    async fn owner_states(&self, target: &Target, object: &Object) -> Result<Vec<OwnerState>, Status> {
        let mut states = Vec::new();
        let mut left = SOUGHT_ELSEWHERE;
        for owner in &object.meta().owner_references {
            if states.len() % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            states.push(self.owner_state(target, object, owner, &mut left)?);
        }
        Ok(states)
    }

    /// `left` is how many may still be looked for where they are not meant to be.
    fn owner_state(
        &self,
        target: &Target,
        object: &Object,
        owner: &OwnerRef,
        left: &mut usize,
    ) -> Result<OwnerState, Status> {
        let gvk = api::Gvk::parse(&owner.api_version, &owner.kind);
        let cluster = self.client.cluster();
        let Some(version) = cluster.registry().by_gvk(&gvk) else { return Ok(OwnerState::Unknown) };
        let namespaced = version.info().scope == Scope::Namespaced;
        let own_namespace = object.meta().namespace.as_deref();
        if namespaced && own_namespace.is_none() {
            return Ok(OwnerState::Unknown);
        }
        let there = Target::object(&version, own_namespace.filter(|_| namespaced), &owner.name);
        let live = unless_gone(cluster.get(self.client.actor(), &there))?;
        let Some(live) = live.filter(|live| live.meta().uid == owner.uid) else {
            if namespaced && *left > 0 {
                *left -= 1;
                if self.lives_in_another_namespace(&version, owner) {
                    self.tell_of_another_namespace(target, object, owner);
                }
            }
            return Ok(OwnerState::Dangling);
        };
        Ok(match Deletion::of(live.meta()) {
            Deletion::DeletingDependents => OwnerState::WaitingForDependents,
            _ => OwnerState::Solid,
        })
    }

    fn lives_in_another_namespace(&self, version: &Arc<Version>, owner: &OwnerRef) -> bool {
        let (cluster, actor) = (self.client.cluster(), self.client.actor());
        let Some(namespaces) = cluster.registry().by_gvr(&Namespace::info().gvr) else { return false };
        // from the store: an informer may not have seen the newest
        let all = cluster.list(actor, &Target::collection(&namespaces, None), &ListParams::default());
        let lives_in = |namespace: &Object| {
            let there = Target::object(version, Some(&namespace.meta().name), &owner.name);
            cluster.get(actor, &there).is_ok_and(|found| found.meta().uid == owner.uid)
        };
        all.is_ok_and(|all| all.objects.iter().any(lives_in))
    }

    /// An owner is looked for in the namespace of what it owns. Whoever wrote such a reference meant it otherwise: upstream
    /// says so with an event.
    fn tell_of_another_namespace(&self, target: &Target, object: &Object, owner: &OwnerRef) {
        let (meta, gvk) = (object.meta(), &target.version.info().gvk);
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let OwnerRef { api_version, kind, name, uid, .. } = owner;
        let reference = format!("[{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}]");
        let message = format!("ownerRef {reference} does not exist in namespace {namespace:?}");
        let about = Subject {
            api_version: Some(gvk.api_version()),
            kind: Some(gvk.kind.to_string()),
            namespace: meta.namespace.clone(),
            name: Some(meta.name.clone()),
            uid: Some(meta.uid.clone()),
            resource_version: Some(object.revision().to_string()),
            field_path: None,
        };
        self.events.event(about, EventType::Warning, "OwnerRefInvalidNamespace", message);
    }

    /// Only as it was when its owners were looked at: somebody may have taken it in meanwhile.
    async fn delete(&self, target: &Target, object: &Object, propagation: Propagation) -> Result<(), Status> {
        let options = DeleteOptions {
            uid: Some(object.meta().uid.clone()),
            resource_version: Some(object.revision()),
            propagation: Some(propagation),
            ..DeleteOptions::default()
        };
        let cluster = self.client.cluster();
        unless_gone(cluster.delete(self.client.actor(), target, &options).await).map(|_| ())
    }

    async fn orphan_dependents(&self, target: &Target, owner: &Object) -> Result<(), Status> {
        let uid = &owner.meta().uid;
        for item in self.with_graph(|graph| graph.dependents_of(uid)) {
            let Some(dependent) = self.target_of(&item) else { continue };
            let gone = HashSet::from([uid.as_str()]);
            let let_go = |meta: &mut ObjectMeta| drop_references(meta, &gone);
            self.edit(&dependent, None, let_go).await?;
        }
        self.drop_finalizer(target, uid, ORPHAN).await
    }

    async fn delete_dependents_first(
        &self,
        item: &Item,
        target: &Target,
        owner: &Object,
    ) -> Result<(), Status> {
        let uid = &owner.meta().uid;
        let (blocking, circle) =
            self.with_graph(|graph| (graph.blocking_dependents(uid), graph.waits_for_itself(uid)));
        if circle {
            // it blocks its own owners no more, and the circle is open
            return self.edit(target, Some(uid), unblock_owners).await;
        }
        if blocking.is_empty() {
            return self.drop_finalizer(target, uid, FOREGROUND).await;
        }
        for (dependent, deletion) in blocking {
            if deletion == Deletion::NotAsked && dependent != *item {
                self.queue.add(dependent);
            }
        }
        Ok(())
    }

    async fn drop_owners(&self, target: &Target, uid: &str, gone: &[String]) -> Result<(), Status> {
        let gone: HashSet<&str> = gone.iter().map(String::as_str).collect();
        self.edit(target, Some(uid), |meta| drop_references(meta, &gone)).await
    }

    async fn drop_finalizer(&self, target: &Target, uid: &str, finalizer: &str) -> Result<(), Status> {
        self.edit(target, Some(uid), |meta| {
            if let Some(finalizers) = meta.finalizers.as_mut() {
                finalizers.retain(|f| f != finalizer);
            }
        })
        .await
    }

    /// Where `uid` is given, only the object that has it: another may bear its name by now.
    async fn edit(
        &self,
        target: &Target,
        uid: Option<&str>,
        change: impl Fn(&mut ObjectMeta) + Send + Sync,
    ) -> Result<(), Status> {
        let edit = |current: &Object| {
            if uid.is_some_and(|uid| uid != current.meta().uid) {
                return Err(Status::not_found(&target.group_resource(), &current.meta().name));
            }
            let mut instance = target.version.decode_stored(current)?;
            change(instance.meta_mut());
            instance.meta_mut().resource_version = None;
            Ok(instance)
        };
        let (cluster, options) = (self.client.cluster(), WriteOptions::default());
        let edited = cluster.modify(self.client.actor(), target, Verb::Patch, &options, &edit).await;
        unless_gone(edited).map(|_| ())
    }
}

fn item_of(version: &Arc<Version>, object: &Object) -> Item {
    Item { gvr: version.info().gvr.clone(), key: object.key() }
}

fn drop_references(meta: &mut ObjectMeta, owners: &HashSet<&str>) {
    if let Some(references) = meta.owner_references.as_mut() {
        references.retain(|reference| !owners.contains(reference.uid.as_str()));
    }
}

fn unblock_owners(meta: &mut ObjectMeta) {
    for reference in meta.owner_references.iter_mut().flatten() {
        reference.block_owner_deletion = Some(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    #[test]
    fn references_go_with_those_whom_they_name() {
        let reference = |uid: &str| OwnerReference { uid: uid.to_owned(), ..OwnerReference::default() };
        let references = Some(["a", "b", "a", "c"].map(reference).to_vec());
        let mut meta = ObjectMeta { owner_references: references, ..ObjectMeta::default() };
        drop_references(&mut meta, &HashSet::from(["a", "x"]));
        assert_eq!(meta.owner_references, Some(vec![reference("b"), reference("c")]));
    }
}
