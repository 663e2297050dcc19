//! Chains and rules of the profile's table as the JSON that `nft` reads.

use crate::NetConfig;
use nftables::schema::{Chain, NfListObject, Rule};
use nftables::stmt::Statement;
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook};
use serde_json::Value;

pub(crate) type Statements = Vec<Statement<'static>>;

pub(crate) fn chain(config: &NetConfig, name: &str) -> Value {
    object(NfListObject::Chain(Chain { handle: None, ..plain_chain(config, name) }))
}

pub(crate) fn base_chain(
    config: &NetConfig,
    name: &str,
    (kind, hook, priority): (NfChainType, NfHook, i32),
) -> Value {
    object(NfListObject::Chain(Chain {
        _type: Some(kind),
        hook: Some(hook),
        prio: Some(priority),
        policy: Some(NfChainPolicy::Accept),
        ..plain_chain(config, name)
    }))
}

fn plain_chain(config: &NetConfig, name: &str) -> Chain<'static> {
    Chain {
        family: NfFamily::IP,
        table: config.table().into(),
        name: name.to_owned().into(),
        ..Chain::default()
    }
}

pub(crate) fn rule(config: &NetConfig, chain: &str, statements: Statements) -> Value {
    object(NfListObject::Rule(Rule {
        family: NfFamily::IP,
        table: config.table().into(),
        chain: chain.to_owned().into(),
        expr: statements.into(),
        ..Rule::default()
    }))
}

/// These types have string keys only, and that is all that serialising to a value can fail at.
pub(crate) fn object(object: NfListObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}
