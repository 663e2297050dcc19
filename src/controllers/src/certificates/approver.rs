//! Whoever may have a node's certificate gets it without a person's word: upstream's `csrapproving`.

use super::rules::{Asked, KUBELET_CLIENT, is_of_kubelet};
use super::{Authority, certificate, has};
use api::{Reason, Status};
use cluster::{Actor, Attributes, Client, unless_gone};
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use kinds::Subresource;
use std::sync::Arc;

/// What the requester must be allowed to create, and what is said of the request then: the narrower first.
const SELF: (&str, &str) =
    ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.");
const ANY: (&str, &str) =
    ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.");

/// Nobody has decided, and it is to the signer of kubelets.
pub(super) fn is_asked(request: &CertificateSigningRequest) -> bool {
    let is_decided = has(request, "Approved") || has(request, "Denied") || certificate(request).is_some();
    !is_decided && request.spec.signer_name == KUBELET_CLIENT
}

/// # Errors
/// Where the requester may not have it: he may later.
pub(super) async fn approve(
    client: &Client,
    mut request: CertificateSigningRequest,
    authority: Arc<dyn Authority>,
) -> Result<(), Status> {
    // its signature is checked
    let pem = request.spec.request.0.clone();
    let asked = tokio::task::spawn_blocking(move || authority.read(&pem)).await.map_err(Status::internal)?;
    // what can not be read fails when it is approved by hand
    let Ok(asked) = asked else { return Ok(()) };
    let recognized = recognize(&request, &asked);
    for (subresource, message) in &recognized {
        let question = Attributes {
            verb: "create".to_owned(),
            group: "certificates.k8s.io".to_owned(),
            resource: "certificatesigningrequests".to_owned(),
            subresource: (*subresource).to_owned(),
            ..Attributes::default()
        };
        if !client.cluster().ask(&requester(&request), &question).await.is_allowed() {
            continue;
        }
        let approved = CertificateSigningRequestCondition {
            type_: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: Some("AutoApproved".to_owned()),
            message: Some((*message).to_owned()),
            ..CertificateSigningRequestCondition::default()
        };
        request.status.get_or_insert_default().conditions.get_or_insert_default().push(approved);
        let requests = client.api::<CertificateSigningRequest>();
        return unless_gone(requests.replace(request, Some(Subresource::Approval)).await).map(drop);
    }
    match recognized.is_empty() {
        true => Ok(()),
        false => {
            let tried: Vec<&str> = recognized.iter().map(|(subresource, _)| *subresource).collect();
            let why = format!("recognized as {tried:?} but subject access review was not approved");
            Err(Status::new(Reason::Forbidden, why))
        }
    }
}

fn recognize(request: &CertificateSigningRequest, asked: &Asked) -> Vec<(&'static str, &'static str)> {
    let spec = &request.spec;
    let usages = spec.usages.as_deref().unwrap_or_default();
    match is_of_kubelet(&spec.signer_name, usages, asked) {
        true if spec.username.as_deref() == Some(asked.common_name.as_str()) => vec![SELF, ANY],
        true => vec![ANY],
        false => Vec::new(),
    }
}

/// As it was written down when he asked.
fn requester(request: &CertificateSigningRequest) -> Actor {
    let spec = request.spec.clone();
    Actor::known(
        spec.username.unwrap_or_default(),
        spec.uid.unwrap_or_default(),
        spec.groups.unwrap_or_default(),
        spec.extra.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_kubelet_asks_for_is_recognized() {
        const NODE: &str = "system:node:n";
        let usual = ["digital signature", "client auth", "key encipherment"];
        // (name, signer, usages, requester, common name, group, recognized)
        let cases = [
            ("for itself", KUBELET_CLIENT, &usual[..], NODE, NODE, "system:nodes", vec![SELF, ANY]),
            ("for a new node", KUBELET_CLIENT, &usual, "system:bootstrap:t", NODE, "system:nodes", vec![ANY]),
            ("a key that is not RSA's", KUBELET_CLIENT, &usual[..2], "x", NODE, "system:nodes", vec![ANY]),
            ("too few usages", KUBELET_CLIENT, &usual[1..2], "x", NODE, "system:nodes", vec![]),
            ("no node's name", KUBELET_CLIENT, &usual, "x", "x", "system:nodes", vec![]),
            ("no node's group", KUBELET_CLIENT, &usual, NODE, NODE, "dev", vec![]),
            (
                "of another signer",
                "kubernetes.io/kubelet-serving",
                &usual,
                NODE,
                NODE,
                "system:nodes",
                vec![],
            ),
        ];
        for (name, signer, usages, requester, common_name, group, want) in cases {
            let request: CertificateSigningRequest = serde_json::from_value(json!({
                "metadata": {"name": "r"},
                "spec": {"request": "", "signerName": signer, "usages": usages, "username": requester},
            }))
            .unwrap();
            let asked = Asked {
                common_name: common_name.to_owned(),
                organizations: vec![group.to_owned()],
                ..Asked::default()
            };
            assert_eq!(recognize(&request, &asked), want, "{name}");
        }
    }
}
