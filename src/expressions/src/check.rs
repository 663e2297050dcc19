//! What can be said of an expression before it is evaluated: its type, that what it names is there and what it calls takes
//! such arguments, and what it may cost. One walk says it all, as the cost of a call depends on the types and sizes of what
//! it is given (cel-go's `checker/checker.go` and `checker/cost.go`).
//!
//! What is not known is assumed to be right: a type of [`Ty::Dyn`] fits everything.

mod calls;
mod macros;
mod operators;
mod selection;
#[cfg(test)]
mod tests;

use crate::cost::{self, Entry, Range};
use crate::functions::called;
use crate::node::Node;
use crate::occurrences::{Mark, Occurrences};
use crate::sizes::Sizes;
use crate::stack::enough;
use crate::types::{Place, Ty, Typing};
use kube_cel::cel::Value;

/// Where the size of a value can be looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'s> {
    /// It is made by the expression.
    None,
    /// It comes from a place that the schema does not have.
    Lost,
    At(Place<'s>),
}

/// What is known of a node.
#[derive(Debug, Clone)]
pub(crate) struct Known<'s> {
    pub(crate) ty: Ty<'s>,
    path: Path<'s>,
    /// As the expression itself says it.
    size: Option<Range>,
    entry: Option<Entry>,
    pub(crate) cost: Range,
}

impl<'s> Known<'s> {
    fn new(ty: Ty<'s>, cost: Range) -> Self {
        Known { ty, path: Path::None, size: None, entry: None, cost }
    }

    fn sized(self, size: Option<Range>) -> Self {
        Known { size, ..self }
    }
}

/// What a name means.
struct Local<'s> {
    name: String,
    ty: Ty<'s>,
    path: Path<'s>,
    size: Option<Range>,
    entry: Option<Entry>,
}

/// What is wrong, and the mark in the text where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) why: String,
    pub(crate) at: Placed,
}

type Checked<'s> = Result<Known<'s>, Issue>;
type Placed = Option<(Mark, usize)>;

pub(crate) struct Check<'c, 's> {
    typing: Typing,
    sizes: &'c Sizes,
    /// What `self` is, from which all paths begin, whatever a variable is called.
    root: Path<'s>,
    /// The names that come with the expression.
    names: Vec<(String, Ty<'s>)>,
    /// Those of its macros, the innermost last.
    scope: Vec<Local<'s>>,
    /// The types of the composed expressions.
    composed: &'c [Ty<'s>],
    seen: Occurrences,
}

const ONE: Range = Range { min: 1, max: 1 };

impl<'c, 's> Check<'c, 's> {
    /// Of a rule about what is at `root`.
    pub(crate) fn of_rule(root: Place<'s>, is_old_optional: bool, sizes: &'c Sizes) -> Self {
        let own = root.ty(Typing::Rules).unwrap_or(Ty::Dyn);
        // an optional is asked for its value first
        let old = if is_old_optional { Ty::optional(own.clone()) } else { own.clone() };
        let names = vec![("self".to_owned(), own), ("oldSelf".to_owned(), old)];
        Check { root: Path::At(root), ..Check::new(Typing::Rules, names, sizes, &[]) }
    }

    pub(crate) fn new(
        typing: Typing,
        names: Vec<(String, Ty<'s>)>,
        sizes: &'c Sizes,
        composed: &'c [Ty<'s>],
    ) -> Self {
        let (root, scope, seen) = (Path::Lost, Vec::new(), Occurrences::default());
        Check { typing, sizes, root, names, scope, composed, seen }
    }

    /// Whether it is an object, which a policy sees as the map that its JSON is.
    fn is_map(&self, ty: &Ty<'s>) -> bool {
        self.typing == Typing::Policy && matches!(ty, Ty::Object(_))
    }

    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn node(&mut self, node: &Node) -> Checked<'s> {
        enough(|| self.form(node))
    }

    /// Each form has a function of its own, so that what a deep expression leaves on the stack is little.
    fn form(&mut self, node: &Node) -> Checked<'s> {
        match node {
            Node::Literal(value) => Ok(self.literal(value)),
            Node::Variable(name) => Ok(self.variable(name)),
            Node::Composed(index) => Ok(self.composed(*index)),
            Node::Select { operand, field, optional } => self.select(node, operand, field, *optional),
            Node::Has { operand, field } => self.has(node, operand, field),
            Node::Index { operand, index, optional } => self.index(node, operand, index, *optional),
            Node::And(left, right) | Node::Or(left, right) => self.junction(node, left, right),
            Node::Not(of) => self.not(node, of),
            Node::NotStrictlyFalse(of) => self.step(of, Ty::Bool),
            Node::TypeOf(of) => self.step(of, Ty::Type),
            Node::Conditional(each) => self.conditional(node, each),
            Node::Binary(operator, both) => self.binary(node, *operator, both),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Fold(of) => self.fold(of),
            Node::Collect(of) => self.collect(of),
            Node::SortBy { list, keys } => self.sort_by(list, keys),
            Node::Bind { name, value, body } => self.bind(name, value, body),
            Node::OptionalMap { operand, name, body, flat } => self.optional_map(operand, name, body, *flat),
            Node::Size(of) => self.size_of(node, of),
            Node::Dyn(of) => self.made_dyn(of),
            Node::Matches { text, pattern } => self.matches(node, text, pattern),
            Node::Authorize { arguments, .. } => self.unknown(arguments.iter(), ONE),
            Node::Construct { fields, .. } => {
                self.unknown(fields.iter().map(|(_, value, _)| value), Range::fixed(cost::OBJECT))
            }
            Node::Call { arguments, call, .. } => {
                let (name, is_method) = called(call);
                self.call(node, &name, is_method, arguments)
            }
        }
    }

    fn composed(&self, index: usize) -> Known<'s> {
        Known::new(self.composed.get(index).cloned().unwrap_or(Ty::Dyn), ONE)
    }

    fn step(&mut self, of: &Node, ty: Ty<'s>) -> Checked<'s> {
        Ok(Known::new(ty, self.node(of)?.cost.plus(ONE)))
    }

    fn size_of(&mut self, whole: &Node, of: &Node) -> Checked<'s> {
        let of = self.node(of)?;
        let mark = self.seen.count(whole);
        let has_size = matches!(of.ty, Ty::Dyn | Ty::Text | Ty::Bytes | Ty::List(_) | Ty::Map(..));
        if !has_size && !self.is_map(&of.ty) {
            return no_overload("size", &[&of.ty], mark);
        }
        Ok(Known::new(Ty::Int, of.cost.plus(ONE)))
    }

    fn made_dyn(&mut self, of: &Node) -> Checked<'s> {
        let of = self.node(of)?;
        let size = self.size(&of);
        Ok(Known { entry: of.entry, ..Known::new(Ty::Dyn, of.cost.plus(ONE)).sized(size) })
    }

    fn literal(&self, value: &Value) -> Known<'s> {
        let (ty, size) = match value {
            // a type is a name, and names are where `self` is
            Value::Function(..) => return Known { path: self.root, ..Known::new(Ty::Type, ONE) },
            Value::String(text) => (Ty::Text, text.chars().count() as u64),
            Value::Bytes(bytes) => (Ty::Bytes, bytes.len() as u64),
            Value::Bool(_) => (Ty::Bool, 1),
            Value::Int(_) => (Ty::Int, 1),
            Value::UInt(_) => (Ty::Uint, 1),
            Value::Float(_) => (Ty::Double, 1),
            Value::Null => (Ty::Null, 1),
            _ => (Ty::Dyn, 1),
        };
        Known::new(ty, Range::default()).sized(Some(Range::fixed(size)))
    }

    fn variable(&self, name: &str) -> Known<'s> {
        if let Some(local) = self.scope.iter().rev().find(|local| local.name == name) {
            let known = Known { path: local.path, entry: local.entry, ..Known::new(local.ty.clone(), ONE) };
            let size = self.size(&known).or(local.size);
            return known.sized(size);
        }
        let ty = self.names.iter().find(|(known, _)| known == name).map_or(Ty::Dyn, |(_, ty)| ty.clone());
        Known { path: self.root, ..Known::new(ty, ONE) }
    }

    /// What lies below a value. One that the expression makes has no path, and what is below it is looked for where `self`
    /// is, as upstream does it.
    fn below(&self, path: Path<'s>, step: impl FnOnce(Place<'s>) -> Option<Place<'s>>) -> Path<'s> {
        match path {
            Path::None => self.root,
            Path::Lost => Path::Lost,
            Path::At(place) => step(place).map_or(Path::Lost, Path::At),
        }
    }

    fn size_at(&self, path: Path<'s>) -> Option<Range> {
        match path {
            Path::At(place) => Some(Range { min: 0, max: self.sizes.most(place) }),
            Path::None | Path::Lost => None,
        }
    }

    fn size(&self, of: &Known<'s>) -> Option<Range> {
        of.size.or_else(|| self.size_at(of.path)).or_else(|| of.ty.is_scalar().then_some(ONE))
    }

    fn size_or_unknown(&self, of: &Known<'s>) -> Range {
        self.size(of).unwrap_or(Range::UNKNOWN)
    }

    fn list(&mut self, items: &[(Node, bool)]) -> Checked<'s> {
        let mut cost = Range::fixed(cost::LIST);
        let mut value = if items.is_empty() { Range::default() } else { Range::NOTHING };
        let mut ty: Option<Ty<'s>> = None;
        for (item, is_optional) in items {
            let item = self.node(item)?;
            cost = cost.plus(item.cost);
            value = value.union(self.size_or_unknown(&item));
            let item = match item.ty {
                Ty::Optional(inner) if *is_optional => (*inner).clone(),
                other => other,
            };
            ty = Some(ty.map_or(item.clone(), |known| known.join(item)));
        }
        let size = Range::fixed(items.len() as u64);
        let entry = Some(Entry { is_list: true, key: ONE, value });
        let ty = Ty::list(ty.unwrap_or(Ty::Dyn));
        Ok(Known { entry, ..Known::new(ty, cost).sized(Some(size)) })
    }

    fn map(&mut self, entries: &[(Node, Node, bool)]) -> Checked<'s> {
        let mut cost = Range::fixed(cost::MAP);
        let empty = if entries.is_empty() { Range::default() } else { Range::NOTHING };
        let (mut keys, mut values) = (empty, empty);
        let mut ty: Option<(Ty<'s>, Ty<'s>)> = None;
        for (key, value, is_optional) in entries {
            let (key, value) = (self.node(key)?, self.node(value)?);
            cost = cost.plus(key.cost).plus(value.cost);
            keys = keys.union(self.size_or_unknown(&key));
            values = values.union(self.size_or_unknown(&value));
            let value = match value.ty {
                Ty::Optional(inner) if *is_optional => (*inner).clone(),
                other => other,
            };
            ty = Some(match ty {
                None => (key.ty.into_key(), value),
                Some((known_key, known_value)) => {
                    (known_key.join(key.ty.into_key()), known_value.join(value))
                }
            });
        }
        let size = Range::fixed(entries.len() as u64);
        let entry = Some(Entry { is_list: false, key: keys, value: values });
        let (key, value) = ty.unwrap_or((Ty::Dyn, Ty::Dyn));
        Ok(Known { entry, ..Known::new(Ty::Map(key.into(), value.into()), cost).sized(Some(size)) })
    }
}

fn issue(why: String, mark: Placed) -> Issue {
    Issue { why, at: mark }
}

fn mismatch(function: &str, types: &[&Ty<'_>]) -> String {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    format!("found no matching overload for '{function}' applied to '({})'", types.join(", "))
}

fn no_overload<'s>(function: &str, types: &[&Ty<'s>], mark: Placed) -> Checked<'s> {
    Err(issue(mismatch(function, types), mark))
}

/// The first is the target.
fn no_method<'s>(function: &str, types: &[&Ty<'s>], mark: Placed) -> Checked<'s> {
    let mut types = types.iter().map(ToString::to_string);
    let target = types.next().unwrap_or_default();
    let given: Vec<String> = types.collect();
    let why =
        format!("found no matching overload for '{function}' applied to '{target}.({})'", given.join(", "));
    Err(issue(why, mark))
}
