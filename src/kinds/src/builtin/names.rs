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
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
     or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENV: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

type Verdict = Result<(), String>;

/// # Errors
/// Upstream's sentence; so do all of these.
pub fn dns_subdomain(name: &str) -> Verdict {
    within(name, SUBDOMAIN_MAX)?;
    if name.split('.').all(is_label) { Ok(()) } else { Err(SUBDOMAIN.to_owned()) }
}

pub fn dns_label(name: &str) -> Verdict {
    within(name, LABEL_MAX)?;
    if is_label(name) { Ok(()) } else { Err(LABEL.to_owned()) }
}

pub fn dns_label_1035(name: &str) -> Verdict {
    within(name, LABEL_MAX)?;
    let good = is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase());
    if good { Ok(()) } else { Err(LABEL_1035.to_owned()) }
}

pub fn label_value(value: &str) -> Verdict {
    within(value, LABEL_MAX)?;
    if value.is_empty() || is_name_part(value) { Ok(()) } else { Err(VALUE.to_owned()) }
}

/// `example.com/name` or `name`.
pub fn qualified(name: &str) -> Verdict {
    let part = match name.split_once('/') {
        Some((prefix, part)) => {
            dns_subdomain(prefix).map_err(|why| format!("prefix part {why}"))?;
            part
        }
        None => name,
    };
    within(part, LABEL_MAX).map_err(|why| format!("name part {why}"))?;
    if is_name_part(part) { Ok(()) } else { Err(QUALIFIED.to_owned()) }
}

pub fn config_key(key: &str) -> Verdict {
    within(key, SUBDOMAIN_MAX)?;
    match key {
        "." => Err("must not be '.'".to_owned()),
        key if key.starts_with("..") => Err("must not start with '..'".to_owned()),
        key if !key.is_empty() && key.bytes().all(is_name_byte) => Ok(()),
        _ => Err(CONFIG_KEY.to_owned()),
    }
}

pub fn environment_variable(name: &str) -> Verdict {
    let good = !name.is_empty() && name.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    if good { Ok(()) } else { Err(ENV.to_owned()) }
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
    if !is_label(name) || name.contains("--") {
        return Err("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if name.bytes().any(|b| b.is_ascii_lowercase()) {
        Ok(())
    } else {
        Err("must contain at least one letter (a-z)".to_owned())
    }
}

fn within(name: &str, most: usize) -> Verdict {
    if name.len() > most { Err(format!("must be no more than {most} characters")) } else { Ok(()) }
}

fn is_label(label: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    framed(label, edge, |b| edge(b) || b == b'-')
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
        let check: [(&str, fn(&str) -> Verdict, &str, bool); 16] = [
            ("subdomain", dns_subdomain, "a.b-c", true),
            ("upper case", dns_subdomain, "Web", false),
            ("empty part", dns_subdomain, "a..b", false),
            ("dash at the end", dns_label, "web-", false),
            ("dot in a label", dns_label, "a.b", false),
            ("1035 starts with a letter", dns_label_1035, "1a", false),
            ("empty value", label_value, "", true),
            ("value", label_value, "a_B.c", true),
            ("value with a space", label_value, "a b", false),
            ("qualified", qualified, "example.com/a_b", true),
            ("two slashes", qualified, "a/b/c", false),
            ("config key", config_key, "app.conf", true),
            ("config key climbs", config_key, "..", false),
            ("port", port_name, "http-1", true),
            ("port without letters", port_name, "80", false),
            ("environment", environment_variable, "A=B", false),
        ];
        for (name, judge, value, good) in check {
            assert_eq!(judge(value).is_ok(), good, "{name}: {value:?}");
        }
    }
}
