//! A compiled expression, and its evaluation.

use crate::composition::Composition;
use crate::eval::Run;
use crate::lower::Lower;
use crate::node::Node;
use crate::outcome::{Answer, Budget, Fault, Outcome, PER_CALL};
use crate::parse::parse;
use crate::variables::Variables;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
