//! The Secrets that a pod needs: upstream's `VisitPodSecretNames`.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, LocalObjectReference, Pod, PodSpec, Volume};
use std::collections::BTreeSet;

pub(super) fn secrets(pod: &Pod) -> BTreeSet<&str> {
    let Some(spec) = &pod.spec else { return BTreeSet::new() };
    let pulls = spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str());
    let volumes = spec.volumes.iter().flatten().flat_map(of_volume);
    pulls.chain(of_containers(spec)).chain(volumes).filter(|name| !name.is_empty()).collect()
}

fn of_containers(spec: &PodSpec) -> impl Iterator<Item = &str> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let first = containers.flat_map(|c| {
        c.env
            .iter()
            .flatten()
            .filter_map(of_variable)
            .chain(c.env_from.iter().flatten().filter_map(of_source))
    });
    let later = spec.ephemeral_containers.iter().flatten().flat_map(|c| {
        c.env
            .iter()
            .flatten()
            .filter_map(of_variable)
            .chain(c.env_from.iter().flatten().filter_map(of_source))
    });
    first.chain(later)
}

fn of_variable(variable: &EnvVar) -> Option<&str> {
    Some(&variable.value_from.as_ref()?.secret_key_ref.as_ref()?.name)
}

fn of_source(source: &EnvFromSource) -> Option<&str> {
    Some(&source.secret_ref.as_ref()?.name)
}

fn name(named: Option<&LocalObjectReference>) -> Option<&str> {
    named.map(|named| named.name.as_str())
}

fn of_volume(volume: &Volume) -> Vec<&str> {
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let projected = projected.filter_map(|source| source.secret.as_ref()).map(|secret| secret.name.as_str());
    let others = [
        volume.secret.as_ref().and_then(|source| source.secret_name.as_deref()),
        volume.csi.as_ref().and_then(|source| name(source.node_publish_secret_ref.as_ref())),
        volume.azure_file.as_ref().map(|source| source.secret_name.as_str()),
        volume.cephfs.as_ref().and_then(|source| name(source.secret_ref.as_ref())),
        volume.cinder.as_ref().and_then(|source| name(source.secret_ref.as_ref())),
        volume.flex_volume.as_ref().and_then(|source| name(source.secret_ref.as_ref())),
        volume.iscsi.as_ref().and_then(|source| name(source.secret_ref.as_ref())),
        volume.rbd.as_ref().and_then(|source| name(source.secret_ref.as_ref())),
        volume.scale_io.as_ref().map(|source| source.secret_ref.name.as_str()),
        volume.storageos.as_ref().and_then(|source| name(source.secret_ref.as_ref())),
    ];
    others.into_iter().flatten().chain(projected).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_found_wherever_a_pod_names_them() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {
            "imagePullSecrets": [{"name": "pull"}, {"name": ""}],
            "initContainers": [{"name": "i", "env": [
                {"name": "A", "value": "plain"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "variable", "key": "k"}}},
            ]}],
            "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "map"}}]}],
            "ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "debug"}}]}],
            "volumes": [
                {"name": "a", "secret": {"secretName": "volume"}},
                {"name": "b", "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {"name": "map"}}]}},
                {"name": "c", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "driver"}}},
                {"name": "d", "emptyDir": {}},
            ],
        }}))
        .unwrap();
        let want = ["all", "debug", "driver", "projected", "pull", "variable", "volume"];
        assert_eq!(secrets(&pod), want.into());
    }
}
