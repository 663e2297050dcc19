//! What comes out of an evaluation, what it may cost, and why there is nothing.

use kube_cel::cel::Value;
use std::fmt::{self, Display, Formatter};

/// What one evaluation may cost: upstream's `PerCallLimit`.
pub const PER_CALL: u64 = 1_000_000;

/// What all evaluations for one object may cost together.
#[derive(Debug, Clone, Copy)]
pub struct Budget(pub u64);

impl Budget {
    /// Upstream's `RuntimeCELCostBudget`.
    pub const OBJECT: Budget = Budget(10_000_000);
    /// Upstream's `RuntimeCELCostBudgetMatchConditions`.
    pub const MATCH_CONDITIONS: Budget = Budget(2_500_000);
}

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It cost more than one evaluation may.
    Cost,
    /// The budget of the object is used up.
    Budget,
    Error(String),
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Cost => f.write_str("operation cancelled: actual cost limit exceeded"),
            Fault::Budget => f.write_str("running out of cost budget"),
            Fault::Error(why) => f.write_str(why),
        }
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Bool(bool),
    Text(String),
    /// A list of nothing else.
    Texts(Vec<String>),
    Null,
    Other,
}

impl Outcome {
    pub(crate) fn of(value: Value) -> Self {
        match value {
            Value::Bool(of) => Outcome::Bool(of),
            Value::String(text) => Outcome::Text(text.as_str().to_owned()),
            Value::Null => Outcome::Null,
            Value::List(items) => texts(&items).map_or(Outcome::Other, Outcome::Texts),
            _ => Outcome::Other,
        }
    }
}

fn texts(items: &[Value]) -> Option<Vec<String>> {
    let text = |item: &Value| match item {
        Value::String(text) => Some(text.as_str().to_owned()),
        _ => None,
    };
    items.iter().map(text).collect()
}

pub(crate) type Answer = Result<Value, Fault>;
