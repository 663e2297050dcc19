//! Amounts of resources as they are kept.

use api::quantity::{Quantity, canonical};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use std::collections::BTreeMap;

/// Thousandths are the smallest that is kept, and all are written as upstream writes them.
pub(super) fn round_up(amounts: &mut BTreeMap<String, Amount>) {
    for amount in amounts.values_mut() {
        let Ok(exact) = amount.0.parse::<Quantity>() else { continue };
        let rounded = Quantity::from_milli(exact.milli());
        // what is too large to be counted in thousandths has none
        if rounded > exact {
            amount.0 = rounded.to_string();
        }
        as_written(amount);
    }
}

/// What is no quantity is left for validation to tell.
pub(super) fn as_written(amount: &mut Amount) {
    if let Ok(text) = canonical(&amount.0) {
        amount.0 = text;
    }
}

pub(super) fn round_up_all(amounts: Option<&mut BTreeMap<String, Amount>>) {
    amounts.into_iter().for_each(round_up);
}
