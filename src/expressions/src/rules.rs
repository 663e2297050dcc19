//! `x-kubernetes-validations`: the rules of a schema, compiled, and what they say of an object (KEP-2876, KEP-4008).

mod compilation;
mod estimates;
mod programs;
mod validation;

use crate::outcome::Budget;
use crate::program::Program;
use crate::sizes::Sizes;
use schema::{ErrorList, Rule, Schema};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;
use validation::Walk;

/// The rules of a schema node and of those below it that have some.
#[derive(Debug, Default)]
pub struct Rules {
    own: Vec<Compiled>,
    fields: BTreeMap<String, Rules>,
    additional: Option<Box<Rules>>,
    items: Option<Box<Rules>>,
}

#[derive(Debug)]
struct Compiled {
    /// Its place in the list.
    index: usize,
    rule: Rule,
    /// Or why there is none.
    program: Result<Arc<Program>, String>,
    message: Option<Arc<Program>>,
    uses_old: bool,
    /// What one evaluation may cost at most, in upstream's estimate.
    cost: u64,
    message_cost: u64,
}

impl Rules {
    /// A rule that was compiled lately, or that another definition has, is not compiled again: what the validation of a write
    /// makes is there when the definition takes effect.
    ///
    /// `at` is the schema's own path in the definition, for the messages: every rule that can not be compiled, or that says
    /// what it may not. Where such a definition was stored already, those that can not be evaluated refuse all that they should
    /// judge; one whose types do not fit is evaluated as it is.
    pub fn compile(schema: &Schema, at: &str) -> (Rules, ErrorList) {
        let mut errors = ErrorList::default();
        let rules = compilation::compile(schema, at, true, None, &Sizes::default(), &mut errors);
        (rules, errors)
    }

    /// What of the schema's rules may cost too much, one by one and together, and which have patterns that are too large. `at` is the schema's own path in the
    /// definition. What upstream has stored once it does not refuse for its cost, so that only who writes a schema asks.
    pub fn costs(&self, schema: &Schema, at: &str) -> ErrorList {
        estimates::costs(self, schema, at)
    }

    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.fields.is_empty() && self.additional.is_none() && self.items.is_none()
    }

    /// What the rules have against an object; `old` is what it was, on an update. What did not change is not refused by a
    /// rule that came later.
    pub fn validate(&self, object: &Json, old: Option<&Json>, schema: &Schema, errors: &mut ErrorList) {
        let mut walk = Walk { budget: Budget::OBJECT, errors };
        // the walk ends early where the budget is used up, and has said so
        let _ = walk.node(self, schema, object, old, true, "");
    }

    /// The same of a part that stands at `at`: a default, say, of whose schema these are the rules.
    pub fn validate_part(
        &self,
        part: &Json,
        old: Option<&Json>,
        schema: &Schema,
        at: &str,
        errors: &mut ErrorList,
    ) {
        let mut walk = Walk { budget: Budget::OBJECT, errors };
        let _ = walk.node(self, schema, part, old, schema.embedded, at);
    }
}
