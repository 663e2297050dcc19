//! Upstream's rules of a PodCertificateRequest (`pkg/apis/certificates/validation`): whoever asks holds the key, and what a
//! signer answers fits what was asked.

use super::checks::{among, judged};
use super::{conditions, names, pem, signers};
use crate::ErrorList;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::{
    PodCertificateRequest, PodCertificateRequestSpec, PodCertificateRequestStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

pub(super) const DECISIONS: [&str; 3] = ["Denied", "Failed", "Issued"];
const ISSUED: &str = "Issued";

const SHORTEST: i32 = 60 * 60; // seconds, as the two below
const LONGEST: i32 = 91 * 24 * 60 * 60;
const LONGEST_OF_KUBERNETES: i32 = 24 * 60 * 60;
const LARGEST_REQUEST: usize = 10 * 1024; // bytes, as the one below
const LARGEST_CHAIN: usize = 100 * 1024;
const LARGEST_ANNOTATIONS: usize = 256 * 1024;
const LONGEST_UID: usize = 128;
const SKEW: SignedDuration = SignedDuration::from_mins(5);
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

const REQUEST: &str = "spec.stubPKCS10Request";
const CHAIN: &str = "status.certificateChain";

pub(super) fn spec(spec: &PodCertificateRequestSpec, errors: &mut ErrorList) {
    signers::name(&spec.signer_name, "spec.signerName", errors);
    annotations(spec.unverified_user_annotations.as_ref(), "spec.unverifiedUserAnnotations", errors);
    for (field, name) in [
        ("podName", &spec.pod_name),
        ("serviceAccountName", &spec.service_account_name),
        ("nodeName", &spec.node_name),
    ] {
        judged(names::dns_subdomain, name, format_args!("spec.{field}"), errors);
    }
    for (field, uid) in [
        ("podUID", &spec.pod_uid),
        ("serviceAccountUID", &spec.service_account_uid),
        ("nodeUID", &spec.node_uid),
    ] {
        if uid.is_empty() {
            errors.invalid(format_args!("spec.{field}"), "", "must not be empty");
        } else if uid.len() > LONGEST_UID {
            errors.too_long(format_args!("spec.{field}"), LONGEST_UID);
        }
    }
    let Some(seconds) = spec.max_expiration_seconds else {
        return errors.required("spec.maxExpirationSeconds", "must be set");
    };
    let most = if signers::is_kubernetes(&spec.signer_name) { LONGEST_OF_KUBERNETES } else { LONGEST };
    if !(SHORTEST..=most).contains(&seconds) {
        let why = format_args!("must be in the range [{SHORTEST}, {most}]");
        errors.invalid("spec.maxExpirationSeconds", seconds, why);
    }
    let request = &spec.stub_pkc_s10_request.0;
    if request.len() > LARGEST_REQUEST {
        return errors.too_long(REQUEST, LARGEST_REQUEST);
    }
    if let Err(why) = judge_request(request) {
        errors.invalid(REQUEST, json!(spec.stub_pkc_s10_request), why);
    }
}

/// Keys have a domain of their own, as nobody's words may be taken for the cluster's.
pub(super) fn annotations(all: Option<&BTreeMap<String, String>>, field: &str, errors: &mut ErrorList) {
    let all = all.into_iter().flatten();
    let size: usize = all.clone().map(|(key, value)| key.len() + value.len()).sum();
    for (key, _) in all {
        if let Err(why) = names::qualified(&key.to_lowercase()) {
            errors.invalid(field, key.as_str(), why);
        } else if !key.contains('/') {
            errors.invalid(field, key.as_str(), "must be a domain-prefixed key (such as \"acme.io/foo\")");
        }
    }
    if size > LARGEST_ANNOTATIONS {
        errors.too_long(field, LARGEST_ANNOTATIONS);
    }
}

fn judge_request(der: &[u8]) -> Result<(), String> {
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|_| "must be a valid PKCS#10 request".to_owned())?;
    if !rest.is_empty() {
        return Err("must be a valid PKCS#10 request".to_owned());
    }
    judge_key(&request.certification_request_info.subject_pki)?;
    request.verify_signature().map_err(|_| "could not verify the signature of the request".to_owned())
}

/// Upstream also takes P-521, whose signatures nothing here can verify.
fn judge_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), String> {
    use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_SIG_ED25519};
    if key.algorithm.algorithm == OID_SIG_ED25519 {
        return Ok(());
    }
    match key.parsed() {
        Ok(PublicKey::RSA(key)) => match key.key_size() {
            3072 | 4096 => Ok(()),
            bits => Err(format!("{bits}-bit modulus: RSA keys must have modulus size 3072 or 4096")),
        },
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
            match curve {
                Some(curve) if [OID_EC_P256, OID_NIST_EC_P384].contains(&curve) => Ok(()),
                _ => Err("elliptic public keys must use curve P256 or P384".to_owned()),
            }
        }
        _ => Err("unknown public key type; supported types are Ed25519, ECDSA, and RSA".to_owned()),
    }
}

/// Which of the decisions was made.
pub(super) fn decided(status: Option<&PodCertificateRequestStatus>) -> Option<&'static str> {
    let conditions = status?.conditions.as_deref()?;
    let made = |kind: &str| conditions.iter().any(|c| c.type_ == kind && c.status == "True");
    DECISIONS.into_iter().find(|kind| made(kind))
}

pub(super) fn status(
    new: &PodCertificateRequest,
    old: &PodCertificateRequest,
    now: Timestamp,
    errors: &mut ErrorList,
) {
    let wanted = new.status.clone().unwrap_or_default();
    let before = old.status.clone().unwrap_or_default();
    let all = wanted.conditions.as_deref().unwrap_or_default();
    let mut wrong = ErrorList::default();
    for (index, condition) in all.iter().enumerate() {
        let at = format!("status.conditions[{index}]");
        among(&condition.type_, &DECISIONS, format_args!("{at}.type"), &mut wrong);
        if index > 0 {
            let why = r#"There may be at most one condition with type "Issued", "Denied", or "Failed""#;
            wrong.invalid(format_args!("{at}.type"), condition.type_.as_str(), why);
        }
        among(&condition.status, &["True"], format_args!("{at}.status"), &mut wrong);
    }
    conditions::validate(all, "status.conditions", &mut wrong);
    if !wrong.is_empty() {
        return errors.append(wrong);
    }
    let same = |other: &PodCertificateRequestStatus| {
        let conditions = |of: &PodCertificateRequestStatus| of.conditions.clone().unwrap_or_default();
        let rest =
            |of: &PodCertificateRequestStatus| PodCertificateRequestStatus { conditions: None, ..of.clone() };
        conditions(&wanted) == conditions(other) && rest(&wanted) == rest(other)
    };
    let mut immutable = |why: &str| errors.invalid("status", Value::Null, why);
    match (decided(Some(&before)), decided(Some(&wanted))) {
        (Some(_), _) if same(&before) => {}
        (Some(_), _) => immutable("immutable after PodCertificateRequest is issued, denied, or failed"),
        (None, Some(ISSUED)) => {
            if let Err((field, why)) = judge_issued(&wanted, &new.spec, now) {
                errors.invalid(field, Value::Null, why);
            }
        }
        (None, Some(_)) => {
            let conditions = wanted.conditions.clone();
            if !same(&PodCertificateRequestStatus { conditions, ..PodCertificateRequestStatus::default() }) {
                immutable(
                    "non-condition status fields must be empty when denying or failing the PodCertificateRequest",
                );
            }
        }
        (None, None) if same(&before) => {}
        (None, None) => {
            immutable(r#"status is immutable unless transitioning to "Issued", "Denied", or "Failed""#);
        }
    }
}

type Wrong = (&'static str, String);

fn judge_issued(
    status: &PodCertificateRequestStatus,
    spec: &PodCertificateRequestSpec,
    now: Timestamp,
) -> Result<(), Wrong> {
    let wrong = |why: &str| (CHAIN, why.to_owned());
    let chain = status.certificate_chain.as_deref().unwrap_or_default();
    if chain.len() > LARGEST_CHAIN {
        return Err(wrong(&format!("may not be more than {LARGEST_CHAIN} bytes")));
    }
    let blocks = pem::blocks(chain);
    let (leaf, others) = blocks
        .split_first()
        .ok_or_else(|| wrong("issued certificate chain must contain at least one certificate"))?;
    if blocks.iter().any(|block| block.label != "CERTIFICATE") {
        return Err(wrong("issued certificate chain must consist entirely of CERTIFICATE PEM blocks"));
    }
    let (_, leaf) = X509Certificate::from_der(&leaf.der)
        .map_err(|_| wrong("leaf certificate does not parse as valid X.509"))?;
    names_of(&leaf).map_err(|why| wrong(&why))?;
    let request = X509CertificationRequest::from_der(&spec.stub_pkc_s10_request.0);
    let is_asked_for = request.is_ok_and(|(_, request)| {
        request.certification_request_info.subject_pki.raw == leaf.tbs_certificate.subject_pki.raw
    });
    if !is_asked_for {
        return Err(wrong("leaf certificate was not issued to the requested public key"));
    }
    times(status, spec, &leaf, now)?;
    match others.iter().all(|block| X509Certificate::from_der(&block.der).is_ok()) {
        true => Ok(()),
        false => Err(wrong("intermediate certificate does not parse as valid X.509")),
    }
}

fn names_of(leaf: &X509Certificate<'_>) -> Result<(), String> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Ok(()) };
    for name in &names.value.general_names {
        match name {
            GeneralName::DNSName("") => {
                return Err("leaf certificate should not contain empty DNSName".to_owned());
            }
            GeneralName::DNSName(name) if name.contains("..") => {
                return Err("leaf certificate's DNSName should not contain '..'".to_owned());
            }
            GeneralName::DNSName(name) if name.starts_with('.') || name.ends_with('.') => {
                return Err("leaf certificate's DNSName should not start or end with '.'".to_owned());
            }
            GeneralName::RFC822Name(address) if !address.contains('@') => {
                return Err("leaf certificate should not contain invalid EmailAddress".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

fn times(
    status: &PodCertificateRequestStatus,
    spec: &PodCertificateRequestSpec,
    leaf: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<(), Wrong> {
    let needed = |field: &'static str, time: &Option<Time>, why: &str| {
        time.as_ref().map(|time| time.0).ok_or_else(|| (field, why.to_owned()))
    };
    let consistent = "must be present and consistent with the issued certificate";
    let begin = needed("status.notBefore", &status.not_before, consistent)?;
    let end = needed("status.notAfter", &status.not_after, consistent)?;
    let range = "must be present and in the range [notbefore+10min, notafter-10min]";
    let refresh = needed("status.beginRefreshAt", &status.begin_refresh_at, range)?;
    let validity = leaf.validity();
    let wrong = |field: &'static str, why: String| Err((field, why));
    if begin.as_second() != validity.not_before.timestamp() {
        let why = "must be set to the NotBefore time encoded in the leaf certificate";
        return wrong("status.notBefore", why.to_owned());
    }
    if begin.duration_since(now).abs() >= SKEW {
        let why = "must be set to within 5 minutes of kube-apiserver's current time";
        return wrong("status.notBefore", why.to_owned());
    }
    if end.as_second() != validity.not_after.timestamp() {
        let why = "must be set to the NotAfter time encoded in the leaf certificate";
        return wrong("status.notAfter", why.to_owned());
    }
    let lifetime = end.duration_since(begin);
    if lifetime < SignedDuration::from_hours(1) {
        return wrong(CHAIN, "leaf certificate lifetime must be >= 1 hour".to_owned());
    }
    let most = spec.max_expiration_seconds.unwrap_or(LONGEST_OF_KUBERNETES);
    if lifetime > SignedDuration::from_secs(most.into()) {
        let why = format!("leaf certificate lifetime must be <= spec.maxExpirationSeconds ({most})");
        return wrong(CHAIN, why);
    }
    if refresh.duration_since(begin) < MARGIN {
        return wrong(
            "status.beginRefreshAt",
            "must be at least 10 minutes after status.notBefore".to_owned(),
        );
    }
    if end.duration_since(refresh) < MARGIN {
        return wrong(
            "status.beginRefreshAt",
            "must be at least 10 minutes before status.notAfter".to_owned(),
        );
    }
    Ok(())
}
