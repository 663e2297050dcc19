//! Upstream's ServiceAccount admission: every pod has an account, and finds its token at the known place.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Cluster;
use crate::name_suffix::name_suffix;
use crate::pod_references::{self as refers, MIRROR};
use crate::reservations::Reservations;
use ::api::{GroupResource, Object, ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector, Pod,
    PodSpec, ProjectedVolumeSource, ServiceAccount as Account, ServiceAccountTokenProjection, Volume,
    VolumeMount, VolumeProjection,
};
use kinds::TypedKind;
use std::time::Duration;
use store::{EventKind, Resource};

const DEFAULT_ACCOUNT: &str = "default";
/// Upstream looks ten times, a tenth to a fifth of a second apart.
const ACCOUNT_PATIENCE: Duration = Duration::from_secs(2);
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
pub(crate) const TOKEN_LIFE_SECONDS: i64 = 3607; // upstream's: an hour, told apart from one that a user asked for
const VOLUME_PREFIX: &str = "kube-api-access-";

pub(super) struct ServiceAccount;

#[async_trait]
impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step != Step::Begin && review.creates::<Pod>()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        match review.draft.new_mut().and_then(|new| new.downcast_mut()) {
            Some(pod) => give_account(cluster, pod).await,
            None => Ok(()),
        }
    }

    /// Who was asked last may have named another.
    async fn validate(&self, review: &Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        match review.new_object().and_then(|new| new.downcast_ref()) {
            Some(pod) => has_account(review.asked.cluster, pod),
            None => Ok(()),
        }
    }
}

fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR))
}

/// What a kubelet shows of a file is nobody's in the cluster: nothing of the cluster may be given to it, whoever makes it. Nodes
/// are told more by NodeRestriction.
fn refers_to_nothing(pod: &Pod) -> Result<(), Status> {
    let refuse = |why: &str| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        Err(Status::forbidden(&GroupResource::new("", "pods"), name, why))
    };
    let Some(spec) = &pod.spec else { return Ok(()) };
    let accounts = [&spec.service_account_name, &spec.service_account];
    if accounts.into_iter().flatten().any(|name| !name.is_empty()) {
        return refuse("a mirror pod may not reference service accounts");
    }
    if !refers::secrets(spec).is_empty() {
        return refuse("a mirror pod may not reference secrets");
    }
    let mut projections = spec.volumes.iter().flatten().flat_map(refers::projections);
    if projections.any(|projection| projection.service_account_token.is_some()) {
        return refuse("a mirror pod may not use ServiceAccountToken volume projections");
    }
    Ok(())
}

fn has_account(cluster: &Cluster, pod: &Pod) -> Result<(), Status> {
    if is_mirror(pod) {
        return refers_to_nothing(pod);
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or_default();
    if account.is_empty() {
        let why = format!("no service account specified for pod {namespace}/{pod_name}");
        return Err(Status::forbidden(&GroupResource::new("", "pods"), pod_name, why));
    }
    let resource = Resource::from(&Account::info().storage);
    let stored = cluster.store().snapshot().get(&resource, &ObjectKey::namespaced(namespace, account));
    stored.map(drop).ok_or_else(|| no_account(namespace, pod_name, account))
}

async fn give_account(cluster: &Cluster, pod: &mut Pod) -> Result<(), Status> {
    // its kubelet takes one that differs from the file for another pod; what it must not have is refused here already, as upstream
    // does, before validation finds that a token needs an account
    if is_mirror(pod) {
        return refers_to_nothing(pod);
    }
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let pod_name = pod.metadata.name.clone().unwrap_or_default();
    let Some(spec) = pod.spec.as_mut() else { return Ok(()) };
    let name = spec
        .service_account_name
        .clone()
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned());
    spec.service_account_name = Some(name.clone());
    spec.service_account = Some(name.clone());
    let account: Account = match account(cluster, &namespace, &name).await {
        Some(object) => object.decode().map_err(Status::internal)?,
        None => return Err(no_account(&namespace, &pod_name, &name)),
    };
    if spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty) {
        spec.image_pull_secrets.clone_from(&account.image_pull_secrets);
    }
    let wanted =
        spec.automount_service_account_token.or(account.automount_service_account_token).unwrap_or(true);
    if wanted {
        mount_token(spec);
    }
    Ok(())
}

/// The account `default` is made soon after its namespace: whoever makes a pod right after that waits for it.
async fn account(cluster: &Cluster, namespace: &str, name: &str) -> Option<Object> {
    let resource = Resource::from(&Account::info().storage);
    let key = ObjectKey::namespaced(namespace, name);
    let snapshot = cluster.store().snapshot();
    let stored = snapshot.get(&resource, &key);
    if stored.is_some() || name != DEFAULT_ACCOUNT {
        return stored;
    }
    let mut changes = cluster.store().watch(&resource, snapshot.revision()).ok()?;
    let made = async {
        loop {
            let change = changes.next().await.ok()?;
            if change.kind != EventKind::Deleted && change.object.key() == key {
                return Some(change.object);
            }
        }
    };
    tokio::time::timeout(ACCOUNT_PATIENCE, made).await.ok().flatten()
}

fn no_account(namespace: &str, pod: &str, name: &str) -> Status {
    let why =
        format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
    Status::forbidden(&GroupResource::new("", "pods"), pod, why)
}

fn mount_token(spec: &mut PodSpec) {
    let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
    let mut without: Vec<_> = containers
        .filter(|c| !c.volume_mounts.iter().flatten().any(|mount| mount.mount_path == TOKEN_PATH))
        .collect();
    if without.is_empty() {
        return;
    }
    let volumes = spec.volumes.get_or_insert_default();
    let known = volumes.iter().find(|v| v.name.starts_with(VOLUME_PREFIX)).map(|v| v.name.clone());
    let name = known.unwrap_or_else(|| {
        let name = format!("{VOLUME_PREFIX}{}", name_suffix());
        volumes.push(token_volume(&name));
        name
    });
    for container in &mut without {
        container.volume_mounts.get_or_insert_default().push(VolumeMount {
            name: name.clone(),
            mount_path: TOKEN_PATH.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
}

fn token_volume(name: &str) -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: "token".into(),
            expiration_seconds: Some(TOKEN_LIFE_SECONDS),
            ..ServiceAccountTokenProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let ca = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: "kube-root-ca.crt".into(),
            items: Some(vec![KeyToPath {
                key: "ca.crt".into(),
                path: "ca.crt".into(),
                ..KeyToPath::default()
            }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "namespace".into(),
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".into()),
                    field_path: "metadata.namespace".into(),
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
        }),
        ..VolumeProjection::default()
    };
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o644),
            sources: Some(vec![token, ca, namespace]),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}
