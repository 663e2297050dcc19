//! Requests of kubelets are approved, approved requests for certificates are signed, and old requests go: upstream's `csrapproving`,
//! `csrsigning` and `csrcleaner`.
//!
//! Three signers are ours; a request for another waits for whoever that is. [`rules`] says what each of ours signs.

mod approver;
mod rules;

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Client, Cluster, Controller, DeleteOptions, WorkQueue, unless_gone};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kinds::Subresource;
pub use rules::Asked;
use rules::judge;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "certificate-controller";
const FAILED: &str = "Failed";

const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60); // upstream's --cluster-signing-duration
const DECIDED_STAYS: Duration = Duration::from_secs(60 * 60); // csrcleaner: approved and denied ones
const PENDING_STAYS: Duration = Duration::from_secs(24 * 60 * 60); // csrcleaner: those that nobody has judged

/// The cluster's own authority, which those who make certificates hold.
pub trait Authority: Send + Sync {
    /// What a request (PEM) asks for; its own signature is right.
    ///
    /// # Errors
    /// In words: why it is none.
    fn read(&self, request: &[u8]) -> Result<Asked, String>;

    /// A certificate (PEM) for the request's key and subject.
    ///
    /// # Errors
    /// In words: why it could not be made.
    fn sign(&self, request: &[u8], usages: &[String], lifetime: Duration) -> Result<Vec<u8>, String>;
}

pub(crate) fn role() -> ComponentRole {
    let group = &["certificates.k8s.io"];
    let signers = &[
        "kubernetes.io/kube-apiserver-client",
        "kubernetes.io/kube-apiserver-client-kubelet",
        "kubernetes.io/kubelet-serving",
    ];
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["delete", "get", "list", "watch"], group, &["certificatesigningrequests"]),
            rule(
                &["update"],
                group,
                &["certificatesigningrequests/approval", "certificatesigningrequests/status"],
            ),
            PolicyRule {
                resource_names: Some(vec![rules::KUBELET_CLIENT.to_owned()]),
                ..rule(&["approve"], group, &["signers"])
            },
            PolicyRule {
                resource_names: Some(signers.iter().map(|name| (*name).to_owned()).collect()),
                ..rule(&["sign"], group, &["signers"])
            },
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, authority: Arc<dyn Authority>, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let controller = Controller::new(NAME, &cluster).heeds_clock().reconciles::<CertificateSigningRequest>();
    let reconciler = (client, controller.queue(), authority);
    controller
        .run(stop, reconciler, |(client, queue, authority), key| async move {
            reconcile(&client, &queue, authority, key).await
        })
        .await;
}

async fn reconcile(
    client: &Client,
    queue: &WorkQueue<ObjectKey>,
    authority: Arc<dyn Authority>,
    key: ObjectKey,
) -> Result<(), Status> {
    let requests = client.api::<CertificateSigningRequest>();
    let Some(request) = requests.find(&key)? else { return Ok(()) };
    let left = left(&request, jiff::Timestamp::now());
    if left.is_zero() {
        let options = DeleteOptions { uid: request.metadata.uid.clone(), ..DeleteOptions::default() };
        return unless_gone(requests.delete(&key, options).await).map(drop);
    }
    queue.add_after(key, left);
    if approver::is_asked(&request) {
        return approver::approve(client, request, authority).await;
    }
    if !is_due(&request) {
        return Ok(());
    }
    // making a signature is work for a thread of its own
    let asked = request.clone();
    let signed = tokio::task::spawn_blocking(move || certificate_for(&asked, &*authority));
    let signed = signed.await.map_err(Status::internal)?;
    let mut answered = request;
    let status = answered.status.get_or_insert_default();
    match signed {
        Ok(certificate) => status.certificate = Some(ByteString(certificate)),
        Err(message) => status.conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
            type_: FAILED.to_owned(),
            status: "True".to_owned(),
            reason: Some("SignerValidationFailure".to_owned()),
            message: Some(message),
            ..CertificateSigningRequestCondition::default()
        }),
    }
    unless_gone(requests.replace(answered, Some(Subresource::Status)).await).map(drop)
}

/// Approved, by one of our signers, and not answered yet.
fn is_due(request: &CertificateSigningRequest) -> bool {
    let is_answered = has(request, FAILED) || has(request, "Denied") || certificate(request).is_some();
    has(request, "Approved") && !is_answered && rules::is_ours(&request.spec.signer_name)
}

fn certificate_for(
    request: &CertificateSigningRequest,
    authority: &dyn Authority,
) -> Result<Vec<u8>, String> {
    let spec = &request.spec;
    let usages = spec.usages.clone().unwrap_or_default();
    let asked = authority.read(&spec.request.0)?;
    judge(&spec.signer_name, &usages, &asked)?;
    let wanted = spec.expiration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let lifetime = wanted.map_or(LONGEST, Duration::from_secs).min(LONGEST);
    authority.sign(&spec.request.0, &usages, lifetime)
}

fn has(request: &CertificateSigningRequest, kind: &str) -> bool {
    request.status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == kind)
}

fn certificate(request: &CertificateSigningRequest) -> Option<&ByteString> {
    request.status.as_ref()?.certificate.as_ref().filter(|certificate| !certificate.0.is_empty())
}

/// How long a request stays.
fn left(request: &CertificateSigningRequest, now: jiff::Timestamp) -> Duration {
    let decided = request
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten())
        .filter(|c| ["Approved", "Denied", FAILED].contains(&c.type_.as_str()))
        .filter_map(|c| c.last_update_time.as_ref())
        .map(|time| time.0)
        .max();
    let (since, stays) = match (decided, request.metadata.creation_timestamp.as_ref()) {
        (Some(at), _) => (at, DECIDED_STAYS),
        (None, Some(created)) => (created.0, PENDING_STAYS),
        (None, None) => return PENDING_STAYS,
    };
    stays.saturating_sub(Duration::try_from(now.duration_since(since)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_stay_for_their_time() {
        let at = "1970-01-01T00:01:40Z";
        // (name, condition, now, seconds left)
        let cases = [
            ("new", None, 100, 86_400),
            ("waiting", None, 3_700, 82_800),
            ("forgotten", None, 90_000, 0),
            ("approved", Some("Approved"), 160, 3_540),
            ("denied long ago", Some("Denied"), 3_701, 0),
            ("a clock that was set back", Some("Failed"), 50, 3_600),
        ];
        for (name, condition, now, want) in cases {
            let conditions: Vec<_> = condition
                .iter()
                .map(|kind| json!({"type": kind, "status": "True", "lastUpdateTime": at}))
                .collect();
            let request: CertificateSigningRequest = serde_json::from_value(json!({
                "metadata": {"name": "r", "creationTimestamp": at},
                "spec": {"request": "", "signerName": "a.b/c"}, "status": {"conditions": conditions},
            }))
            .unwrap();
            let now = jiff::Timestamp::from_second(now).unwrap();
            assert_eq!(left(&request, now).as_secs(), want, "{name}");
        }
    }
}
