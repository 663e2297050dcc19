//! What a name may look like, in upstream's words (`k8s.io/apimachinery/pkg/util/validation`).

const SUBDOMAIN_MAX: usize = 253; // RFC 1123
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// # Errors
/// Upstream's sentence.
pub fn dns_subdomain(name: &str) -> Result<(), String> {
    if name.len() > SUBDOMAIN_MAX {
        return Err(format!("must be no more than {SUBDOMAIN_MAX} characters"));
    }
    if name.split('.').all(is_label) { Ok(()) } else { Err(SUBDOMAIN.to_owned()) }
}

fn is_label(label: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = label.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => edge(*first) && edge(*last) && bytes.iter().all(|b| edge(*b) || *b == b'-'),
        _ => false,
    }
}
