//! What upstream's `SetDefaults_…` fill in, kind by kind.

use crate::common::{defaulted, golden, json, version};

#[test]
fn what_is_left_out_is_filled_in_as_upstream_does() {
    let registry = kinds::all();
    golden("defaults.jsonl", "want", |case| {
        let version = version(&registry, &case["given"]);
        json(&*defaulted(&version, &case["given"]))
    });
}

#[test]
fn defaults_are_set_once() {
    let registry = kinds::all();
    for case in crate::common::table("defaults.jsonl").1 {
        let version = version(&registry, &case["want"]);
        assert_eq!(json(&*defaulted(&version, &case["want"])), case["want"], "{}", case["name"]);
    }
}
