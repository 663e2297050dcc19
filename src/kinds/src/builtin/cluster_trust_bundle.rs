//! ClusterTrustBundles: authorities that pods may be given to believe. One of a signer bears its name, so that nobody
//! mistakes another's for it.

use super::checks::{immutable, text};
use super::{name_of, names, pem, signers};
use crate::{Cell, Column, ErrorList, Scope, TypedKind};
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use std::collections::HashMap;
use x509_parser::prelude::{FromDer, X509Certificate};

const TRUST_BUNDLE: &str = "spec.trustBundle";
const LARGEST: usize = 1024 * 1024; // bytes
const OMITTED: &str = "<value omitted>";

impl TypedKind for ClusterTrustBundle {
    const SINGULAR: &'static str = "clustertrustbundle";
    const PLURAL: &'static str = "clustertrustbundles";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SCOPE: Scope = Scope::Cluster;
    const FIELDS: &'static [&'static str] = &["spec.signerName"];
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("SignerName", "string", "Whose certificates it is for")];

    /// The rest depends on the signer.
    fn validate_name(name: &str) -> Result<(), String> {
        names::path_segment(name)
    }
    fn validate(&self, errors: &mut ErrorList) {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        if let Err(why) = judge_name(name, text(&self.spec.signer_name)) {
            errors.invalid("metadata.name", name, why);
        }
        if !text(&self.spec.signer_name).is_empty() {
            signers::name(text(&self.spec.signer_name), "spec.signerName", errors);
        }
    }
    fn validate_create(&self, errors: &mut ErrorList) {
        anchors(&self.spec.trust_bundle, errors);
    }
    /// A bundle that stays as it is is not read again: what reads certificates may have become stricter.
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if self.spec.trust_bundle != old.spec.trust_bundle {
            anchors(&self.spec.trust_bundle, errors);
        }
        immutable(&self.spec.signer_name, &old.spec.signer_name, "spec.signerName", errors);
    }
    fn field(&self, path: &str) -> String {
        match path {
            "spec.signerName" => text(&self.spec.signer_name).to_owned(),
            _ => String::new(),
        }
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        let signer = match text(&self.spec.signer_name) {
            "" => "<none>",
            signer => signer,
        };
        vec![name_of(&self.metadata), signer.into()]
    }
}

/// `example.com:signer:NAME` of a signer; without one, a name without colons.
fn judge_name(name: &str, signer: &str) -> Result<(), String> {
    if signer.is_empty() {
        return match name.contains(':') {
            true => Err("ClusterTrustBundle without signer name must not have \":\" in its name".to_owned()),
            false => names::dns_subdomain(name),
        };
    }
    let prefix = format!("{}:", signer.replace('/', ":"));
    match name.strip_prefix(&prefix) {
        Some(rest) => names::dns_subdomain(rest),
        None => Err(format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")),
    }
}

/// Authorities in PEM, each once, and nothing else that is PEM.
fn anchors(bundle: &str, errors: &mut ErrorList) {
    if bundle.len() > LARGEST {
        return errors.too_long(TRUST_BUNDLE, LARGEST);
    }
    let (mut wrong, mut known) = (ErrorList::default(), HashMap::<Vec<u8>, Vec<usize>>::new());
    for (index, block) in pem::blocks(bundle).into_iter().enumerate() {
        match is_anchor(&block) {
            Ok(()) => known.entry(block.der).or_default().push(index),
            Err(why) => wrong.invalid(TRUST_BUNDLE, OMITTED, format_args!("entry {index} {why}")),
        }
    }
    if !wrong.is_empty() {
        return errors.append(wrong);
    }
    if known.is_empty() {
        errors.invalid(TRUST_BUNDLE, OMITTED, "at least one trust anchor must be provided");
    }
    let mut twice: Vec<Vec<usize>> = known.into_values().filter(|indexes| indexes.len() > 1).collect();
    twice.sort_unstable();
    for indexes in twice {
        let shown: Vec<String> = indexes.iter().map(ToString::to_string).collect();
        let why = format_args!("duplicate trust anchor (indices [{}])", shown.join(" "));
        errors.invalid(TRUST_BUNDLE, OMITTED, why);
    }
}

fn is_anchor(block: &pem::Block) -> Result<(), String> {
    if block.label != "CERTIFICATE" {
        return Err(format!("has bad block type: {}", block.label));
    }
    if block.has_headers {
        return Err("has PEM block headers".to_owned());
    }
    let unreadable = || "does not parse as X.509".to_owned();
    let (rest, certificate) = X509Certificate::from_der(&block.der).map_err(|_| unreadable())?;
    if !rest.is_empty() {
        return Err(unreadable());
    }
    match certificate.basic_constraints() {
        Err(_) => Err(unreadable()),
        Ok(Some(constraints)) if constraints.value.ca => Ok(()),
        Ok(_) => Err("does not have the CA bit set".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_signer() {
        let cases = [
            ("none", "plain", "", ""),
            ("none, with a colon", "a:b", "", "must not have \":\" in its name"),
            ("of a signer", "example.com:foo:v1", "example.com/foo", ""),
            (
                "of another",
                "example.com:bar:v1",
                "example.com/foo",
                "must be named with prefix example.com:foo:",
            ),
            ("nothing after the signer", "example.com:foo:", "example.com/foo", "lowercase RFC 1123"),
        ];
        for (name, given, signer, want) in cases {
            let said = judge_name(given, signer).err().unwrap_or_default();
            assert!(if want.is_empty() { said.is_empty() } else { said.contains(want) }, "{name}: {said}");
        }
    }
}
