//! Numbers of JSON beside the bounds of a schema. What is written `3.0` is an integer, as Go's decoder has it.

use serde_json::Number;

pub(crate) fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|n| n.fract() == 0.0 && n.is_finite())
}

pub(crate) fn value(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// A bound as Go prints it: without a fraction where it has none.
pub(crate) fn shown(bound: f64) -> String {
    if bound.fract() == 0.0 && bound.abs() < 1e21 { format!("{bound:.0}") } else { bound.to_string() }
}

/// Whether `number` is a multiple, within what 64 bits can tell of decimal fractions.
pub(crate) fn is_multiple(number: f64, of: f64) -> bool {
    let times = number / of;
    (times - times.round()).abs() < 1e-9 * times.abs().max(1.0)
}
