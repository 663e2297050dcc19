//! What is asked of fields in more than one kind, in upstream's words (`pkg/apis/core/validation`). Each takes the value
//! and where it stands, and tells [`ErrorList`]; a field that is not there is `""` or 0, as Go has it.

use super::names::{self, Verdict};
use crate::ErrorList;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::fmt::Display;
use std::net::IpAddr;

pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
pub(crate) const IMMUTABLE: &str = "field is immutable";
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// The text of a field that need not be there.
pub(super) fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

pub(super) fn list<T>(field: &Option<Vec<T>>) -> &[T] {
    field.as_deref().unwrap_or_default()
}

/// The value is good in the eyes of `judge`.
pub(super) fn judged(judge: fn(&str) -> Verdict, value: &str, field: impl Display, errors: &mut ErrorList) {
    if let Err(why) = judge(value) {
        errors.invalid(field, value, why);
    }
}

/// The value is there, and good in the eyes of `judge`.
pub(super) fn required(judge: fn(&str) -> Verdict, value: &str, field: impl Display, errors: &mut ErrorList) {
    match value {
        "" => errors.required(field, ""),
        value => judged(judge, value, field, errors),
    }
}

/// The value is not there, or good in the eyes of `judge`.
pub(super) fn optional(judge: fn(&str) -> Verdict, value: &str, field: impl Display, errors: &mut ErrorList) {
    if !value.is_empty() {
        judged(judge, value, field, errors);
    }
}

/// The value is there, and one of those.
pub(super) fn one_of(value: &str, known: &[&str], field: impl Display, errors: &mut ErrorList) {
    match value {
        "" => errors.required(field, ""),
        value => among(value, known, field, errors),
    }
}

/// The value is one of those.
pub(super) fn among(value: &str, known: &[&str], field: impl Display, errors: &mut ErrorList) {
    if !known.contains(&value) {
        errors.not_supported(field, value, known);
    }
}

/// As [`among`], of a field that is a pointer in Go: left out is good, empty is not.
pub(super) fn among_if_set(value: Option<&str>, known: &[&str], field: impl Display, errors: &mut ErrorList) {
    if let Some(value) = value {
        among(value, known, field, errors);
    }
}

/// Upstream's `IsDomainPrefixedPath`: a domain, and behind the first slash whatever a path may hold (RFC 3986), further slashes too.
pub(super) fn domain_prefixed_path(value: &str, field: &str, errors: &mut ErrorList) {
    const PATH: &str = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
    if value.is_empty() {
        return errors.required(field, "");
    }
    match value.split_once('/').filter(|(domain, path)| !domain.is_empty() && !path.is_empty()) {
        None => {
            errors.invalid(field, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        }
        Some((domain, path)) => {
            judged(names::dns_subdomain, domain, field, errors);
            let is_good = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
            if !path.bytes().all(is_good) {
                errors.invalid(field, path, PATH);
            }
        }
    }
}

pub(super) fn not_negative(number: i64, field: impl Display, errors: &mut ErrorList) {
    if number < 0 {
        errors.invalid(field, number, NOT_NEGATIVE);
    }
}

pub(super) fn within(number: i64, least: i64, most: i64, field: impl Display, errors: &mut ErrorList) {
    if !(least..=most).contains(&number) {
        errors.invalid(field, number, format_args!("must be between {least} and {most}, inclusive"));
    }
}

pub(super) fn port_number(number: i32, field: impl Display, errors: &mut ErrorList) {
    within(number.into(), 1, 65535, field, errors);
}

pub(super) fn port(port: &IntOrString, field: impl Display, errors: &mut ErrorList) {
    match port {
        IntOrString::Int(number) => port_number(*number, field, errors),
        IntOrString::String(name) => judged(names::port_name, name, field, errors),
    }
}

/// What upstream may set where a user may not: an update that takes it back is refused.
pub(super) fn immutable<T: PartialEq + serde::Serialize>(
    new: &T,
    old: &T,
    field: impl Display,
    errors: &mut ErrorList,
) {
    if new != old {
        errors.invalid(field, serde_json::json!(new), IMMUTABLE);
    }
}

/// Upstream's `IsValidIPForLegacyField` with strict parsing (KEP-4858): no leading zeros, which some read as octal, and no
/// IPv4 dressed up as IPv6.
pub(super) fn ip(value: &str, field: impl Display, errors: &mut ErrorList) {
    match value.parse::<IpAddr>() {
        Ok(IpAddr::V6(six)) if six.to_ipv4_mapped().is_some() => {
            errors.invalid(field, value, "must not be an IPv4-mapped IPv6 address");
        }
        Ok(_) => {}
        Err(_) => {
            errors.invalid(field, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        }
    }
}

/// An address of a machine that traffic may be sent to: not unspecified, not of this host, not of this link. What is no
/// address at all is for [`ip`] to tell.
pub(super) fn non_special_ip(value: &str, field: impl Display, errors: &mut ErrorList) {
    // an IPv4 address dressed up as IPv6 is judged as what it is
    let Ok(address) = value.parse::<IpAddr>().map(|ip| ip.to_canonical()) else { return };
    let why = match address {
        address if address.is_unspecified() => format!("may not be unspecified ({value})"),
        address if address.is_loopback() => {
            "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()
        }
        address if is_link_local(address) => {
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()
        }
        address if is_link_local_multicast(address) => {
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()
        }
        _ => return,
    };
    errors.invalid(field, value, why);
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.octets()[..3] == [224, 0, 0],
        // whatever the flags are: the scope is the link
        IpAddr::V6(six) => six.is_multicast() && six.segments()[0] & 0xf == 2,
    }
}

/// `10.9.8.0/24`; bits behind the prefix are borne, as upstream bears them.
pub(super) fn cidr(value: &str, field: impl Display, errors: &mut ErrorList) {
    if !is_cidr(value) {
        errors.invalid(field, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
}

fn is_cidr(value: &str) -> bool {
    let Some((address, prefix)) = value.split_once('/') else { return false };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    digits && (prefix == "0" || !prefix.starts_with('0')) && prefix.parse::<u8>().is_ok_and(|p| p <= longest)
}

/// Upstream's `ValidateLabelSelector`.
pub(super) fn label_selector(selector: Option<&LabelSelector>, at: &str, errors: &mut ErrorList) {
    let Some(selector) = selector else { return };
    crate::meta::labels(selector.match_labels.as_ref(), &format!("{at}.matchLabels"), errors);
    for (index, rule) in list(&selector.match_expressions).iter().enumerate() {
        let at = format!("{at}.matchExpressions[{index}]");
        let values = list(&rule.values);
        match rule.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => errors.required(
                format_args!("{at}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                format_args!("{at}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.invalid(format_args!("{at}.operator"), other, "not a valid selector operator");
            }
        }
        judged(names::qualified, &rule.key, format_args!("{at}.key"), errors);
        for (index, value) in values.iter().enumerate() {
            judged(names::label_value, value, format_args!("{at}.values[{index}]"), errors);
        }
    }
}

/// Nothing is asked for, so that nothing would be found, or everything.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
        && list(&selector.match_expressions).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(check: impl FnOnce(&mut ErrorList)) -> String {
        let mut errors = ErrorList::default();
        check(&mut errors);
        errors.into_causes().into_iter().map(|cause| cause.message).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn addresses_that_traffic_may_be_sent_to() {
        let cases = [
            ("a machine's", "192.0.2.7", ""),
            ("a machine's, by IPv6", "2001:db8::7", ""),
            ("multicast beyond the link", "239.1.2.3", ""),
            ("no address", "web", ""),
            ("unspecified", "0.0.0.0", "may not be unspecified (0.0.0.0)"),
            ("unspecified, by IPv6", "::", "may not be unspecified (::)"),
            ("this host", "127.0.0.1", "loopback range"),
            ("this host, further on", "127.255.0.9", "loopback range"),
            ("this host, by IPv6", "::1", "loopback range"),
            ("this host, dressed up", "::ffff:127.0.0.1", "loopback range"),
            ("the cloud's metadata", "169.254.169.254", "link-local range"),
            ("the link, by IPv6", "fe80::1", "link-local range"),
            ("the link's groups", "224.0.0.251", "link-local multicast range"),
            ("the link's groups, by IPv6", "ff02::fb", "link-local multicast range"),
        ];
        for (name, address, want) in cases {
            let got = said(|errors| non_special_ip(address, "ip", errors));
            assert!(if want.is_empty() { got.is_empty() } else { got.contains(want) }, "{name}: {got}");
        }
    }

    #[test]
    fn addresses_and_ranges() {
        for (address, good) in [
            ("10.9.8.7", true),
            ("2001:db8::ffff", true),
            ("010.9.8.7", false),
            ("::ffff:10.9.8.7", false),
            ("10.9.8", false),
            ("10.9.8.7/24", false),
            ("", false),
        ] {
            assert_eq!(said(|errors| ip(address, "ip", errors)).is_empty(), good, "{address:?}");
        }
        for (range, good) in [
            ("10.9.8.0/24", true),
            ("10.9.8.7/24", true),
            ("0.0.0.0/0", true),
            ("2001:db8::/64", true),
            ("10.9.8.0/33", false),
            ("10.9.8.0/024", false),
            ("10.9.8.0/+4", false),
            ("10.9.8.0", false),
            ("everybody", false),
        ] {
            assert_eq!(said(|errors| cidr(range, "range", errors)).is_empty(), good, "{range:?}");
        }
    }
}
