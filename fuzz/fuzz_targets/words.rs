//! The small languages: quantities, selectors, paths.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<api::quantity::Quantity>();
    let _ = kinds::JsonPath::parse(text);
    let _ = api::LabelSelector::parse(text);
    let _ = api::FieldSelector::parse(text);
});
