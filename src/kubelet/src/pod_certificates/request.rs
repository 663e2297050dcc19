//! The request itself, in the words of upstream's kubelet where it fails.

use super::key;
use super::state::{Refusal, Requested};
use crate::pod;
use crate::shared::Shared;
use api::{ObjectKey, Status};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, PodCertificateProjection, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// Makes a key, and asks for a certificate for it.
///
/// # Errors
/// In words; a key that can not be made is refused for good.
pub(crate) async fn request(
    shared: &Shared,
    pod: &Pod,
    wanted: &PodCertificateProjection,
) -> Result<Requested, Refusal> {
    let no_key = |why: String| format!("while generating keypair: {why}");
    let algorithm = key::algorithm(&wanted.key_type).map_err(|why| Refusal::ForGood(no_key(why)))?;
    let made = key::generate(algorithm).map_err(|why| Refusal::ForNow(no_key(why)))?;
    let failed = |what: &'static str| {
        move |status: Status| Refusal::ForNow(format!("while {what}: {}", status.message))
    };
    let (namespace, account) = (pod::namespace(pod), account(pod));
    let account_key = ObjectKey::namespaced(namespace, account);
    let stored = shared.client.api::<ServiceAccount>().get(&account_key);
    let account_uid = stored.map_err(failed("fetching service account"))?.metadata.uid;
    let node_name = &shared.config.node_name;
    let node = shared.client.api::<Node>().get(&ObjectKey::cluster(node_name));
    let node_uid = node.map_err(failed("getting node object"))?.metadata.uid;
    let spec = PodCertificateRequestSpec {
        signer_name: wanted.signer_name.clone(),
        pod_name: pod::name(pod).to_owned(),
        pod_uid: pod::uid(pod).to_owned(),
        service_account_name: account.to_owned(),
        service_account_uid: account_uid.unwrap_or_default(),
        node_name: node_name.clone(),
        node_uid: node_uid.unwrap_or_default(),
        max_expiration_seconds: wanted.max_expiration_seconds,
        stub_pkc_s10_request: ByteString(made.request),
        unverified_user_annotations: wanted.user_annotations.clone(),
    };
    let request = PodCertificateRequest { metadata: metadata(pod), spec, status: None };
    let created = shared.client.api::<PodCertificateRequest>().create(request).await;
    let created = created.map_err(failed("creating PodCertificateRequest"))?.metadata;
    Ok(Requested {
        namespace: namespace.to_owned(),
        name: created.name.unwrap_or_default(),
        uid: created.uid.unwrap_or_default(),
        key: made.key,
    })
}

fn account(pod: &Pod) -> &str {
    pod::spec(pod).service_account_name.as_deref().unwrap_or("default")
}

/// It goes with its pod.
fn metadata(pod: &Pod) -> ObjectMeta {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod::name(pod).to_owned(),
        uid: pod::uid(pod).to_owned(),
        ..OwnerReference::default()
    };
    ObjectMeta {
        namespace: Some(pod::namespace(pod).to_owned()),
        generate_name: Some("req-".to_owned()),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    }
}
