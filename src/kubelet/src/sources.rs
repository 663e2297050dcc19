//! What a pod refers to beside itself (ConfigMaps, Secrets, claims, services …), and which of their changes wake it.

use cluster::Informer;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a pod may refer to, besides itself.
pub trait Sources: Send + Sync {
    fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>>;
    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>>;
    fn claim(&self, namespace: &str, name: &str) -> Option<Arc<PersistentVolumeClaim>>;
    fn volume(&self, name: &str) -> Option<Arc<PersistentVolume>>;
    /// Those of the namespace, and the API server's.
    fn services(&self, namespace: &str) -> Vec<Arc<Service>>;
    fn trust_bundles(&self) -> Vec<Arc<ClusterTrustBundle>>;
}

/// From the cluster's caches.
#[derive(Clone)]
pub struct Cached {
    pub config_maps: Informer<ConfigMap>,
    pub secrets: Informer<Secret>,
    pub services: Informer<Service>,
    pub claims: Informer<PersistentVolumeClaim>,
    pub volumes: Informer<PersistentVolume>,
    pub trust_bundles: Informer<ClusterTrustBundle>,
}

impl Sources for Cached {
    fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>> {
        self.config_maps.get(&api::ObjectKey::namespaced(namespace, name))
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
        self.secrets.get(&api::ObjectKey::namespaced(namespace, name))
    }

    fn claim(&self, namespace: &str, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
        self.claims.get(&api::ObjectKey::namespaced(namespace, name))
    }

    fn volume(&self, name: &str) -> Option<Arc<PersistentVolume>> {
        self.volumes.get(&api::ObjectKey::cluster(name))
    }

    fn services(&self, namespace: &str) -> Vec<Arc<Service>> {
        let mut services = self.services.list(Some(namespace));
        if namespace != "default" {
            services.extend(self.services.get(&api::ObjectKey::namespaced("default", "kubernetes")));
        }
        services
    }

    fn trust_bundles(&self) -> Vec<Arc<ClusterTrustBundle>> {
        self.trust_bundles.list(None)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    ConfigMap(String),
    Secret(String),
    Claim(String),
    /// Any of them: labels choose some.
    TrustBundles,
}

/// All ConfigMaps, Secrets, claims and trust bundles whose change concerns the pod.
pub fn references(pod: &Pod) -> BTreeSet<Source> {
    let spec = crate::pod::spec(pod);
    let mut found = BTreeSet::new();
    let map = |name: &str| Source::ConfigMap(name.to_owned());
    for volume in spec.volumes.iter().flatten() {
        found.extend(volume.config_map.iter().map(|c| map(&c.name)));
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            found.extend(source.config_map.iter().map(|c| map(&c.name)));
            found.extend(source.cluster_trust_bundle.iter().map(|_| Source::TrustBundles));
        }
    }
    for container in crate::pod::all_containers(spec) {
        for from in container.env_from.iter().flatten() {
            found.extend(from.config_map_ref.iter().map(|c| map(&c.name)));
        }
        for from in container.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
            found.extend(from.config_map_key_ref.iter().map(|c| map(&c.name)));
        }
    }
    let secret = |name: &str| Source::Secret(name.to_owned());
    for volume in spec.volumes.iter().flatten() {
        found.extend(volume.secret.iter().filter_map(|s| s.secret_name.as_deref()).map(secret));
        let of_driver = volume.csi.iter().filter_map(|c| c.node_publish_secret_ref.as_ref());
        found.extend(of_driver.map(|s| secret(&s.name)));
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            found.extend(source.secret.iter().map(|s| secret(&s.name)));
        }
    }
    for container in crate::pod::all_containers(spec) {
        for from in container.env_from.iter().flatten() {
            found.extend(from.secret_ref.iter().map(|s| secret(&s.name)));
        }
        for from in container.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
            found.extend(from.secret_key_ref.iter().map(|s| secret(&s.name)));
        }
    }
    found.extend(kinds::volume::claims_of(pod).into_iter().map(|claim| Source::Claim(claim.name)));
    found.extend(spec.image_pull_secrets.iter().flatten().map(|s| secret(&s.name)));
    found
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    type Key = (String, String);

    /// Sources that do not change.
    #[derive(Default)]
    pub struct Fixed {
        maps: BTreeMap<Key, Arc<ConfigMap>>,
        secrets: BTreeMap<Key, Arc<Secret>>,
        services: Vec<Arc<Service>>,
        pub claims: BTreeMap<String, Arc<PersistentVolumeClaim>>,
        pub volumes: BTreeMap<String, Arc<PersistentVolume>>,
        bundles: Vec<Arc<ClusterTrustBundle>>,
    }

    impl Fixed {
        pub fn config_map(mut self, namespace: &str, name: &str, data: Value) -> Self {
            let map = serde_json::from_value(
                json!({"metadata": {"name": name, "namespace": namespace}, "data": data}),
            );
            self.maps.insert((namespace.into(), name.into()), Arc::new(map.unwrap()));
            self
        }

        pub fn secret(mut self, namespace: &str, name: &str, data: Value) -> Self {
            let secret = serde_json::from_value(
                json!({"metadata": {"name": name, "namespace": namespace}, "data": data}),
            );
            self.secrets.insert((namespace.into(), name.into()), Arc::new(secret.unwrap()));
            self
        }

        pub fn service(mut self, service: Value) -> Self {
            self.services.push(Arc::new(serde_json::from_value(service).unwrap()));
            self
        }

        pub fn trust_bundle(mut self, bundle: Value) -> Self {
            self.bundles.push(Arc::new(serde_json::from_value(bundle).unwrap()));
            self
        }
    }

    impl Sources for Fixed {
        fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>> {
            self.maps.get(&(namespace.into(), name.into())).cloned()
        }
        fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
            self.secrets.get(&(namespace.into(), name.into())).cloned()
        }
        fn claim(&self, _namespace: &str, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
            self.claims.get(name).cloned()
        }
        fn volume(&self, name: &str) -> Option<Arc<PersistentVolume>> {
            self.volumes.get(name).cloned()
        }
        fn services(&self, namespace: &str) -> Vec<Arc<Service>> {
            let wanted = |s: &&Arc<Service>| {
                s.metadata.namespace.as_deref() == Some(namespace)
                    || s.metadata.name.as_deref() == Some("kubernetes")
            };
            self.services.iter().filter(wanted).cloned().collect()
        }
        fn trust_bundles(&self) -> Vec<Arc<ClusterTrustBundle>> {
            self.bundles.clone()
        }
    }

    #[test]
    fn every_place_that_names_a_source_is_found() {
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "imagePullSecrets": [{"name": "registry"}],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "a", "configMap": {"name": "files"}}, {"name": "b", "secret": {"secretName": "keys"}},
                {"name": "c", "projected": {"sources": [{"configMap": {"name": "ca"}}, {"secret": {"name": "more"}},
                    {"clusterTrustBundle": {"name": "own", "path": "own.pem"}}]}}],
            "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "env"}}],
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "one", "key": "k"}}}]}]}}))
        .unwrap();
        let names: Vec<String> = references(&pod).iter().map(|s| format!("{s:?}")).collect();
        assert_eq!(
            names,
            [
                "ConfigMap(\"ca\")",
                "ConfigMap(\"env\")",
                "ConfigMap(\"files\")",
                "Secret(\"keys\")",
                "Secret(\"more\")",
                "Secret(\"one\")",
                "Secret(\"registry\")",
                "Claim(\"data\")",
                "TrustBundles",
            ]
        );
    }
}
