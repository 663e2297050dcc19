//! What upstream's `SetDefaults_…` fill in, kind by kind.

use crate::common::{defaulted, golden, handler, json};

#[test]
fn what_is_left_out_is_filled_in_as_upstream_does() {
    let registry = kinds::all();
    golden("defaults.jsonl", "want", |case| {
        let handler = handler(&registry, &case["given"]);
        json(&*defaulted(&*handler, &case["given"]))
    });
}

#[test]
fn defaults_are_set_once() {
    let registry = kinds::all();
    for case in crate::common::table("defaults.jsonl").1 {
        let handler = handler(&registry, &case["want"]);
        assert_eq!(json(&*defaulted(&*handler, &case["want"])), case["want"], "{}", case["name"]);
    }
}
