//! What stands in the isolation's place from the moment in which a table is made anew until the isolation is in it again: that is
//! another transaction, and after a start it comes only when policies are known. What began in between would go on for ever, since
//! only a connection's first packet is judged. Pure.

use crate::NetConfig;
use crate::isolation::HOOKS;
use crate::nft::Hook;
use crate::nft_expr::{equal, goes_on, payload, prefix};
use crate::table_objects::{base_chain, rule};
use nftables::stmt::{Drop, Statement};
use nftables::types::{NfChainType, NfHook};
use serde_json::Value;

const FILTER: i32 = 0; // NF_IP_PRI_FILTER, as the isolation's own

/// Chains by the names of the isolation's: whoever puts that into its place takes these away.
pub(crate) fn objects(config: &NetConfig) -> Vec<Value> {
    let mut objects = Vec::new();
    for (name, hook) in HOOKS {
        let (hook, ends) = match hook {
            Hook::Forward => (NfHook::Forward, &["saddr", "daddr"][..]),
            Hook::Input => (NfHook::Input, &["saddr"][..]),
        };
        objects.push(base_chain(config, name, (NfChainType::Filter, hook, FILTER)));
        objects.push(rule(config, name, goes_on()));
        for &end in ends {
            let of_pod = equal(payload("ip", end), prefix(config.pod_cidr));
            objects.push(rule(config, name, vec![of_pod, Statement::Drop(Some(Drop {}))]));
        }
    }
    objects
}
