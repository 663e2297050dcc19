//! Amounts by name in a map of requests or limits.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

type Amounts = BTreeMap<String, Quantity>;

/// Thousandths, rounded up; `None` where it is no quantity (validation lets none through).
pub fn milli(quantity: &Quantity) -> Option<i64> {
    parse(quantity).map(api::quantity::Quantity::milli)
}

/// Whole units, rounded up.
pub fn value(quantity: &Quantity) -> Option<i64> {
    parse(quantity).map(api::quantity::Quantity::value)
}

pub fn milli_of(amounts: Option<&Amounts>, name: &str) -> Option<i64> {
    amounts.and_then(|a| a.get(name)).and_then(milli)
}

pub fn value_of(amounts: Option<&Amounts>, name: &str) -> Option<i64> {
    amounts.and_then(|a| a.get(name)).and_then(value)
}

fn parse(quantity: &Quantity) -> Option<api::quantity::Quantity> {
    quantity.0.parse().ok()
}
