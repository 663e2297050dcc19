//! What nodes and pods use now: upstream's `metrics.k8s.io`, which is measured and not stored. Who measures tells the cluster
//! so ([`Cluster::measured_by`]); who reads is authorised as by the API, be it a client or a controller.

use crate::{Actor, Attributes, Cluster, ListParams};
use ::api::{GroupResource, ObjectKey, Reason, Status};
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use kinds::builtin::computed::METRICS_GROUP;

/// Whoever can say what a node and its pods use.
pub trait UsageSource: Send + Sync + 'static {
    /// May take a second, where nobody has asked of late: a rate has a beginning and an end.
    fn measure(&self) -> BoxFuture<'_, Result<NodeUsage, String>>;
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Billionths of a core, on average over the window.
    pub cpu_nanocores: u64,
    /// The working set, in bytes, at the window's end.
    pub memory: u64,
}

/// When it was measured, and over which time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub end: Timestamp,
    pub length: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUsage {
    pub node: String,
    pub window: Window,
    pub usage: Usage,
    pub pods: Vec<PodUsage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodUsage {
    pub pod: ObjectKey,
    pub uid: String,
    pub window: Window,
    /// By the container's name.
    pub containers: BTreeMap<String, Usage>,
}

impl Cluster {
    /// From now on, and for as long as it lives, this is whom the metrics come from.
    pub fn measured_by(&self, source: &Arc<dyn UsageSource>) {
        self.0.usage.store(Some(Arc::new(Arc::downgrade(source))));
    }

    /// Of one node, or of all; whoever asks selects of those himself, and is authorised for what is `selected`.
    ///
    /// # Errors
    /// `Forbidden`; `ServiceUnavailable` where nobody measures.
    pub async fn node_metrics(
        &self,
        actor: &Actor,
        name: Option<&str>,
        selected: &ListParams,
    ) -> Result<Vec<NodeUsage>, Status> {
        self.authorize(actor, &attributes("nodes", None, name, selected))?;
        let node = self.measure().await?;
        match name {
            Some(name) if name != node.node => {
                Err(Status::not_found(&GroupResource::new(METRICS_GROUP, "nodes"), name))
            }
            _ => Ok(vec![node]),
        }
    }

    /// Of all pods that run, or of those of a namespace, or of one. As with [`Cluster::node_metrics`].
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` of one that does not run; `ServiceUnavailable` where nobody measures.
    pub async fn pod_metrics(
        &self,
        actor: &Actor,
        namespace: Option<&str>,
        name: Option<&str>,
        selected: &ListParams,
    ) -> Result<Vec<PodUsage>, Status> {
        self.authorize(actor, &attributes("pods", namespace, name, selected))?;
        let mut pods = self.measure().await?.pods;
        pods.retain(|pod| namespace.is_none_or(|namespace| pod.pod.namespace.as_deref() == Some(namespace)));
        let Some(name) = name else { return Ok(pods) };
        pods.retain(|pod| &*pod.pod.name == name);
        match pods.is_empty() {
            true => {
                let resource = GroupResource::new(METRICS_GROUP, "pods");
                Err(Status::not_found(&resource, &qualified(namespace, name)))
            }
            false => Ok(pods),
        }
    }

    async fn measure(&self) -> Result<NodeUsage, Status> {
        let unavailable = |why: String| Status::new(Reason::ServiceUnavailable, why);
        let source = self.0.usage.load_full().and_then(|source| source.upgrade());
        let source = source.ok_or_else(|| unavailable("no node says what its pods use".to_owned()))?;
        source.measure().await.map_err(unavailable)
    }
}

/// As the metrics server says it.
fn qualified(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

fn attributes(
    resource: &str,
    namespace: Option<&str>,
    name: Option<&str>,
    selected: &ListParams,
) -> Attributes {
    let asked = Attributes {
        verb: if name.is_some() { "get" } else { "list" }.to_owned(),
        group: METRICS_GROUP.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.or(selected.fields.exact_name()).map(str::to_owned),
        ..Attributes::default()
    };
    match name {
        Some(_) => asked,
        None => asked.selecting(&selected.labels, &selected.fields),
    }
}
