//! The downward API: a pod's own fields and a container's resources as text.

use crate::pod;
use crate::quantity::{milli, milli_of, value, value_of};
use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use kinds::is_printable;
use std::collections::BTreeMap;

/// What a pod can not say of itself.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub pod_ip: Option<String>,
    pub host_ip: String,
    pub cpus: u64,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
}

/// # Errors
/// Where the path is none that upstream knows.
pub fn field(pod: &Pod, facts: &Facts, path: &str) -> Result<String, String> {
    let spec = pod::spec(pod);
    let pod_ip = || facts.pod_ip.clone().unwrap_or_default();
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        let pairs = match map {
            "metadata.labels" => &pod.metadata.labels,
            "metadata.annotations" => &pod.metadata.annotations,
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(pairs.as_ref().and_then(|p| p.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => pod::name(pod).to_owned(),
        "metadata.namespace" => pod::namespace(pod).to_owned(),
        "metadata.uid" => pod::uid(pod).to_owned(),
        "metadata.labels" => format_map(pod.metadata.labels.as_ref()),
        "metadata.annotations" => format_map(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => spec.node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => facts.host_ip.clone(),
        "status.podIP" | "status.podIPs" => pod_ip(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// One `key="value"` a line, sorted, quoted as Go does.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map.into_iter().flatten().map(|(k, v)| format!("{k}={}", quoted(v))).collect();
    lines.join("\n")
}

/// Go's `%q`.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..=' ' if c != ' ' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{7f}' => out.push_str("\\x7f"),
            _ if is_printable(c) => out.push(c),
            '\u{80}'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// A limit that is not set is what the node has.
///
/// # Errors
/// Where the container or the resource is unknown.
pub fn resource(
    pod: &Pod,
    own: Option<&Container>,
    facts: &Facts,
    selector: &ResourceFieldSelector,
) -> Result<String, String> {
    let named = selector.container_name.as_deref().filter(|n| !n.is_empty());
    let container = match named {
        Some(name) => pod::container(pod::spec(pod), name),
        None => own,
    };
    let container = container.ok_or_else(|| format!("container {} not found", named.unwrap_or("\"\"")))?;
    let (kind, name) = selector.resource.split_once('.').unwrap_or(("", &selector.resource));
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|r| r.limits.as_ref());
    let requests = resources.and_then(|r| r.requests.as_ref());
    let amounts = match kind {
        "limits" => limits,
        "requests" => requests,
        _ => return Err(format!("unsupported container resource : {}", selector.resource)),
    };
    let divisor = selector.divisor.as_ref().filter(|d| value(d).unwrap_or(0) != 0);
    let limited = kind == "limits";
    let amount = match name {
        "cpu" => {
            let node = i64::try_from(facts.cpus * 1000).unwrap_or(i64::MAX);
            let have = milli_of(amounts, "cpu").filter(|m| *m > 0);
            divide(have.unwrap_or(if limited { node } else { 0 }), divisor.and_then(milli).unwrap_or(1000))
        }
        "memory" | "ephemeral-storage" => {
            let node = if name == "memory" { facts.memory_bytes } else { facts.disk_bytes };
            let have = value_of(amounts, name).filter(|v| *v > 0);
            let amount = have.unwrap_or(if limited { i64::try_from(node).unwrap_or(i64::MAX) } else { 0 });
            divide(amount, divisor.and_then(value).unwrap_or(1))
        }
        name if name.starts_with("hugepages-") => {
            divide(value_of(amounts, name).unwrap_or(0), divisor.and_then(value).unwrap_or(1))
        }
        _ => return Err(format!("unsupported container resource : {}", selector.resource)),
    };
    Ok(amount.to_string())
}

/// Rounded up, as upstream does.
fn divide(amount: i64, divisor: i64) -> i64 {
    amount.div_euclid(divisor) + i64::from(amount.rem_euclid(divisor) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_go_does() {
        let cases = [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\r\t\u{7}\0", r#""\n\r\t\a\x00""#),
            ("\u{7f}\u{a0}", r#""\x7f\u00a0""#),
            ("\u{200b}\u{f0000}", r#""\u200b\U000f0000""#),
            ("it's", "\"it's\""),
            ("é 日 e\u{301}", "\"é 日 e\u{301}\""),
        ];
        for (text, want) in cases {
            assert_eq!(quoted(text), want);
        }
    }
}
