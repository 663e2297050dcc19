//! `nft`, run at the start and when somebody asks what else is on this machine; never for a single change.

use crate::error::Doing;
use crate::{NetError, Result};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where it is; some users' PATH ends before the administrator's programs.
fn nft() -> &'static str {
    ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("nft")
}

/// One transaction, as libnftables' JSON.
pub(crate) fn apply(ruleset: &str) -> Result<()> {
    let running = || "run nft";
    let missing = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => NetError::failed("run nft", "it is not installed (package nftables)"),
        _ => NetError::failed("run nft", error),
    };
    let mut nft = Command::new(nft())
        .args(["-j", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut input) = nft.stdin.take() {
        input.write_all(ruleset.as_bytes()).doing(running)?;
    }
    let output = nft.wait_with_output().doing(running)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = format!("nft: {}: {}", output.status, said.trim().replace('\n', " "));
    Err(NetError::failed("set up the nft table", why))
}

/// A chain of any table of the machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForeignChain {
    pub(crate) family: String,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) hook: Option<String>,
    pub(crate) policy: Option<String>,
}

pub(crate) fn chains() -> Result<Vec<ForeignChain>> {
    let listed = nftables::helper::get_current_ruleset_raw(Some(nft()), ["list", "chains"]);
    let listed = listed.map_err(|error| NetError::failed("list the nft chains", error))?;
    parse(&listed)
}

pub(crate) fn parse(listed: &str) -> Result<Vec<ForeignChain>> {
    let listed: Value =
        serde_json::from_str(listed).map_err(|e| NetError::failed("read what nft lists", e))?;
    let objects = listed["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(objects.iter().filter_map(|object| chain(object.get("chain")?)).collect())
}

/// Read loosely: what others have in their tables must not keep us from finding ours.
fn chain(object: &Value) -> Option<ForeignChain> {
    let field = |name| object.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(ForeignChain {
        family: field("family")?,
        table: field("table")?,
        name: field("name")?,
        hook: field("hook"),
        policy: field("policy"),
    })
}

/// What a user should know about tables that are not ours to edit.
pub(crate) fn notes(chains: &[ForeignChain], ours: &str) -> Vec<String> {
    let drops = |chain: &&ForeignChain| {
        let closed = chain.policy.as_deref() == Some("drop") && chain.table != ours;
        closed && matches!(chain.family.as_str(), "ip" | "inet")
    };
    chains.iter().filter(drops).filter_map(note).collect()
}

fn note(chain: &ForeignChain) -> Option<String> {
    let (packets, so) = match chain.hook.as_deref()? {
        "forward" => ("forwarded packets", "pods may reach neither each other nor the outside"),
        "input" => ("packets to this machine", "pods may reach neither the cluster's DNS nor its API"),
        _ => return None,
    };
    let ForeignChain { family, table, name, .. } = chain;
    Some(format!(
        "table {family} {table} drops {packets} that it does not know (chain {name}, policy drop): {so}; allow the pod \
         range there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_drop_are_told_whoever_made_them() {
        let listed = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
            {"table": {"family": "ip", "name": "filter", "handle": 1}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
            {"chain": {"family": "ip", "table": "monopod", "name": "refuse", "handle": 2}},
            {"chain": {"family": "inet", "table": "other", "name": "fwd", "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}}]}"#;
        let chains = parse(listed).unwrap();
        assert_eq!(chains.len(), 5);
        let notes = notes(&chains, "monopod");
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("table ip filter") && notes[0].contains("FORWARD"), "{notes:?}");
        assert!(notes[1].contains("INPUT") && notes[1].contains("DNS"), "{notes:?}");
    }

    #[test]
    fn what_is_no_listing_is_an_error() {
        assert!(parse("oops").is_err());
        assert_eq!(parse("{}").unwrap(), []);
    }
}
