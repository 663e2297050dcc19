//! CEL, the language of rules in schemas and of admission policies: an expression is compiled once and evaluated often,
//! within a budget.
//!
//! It owns [`Program`] (one expression), [`Variables`] (what it may name), [`Rules`] (all `x-kubernetes-validations` of a
//! schema, the walk that applies them to an object, and the estimate of what they may cost, in upstream's words), and for admission
//! policies [`Environment`] and [`Evaluation`]: expressions that name one another, ask what somebody may do, and make what is laid
//! over an object. Types and costs are told by one walk over the tree (`check.rs`). The syntax and the library of functions are
//! kube-cel's, which nobody else names; the evaluation is our own, as only so every step has a price: whoever writes an
//! expression can not have the API server work without bound. It knows no kinds and does no I/O. Read [`Program`] first.

#![forbid(unsafe_code)]

mod authz;
mod check;
mod compile;
mod composition;
mod constructed;
mod conversions;
mod cost;
mod environment;
mod eval;
mod evaluation;
mod functions;
mod json;
mod list_types;
mod lists;
mod lower;
mod macros;
mod node;
mod occurrences;
mod outcome;
mod output;
mod parse;
mod places;
mod program;
mod rules;
mod signatures;
mod sizes;
mod stack;
#[cfg(test)]
mod tests;
mod typed;
mod types;
mod values;
mod variables;

pub use authz::{AccessCheck, Authorizer};
pub use composition::Composition;
pub use environment::{About, Environment};
pub use evaluation::Evaluation;
pub use outcome::{Budget, Fault, Outcome, PER_CALL};
pub use output::Output;
pub use program::Program;
pub use rules::Rules;
pub use typed::{Kinds, Typed};
pub use values::RESERVED;
pub use variables::Variables;
