//! A definition's schema, and an object by it: refused in words, or every walk ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::ErrorList;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let Ok(openapi) = serde_json::from_slice::<Value>(&bytes[..cut]) else { return };
    let Ok(schema) = schema::from_openapi(&openapi, "schema") else { return };
    let json = bytes.get(cut + 1..).unwrap_or_default();
    let _ = schema::check(json, &schema);
    let Ok(mut object) = serde_json::from_slice::<Value>(json) else { return };
    schema::prune(&mut object, &schema);
    schema::set_defaults(&mut object, &schema);
    schema::validate(&object, &schema, &mut ErrorList::default());
});
