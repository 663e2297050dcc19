//! Who asks for a certificate, and who may approve or sign: the requester's name is not his own to write, and a signer's requests
//! are approved and signed by who may do so for that signer (upstream's `CertificateApproval` and `CertificateSigning`, and what its
//! strategy asks of a PodCertificateRequest). Whose certificates are believed says who may attest (`ClusterTrustBundleAttest`).

use super::rbac_escalation::differs_for_the_collector_only;
use crate::{Actor, Attributes, Cluster, Target};
use ::api::Status;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, ClusterTrustBundle, PodCertificateRequest,
};
use kinds::builtin::certificate_subject;
use kinds::{ErrorList, Instance, Subresource, TypedKind};

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Writes down who asks.
pub(super) fn admit_create(actor: &Actor, object: &mut dyn Instance) {
    let Some(request) = object.downcast_mut::<CertificateSigningRequest>() else { return };
    let spec = &mut request.spec;
    spec.username = Some(actor.name.clone());
    spec.uid = Some(actor.uid.clone()).filter(|uid| !uid.is_empty());
    spec.groups = Some(actor.groups.clone()).filter(|groups| !groups.is_empty());
    spec.extra = Some(actor.extra.clone()).filter(|extra| !extra.is_empty());
}

/// # Errors
/// `Forbidden` to who may not decide for the signer.
pub(super) fn admit_update(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    new: &dyn Instance,
    old: &dyn Instance,
) -> Result<(), Status> {
    attest(cluster, actor, target, new, Some(old))?;
    sign_for_pod(cluster, actor, target, new, old)?;
    let request = |of: &'_ dyn Instance| of.downcast_ref::<CertificateSigningRequest>().cloned();
    let (Some(new), Some(old)) = (request(new), request(old)) else { return Ok(()) };
    let (verb, doing) = match target.subresource {
        Some(Subresource::Approval) => ("approve", "approve"),
        Some(Subresource::Status) if signs(&new, &old) => ("sign", "sign"),
        _ => return Ok(()),
    };
    let signer = &new.spec.signer_name;
    if may(cluster, actor, verb, signer) {
        return Ok(());
    }
    let name = new.metadata.name.as_deref().unwrap_or_default();
    let why = format!("user not permitted to {doing} requests with signerName {signer:?}");
    Err(Status::forbidden(&target.group_resource(), name, &why))
}

/// Upstream's `CertificateSubjectRestriction`: nobody asks for the group that no role limits.
///
/// # Errors
/// `Forbidden`
pub(super) fn restrict_subject(target: &Target, new: &dyn Instance) -> Result<(), Status> {
    let Some(request) = new.downcast_ref::<CertificateSigningRequest>() else { return Ok(()) };
    if request.spec.signer_name != CLIENT_SIGNER {
        return Ok(());
    }
    // what can not be read is not signed either, and the signer says why
    let subject = certificate_subject::read(&request.spec.request.0).unwrap_or_default();
    if !subject.organizations.iter().any(|group| group == Actor::MASTERS) {
        return Ok(());
    }
    let why = format!("use of {CLIENT_SIGNER} signer with {} group is not allowed", Actor::MASTERS);
    let name = request.metadata.name.as_deref().unwrap_or_default();
    Err(Status::forbidden(&target.group_resource(), name, &why))
}

/// A bundle that bears a signer's name is written by who may attest for that signer.
///
/// # Errors
/// `Forbidden`
pub(super) fn attest(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<(), Status> {
    let Some(bundle) = new.downcast_ref::<ClusterTrustBundle>() else { return Ok(()) };
    let signer = bundle.spec.signer_name.as_deref().unwrap_or_default();
    let is_kept = old.is_some_and(|old| differs_for_the_collector_only(new, old));
    if signer.is_empty() || is_kept || may(cluster, actor, "attest", signer) {
        return Ok(());
    }
    let name = bundle.metadata.name.as_deref().unwrap_or_default();
    let why = format!("user not permitted to attest for signerName {signer:?}");
    Err(Status::forbidden(&target.group_resource(), name, &why))
}

/// A pod's certificate is given, or denied, by who may sign for the signer that was asked.
fn sign_for_pod(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    new: &dyn Instance,
    old: &dyn Instance,
) -> Result<(), Status> {
    let said = |of: &PodCertificateRequest| {
        let mut status = of.status.clone().unwrap_or_default();
        status.conditions = status.conditions.filter(|conditions| !conditions.is_empty());
        status
    };
    let (Some(new), Some(old)) =
        (new.downcast_ref::<PodCertificateRequest>(), old.downcast_ref::<PodCertificateRequest>())
    else {
        return Ok(());
    };
    let signer = &old.spec.signer_name;
    let decides = target.subresource == Some(Subresource::Status) && said(new) != said(old);
    if !decides || may(cluster, actor, "sign", signer) {
        return Ok(());
    }
    let mut errors = ErrorList::default();
    let why = format!("User {:?} is not permitted to \"sign\" for signer {signer:?}", actor.name);
    errors.forbidden("spec.signerName", why);
    let name = new.metadata.name.as_deref().unwrap_or_default();
    Err(Status::invalid(&PodCertificateRequest::info().gvk, name, errors.into_causes()))
}

/// Whether the update issues a certificate, or says that none will be.
fn signs(new: &CertificateSigningRequest, old: &CertificateSigningRequest) -> bool {
    let issued = |of: &CertificateSigningRequest| of.status.as_ref().and_then(|s| s.certificate.clone());
    let failed = |of: &CertificateSigningRequest| {
        of.status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == "Failed")
    };
    issued(new) != issued(old) || failed(new) != failed(old)
}

/// `signers` is a resource that only rules know: by the signer's name, or its domain with a star.
fn may(cluster: &Cluster, actor: &Actor, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let attributes = Attributes {
            verb: verb.to_owned(),
            group: "certificates.k8s.io".to_owned(),
            resource: "signers".to_owned(),
            name: Some(name),
            ..Attributes::default()
        };
        cluster.decide(actor, &attributes).is_allowed()
    })
}
