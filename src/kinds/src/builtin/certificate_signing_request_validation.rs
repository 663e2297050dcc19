//! Upstream's rules of a CertificateSigningRequest (`pkg/apis/certificates/validation`). Whether the request's own signature is
//! right the signer finds out.

use super::signers;
use crate::ErrorList;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
};
use std::collections::BTreeSet;

const SHORTEST: i32 = 600; // seconds: upstream's least lifetime
const LEGACY: &str = "kubernetes.io/legacy-unknown";
const APPROVED: &str = "Approved";
const DENIED: &str = "Denied";

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub(super) fn spec(spec: &CertificateSigningRequestSpec, errors: &mut ErrorList) {
    match pem_type(&spec.request.0).as_deref() {
        Some("CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") => {}
        _ => errors.invalid(
            "spec.request",
            serde_json::json!(spec.request),
            "PEM block type must be CERTIFICATE REQUEST",
        ),
    }
    let usages = spec.usages.as_deref().unwrap_or_default();
    if usages.is_empty() {
        errors.required("spec.usages", "");
    }
    let mut seen = BTreeSet::new();
    for (index, usage) in usages.iter().enumerate() {
        let field = format!("spec.usages[{index}]");
        if !USAGES.contains(&usage.as_str()) {
            errors.not_supported(&field, usage.as_str(), USAGES);
        }
        if !seen.insert(usage) {
            errors.duplicate(&field, usage.as_str());
        }
    }
    if spec.signer_name == LEGACY {
        let why = "the legacy signerName is not allowed via this API version";
        errors.invalid("spec.signerName", LEGACY, why);
    } else {
        signers::name(&spec.signer_name, "spec.signerName", errors);
    }
    if let Some(seconds) = spec.expiration_seconds.filter(|seconds| *seconds < SHORTEST) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.invalid("spec.expirationSeconds", seconds, why);
    }
}

/// What stands behind `-----BEGIN `, where there is also an end.
fn pem_type(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (kind, rest) = after.split_once("-----")?;
    rest.contains(&format!("-----END {kind}-----")).then(|| kind.to_owned())
}

pub(super) fn conditions(request: &CertificateSigningRequest, errors: &mut ErrorList) {
    let (mut seen, mut decided) = (BTreeSet::new(), None);
    for (index, condition) in all(request).iter().enumerate() {
        let field = format!("status.conditions[{index}]");
        if condition.type_.is_empty() {
            errors.required(format!("{field}.type"), "");
        }
        let is_decision = [APPROVED, DENIED, "Failed"].contains(&condition.type_.as_str());
        match condition.status.as_str() {
            "" => errors.required(format!("{field}.status"), ""),
            "True" => {}
            status if is_decision => errors.not_supported(format!("{field}.status"), status, &["True"]),
            "False" | "Unknown" => {}
            status => errors.not_supported(format!("{field}.status"), status, &["False", "True", "Unknown"]),
        }
        if [APPROVED, DENIED].contains(&condition.type_.as_str()) {
            if decided.is_some_and(|other| other != condition.type_.as_str()) {
                let why = "Approved and Denied conditions are mutually exclusive";
                errors.invalid(format!("{field}.type"), condition.type_.as_str(), why);
            }
            decided = Some(condition.type_.as_str());
        }
        if !seen.insert(&condition.type_) {
            errors.duplicate(format!("{field}.type"), condition.type_.as_str());
        }
    }
}

/// Only `approval` approves and denies.
pub(super) fn keeps_decisions(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
    errors: &mut ErrorList,
) {
    keeps_what_was_decided(new, old, errors);
    for kind in [APPROVED, DENIED] {
        if has(new, kind) && !has(old, kind) {
            errors
                .forbidden("status.conditions", format!("updates may not add a condition of type {kind:?}"));
        }
    }
}

pub(super) fn keeps_what_was_decided(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
    errors: &mut ErrorList,
) {
    for kind in [APPROVED, DENIED, "Failed"] {
        if has(old, kind) && !has(new, kind) {
            let why = format!("updates may not remove a condition of type {kind:?}");
            errors.forbidden("status.conditions", why);
        }
    }
}

pub(super) fn certificate(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
    errors: &mut ErrorList,
) {
    let (new, old) = (issued(new), issued(old));
    if !old.is_empty() && new != old {
        let why = "updates may not modify the certificate content";
        errors.forbidden("status.certificate", why);
    } else if new != old && pem_type(&new).as_deref() != Some("CERTIFICATE") {
        let why = "must contain at least one CERTIFICATE PEM block";
        errors.invalid("status.certificate", "<certificate data>", why);
    }
}

fn issued(request: &CertificateSigningRequest) -> Vec<u8> {
    request.status.as_ref().and_then(|status| status.certificate.clone()).unwrap_or_default().0
}

fn all(request: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    request.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

fn has(request: &CertificateSigningRequest, kind: &str) -> bool {
    all(request).iter().any(|condition| condition.type_ == kind)
}
