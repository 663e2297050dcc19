//! A client's JSON, of any kind: what passes the check is an object, defaulted, validated and stored without a panic.

#![no_main]

use kinds::{ErrorList, FieldValidation, Registry};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KINDS: LazyLock<Registry> = LazyLock::new(kinds::all);

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, json)) = bytes.split_first() else { return };
    let all: Vec<_> = KINDS.versions().collect();
    let version = all[usize::from(*kind) % all.len()];
    let Ok(decoded) = version.decode(json, FieldValidation::Warn) else { return };
    let mut object = decoded.instance;
    object.set_defaults();
    object.prepare_create();
    let mut errors = ErrorList::default();
    kinds::validate_meta(version, object.meta(), &mut errors);
    object.validate(&mut errors);
    object.validate_create(&mut errors);
    object.row(jiff::Timestamp::UNIX_EPOCH);
    object.warnings(None);
    object.encode().expect("an object can be written");
});
