//! The controllers, one file each: what is wished for, made so.
//!
//! Each reads informers, computes a plan from data alone, and writes through `cluster` under its own identity. None knows
//! another: a Deployment's ReplicaSets become pods because the ReplicaSet controller sees them in the store. Read
//! [`start`] for the list, `replicas.rs` for the plan that most of the others lean on.

#![forbid(unsafe_code)]

mod certificates;
mod cluster_role_aggregation;
mod cron_job;
mod custom_resource_definitions;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoint_slices;
mod ephemeral_volume;
mod essentials;
mod garbage_collector;
mod history;
mod horizontal_pod_autoscaler;
mod job;
mod namespace;
mod node_lifecycle;
mod owner;
mod persistent_volume_binder;
mod pod_control;
mod replicas;
mod replication;
mod resource_quota;
mod scale;
mod service_account;
mod share;
mod slow_start;
mod stateful_set;
mod status;
mod storage_protection;
mod taint_eviction;
mod template_hash;
mod token_secrets;
mod ttl_after_finished;
mod volume_expansion;

pub use certificates::{Asked, Authority};

use cluster::Cluster;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct ControllersConfig {
    /// What every namespace's `kube-root-ca.crt` holds.
    pub root_ca_pem: String,
    /// Who signs what was approved.
    pub authority: Arc<dyn Authority>,
}

/// Starts them all; they end with `stop`. When it returns, the custom kinds that are stored are served.
pub fn start(cluster: &Cluster, config: &ControllersConfig, stop: &CancellationToken) -> JoinSet<()> {
    let definitions = custom_resource_definitions::serve_stored(cluster);
    let mut rooms = JoinSet::new();
    rooms.spawn(custom_resource_definitions::run(cluster.clone(), definitions, stop.clone()));
    rooms.spawn(service_account::run(cluster.clone(), config.root_ca_pem.clone(), stop.clone()));
    rooms.spawn(token_secrets::run(cluster.clone(), config.root_ca_pem.clone(), stop.clone()));
    rooms.spawn(certificates::run(cluster.clone(), config.authority.clone(), stop.clone()));
    rooms.spawn(cluster_role_aggregation::run(cluster.clone(), stop.clone()));
    rooms.spawn(replication::run_replica_sets(cluster.clone(), stop.clone()));
    rooms.spawn(replication::run_replication_controllers(cluster.clone(), stop.clone()));
    rooms.spawn(deployment::run(cluster.clone(), stop.clone()));
    rooms.spawn(daemon_set::run(cluster.clone(), stop.clone()));
    rooms.spawn(stateful_set::run(cluster.clone(), stop.clone()));
    rooms.spawn(cron_job::run(cluster.clone(), stop.clone()));
    rooms.spawn(job::run(cluster.clone(), stop.clone()));
    rooms.spawn(ttl_after_finished::run(cluster.clone(), stop.clone()));
    rooms.spawn(endpoint_slices::run(cluster.clone(), stop.clone()));
    rooms.spawn(namespace::run(cluster.clone(), stop.clone()));
    rooms.spawn(node_lifecycle::run(cluster.clone(), stop.clone()));
    rooms.spawn(taint_eviction::run(cluster.clone(), stop.clone()));
    rooms.spawn(disruption::run(cluster.clone(), stop.clone()));
    rooms.spawn(horizontal_pod_autoscaler::run(cluster.clone(), stop.clone()));
    rooms.spawn(resource_quota::run(cluster.clone(), stop.clone()));
    rooms.spawn(essentials::run(cluster.clone(), stop.clone()));
    rooms.spawn(persistent_volume_binder::run(cluster.clone(), stop.clone()));
    rooms.spawn(storage_protection::run_claims(cluster.clone(), stop.clone()));
    rooms.spawn(storage_protection::run_volumes(cluster.clone(), stop.clone()));
    rooms.spawn(ephemeral_volume::run(cluster.clone(), stop.clone()));
    rooms.spawn(volume_expansion::run(cluster.clone(), stop.clone()));
    rooms.spawn(garbage_collector::run(cluster.clone(), stop.clone()));
    rooms
}

/// Workers of a controller whose work is mostly waiting for the store.
pub(crate) const WORKERS: usize = 4;
