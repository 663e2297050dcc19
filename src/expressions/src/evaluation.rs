//! What a policy's expressions about one object come out as.

use crate::authz::{self, AccessCheck, Authorizer};
use crate::composition::Composition;
use crate::constructed;
use crate::environment::REQUEST_RESOURCE;
use crate::outcome::{Answer, Budget, Fault, Outcome};
use crate::program::Program;
use crate::variables::Variables;
use serde_json::Value as Json;
use std::sync::Arc;

/// Expressions about one object: what they name, and which of the composed ones are known already.
pub struct Evaluation<'c> {
    variables: Variables,
    composition: &'c Composition,
    known: Vec<Option<Answer>>,
}

impl<'c> Evaluation<'c> {
    pub fn new(variables: Variables, composition: &'c Composition) -> Self {
        Evaluation { variables, known: vec![None; composition.nodes().len()], composition }
    }

    /// # Errors
    /// What went wrong, or that it is too much work.
    pub fn evaluate(&mut self, program: &Program, budget: &mut Budget) -> Result<Outcome, Fault> {
        self.value(program, budget).map(Outcome::of)
    }

    /// What an `Object{…}` says, as JSON.
    ///
    /// # Errors
    /// As [`Evaluation::evaluate`], and that it is none.
    pub fn object(&mut self, program: &Program, budget: &mut Budget) -> Result<Json, Fault> {
        constructed::object(&self.value(program, budget)?)
    }

    /// What a list of `JSONPatch{…}` says, as RFC 6902 has it.
    ///
    /// # Errors
    /// As [`Evaluation::evaluate`], and that it is none.
    pub fn patch(&mut self, program: &Program, budget: &mut Budget) -> Result<Json, Fault> {
        constructed::patch(&self.value(program, budget)?)
    }

    fn value(&mut self, program: &Program, budget: &mut Budget) -> Answer {
        program.value_with(&self.variables, self.composition, &mut self.known, budget)
    }
}

impl Variables {
    /// `authorizer`, and what it has ready about the request itself.
    #[must_use]
    pub fn authorizer(self, authorizer: &Arc<dyn Authorizer>, request: AccessCheck) -> Self {
        self.value("authorizer", authz::authorizer(authorizer.clone()))
            .value(REQUEST_RESOURCE, authz::resource_check(authorizer.clone(), request))
    }
}
