//! The cluster's own authority as a ClusterTrustBundle, which pods may be given: upstream's
//! kube-apiserver-serving-clustertrustbundle-publisher. One bundle of the signer there is; any other of it goes.

use api::{LabelSelector, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Client, Cluster, Controller, DeleteOptions, unless_gone};
use k8s_openapi::api::certificates::v1::{ClusterTrustBundle, ClusterTrustBundleSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::key_of;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use tokio_util::sync::CancellationToken;

const NAME: &str = "kube-apiserver-serving-clustertrustbundle-publisher";
const SIGNER: &str = "kubernetes.io/kube-apiserver-serving";
const HASHED: usize = 12; // bytes of the hash that are in the name

pub(crate) fn role() -> ComponentRole {
    let group = &["certificates.k8s.io"];
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["create", "delete", "get", "list", "update", "watch"], group, &["clustertrustbundles"]),
            PolicyRule {
                resource_names: Some(vec![SIGNER.to_owned()]),
                ..rule(&["attest"], group, &["signers"])
            },
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, root_ca_pem: String, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<ClusterTrustBundle>(|queue, change| {
            if is_of_signer(change.object()) {
                queue.add(());
            }
        })
        .listens(|queue| {
            queue.add(());
            Box::pin(std::future::pending())
        })
        .run(stop, (client, bundle(root_ca_pem)), |(client, wanted), (): ()| async move {
            publish(&client, &wanted).await
        })
        .await;
}

async fn publish(client: &Client, wanted: &ClusterTrustBundle) -> Result<(), Status> {
    let bundles = client.api::<ClusterTrustBundle>();
    let key = key_of(&wanted.metadata);
    match bundles.find(&key)? {
        None => {
            let created = bundles.create(wanted.clone()).await;
            created.map(drop).or_else(|status| match status.is(Reason::AlreadyExists) {
                true => Ok(()),
                false => Err(status),
            })?;
        }
        Some(there) if there.spec.trust_bundle != wanted.spec.trust_bundle => {
            bundles.update(ClusterTrustBundle { spec: wanted.spec.clone(), ..there }).await?;
        }
        Some(_) => {}
    }
    for other in bundles.list(None, LabelSelector::default())?.iter().filter(|other| is_of_signer(other)) {
        let other_key = key_of(&other.metadata);
        if other_key != key {
            unless_gone(bundles.delete(&other_key, DeleteOptions::default()).await)?;
        }
    }
    Ok(())
}

fn is_of_signer(bundle: &ClusterTrustBundle) -> bool {
    bundle.spec.signer_name.as_deref() == Some(SIGNER)
}

/// Another authority has another name, so that two of them can be there while one takes over from the other.
fn bundle(trust_bundle: String) -> ClusterTrustBundle {
    let hash = Sha256::digest(trust_bundle.as_bytes());
    let mut name = format!("{}:", SIGNER.replace('/', ":"));
    for byte in &hash[..HASHED] {
        let _ = write!(name, "{byte:02x}");
    }
    ClusterTrustBundle {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        spec: ClusterTrustBundleSpec { signer_name: Some(SIGNER.to_owned()), trust_bundle },
    }
}
