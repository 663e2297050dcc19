//! CEL, the language of rules in schemas and of admission policies: an expression is compiled once and evaluated often,
//! within a budget.
//!
//! It owns [`Program`] (one expression), [`Variables`] (what it may name) and [`Rules`] (all `x-kubernetes-validations` of a
//! schema, and the walk that applies them to an object, in upstream's words). The syntax and the library of functions are
//! kube-cel's, which nobody else names; the evaluation is our own, as only so every step has a price: whoever writes an
//! expression can not have the API server work without bound. It knows no kinds and does no I/O. Read [`Program`] first.
//!
//! What upstream has and this has not: type checks beyond the fields of a schema, the estimate of costs before the first
//! evaluation, `sortBy`, comprehensions with two variables, and the `authorizer`. An expression that needs one of them is
//! refused when it is compiled.

#![forbid(unsafe_code)]

mod check;
mod eval;
mod functions;
mod lower;
mod node;
mod parse;
mod program;
mod rules;
#[cfg(test)]
mod tests;
mod values;

pub use program::{Budget, Fault, Outcome, PER_CALL, Program, Variables};
pub use rules::Rules;
