//! What a name may look like, in upstream's words (`k8s.io/apimachinery/pkg/util/validation`).

const SUBDOMAIN_MAX: usize = 253; // RFC 1123
const LABEL_MAX: usize = 63;
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
     must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
     validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_KEY: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
     consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. \
     '*.example.com', regex used for validation is \
     '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SEARCH: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
     or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENV: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const HTTP_HEADER: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex \
     used for validation is '[-A-Za-z0-9]+')";
const SYSCTL: &str = "must have at most 253 characters and match regex \
     ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

pub type Verdict = Result<(), String>;

/// # Errors
/// Upstream's sentence; so do all of these.
pub fn dns_subdomain(name: &str) -> Verdict {
    within(name, SUBDOMAIN_MAX)?;
    if is_subdomain(name) { Ok(()) } else { Err(SUBDOMAIN.to_owned()) }
}

pub fn dns_label(name: &str) -> Verdict {
    within(name, LABEL_MAX)?;
    match name {
        name if is_label(name) => Ok(()),
        name if is_subdomain(name) => Err("must not contain dots".to_owned()),
        _ => Err(LABEL.to_owned()),
    }
}

pub fn dns_label_1035(name: &str) -> Verdict {
    within(name, LABEL_MAX)?;
    let good = is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase());
    if good { Ok(()) } else { Err(LABEL_1035.to_owned()) }
}

/// `*.example.com`: one star, at the front, for one label (RFC 1034 section 4.3.3).
pub fn wildcard_subdomain(name: &str) -> Verdict {
    within(name, SUBDOMAIN_MAX)?;
    if name.strip_prefix("*.").is_some_and(is_subdomain) { Ok(()) } else { Err(WILDCARD.to_owned()) }
}

/// What a resolver may append: as a subdomain, and labels may begin with and hold `_` (KEP-4427).
pub fn search_domain(name: &str) -> Verdict {
    within(name, SUBDOMAIN_MAX)?;
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_good = |label: &str| {
        framed(label.strip_prefix('_').unwrap_or(label), edge, |b| edge(b) || b"-_".contains(&b))
    };
    if name.split('.').all(is_good) { Ok(()) } else { Err(SEARCH.to_owned()) }
}

/// At least two labels; the last dot may be there.
pub fn fully_qualified(name: &str) -> Verdict {
    let name = name.strip_suffix('.').unwrap_or(name);
    dns_subdomain(name)?;
    if !name.contains('.') {
        return Err("should be a domain with at least two segments separated by dots".to_owned());
    }
    name.split('.').try_for_each(dns_label)
}

pub fn label_value(value: &str) -> Verdict {
    within_bytes(value, LABEL_MAX)?;
    if value.is_empty() || is_name_part(value) { Ok(()) } else { Err(VALUE.to_owned()) }
}

/// `example.com/name` or `name`.
pub fn qualified(name: &str) -> Verdict {
    let part = match name.split_once('/') {
        Some((_, part)) if part.contains('/') => return Err(LABEL_KEY.to_owned()),
        Some(("", _)) => return Err("prefix part must be non-empty".to_owned()),
        Some((prefix, part)) => {
            dns_subdomain(prefix).map_err(|why| format!("prefix part {why}"))?;
            part
        }
        None => name,
    };
    if part.is_empty() {
        return Err("name part must be non-empty".to_owned());
    }
    within_bytes(part, LABEL_MAX).map_err(|why| format!("name part {why}"))?;
    if is_name_part(part) { Ok(()) } else { Err(QUALIFIED.to_owned()) }
}

pub fn config_key(key: &str) -> Verdict {
    within(key, SUBDOMAIN_MAX)?;
    match key {
        "." | ".." => Err(format!("must not be '{key}'")),
        key if key.starts_with("..") => Err("must not start with '..'".to_owned()),
        key if !key.is_empty() && key.bytes().all(is_name_byte) => Ok(()),
        _ => Err(CONFIG_KEY.to_owned()),
    }
}

pub fn environment_variable(name: &str) -> Verdict {
    if name.is_empty() {
        return Err("environment variable name must be non-empty".to_owned());
    }
    let good = name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    if good { Ok(()) } else { Err(ENV.to_owned()) }
}

pub fn http_header(name: &str) -> Verdict {
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if good { Ok(()) } else { Err(HTTP_HEADER.to_owned()) }
}

/// `net.ipv4.ip_forward`, or with slashes.
pub fn sysctl(name: &str) -> Verdict {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = |segment: &str| framed(segment, edge, |b| edge(b) || b"-_".contains(&b));
    if name.len() <= SUBDOMAIN_MAX && name.split(['.', '/']).all(good) {
        Ok(())
    } else {
        Err(SYSCTL.to_owned())
    }
}

/// RBAC names become a path segment and may hold nearly anything.
pub fn path_segment(name: &str) -> Verdict {
    match name {
        "." | ".." => Err(format!("may not be '{name}'")),
        name if name.contains('/') => Err("may not contain '/'".to_owned()),
        name if name.contains('%') => Err("may not contain '%'".to_owned()),
        _ => Ok(()),
    }
}

pub fn port_name(name: &str) -> Verdict {
    const MAX: usize = 15; // RFC 6335
    within(name, MAX)?;
    let why = match name.as_bytes() {
        bytes if bytes.is_empty() || !bytes.iter().all(|b| is_label_byte(*b)) => {
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        }
        bytes if !bytes.iter().any(u8::is_ascii_lowercase) => "must contain at least one letter (a-z)",
        _ if name.contains("--") => "must not contain consecutive hyphens",
        [b'-', ..] | [.., b'-'] => "must not begin or end with a hyphen",
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

fn within(name: &str, most: usize) -> Verdict {
    if name.len() > most { Err(format!("must be no more than {most} characters")) } else { Ok(()) }
}

/// As [`within`], in the words of those checks that upstream has rewritten.
fn within_bytes(name: &str, most: usize) -> Verdict {
    if name.len() > most { Err(format!("must be no more than {most} bytes")) } else { Ok(()) }
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_label_byte(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
}

fn is_label(label: &str) -> bool {
    framed(label, |b| is_label_byte(b) && b != b'-', is_label_byte)
}

fn is_name_part(part: &str) -> bool {
    framed(part, |b| b.is_ascii_alphanumeric(), is_name_byte)
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

fn framed(text: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => edge(*first) && edge(*last) && bytes.iter().all(|b| inner(*b)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_upstream_judges_them() {
        let check: [(&str, fn(&str) -> Verdict, &str, &str); 47] = [
            ("subdomain", dns_subdomain, "a.b-c", ""),
            ("upper case", dns_subdomain, "Web", "RFC 1123 subdomain"),
            ("empty part", dns_subdomain, "a..b", "RFC 1123 subdomain"),
            ("dash at the end", dns_label, "web-", "RFC 1123 label"),
            ("dot in a label", dns_label, "a.b", "must not contain dots"),
            ("1035 starts with a letter", dns_label_1035, "1a", "DNS-1035"),
            ("wildcard", wildcard_subdomain, "*.example.com", ""),
            ("two stars", wildcard_subdomain, "*.*.example.com", "a wildcard DNS-1123 subdomain"),
            ("a star alone", wildcard_subdomain, "*", "a wildcard DNS-1123 subdomain"),
            ("search", search_domain, "_tcp.my_net", ""),
            ("search ends with _", search_domain, "a_", "'_'"),
            ("domain", fully_qualified, "example.com.", ""),
            ("a label is no domain", fully_qualified, "example", "at least two segments"),
            ("empty value", label_value, "", ""),
            ("value", label_value, "a_B.c", ""),
            ("value with a space", label_value, "a b", "a valid label"),
            ("long value", label_value, LONG, "must be no more than 63 bytes"),
            ("qualified", qualified, "example.com/a_b", ""),
            ("not prefixed", qualified, "a_B.c", ""),
            ("nothing", qualified, "", "name part must be non-empty"),
            ("prefix alone", qualified, "a/", "name part must be non-empty"),
            ("empty prefix", qualified, "/a", "prefix part must be non-empty"),
            ("bad prefix", qualified, "A/b", "prefix part a lowercase RFC 1123 subdomain"),
            ("two slashes", qualified, "a/b/c", "a valid label key must consist of"),
            ("long name", qualified, LONG, "name part must be no more than 63 bytes"),
            ("config key", config_key, "app.conf", ""),
            ("hidden", config_key, ".dockercfg", ""),
            ("config key climbs", config_key, "..", "must not be '..'"),
            ("looks like climbing", config_key, "..data", "must not start with '..'"),
            ("config key with a slash", config_key, "a/b", "a valid config key"),
            ("port", port_name, "http-1", ""),
            ("port without letters", port_name, "80", "at least one letter"),
            ("long port", port_name, "waytoolongportname", "no more than 15"),
            ("port with a line below", port_name, "a_b", "only alpha-numeric"),
            ("hyphens in a row", port_name, "a--b", "consecutive hyphens"),
            ("hyphen at the end", port_name, "a-", "begin or end with a hyphen"),
            ("no port", port_name, "", "only alpha-numeric"),
            ("environment", environment_variable, "my var.1", ""),
            ("environment with =", environment_variable, "A=B", "other than '='"),
            ("no name", environment_variable, "", "must be non-empty"),
            ("header", http_header, "X-Forwarded-For", ""),
            ("header with a space", http_header, "X Y", "a valid HTTP header"),
            ("sysctl", sysctl, "net/ipv4.ip_forward", ""),
            ("sysctl with a space", sysctl, "a b", "match regex"),
            ("sysctl with an empty part", sysctl, "net..a", "match regex"),
            ("path segment", path_segment, "system:node", ""),
            ("climbing", path_segment, "..", "may not be '..'"),
        ];
        for (name, judge, value, want) in check {
            match judge(value) {
                Ok(()) => assert_eq!(want, "", "{name}: {value:?}"),
                Err(why) => assert!(!want.is_empty() && why.contains(want), "{name}: {value:?}: {why}"),
            }
        }
    }

    const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; // 64
}
