//! Projected volumes: several sources in one directory, none in another's place.

use super::super::checks::{among, label_selector, list};
use super::super::pod_certificate_request_validation::annotations;
use super::super::signers;
use super::files::{downward_file, keys, local_path, mode};
use crate::ErrorList;
use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, KeyToPath, PodCertificateProjection, PodSpec, ProjectedVolumeSource,
    ServiceAccountTokenProjection, VolumeProjection,
};
use std::collections::BTreeSet;

// as those of a TokenRequest
const SHORTEST_TOKEN_SECONDS: i64 = 600;
const LONGEST_TOKEN_SECONDS: i64 = 1 << 32;
/// Of pods' certificates, as the API's documentation names them.
const KEY_TYPES: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
const SHORTEST_CERTIFICATE_SECONDS: i32 = 60 * 60;
const LONGEST_CERTIFICATE_SECONDS: i32 = 91 * 24 * 60 * 60;

pub(super) fn source(source: &ProjectedVolumeSource, at: &str, errors: &mut ErrorList) {
    mode(source.default_mode, format_args!("{at}.defaultMode"), errors);
    let mut paths = Paths { at, seen: BTreeSet::new() };
    for (index, source) in list(&source.sources).iter().enumerate() {
        one(source, &format!("{at}.sources[{index}]"), &mut paths, errors);
    }
}

/// The files of the volume, whichever source they are of.
struct Paths<'s> {
    at: &'s str,
    seen: BTreeSet<&'s str>,
}

impl<'s> Paths<'s> {
    fn take(&mut self, path: &'s str, of: &str, errors: &mut ErrorList) {
        if !path.is_empty() && !self.seen.insert(path) {
            errors.invalid(self.at, of, "conflicting duplicate paths");
        }
    }

    fn take_keys(&mut self, items: &'s [KeyToPath], of: &str, errors: &mut ErrorList) {
        items.iter().for_each(|item| self.take(&item.path, of, errors));
    }
}

fn one<'s>(source: &'s VolumeProjection, at: &str, paths: &mut Paths<'s>, errors: &mut ErrorList) {
    if let Some(secret) = &source.secret {
        named(&secret.name, list(&secret.items), &format!("{at}.secret"), paths, errors);
    }
    if let Some(map) = &source.config_map {
        named(&map.name, list(&map.items), &format!("{at}.configMap"), paths, errors);
    }
    if let Some(api) = &source.downward_api {
        for file in list(&api.items) {
            downward_file(file, &format!("{at}.downwardAPI"), errors);
            paths.take(&file.path, &file.path, errors);
        }
    }
    if let Some(token) = &source.service_account_token {
        self::token(token, &format!("{at}.serviceAccountToken"), paths.at, errors);
    }
    if let Some(bundle) = &source.cluster_trust_bundle {
        trust_bundle(bundle, &format!("{at}.clusterTrustBundle"), errors);
        paths.take(&bundle.path, &bundle.path, errors);
    }
    if let Some(certificate) = &source.pod_certificate {
        pod_certificate(certificate, &format!("{at}.podCertificate"), paths, errors);
    }
    let set = [
        source.secret.is_some(),
        source.config_map.is_some(),
        source.downward_api.is_some(),
        source.service_account_token.is_some(),
        source.cluster_trust_bundle.is_some(),
        source.pod_certificate.is_some(),
    ];
    if set.iter().filter(|is_set| **is_set).count() > 1 {
        errors.forbidden(at, "may not specify more than 1 volume type per source");
    }
}

/// A type that this node makes no keys of is a type nevertheless: it is the kubelet that says so.
fn pod_certificate<'s>(
    certificate: &'s PodCertificateProjection,
    at: &str,
    paths: &mut Paths<'s>,
    errors: &mut ErrorList,
) {
    signers::name(&certificate.signer_name, &format!("{at}.signerName"), errors);
    among(&certificate.key_type, &KEY_TYPES, format_args!("{at}.keyType"), errors);
    if let Some(seconds) = certificate.max_expiration_seconds {
        lifetime(seconds, &format!("{at}.maxExpirationSeconds"), errors);
    }
    let files = [
        ("credentialBundlePath", &certificate.credential_bundle_path),
        ("keyPath", &certificate.key_path),
        ("certificateChainPath", &certificate.certificate_chain_path),
    ];
    let given = files.into_iter().filter_map(|(field, path)| Some((field, path.as_deref()?)));
    let mut has_one = false;
    for (field, path) in given.filter(|(_, path)| !path.is_empty()) {
        local_path(path, format_args!("{at}.{field}"), errors);
        paths.take(path, path, errors);
        has_one = true;
    }
    if !has_one {
        let why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errors.required(at, why);
    }
    annotations(certificate.user_annotations.as_ref(), &format!("{at}.userAnnotations"), errors);
}

fn lifetime(seconds: i32, at: &str, errors: &mut ErrorList) {
    if seconds < SHORTEST_CERTIFICATE_SECONDS {
        let why = format_args!("if provided, maxExpirationSeconds must be >= {SHORTEST_CERTIFICATE_SECONDS}");
        errors.invalid(at, seconds, why);
    }
    if seconds > LONGEST_CERTIFICATE_SECONDS {
        let why = format_args!("if provided, maxExpirationSeconds must be <= {LONGEST_CERTIFICATE_SECONDS}");
        errors.invalid(at, seconds, why);
    }
}

fn named<'s>(name: &str, items: &'s [KeyToPath], at: &str, paths: &mut Paths<'s>, errors: &mut ErrorList) {
    if name.is_empty() {
        errors.required(format_args!("{at}.name"), "");
    }
    keys(items, at, errors);
    paths.take_keys(items, name, errors);
}

/// Upstream tells of the path at the volume, not at its source.
fn token(token: &ServiceAccountTokenProjection, at: &str, volume_at: &str, errors: &mut ErrorList) {
    let seconds = token.expiration_seconds.unwrap_or(0);
    let field = format!("{at}.expirationSeconds");
    if seconds < SHORTEST_TOKEN_SECONDS {
        errors.invalid(&field, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > LONGEST_TOKEN_SECONDS {
        errors.invalid(&field, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    if token.path.is_empty() {
        errors.required(format_args!("{volume_at}.path"), "");
    }
    local_path(&token.path, format_args!("{volume_at}.path"), errors);
}

fn trust_bundle(bundle: &ClusterTrustBundleProjection, at: &str, errors: &mut ErrorList) {
    match (&bundle.name, &bundle.signer_name) {
        (Some(_), Some(_)) => {
            let value = serde_json::json!(bundle);
            errors.invalid(at, value, "only one of name and signerName may be used");
        }
        (Some(name), None) => {
            if name.is_empty() {
                errors.required(format_args!("{at}.name"), "must be a valid object name");
            }
            if let Some(selector) = &bundle.label_selector {
                errors.invalid(
                    format_args!("{at}.labelSelector"),
                    serde_json::json!(selector),
                    "labelSelector must be unset if name is specified",
                );
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                errors.required(format_args!("{at}.signerName"), "must be a valid signer name");
            }
            label_selector(bundle.label_selector.as_ref(), &format!("{at}.labelSelector"), errors);
        }
        (None, None) => errors.required(at, "either name or signerName must be specified"),
    }
    if bundle.path.is_empty() {
        errors.required(format_args!("{at}.path"), "");
    }
    local_path(&bundle.path, format_args!("{at}.path"), errors);
}

/// A pod without an account has nobody that a token could be of.
pub(super) fn no_tokens(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    for (index, volume) in list(&spec.volumes).iter().enumerate() {
        let sources = volume.projected.as_ref().map(|p| list(&p.sources)).unwrap_or_default();
        for (position, _) in
            sources.iter().enumerate().filter(|(_, source)| source.service_account_token.is_some())
        {
            errors.forbidden(
                format_args!("{at}.volumes[{index}].projected.sources[{position}].serviceAccountToken"),
                "must not be specified when serviceAccountName is not set",
            );
        }
    }
}
