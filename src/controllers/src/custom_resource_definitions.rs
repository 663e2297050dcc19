//! Follows the CustomResourceDefinitions: what they define is served, their status says so, and their objects go before
//! they do.
//!
//! The registry is changed before the status says `Established`: who waits for the condition finds the kind. What is
//! stored is served before the first request is answered: see [`serve_stored`]. What there is no memory for is not served until there
//! is, and its status says so.

mod outline;
mod serving;

use api::{GroupResource, ObjectKey, ResourceVersion, Status};
use apiextensions::conditions::{self, CLEANUP, Cleanup};
use cluster::roles::{ALL, ComponentRole, rule};
use cluster::{
    Actor, Client, Cluster, Controller, DeleteOptions, ListParams, Target, WatchEvent, WatchParams,
    WorkQueue, unless_gone,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinds::{Version, key_of};
use outline::Outline;
pub(crate) use serving::Definitions;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

const NAME: &str = "custom-resource-definition-controller";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(
                &["get", "list", "patch", "update", "watch"],
                &["apiextensions.k8s.io"],
                &["customresourcedefinitions", "customresourcedefinitions/status"],
            ),
            // the objects of a definition that goes, whatever their group
            rule(&["delete", "get", "list", "watch"], ALL, ALL),
        ],
    )
}

/// Serves what is defined already, as far as there is memory for it. To be called before the API answers.
pub(crate) fn serve_stored(cluster: &Cluster, memory: Option<usize>) -> Definitions {
    let definitions = Definitions::within(memory);
    let target = Target::collection(&own_version(cluster), None);
    let listed = cluster.list(&Actor::root(), &target, &ListParams::default());
    let stored = listed.map(|list| list.objects).unwrap_or_default();
    let outlines = stored.iter().filter_map(|object| object.decode_without_managed_fields::<Outline>().ok());
    let all: Vec<Arc<Outline>> = outlines.map(Arc::new).collect();
    definitions.serve(cluster, &all);
    definitions
}

fn own_version(cluster: &Cluster) -> Arc<Version> {
    let gvr = <CustomResourceDefinition as kinds::TypedKind>::info().gvr;
    cluster.registry().by_gvr(&gvr).expect("the kind of definitions is built in")
}

pub(crate) async fn run(cluster: Cluster, definitions: Definitions, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME).of_program("kube-apiserver"));
    // one at a time: who has a name is decided among all of them
    let controller = Controller::new(NAME, &cluster).one_at_a_time().reconciles::<Outline>();
    let reconciler = (client, Arc::new(definitions), controller.queue());
    controller
        .run(stop, reconciler, |(client, definitions, queue), key| async move {
            // a definition is parsed when it is new, and again with each write of it: that takes its time where it is large
            let (runtime, asked) = (Handle::current(), (client.clone(), queue.clone(), key.clone()));
            let work = move || runtime.block_on(reconcile(&asked.0, &definitions, &asked.1, &asked.2));
            let waits_for = tokio::task::spawn_blocking(work).await.map_err(Status::internal)??;
            if let Some(version) = waits_for {
                tokio::spawn(wake_when_one_went(client, version, queue, key));
            }
            Ok::<(), Status>(())
        })
        .await;
}

/// Objects may have finalizers of their own: whoever deletes the definition waits for them. What is applied meanwhile goes as well: an
/// operator that makes anew what it misses would else hold the definition forever.
async fn wake_when_one_went(
    client: Client,
    version: Arc<Version>,
    queue: WorkQueue<ObjectKey>,
    key: ObjectKey,
) {
    let target = Target::collection(&version, None);
    // from the beginning, as what went between the look and the watch is seen as not there
    let from_now = WatchParams { resource_version: Some(ResourceVersion(0)), ..WatchParams::default() };
    let Ok(mut events) = client.cluster().watch(client.actor(), &target, &from_now) else {
        return queue.add(key);
    };
    let mut there = 0_usize;
    let left = client.cluster().list(client.actor(), &target, &ListParams::default());
    if left.is_ok_and(|list| list.objects.is_empty()) {
        return queue.add(key);
    }
    while let Ok(event) = events.next().await {
        match event {
            WatchEvent::Added(object) if !object.meta().is_deleting() => return queue.add(key),
            WatchEvent::Added(_) => there += 1,
            WatchEvent::Deleted(_) if there <= 1 => return queue.add(key),
            WatchEvent::Deleted(_) => there -= 1,
            WatchEvent::Modified(_) | WatchEvent::InitialEventsEnd(_) => {}
        }
    }
    queue.add(key);
}

/// The kind whose objects the definition still waits for.
async fn reconcile(
    client: &Client,
    definitions: &Definitions,
    queue: &WorkQueue<ObjectKey>,
    key: &ObjectKey,
) -> Result<Option<Arc<Version>>, Status> {
    let all = client.cluster().informer::<Outline>().list(None);
    let outcome = definitions.serve(client.cluster(), &all);
    outcome.served_again.iter().for_each(|name| queue.add(ObjectKey::cluster(name)));
    let definition = all.iter().map(|outline| &outline.0).find(|d| key_of(&d.metadata) == *key);
    let Some(definition) = definition else { return Ok(None) };
    if definition.metadata.deletion_timestamp.is_some() {
        return clean_up(client, definition).await;
    }
    let finalizers = definition.metadata.finalizers.as_deref().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
        let add = |definition: &mut CustomResourceDefinition| {
            let finalizers = definition.metadata.finalizers.get_or_insert_default();
            if !finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
                finalizers.push(CLEANUP.to_owned());
            }
            Ok(())
        };
        unless_gone(client.api::<CustomResourceDefinition>().modify(key, add).await)?;
    }
    let refusal = outcome.refused.get(&name_of(definition)).cloned().unwrap_or_default();
    let set = |definition: &mut CustomResourceDefinition| {
        let now = kinds::whole_second(jiff::Timestamp::now());
        let structural = refusal.not_structural.as_deref().map_or(Ok(()), Err);
        let status = match (&refusal.conflict, &refusal.too_large) {
            (None, Some(why)) => conditions::without_memory(definition, why, &now),
            (conflict, _) => conditions::after_acceptance(definition, conflict.as_ref(), structural, &now),
        };
        if let Some(status) = status {
            definition.status = Some(status);
        }
        Ok(())
    };
    unless_gone(client.api::<CustomResourceDefinition>().modify_status(key, set).await)?;
    Ok(None)
}

/// Deletes the objects, and lets the definition go when the last of them is gone.
async fn clean_up(
    client: &Client,
    definition: &CustomResourceDefinition,
) -> Result<Option<Arc<Version>>, Status> {
    let key = key_of(&definition.metadata);
    let held = definition.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == CLEANUP);
    if !held {
        return Ok(None);
    }
    let api = client.api::<CustomResourceDefinition>();
    let tell = |cleanup: Cleanup| {
        move |definition: &mut CustomResourceDefinition| {
            if let Some(status) =
                conditions::while_deleting(definition, cleanup, &kinds::whole_second(jiff::Timestamp::now()))
            {
                definition.status = Some(status);
            }
            Ok(())
        }
    };
    unless_gone(api.modify_status(&key, tell(Cleanup::Going)).await)?;
    if let Some(version) = stored_kind(client.cluster(), definition) {
        let target = Target::collection(&version, None);
        let cluster = client.cluster();
        let list = cluster.list(client.actor(), &target, &ListParams::default())?;
        for object in &list.objects {
            let one = Target::object(&version, object.meta().namespace.as_deref(), &object.meta().name);
            if !object.meta().is_deleting() {
                unless_gone(cluster.delete(client.actor(), &one, &DeleteOptions::default()).await)?;
            }
        }
        let left =
            cluster.list(client.actor(), &target, &ListParams { limit: 1, ..ListParams::default() })?;
        if !left.objects.is_empty() {
            return Ok(Some(version));
        }
    }
    unless_gone(api.modify_status(&key, tell(Cleanup::Done)).await)?;
    let release = |definition: &mut CustomResourceDefinition| {
        if let Some(finalizers) = definition.metadata.finalizers.as_mut() {
            finalizers.retain(|finalizer| finalizer != CLEANUP);
        }
        Ok(())
    };
    unless_gone(api.modify(&key, release).await)?;
    Ok(None)
}

fn stored_kind(cluster: &Cluster, definition: &CustomResourceDefinition) -> Option<Arc<Version>> {
    let names = (definition.spec.group.clone(), definition.spec.names.plural.clone());
    let storage = GroupResource { group: names.0.into(), resource: names.1.into() };
    cluster.registry().kind(&storage).map(|kind| kind.stored().clone())
}

fn name_of(definition: &CustomResourceDefinition) -> String {
    definition.metadata.name.clone().unwrap_or_default()
}
