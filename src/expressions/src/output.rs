//! What an expression of a policy must come out as, and what can be said of that before it is evaluated.

use crate::authz;
use crate::node::{Binary, Made, Node};
use crate::values::type_name;

/// What is wanted of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Any,
    Bool,
    Text,
    TextOrNull,
    /// `Object{…}`
    Object,
    /// `[JSONPatch{…}]`
    Patches,
}

impl Output {
    /// # Errors
    /// Where it is known to be something else, in upstream's words. What depends on the objects is known when they are.
    pub(crate) fn check(self, node: &Node) -> Result<(), String> {
        let (wanted, fits): (&str, &[&str]) = match self {
            Output::Any => return Ok(()),
            Output::Bool => ("bool", &["bool"]),
            Output::Text => ("string", &["string"]),
            Output::TextOrNull => ("one of [string null_type]", &["string", "null_type"]),
            Output::Object => ("Object", &["Object"]),
            Output::Patches => ("list(JSONPatch)", &["list(JSONPatch)", "list(dyn)"]),
        };
        match static_type(node) {
            Some(known) if !fits.contains(&known.as_str()) => {
                Err(format!("must evaluate to {wanted} but got {known}"))
            }
            _ => Ok(()),
        }
    }
}

/// `None` where it depends on the objects.
fn static_type(node: &Node) -> Option<String> {
    let known = |name: &str| Some(name.to_owned());
    match node {
        Node::Literal(value) => known(type_name(value)),
        Node::Has { .. }
        | Node::And(..)
        | Node::Or(..)
        | Node::Not(_)
        | Node::NotStrictlyFalse(_)
        | Node::Fold(_)
        | Node::Matches { .. } => known("bool"),
        Node::Size(_) => known("int"),
        Node::TypeOf(_) => known("type"),
        Node::Binary(operator, both) => match operator {
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Modulo => {
                both.iter().find_map(static_type)
            }
            _ => known("bool"),
        },
        Node::Conditional(each) => {
            let (then, other) = (static_type(&each[1])?, static_type(&each[2])?);
            (then == other).then_some(then)
        }
        Node::List(items) => list_of(items.iter().map(|(item, _)| static_type(item))),
        Node::Collect(of) if of.made == Made::List => list_of([static_type(&of.transform)].into_iter()),
        Node::Collect(_) | Node::Map(_) => known("map(dyn, dyn)"),
        Node::Construct { type_name, .. } => known(type_name),
        Node::Bind { body, .. } => static_type(body),
        Node::Authorize { method, .. } => authz::output_type(method).and_then(known),
        Node::Variable(_)
        | Node::Composed(_)
        | Node::Select { .. }
        | Node::Index { .. }
        | Node::OptionalMap { .. }
        | Node::Dyn(_)
        | Node::SortBy { .. }
        | Node::Call { .. } => None,
    }
}

fn list_of(mut items: impl Iterator<Item = Option<String>>) -> Option<String> {
    let first = items.next().flatten();
    let all_alike = first.filter(|first| items.all(|item| item.as_deref() == Some(first)));
    Some(format!("list({})", all_alike.as_deref().unwrap_or("dyn")))
}
