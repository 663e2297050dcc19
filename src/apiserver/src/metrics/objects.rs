//! Of what is stored: how many objects there are, and which APIServices can be asked.

use cluster::Cluster;
use cluster::metrics::Exposition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kinds::builtin::api_service::condition;
use store::Resource;

pub(super) fn collect(out: &mut Exposition, cluster: &Cluster) {
    let (registry, snapshot) = (cluster.registry(), cluster.store().snapshot());
    let counts: Vec<_> = registry
        .kinds()
        .map(|kind| {
            let resource = Resource::from(&kind.storage);
            let count = snapshot.count(&resource, None);
            (&kind.storage, resource, count)
        })
        .collect();
    let name = "apiserver_resource_objects";
    out.metric(name, "gauge", "Number of stored objects at the time of last check split by kind.");
    for (storage, _, count) in &counts {
        let labels = [("group", &*storage.group), ("resource", &*storage.resource)];
        out.value(name, &labels, count, None);
    }
    // its name before 1.34, which rules and dashboards still have
    let name = "apiserver_storage_objects";
    out.metric(name, "gauge", "Number of stored objects at the time of last check split by kind.");
    for (_, resource, count) in &counts {
        out.value(name, &[("resource", resource.as_str())], count, None);
    }
    let stored = cluster.store().usage();
    // under etcd's names: alerts ask how much is left
    let name = "etcd_mvcc_db_total_size_in_use_in_bytes";
    out.metric(name, "gauge", "What is stored takes of memory, about.");
    out.value(name, &[], stored.bytes, None);
    let name = "etcd_server_quota_backend_bytes";
    out.metric(name, "gauge", "What it may take; 0 for any amount.");
    out.value(name, &[], stored.quota.unwrap_or(0), None);
    let name = "aggregator_unavailable_apiservice";
    out.metric(
        name,
        "gauge",
        "Gauge of APIServices which are marked as unavailable broken down by APIService name.",
    );
    for service in cluster.informer::<APIService>().list(None) {
        let Some(condition) = condition(&service) else { continue };
        let labels = [("name", service.metadata.name.as_deref().unwrap_or_default())];
        out.value(name, &labels, u8::from(condition.status != "True"), None);
    }
}
