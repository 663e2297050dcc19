//! Of what is stored: how many objects there are, and which APIServices can be asked.

use cluster::Cluster;
use cluster::metrics::Exposition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kinds::builtin::api_service::condition;
use store::Resource;

pub(super) fn tell(out: &mut Exposition, cluster: &Cluster) {
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
