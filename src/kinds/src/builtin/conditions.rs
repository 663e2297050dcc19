//! Conditions of the common form (`metav1.Condition`), as upstream's `ValidateConditions` judges them.

use super::checks::{among, not_negative};
use super::names;
use crate::ErrorList;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::collections::HashSet;

const STATES: [&str; 3] = ["False", "True", "Unknown"];
// of `metav1.Condition`, in bytes
const LONGEST_REASON: usize = 1024;
const LONGEST_MESSAGE: usize = 32 * 1024;
const REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a string of \
     alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  \
     or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is \
     '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

pub(super) fn validate(all: &[Condition], at: &str, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for (index, condition) in all.iter().enumerate() {
        let field = format!("{at}[{index}]");
        if !seen.insert(condition.type_.as_str()) {
            errors.duplicate(format_args!("{field}.type"), condition.type_.as_str());
        }
        if condition.type_.is_empty() {
            errors.required(format_args!("{field}.type"), "must be set");
        } else if let Err(why) = names::qualified(&condition.type_) {
            errors.invalid(format_args!("{field}.type"), condition.type_.as_str(), why);
        }
        among(&condition.status, &STATES, format_args!("{field}.status"), errors);
        if let Some(generation) = condition.observed_generation {
            not_negative(generation, format_args!("{field}.observedGeneration"), errors);
        }
        reason(&condition.reason, &format!("{field}.reason"), errors);
        if condition.message.len() > LONGEST_MESSAGE {
            errors.too_long(format_args!("{field}.message"), LONGEST_MESSAGE);
        }
    }
}

fn reason(reason: &str, at: &str, errors: &mut ErrorList) {
    if reason.is_empty() {
        return errors.required(at, "must be set");
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = reason.as_bytes();
    let good = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(|last| word(*last))
        && bytes.iter().all(|b| word(*b) || matches!(b, b',' | b':'));
    if !good {
        errors.invalid(at, reason, REASON);
    }
    if reason.len() > LONGEST_REASON {
        errors.too_long(at, LONGEST_REASON);
    }
}
