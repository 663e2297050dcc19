//! Patches of all kinds on an object of a client: refused in words, or an object.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let Ok(object) = serde_json::from_slice::<Value>(&bytes[..cut]) else { return };
    let Ok(patch) = serde_json::from_slice::<Value>(bytes.get(cut + 1..).unwrap_or_default()) else { return };
    let schema = schema::table::named("apps.v1.Deployment").expect("a type of the table");
    let _ = api::patch::strategic_merge(object.clone(), &patch, schema);
    let _ = api::patch::merge_patch(object, &patch);
});
