//! The formats of strings that upstream checks. A format that is not among them says nothing.

use base64::Engine;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Byte,
    Cidr,
    Date,
    DateTime,
    /// The same by upstream's other name for it, which no expression takes for a time.
    Datetime,
    Duration,
    Email,
    Hostname,
    Int32,
    Int64,
    Ipv4,
    Ipv6,
    Mac,
    Uri,
    Uuid,
}

const NAMES: &[(&str, Format)] = &[
    ("byte", Format::Byte),
    ("cidr", Format::Cidr),
    ("date", Format::Date),
    ("date-time", Format::DateTime),
    ("datetime", Format::Datetime),
    ("duration", Format::Duration),
    ("email", Format::Email),
    ("hostname", Format::Hostname),
    ("int32", Format::Int32),
    ("int64", Format::Int64),
    ("ipv4", Format::Ipv4),
    ("ipv6", Format::Ipv6),
    ("mac", Format::Mac),
    ("uri", Format::Uri),
    ("uuid", Format::Uuid),
];

impl Format {
    pub(crate) fn named(name: &str) -> Option<Format> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn allows(self, text: &str) -> bool {
        match self {
            Format::Byte => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
            Format::Cidr => text.parse::<IpNet>().is_ok(),
            Format::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Format::DateTime | Format::Datetime => {
                text.contains(['T', 't']) && text.parse::<jiff::Timestamp>().is_ok()
            }
            Format::Duration => durations::parse(text).is_ok(),
            Format::Email => is_email(text),
            Format::Hostname => is_hostname(text),
            Format::Int32 | Format::Int64 => true,
            Format::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Format::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Format::Mac => is_mac(text),
            Format::Uri => is_uri(text),
            Format::Uuid => is_uuid(text),
        }
    }

    /// What an integer of this width may be.
    pub(crate) fn range(self) -> Option<(f64, f64)> {
        match self {
            Format::Int32 => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
            _ => None,
        }
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    !local.is_empty() && local.len() <= 64 && !local.contains(char::is_whitespace) && is_hostname(domain)
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= 253 && text.parse::<IpAddr>().is_err() && text.trim_end_matches('.').split('.').all(label)
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.split(separator).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit()))
}

/// As Go's `url.ParseRequestURI`: with a scheme, or the path alone.
fn is_uri(text: &str) -> bool {
    if text.starts_with('/') {
        return !text.contains(char::is_control);
    }
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_uuid(text: &str) -> bool {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    hex.len() == 32 && hex.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_a_scheme_or_is_a_path() {
        for (text, want) in [
            ("https://example.com/a?b=c", true),
            ("urn:x", true),
            ("/metrics", true),
            ("/", true),
            ("/\n", false),
            ("example.com/a", false),
            ("", false),
        ] {
            assert_eq!(Format::Uri.allows(text), want, "{text:?}");
        }
    }
}
