//! Filling in what was left out. Go's clients can not leave out what is no pointer there: over protobuf they send `""` and
//! 0, and upstream's defaults take that for "not set". So do these; what is a pointer in Go uses `get_or_insert`.

use super::checks::text as text_of;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

pub(super) fn text(field: &mut Option<String>, value: &str) {
    if text_of(field).is_empty() {
        *field = Some(value.to_owned());
    }
}

pub(super) fn number(field: &mut Option<i32>, value: i32) {
    if field.unwrap_or(0) == 0 {
        *field = Some(value);
    }
}

/// 0 and `""` both are Go's empty IntOrString.
pub(super) fn port(field: &mut Option<IntOrString>, value: i32) {
    let is_zero = match field {
        None | Some(IntOrString::Int(0)) => true,
        Some(IntOrString::String(name)) => name.is_empty(),
        Some(IntOrString::Int(_)) => false,
    };
    if is_zero {
        *field = Some(IntOrString::Int(value));
    }
}

/// `None` for what Go would not write: false, 0, `""`.
pub(super) fn drop_zero<T: Default + PartialEq>(field: &mut Option<T>) {
    field.take_if(|value| *value == T::default());
}

pub(super) fn drop_empty<T>(field: &mut Option<Vec<T>>) {
    field.take_if(|list| list.is_empty());
}

pub(super) fn drop_empty_map<K, V>(field: &mut Option<BTreeMap<K, V>>) {
    field.take_if(|map| map.is_empty());
}
