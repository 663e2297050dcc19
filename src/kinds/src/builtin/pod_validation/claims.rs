//! Devices that a pod claims (DRA), and which of them its containers use.

use super::super::checks::{judged, required};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{PodResourceClaim, ResourceClaim};
use std::collections::{BTreeMap, BTreeSet};

/// In bytes, of names that are listed in a message.
const LONGEST_SHOWN: usize = 1024;

/// Those of the pod, each by a name that its containers use.
pub(super) fn validate(claims: &[PodResourceClaim], at: &str, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for (index, claim) in claims.iter().enumerate() {
        let at = format!("{at}[{index}]");
        required(names::dns_label, &claim.name, format_args!("{at}.name"), errors);
        if !claim.name.is_empty() && !seen.insert(claim.name.as_str()) {
            errors.duplicate(format_args!("{at}.name"), claim.name.as_str());
        }
        let why = match (&claim.resource_claim_name, &claim.resource_claim_template_name) {
            (Some(_), Some(_)) => {
                Some("at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
            }
            (None, None) => Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            _ => None,
        };
        if let Some(why) = why {
            errors.invalid(&at, serde_json::json!(claim), why);
        }
        for (field, name) in [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ] {
            if let Some(name) = name {
                judged(names::dns_subdomain, name, format_args!("{at}.{field}"), errors);
            }
        }
    }
}

/// As many as fit: it is said of each claim that is not among them.
fn shown(names: &BTreeSet<&str>) -> String {
    let mut left = LONGEST_SHOWN;
    let fitting = |name: &&str| {
        let rest = left.checked_sub(name.len());
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    let mut each: Vec<&str> = names.iter().copied().take_while(fitting).collect();
    if each.len() < names.len() {
        each.push("...");
    }
    each.join(", ")
}

/// Those that a container uses; `known` are the names of the pod's.
pub(super) fn used(claims: &[ResourceClaim], known: &BTreeSet<&str>, at: &str, errors: &mut ErrorList) {
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let (name, request) = (claim.name.as_str(), claim.request.as_deref().unwrap_or_default());
        if name.is_empty() {
            errors.required(&at, "");
            continue;
        }
        if !request.is_empty() {
            judged(names::dns_label, request, format_args!("{at}.request"), errors);
        }
        let parts = seen.entry(name).or_default();
        // the whole claim holds every part of it
        if parts.contains("") || parts.contains(request) || (request.is_empty() && !parts.is_empty()) {
            errors.duplicate(&at, name);
        }
        parts.insert(request);
        if !known.contains(name) {
            let which = match known.is_empty() {
                true => " which is empty".to_owned(),
                false => format!(": {}", shown(known)),
            };
            let why = format!("must be one of the names in pod.spec.resourceClaims{which}");
            errors.not_found_because(&at, name, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_told_apart_by_name_and_part() {
        let all: Vec<String> = (0..20_000).map(|n| format!("known-{n:05}")).collect();
        let known: BTreeSet<&str> = all.iter().map(String::as_str).collect();
        let few = BTreeSet::from(["a", "b"]);
        let names: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), "")).collect();
        let first = all[..LONGEST_SHOWN / "known-00000".len()].join(", ");
        let which = format!("must be one of the names in pod.spec.resourceClaims: {first}, ...");
        let long = format!("x[0]: Not found: \"c\": {which}");
        for (name, claims, known, want) in [
            ("of each a part", &[("a", "x"), ("a", "y"), ("b", "")][..], &few, &[][..]),
            ("a part twice", &[("a", "x"), ("a", "x")], &few, &["x[1]: Duplicate value: \"a\""]),
            ("the whole and a part", &[("a", ""), ("a", "x")], &few, &["x[1]: Duplicate value: \"a\""]),
            ("a part and the whole", &[("a", "x"), ("a", "")], &few, &["x[1]: Duplicate value: \"a\""]),
            (
                "unknown",
                &[("c", "")],
                &few,
                &["x[0]: Not found: \"c\": must be one of the names in pod.spec.resourceClaims: a, b"],
            ),
            ("unknown among many", &[("c", "")], &known, &[long.as_str()]),
            ("many, each once", &names[..], &known, &[]),
        ] {
            let claim = |(name, part): &(&str, &str)| ResourceClaim {
                name: (*name).to_owned(),
                request: Some((*part).to_owned()),
            };
            let claims: Vec<ResourceClaim> = claims.iter().map(claim).collect();
            let mut errors = ErrorList::default();
            used(&claims, known, "x", &mut errors);
            let said: Vec<String> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(said, want, "{name}");
        }
    }
}
