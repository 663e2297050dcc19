//! What a pod refers to by name: its secrets and ConfigMaps. Pure; upstream's `VisitPodSecretNames` and `VisitPodConfigmapNames`.

use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, LocalObjectReference, PersistentVolume, PodSpec, SecretReference, Volume,
    VolumeProjection,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// The annotation of a pod that a kubelet shows, and does not get, from the API.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";

/// Of the pod's own namespace.
pub(crate) fn secrets(spec: &PodSpec) -> BTreeSet<&str> {
    let pulled = spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str());
    let mut found: BTreeSet<&str> = pulled.collect();
    for (env, from) in environments(spec) {
        let keys = env.iter().filter_map(|var| var.value_from.as_ref()?.secret_key_ref.as_ref());
        found.extend(keys.map(|key| key.name.as_str()));
        found.extend(
            from.iter().filter_map(|from| from.secret_ref.as_ref()).map(|secret| secret.name.as_str()),
        );
    }
    for volume in spec.volumes.iter().flatten() {
        found.extend(secrets_of_volume(volume));
    }
    found.remove("");
    found
}

/// Of the pod's own namespace.
pub(crate) fn config_maps(spec: &PodSpec) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (env, from) in environments(spec) {
        let keys = env.iter().filter_map(|var| var.value_from.as_ref()?.config_map_key_ref.as_ref());
        found.extend(keys.map(|key| key.name.as_str()));
        found
            .extend(from.iter().filter_map(|from| from.config_map_ref.as_ref()).map(|map| map.name.as_str()));
    }
    for volume in spec.volumes.iter().flatten() {
        found.extend(volume.config_map.iter().map(|map| map.name.as_str()));
        found.extend(projections(volume).filter_map(|p| p.config_map.as_ref()).map(|map| map.name.as_str()));
    }
    found.remove("");
    found
}

pub(crate) fn projections(volume: &Volume) -> impl Iterator<Item = &VolumeProjection> {
    volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten())
}

/// Namespace and name of a volume's secrets; without a namespace it is that of the claim. Upstream's `VisitPVSecretNames`.
pub(crate) fn secrets_of_persistent_volume(volume: &PersistentVolume) -> Vec<(Option<String>, String)> {
    let Some(spec) = &volume.spec else { return Vec::new() };
    if let Some(csi) = &spec.csi {
        let all = [
            &csi.controller_expand_secret_ref,
            &csi.controller_publish_secret_ref,
            &csi.node_expand_secret_ref,
            &csi.node_publish_secret_ref,
            &csi.node_stage_secret_ref,
        ];
        let named = |secret: &SecretReference| Some((secret.namespace.clone(), secret.name.clone()?));
        return all.into_iter().flatten().filter_map(named).collect();
    }
    // the in-tree volumes, of which no two have the same fields: all of them name their secret alike
    let sources = serde_json::to_value(spec).unwrap_or_default();
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let secret = |source: &Value| match &source["secretRef"] {
        Value::Null => Some((text(&source["secretNamespace"]), text(&source["secretName"])?)),
        secret => Some((text(&secret["namespace"]), text(&secret["name"])?)),
    };
    sources.as_object().into_iter().flatten().filter_map(|(_, source)| secret(source)).collect()
}

/// Of all containers.
fn environments(spec: &PodSpec) -> Vec<(&[EnvVar], &[EnvFromSource])> {
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let of = containers.map(|c| (c.env.as_deref(), c.env_from.as_deref()));
    let all = of.chain(ephemeral.map(|c| (c.env.as_deref(), c.env_from.as_deref())));
    all.map(|(env, from)| (env.unwrap_or_default(), from.unwrap_or_default())).collect()
}

fn secrets_of_volume(volume: &Volume) -> Vec<&str> {
    fn name(secret: &LocalObjectReference) -> &str {
        &secret.name
    }
    let mut found: Vec<&str> = Vec::new();
    found.extend(volume.secret.iter().filter_map(|secret| secret.secret_name.as_deref()));
    found.extend(projections(volume).filter_map(|p| p.secret.as_ref()).map(|secret| secret.name.as_str()));
    found.extend(volume.csi.iter().filter_map(|v| v.node_publish_secret_ref.as_ref()).map(name));
    found.extend(volume.azure_file.iter().map(|v| v.secret_name.as_str()));
    found.extend(volume.cephfs.iter().filter_map(|v| v.secret_ref.as_ref()).map(name));
    found.extend(volume.cinder.iter().filter_map(|v| v.secret_ref.as_ref()).map(name));
    found.extend(volume.flex_volume.iter().filter_map(|v| v.secret_ref.as_ref()).map(name));
    found.extend(volume.iscsi.iter().filter_map(|v| v.secret_ref.as_ref()).map(name));
    found.extend(volume.rbd.iter().filter_map(|v| v.secret_ref.as_ref()).map(name));
    found.extend(volume.scale_io.iter().map(|v| name(&v.secret_ref)));
    found.extend(volume.storageos.iter().filter_map(|v| v.secret_ref.as_ref()).map(name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_refers_to_secrets_and_maps_in_many_places() {
        let env = json!([
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s-env", "key": "k"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c-env", "key": "k"}}},
        ]);
        let from = json!([{"secretRef": {"name": "s-from"}}, {"configMapRef": {"name": "c-from"}}]);
        let spec: PodSpec = serde_json::from_value(json!({
            "imagePullSecrets": [{"name": "s-pull"}, {"name": ""}],
            "initContainers": [{"name": "i", "env": env}],
            "containers": [{"name": "c", "envFrom": from}],
            "ephemeralContainers": [
                {"name": "e", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s-late", "key": "k"}}}]},
            ],
            "volumes": [
                {"name": "a", "secret": {"secretName": "s-volume"}},
                {"name": "b", "configMap": {"name": "c-volume"}},
                {"name": "c", "projected": {"sources": [{"secret": {"name": "s-part"}}, {"configMap": {"name": "c-part"}}]}},
                {"name": "d", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "s-csi"}}},
                {"name": "e", "azureFile": {"secretName": "s-azure", "shareName": "s"}},
            ],
        }))
        .unwrap();
        let want = ["s-azure", "s-csi", "s-env", "s-from", "s-late", "s-part", "s-pull", "s-volume"];
        assert_eq!(secrets(&spec).into_iter().collect::<Vec<_>>(), want);
        let want = ["c-env", "c-from", "c-part", "c-volume"];
        assert_eq!(config_maps(&spec).into_iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn a_volume_refers_to_its_drivers_secrets() {
        let some = |namespace: Option<&str>, name: &str| (namespace.map(str::to_owned), name.to_owned());
        for (case, spec, want) in [
            ("none", json!({"hostPath": {"path": "/x"}}), vec![]),
            (
                "of a driver",
                json!({"csi": {"driver": "d", "volumeHandle": "v",
                    "nodeStageSecretRef": {"namespace": "a", "name": "s"},
                    "nodePublishSecretRef": {"namespace": "b", "name": "t"}}}),
                vec![some(Some("b"), "t"), some(Some("a"), "s")],
            ),
            (
                "in the tree",
                json!({"iscsi": {"iqn": "i", "lun": 0, "targetPortal": "t", "secretRef": {"name": "s"}}}),
                vec![some(None, "s")],
            ),
            (
                "by another field",
                json!({"azureFile": {"secretName": "s", "secretNamespace": "a", "shareName": "x"}}),
                vec![some(Some("a"), "s")],
            ),
        ] {
            let volume: PersistentVolume = serde_json::from_value(json!({"spec": spec})).unwrap();
            assert_eq!(secrets_of_persistent_volume(&volume), want, "{case}");
        }
    }
}
