//! A compiled expression: what it may cost, how it is evaluated, and why it has no value.

use crate::environment::Composition;
use crate::eval::Run;
use crate::lower::Lower;
use crate::node::Node;
use crate::parse::parse;
use crate::values;
use kube_cel::cel::Value;
use std::fmt::{self, Display, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// What an expression may name.
#[derive(Clone, Default)]
pub struct Variables(pub(crate) Vec<(&'static str, Value)>);

impl Variables {
    #[must_use]
    pub fn json(self, name: &'static str, value: &serde_json::Value) -> Self {
        self.value(name, values::of_json(value))
    }

    #[must_use]
    pub(crate) fn value(mut self, name: &'static str, value: Value) -> Self {
        self.0.push((name, value));
        self
    }
}

/// One expression, compiled.
#[derive(Debug)]
pub struct Program {
    pub(crate) node: Node,
}

impl Program {
    /// `variables` are the names that it may use.
    ///
    /// # Errors
    /// In upstream's words: syntax, and names that there are not.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Program, String> {
        Ok(Program { node: Lower::new(variables).node(parse(source)?)? })
    }

    pub fn uses(&self, variable: &str) -> bool {
        self.node.names(variable)
    }

    /// Whether it asks for this field of a variable anywhere.
    pub fn selects(&self, variable: &str, field: &str) -> bool {
        self.node.selects(variable, field)
    }

    /// # Errors
    /// What went wrong, or that it is too much work.
    pub fn evaluate(&self, variables: &Variables, budget: &mut Budget) -> Result<Outcome, Fault> {
        self.value_with(variables, &Composition::default(), &mut Vec::new(), budget).map(Outcome::of)
    }

    /// `known` is what each of the composed expressions came out as, where one was asked for.
    pub(crate) fn value_with(
        &self,
        variables: &Variables,
        composition: &Composition,
        known: &mut Vec<Option<Answer>>,
        budget: &mut Budget,
    ) -> Answer {
        let limit = PER_CALL.min(budget.0);
        let mut run = Run::new(variables, composition, std::mem::take(known), limit);
        // the library's functions meet what nobody tried
        let result = catch_unwind(AssertUnwindSafe(|| run.eval(&self.node)));
        *known = run.take_known();
        let spent = limit - run.left();
        budget.0 -= spent;
        match result {
            _ if run.is_spent() => Err(if limit < PER_CALL { Fault::Budget } else { Fault::Cost }),
            Ok(result) => result,
            Err(_) => Err(Fault::Error("internal error".to_owned())),
        }
    }
}
