//! The controllers, one file each: what is wished for, made so.
//!
//! Each reads informers, computes a plan from data alone, and writes through `cluster` under its own identity. None knows
//! another: a Deployment's ReplicaSets become pods because the ReplicaSet controller sees them in the store. Read
//! [`start`] for the list, `replicas.rs` for the plan that most of the others lean on.

#![forbid(unsafe_code)]

mod api_services;
mod attach_detach;
mod bootstrap_tokens;
mod certificates;
mod cluster_role_aggregation;
mod cron_job;
mod custom_resource_definitions;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoint_slices;
mod ephemeral_volume;
mod extension_authentication;
mod garbage_collector;
mod history;
mod horizontal_pod_autoscaler;
mod ip_addresses;
mod job;
mod kubernetes_service;
mod legacy_tokens;
mod namespace;
mod node_lifecycle;
mod out_of_service;
mod owner;
mod percent;
mod persistent_volume_binder;
mod pod_certificate_requests;
mod pod_control;
mod pod_garbage_collector;
mod protection;
mod replicas;
mod replication;
mod resource_quota;
mod scale;
mod service_account;
mod service_cidrs;
mod share;
mod slow_start;
mod snapshot;
mod stateful_set;
mod status;
mod storage_protection;
mod storage_version_migration;
mod taint_eviction;
mod template_hash;
mod token_secrets;
mod trust_bundles;
mod ttl_after_finished;
mod validating_admission_policy_status;
mod volume_expansion;

pub use certificates::{Asked, Authority};
pub use service_cidrs::ServiceNetwork;

use cluster::Cluster;
use cluster::roles::ComponentRole;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub struct ControllersConfig {
    /// What every namespace's `kube-root-ca.crt` holds.
    pub root_ca_pem: String,
    /// Whose certificate the API server shows to extension API servers.
    pub front_proxy_ca_pem: String,
    /// Who signs what was approved.
    pub authority: Arc<dyn Authority>,
    /// What leads packets for the addresses of Services.
    pub service_network: Arc<dyn ServiceNetwork>,
    /// In bytes, what all CustomResourceDefinitions together may hold of the memory. `None` is no bound.
    pub definitions_memory: Option<usize>,
}

/// What they may do: whoever acts for itself says so in its file.
pub fn roles() -> Vec<ComponentRole> {
    vec![
        api_services::role(),
        attach_detach::role(),
        bootstrap_tokens::role(),
        certificates::role(),
        cluster_role_aggregation::role(),
        cron_job::role(),
        custom_resource_definitions::role(),
        daemon_set::role(),
        deployment::role(),
        disruption::role(),
        endpoint_slices::role(),
        ephemeral_volume::role(),
        extension_authentication::role(),
        garbage_collector::role(),
        horizontal_pod_autoscaler::role(),
        job::role(),
        legacy_tokens::role(),
        namespace::role(),
        node_lifecycle::role(),
        persistent_volume_binder::role(),
        pod_certificate_requests::role(),
        pod_garbage_collector::role(),
        replication::role_of_replica_sets(),
        replication::role_of_replication_controllers(),
        resource_quota::role(),
        service_account::role(),
        service_cidrs::role(),
        snapshot::role(),
        stateful_set::role(),
        storage_protection::role_of_claims(),
        storage_protection::role_of_volumes(),
        storage_version_migration::role(),
        taint_eviction::role(),
        token_secrets::role(),
        trust_bundles::role(),
        ttl_after_finished::role(),
        validating_admission_policy_status::role(),
        volume_expansion::role(),
    ]
}

/// Starts them all; they end with `stop`. When it returns, the custom kinds that are stored are served.
pub fn start(cluster: &Cluster, config: &ControllersConfig, stop: &CancellationToken) -> JoinSet<()> {
    let definitions = custom_resource_definitions::serve_stored(cluster, config.definitions_memory);
    let mut controllers = JoinSet::new();
    controllers.spawn(custom_resource_definitions::run(cluster.clone(), definitions, stop.clone()));
    controllers.spawn(service_account::run(cluster.clone(), config.root_ca_pem.clone(), stop.clone()));
    controllers.spawn(token_secrets::run(cluster.clone(), config.root_ca_pem.clone(), stop.clone()));
    controllers.spawn(legacy_tokens::run(cluster.clone(), stop.clone()));
    controllers.spawn(legacy_tokens::run_tracking(cluster.clone(), stop.clone()));
    controllers.spawn(trust_bundles::run(cluster.clone(), config.root_ca_pem.clone(), stop.clone()));
    controllers.spawn(bootstrap_tokens::run(cluster.clone(), stop.clone()));
    controllers.spawn(certificates::run(cluster.clone(), config.authority.clone(), stop.clone()));
    controllers.spawn(pod_certificate_requests::run(cluster.clone(), stop.clone()));
    controllers.spawn(api_services::run(cluster.clone(), stop.clone()));
    controllers.spawn(extension_authentication::run(
        cluster.clone(),
        config.root_ca_pem.clone(),
        config.front_proxy_ca_pem.clone(),
        stop.clone(),
    ));
    controllers.spawn(cluster_role_aggregation::run(cluster.clone(), stop.clone()));
    controllers.spawn(replication::run_replica_sets(cluster.clone(), stop.clone()));
    controllers.spawn(replication::run_replication_controllers(cluster.clone(), stop.clone()));
    controllers.spawn(deployment::run(cluster.clone(), stop.clone()));
    controllers.spawn(daemon_set::run(cluster.clone(), stop.clone()));
    controllers.spawn(stateful_set::run(cluster.clone(), stop.clone()));
    controllers.spawn(cron_job::run(cluster.clone(), stop.clone()));
    controllers.spawn(job::run(cluster.clone(), stop.clone()));
    controllers.spawn(ttl_after_finished::run(cluster.clone(), stop.clone()));
    controllers.spawn(endpoint_slices::run(cluster.clone(), stop.clone()));
    controllers.spawn(namespace::run(cluster.clone(), stop.clone()));
    controllers.spawn(pod_garbage_collector::run(cluster.clone(), stop.clone()));
    controllers.spawn(node_lifecycle::run(cluster.clone(), stop.clone()));
    controllers.spawn(taint_eviction::run(cluster.clone(), stop.clone()));
    controllers.spawn(disruption::run(cluster.clone(), stop.clone()));
    controllers.spawn(horizontal_pod_autoscaler::run(cluster.clone(), stop.clone()));
    controllers.spawn(resource_quota::run(cluster.clone(), stop.clone()));
    controllers.spawn(ip_addresses::run(cluster.clone(), stop.clone()));
    controllers.spawn(service_cidrs::run(cluster.clone(), config.service_network.clone(), stop.clone()));
    controllers.spawn(kubernetes_service::run(cluster.clone(), stop.clone()));
    controllers.spawn(persistent_volume_binder::run(cluster.clone(), stop.clone()));
    controllers.spawn(storage_protection::run_claims(cluster.clone(), stop.clone()));
    controllers.spawn(storage_protection::run_volumes(cluster.clone(), stop.clone()));
    controllers.spawn(storage_version_migration::run(cluster.clone(), stop.clone()));
    controllers.spawn(ephemeral_volume::run(cluster.clone(), stop.clone()));
    controllers.spawn(attach_detach::run(cluster.clone(), stop.clone()));
    controllers.spawn(volume_expansion::run(cluster.clone(), stop.clone()));
    controllers.spawn(snapshot::run(cluster.clone(), stop.clone()));
    controllers.spawn(validating_admission_policy_status::run(cluster.clone(), stop.clone()));
    controllers.spawn(garbage_collector::run(cluster.clone(), stop.clone()));
    controllers.spawn(cluster.clone().expire_events(stop.clone()));
    controllers
}
