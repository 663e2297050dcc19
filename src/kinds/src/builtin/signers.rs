//! Names of those who sign certificates, as upstream judges them (`ValidateSignerName`).

use super::names;
use crate::ErrorList;

/// `example.com/signer`
pub(super) fn name(name: &str, field: &str, errors: &mut ErrorList) {
    if name.is_empty() {
        return errors.required(field, "");
    }
    match name.split_once('/') {
        Some((domain, path)) if !path.is_empty() && !path.contains('/') => {
            if let Err(why) = names::dns_subdomain(domain) {
                errors.invalid(field, domain, why);
            } else if !domain.contains('.') {
                let why = "should be a domain with at least two segments separated by dots";
                errors.invalid(field, domain, why);
            }
            for part in path.split('.') {
                if let Err(why) = names::dns_label(part) {
                    errors.invalid(field, path, why);
                }
            }
        }
        _ => {
            let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            errors.invalid(field, name, why);
        }
    }
}

/// Of the project's own, which it keeps for itself.
pub(super) fn is_kubernetes(name: &str) -> bool {
    name.split('/').next().is_some_and(|host| host == "kubernetes.io" || host.ends_with(".kubernetes.io"))
}
