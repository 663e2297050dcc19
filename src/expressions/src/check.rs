//! What can be said of an expression before it is evaluated: its type, that what it names is there and what it calls takes
//! such arguments, and what it may cost. One walk says it all, as the cost of a call depends on the types and sizes of what
//! it is given (cel-go's `checker/checker.go` and `checker/cost.go`).
//!
//! What is not known is assumed to be right: a type of [`Ty::Dyn`] fits everything.

#[cfg(test)]
mod tests;

use crate::cost::{self, Argument, CallCost, Entry, Range};
use crate::functions::called;
use crate::node::{Binary, Collect, Fold, Made, Node, Pattern};
use crate::occurrences::{Mark, Occurrences};
use crate::signatures;
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

fn sum<'a>(costs: impl IntoIterator<Item = &'a Range>) -> Range {
    costs.into_iter().fold(Range::default(), |sum, cost| sum.plus(*cost))
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

    fn select(&mut self, whole: &Node, operand: &Node, field: &str, is_optional: bool) -> Checked<'s> {
        let operand = self.node(operand)?;
        let mark = self.seen.count(whole);
        self.selected(&operand, field, is_optional, mark)
    }

    fn selected(&self, operand: &Known<'s>, field: &str, is_optional: bool, mark: Placed) -> Checked<'s> {
        let ty = self.field_of(&operand.ty, field, mark)?;
        if is_optional {
            let ty = if matches!(operand.ty, Ty::Optional(_)) { ty } else { Ty::optional(ty) };
            return Ok(Known::new(ty, operand.cost.plus(ONE)));
        }
        let step = u64::from(matches!(operand.ty, Ty::Map(..) | Ty::Object(_)));
        let path = self.below(operand.path, |place| place.field(field, self.typing));
        Ok(Known { path, ..Known::new(ty, operand.cost.plus(Range::fixed(step))) })
    }

    fn has(&mut self, whole: &Node, operand: &Node, field: &str) -> Checked<'s> {
        let operand = self.node(operand)?;
        let mark = self.seen.count(whole);
        self.field_of(&operand.ty, field, mark)?;
        Ok(Known::new(Ty::Bool, operand.cost))
    }

    fn not(&mut self, whole: &Node, of: &Node) -> Checked<'s> {
        let mark = self.seen.count(whole);
        let of = self.node(of)?;
        if !of.ty.fits(&Ty::Bool) {
            return no_overload("!_", &[&of.ty], mark);
        }
        Ok(Known::new(Ty::Bool, of.cost.plus(ONE)))
    }

    fn step(&mut self, of: &Node, ty: Ty<'s>) -> Checked<'s> {
        Ok(Known::new(ty, self.node(of)?.cost.plus(ONE)))
    }

    fn bind(&mut self, name: &str, value: &Node, body: &Node) -> Checked<'s> {
        let value = self.node(value)?;
        let cost = value.cost.plus(Range::fixed(cost::LIST));
        let body = self.with(vec![self.bound(name, value)], |check| check.node(body))?;
        let size = self.size(&body);
        Ok(Known { entry: body.entry, ..Known::new(body.ty, cost.plus(body.cost)).sized(size) })
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

    fn field_of(&self, operand: &Ty<'s>, field: &str, mark: Placed) -> Result<Ty<'s>, Issue> {
        match operand {
            Ty::Dyn => Ok(Ty::Dyn),
            Ty::Map(_, value) => Ok((**value).clone()),
            Ty::Optional(inner) => Ok(Ty::optional(self.field_of(inner, field, mark)?)),
            Ty::Object(place) => {
                let metadata = self.typing == Typing::Policy && matches!(place, Place::Resource(_));
                if metadata && field == "metadata" {
                    return Ok(metadata_ty());
                }
                let found = place.field(field, self.typing).and_then(|below| below.ty(self.typing));
                found.ok_or_else(|| issue(format!("undefined field '{field}'"), mark))
            }
            other => Err(issue(format!("type '{other}' does not support field selection"), mark)),
        }
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

    fn index(&mut self, whole: &Node, operand: &Node, index: &Node, is_optional: bool) -> Checked<'s> {
        let operand = self.node(operand)?;
        let mark = self.seen.count(whole);
        let index = self.node(index)?;
        self.indexed(&operand, &index, is_optional, mark)
    }

    fn indexed(
        &self,
        operand: &Known<'s>,
        index: &Known<'s>,
        is_optional: bool,
        mark: Placed,
    ) -> Checked<'s> {
        let cost = operand.cost.plus(index.cost).plus(ONE);
        let ty = match &operand.ty {
            Ty::List(item) if matches!(index.ty, Ty::Dyn | Ty::Int | Ty::Uint | Ty::Double) => {
                (**item).clone()
            }
            Ty::Map(key, value) if key.fits(&index.ty) => (**value).clone(),
            Ty::Dyn | Ty::Optional(_) => Ty::Dyn,
            of if self.is_map(of) => Ty::Dyn,
            _ => return no_overload("_[_]", &[&operand.ty, &index.ty], mark),
        };
        if is_optional {
            return Ok(Known::new(Ty::optional(ty), cost));
        }
        let path = self.below(operand.path, Place::item);
        let size = operand.entry.map(|entry| entry.value);
        Ok(Known { path, ..Known::new(ty, cost).sized(size) })
    }

    fn junction(&mut self, whole: &Node, left: &Node, right: &Node) -> Checked<'s> {
        let left = self.node(left)?;
        let mark = self.seen.count(whole);
        let right = self.node(right)?;
        if !left.ty.fits(&Ty::Bool) || !right.ty.fits(&Ty::Bool) {
            let function = if matches!(whole, Node::And(..)) { "_&&_" } else { "_||_" };
            return no_overload(function, &[&left.ty, &right.ty], mark);
        }
        // the first may decide
        Ok(Known::new(Ty::Bool, Range { min: left.cost.min, ..left.cost.plus(right.cost) }))
    }

    fn conditional(&mut self, whole: &Node, each: &[Node; 3]) -> Checked<'s> {
        let asked = self.node(&each[0])?;
        let mark = self.seen.count(whole);
        let (then, other) = (self.node(&each[1])?, self.node(&each[2])?);
        self.either(&asked, then, other, mark)
    }

    fn either(&self, asked: &Known<'s>, then: Known<'s>, other: Known<'s>, mark: Placed) -> Checked<'s> {
        if !asked.ty.fits(&Ty::Bool) || !then.ty.fits(&other.ty) {
            return no_overload("_?_:_", &[&asked.ty, &then.ty, &other.ty], mark);
        }
        let size = self.size_or_unknown(&then).union(self.size_or_unknown(&other));
        let cost = asked.cost.plus(then.cost.union(other.cost));
        let entry = Entry::union(then.entry, other.entry);
        Ok(Known { entry, ..Known::new(then.ty.join(other.ty), cost).sized(Some(size)) })
    }

    fn binary(&mut self, whole: &Node, operator: Binary, both: &[Node; 2]) -> Checked<'s> {
        let left = self.node(&both[0])?;
        let mark = self.seen.count(whole);
        let right = self.node(&both[1])?;
        self.operated(operator, &left, &right, mark)
    }

    fn operated(&self, operator: Binary, left: &Known<'s>, right: &Known<'s>, mark: Placed) -> Checked<'s> {
        let is_in_map = operator == Binary::In && self.is_map(&right.ty);
        let Some(ty) = result_of(operator, &left.ty, if is_in_map { &Ty::Dyn } else { &right.ty }) else {
            return no_overload(&operator.function(), &[&left.ty, &right.ty], mark);
        };
        let (left_size, right_size) = (self.size_or_unknown(left), self.size_or_unknown(right));
        let either = |test: fn(&Ty<'s>) -> bool| test(&left.ty) || test(&right.ty);
        let is_open = left.ty.is_dyn() && right.ty.is_dyn();
        let is_text = either(|ty| matches!(ty, Ty::Text | Ty::Bytes));
        let mut size = None;
        let mut entry = None;
        let steps = match operator {
            Binary::Equal if of_fixed_size(&left.ty) && left.ty.fits(&right.ty) && !right.ty.is_dyn() => ONE,
            Binary::Equal | Binary::NotEqual => cost::compared(left_size, right_size),
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                match (is_text, is_open) {
                    (true, _) => cost::compared(left_size, right_size),
                    (false, true) => ONE.union(cost::compared(left_size, right_size)),
                    (false, false) => ONE,
                }
            }
            Binary::In => match right.ty {
                Ty::List(_) => right_size,
                Ty::Dyn => ONE.union(right_size),
                _ => ONE,
            },
            Binary::Add if is_open || is_text || either(|ty| matches!(ty, Ty::List(_))) => {
                let added = left_size.plus(right_size);
                size = Some(added);
                entry = Entry::union(left.entry, right.entry);
                match (is_text, is_open) {
                    (true, _) => added.by(cost::TEXT),
                    (false, true) => ONE.union(added.by(cost::TEXT)),
                    (false, false) => ONE,
                }
            }
            _ => ONE,
        };
        let cost = left.cost.plus(right.cost).plus(steps);
        Ok(Known { entry, ..Known::new(ty, cost).sized(size) })
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

    /// What a macro calls each item of a list, or each key of a map; with two names, each place and each item, or each key and
    /// each value.
    fn each(
        &self,
        (name, value_name): (&str, Option<&str>),
        whole: &Node,
        range: &Known<'s>,
    ) -> Result<Vec<Local<'s>>, Issue> {
        // of the one name, where there is no other
        let (single, key, value) = match &range.ty {
            Ty::Dyn => (Ty::Dyn, Ty::Dyn, Ty::Dyn),
            Ty::List(item) => ((**item).clone(), Ty::Int, (**item).clone()),
            Ty::Map(key, value) => ((**key).clone(), (**key).clone(), (**value).clone()),
            of if self.is_map(of) => (Ty::Text, Ty::Text, Ty::Dyn),
            other => {
                let why = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                return Err(Issue { why, at: self.seen.last(whole) });
            }
        };
        let is_list = match range.entry {
            Some(entry) => entry.is_list,
            None => matches!(range.ty, Ty::List(_)),
        };
        let local = |name: &str, ty: Ty<'s>, is_key: bool| {
            let path = self.below(range.path, |place| match (is_key, is_list) {
                (false, _) => place.item(),
                (true, false) => place.key(),
                // a place in a list has none in a schema
                (true, true) => None,
            });
            let size = range.entry.map(|entry| if is_key { entry.key } else { entry.value });
            Local { name: name.to_owned(), ty: ty.bounded(), path, size, entry: None }
        };
        Ok(match value_name {
            None => vec![local(name, single, !is_list)],
            Some(value_name) => vec![local(name, key, true), local(value_name, value, false)],
        })
    }

    fn bound(&self, name: &str, value: Known<'s>) -> Local<'s> {
        let size = Some(self.size_or_unknown(&value));
        let ty = value.ty.bounded();
        Local { name: name.to_owned(), ty, path: value.path, size, entry: value.entry }
    }

    fn with<T>(
        &mut self,
        names: Vec<Local<'s>>,
        then: impl FnOnce(&mut Self) -> Result<T, Issue>,
    ) -> Result<T, Issue> {
        let before = self.scope.len();
        self.scope.extend(names);
        let result = then(self);
        self.scope.truncate(before);
        result
    }

    fn fold(&mut self, of: &Fold) -> Checked<'s> {
        let range = self.node(&of.range)?;
        let init = self.node(&of.init)?;
        let count = self.size_or_unknown(&range);
        let (ty, size) = (init.ty.clone(), self.size(&init));
        let before = range.cost.plus(init.cost);
        let items = self.each((&of.item, of.value.as_deref()), &of.range, &range)?;
        let result = self.bound(&of.result_name, init);
        let (each, result) = self.with(vec![result], |check| {
            let each = check.with(items, |check| {
                let condition = check.node(&of.condition)?;
                Ok(condition.cost.plus(check.node(&of.step)?.cost))
            })?;
            Ok((each, check.node(&of.result)?))
        })?;
        let ty = if matches!(of.result, Node::Variable(_)) { ty } else { result.ty };
        Ok(Known::new(ty, before.plus(result.cost).plus(count.times(each))).sized(size))
    }

    /// `map`, `filter` and `transform…`, which upstream has put a list or a map together item by item.
    fn collect(&mut self, of: &Collect) -> Checked<'s> {
        let range = self.node(&of.range)?;
        let count = self.size_or_unknown(&range);
        let items = self.each((&of.item, of.value.as_deref()), &of.range, &range)?;
        let key = items.first().map_or(Ty::Dyn, |key| key.ty.clone());
        let (asked, made) = self.with(items, |check| {
            let asked = match &of.condition {
                Some(asked) => Some(check.node(asked)?),
                None => None,
            };
            Ok((asked, check.node(&of.transform)?))
        })?;
        let whole = self.put_together(of.made, key, &made.ty)?;
        if let Some(asked) = asked.as_ref().filter(|asked| !asked.ty.fits(&Ty::Bool)) {
            return Err(Issue { why: mismatch("_?_:_", &[&asked.ty, &whole, &whole]), at: None });
        }
        let (empty, added) = match of.made {
            // what there is so far, a list of a single item, and that they are joined
            Made::List => (cost::LIST, cost::LIST + 2),
            // what there is so far, the key, and that the value is put in
            Made::Map => (cost::MAP, 3),
            Made::Entries => (cost::MAP, 2),
        };
        let added = made.cost.plus(Range::fixed(added));
        let each = match &asked {
            Some(asked) => asked.cost.plus(added.union(ONE)),
            None => added,
        };
        let value = Range::default().union(self.size_or_unknown(&made));
        let cost = range.cost.plus(Range::fixed(empty + 1)).plus(count.times(each));
        // upstream does not look into a map that is put together
        let entry = (of.made == Made::List).then_some(Entry { is_list: true, key: ONE, value });
        Ok(Known { entry, ..Known::new(whole, cost).sized(Some(count)) })
    }

    /// The type of what items are put together to.
    fn put_together(&self, made: Made, key: Ty<'s>, item: &Ty<'s>) -> Result<Ty<'s>, Issue> {
        let map = |key: Ty<'s>, value: Ty<'s>| Ty::Map(key.into(), value.into());
        Ok(match (made, item) {
            (Made::List, item) => Ty::list(item.clone()),
            (Made::Map, item) => map(key.into_key(), item.clone()),
            (Made::Entries, Ty::Map(..)) => item.clone(),
            (Made::Entries, Ty::Dyn) => map(Ty::Dyn, Ty::Dyn),
            (Made::Entries, of) if self.is_map(of) => map(Ty::Text, Ty::Dyn),
            (Made::Entries, other) => {
                let so_far = map(Ty::Dyn, Ty::Dyn);
                return Err(Issue { why: mismatch("cel.@mapInsert", &[&so_far, other]), at: None });
            }
        })
    }

    /// `list.@sortByAssociatedKeys(keys)`, which costs as much as to sort the keys.
    fn sort_by(&mut self, list: &Node, keys: &Node) -> Checked<'s> {
        let (list, keys) = (self.node(list)?, self.node(keys)?);
        let is_list = matches!(list.ty, Ty::List(_) | Ty::Dyn);
        if !is_list || signatures::result("sort", true, &[&keys.ty]).is_err() {
            return no_method("@sortByAssociatedKeys", &[&list.ty, &keys.ty], None);
        }
        let size = self.size_or_unknown(&keys);
        let argument = Argument { ty: &keys.ty, size, item_size: Range::UNKNOWN, literal: None };
        let CallCost { cost, result } = cost::of_call("sort", true, &[argument]);
        Ok(Known::new(list.ty, list.cost.plus(keys.cost).plus(cost)).sized(result))
    }

    /// `o.hasValue() ? optional.of(cel.bind(name, o.value(), body)) : optional.none()`
    fn optional_map(&mut self, operand: &Node, name: &str, body: &Node, is_flat: bool) -> Checked<'s> {
        let operand = self.node(operand)?;
        let inner = match &operand.ty {
            Ty::Optional(inner) => (**inner).clone(),
            _ => Ty::Dyn,
        };
        let asked = operand.cost.plus(ONE);
        let value = Known::new(inner, operand.cost.plus(ONE));
        let bound = value.cost.plus(Range::fixed(cost::LIST));
        let body = self.with(vec![self.bound(name, value)], |check| check.node(body))?;
        let made = bound.plus(body.cost).plus(if is_flat { Range::default() } else { ONE });
        let ty = match body.ty {
            ty if !is_flat => Ty::optional(ty),
            Ty::Optional(inner) => Ty::Optional(inner),
            _ => Ty::Dyn,
        };
        Ok(Known::new(ty, asked.plus(made.union(ONE))).sized(Some(Range::UNKNOWN)))
    }

    fn matches(&mut self, whole: &Node, text: &Node, pattern: &Pattern) -> Checked<'s> {
        let text = self.node(text)?;
        let mark = self.seen.count(whole);
        let pattern = match pattern {
            Pattern::Fixed(pattern) => {
                let length = Range::fixed(pattern.as_str().chars().count() as u64);
                Known::new(Ty::Text, Range::default()).sized(Some(length))
            }
            Pattern::Computed(pattern) => self.node(pattern)?,
        };
        if !text.ty.fits(&Ty::Text) || !pattern.ty.fits(&Ty::Text) {
            return no_method("matches", &[&text.ty, &pattern.ty], mark);
        }
        let steps = cost::matched(self.size_or_unknown(&text), self.size_or_unknown(&pattern));
        Ok(Known::new(Ty::Bool, text.cost.plus(pattern.cost).plus(steps)))
    }

    fn unknown<'n>(&mut self, parts: impl Iterator<Item = &'n Node>, own: Range) -> Checked<'s> {
        let mut cost = own;
        for part in parts {
            cost = cost.plus(self.node(part)?.cost);
        }
        Ok(Known::new(Ty::Dyn, cost))
    }

    fn call(&mut self, whole: &Node, name: &str, is_method: bool, arguments: &[Node]) -> Checked<'s> {
        let mut known = Vec::with_capacity(arguments.len());
        let mut mark = None;
        for (index, argument) in arguments.iter().enumerate() {
            // a method stands behind its target
            if index == usize::from(is_method) {
                mark = self.seen.count(whole);
            }
            known.push(self.node(argument)?);
        }
        if arguments.len() <= usize::from(is_method) {
            mark = self.seen.count(whole);
        }
        self.applied(name, is_method, arguments, &known, mark)
    }

    fn applied(
        &self,
        name: &str,
        is_method: bool,
        arguments: &[Node],
        known: &[Known<'s>],
        mark: Placed,
    ) -> Checked<'s> {
        if name == "-_" {
            let [of] = known else { return Ok(Known::new(Ty::Dyn, ONE)) };
            if !matches!(of.ty, Ty::Dyn | Ty::Int | Ty::Double) {
                return Err(Issue { why: mismatch("-_", &[&of.ty]), at: None });
            }
            return Ok(Known::new(of.ty.clone(), of.cost.plus(ONE)));
        }
        let types: Vec<&Ty<'s>> = known.iter().map(|argument| &argument.ty).collect();
        let Ok(ty) = signatures::result(name, is_method, &types) else {
            return match is_method {
                true => no_method(name, &types, mark),
                false => no_overload(name, &types, mark),
            };
        };
        let given: Vec<Argument<'_, 's>> = known
            .iter()
            .zip(arguments)
            .map(|(argument, node)| Argument {
                ty: &argument.ty,
                size: self.size_or_unknown(argument),
                item_size: match argument.path {
                    Path::None => Range::UNKNOWN,
                    path => self.size_at(self.below(path, Place::item)).unwrap_or(Range::UNKNOWN),
                },
                literal: match node {
                    Node::Literal(Value::Int(of)) => Some(*of),
                    _ => None,
                },
            })
            .collect();
        let CallCost { cost, result } = cost::of_call(name, is_method, &given);
        let cost = sum(known.iter().map(|argument| &argument.cost)).plus(cost);
        Ok(Known::new(ty, cost).sized(result))
    }
}

/// The system's own metadata, which no definition describes.
fn metadata_ty<'s>() -> Ty<'s> {
    schema::table::named("meta.v1.ObjectMeta").map_or(Ty::Dyn, |schema| Ty::Object(Place::Schema(schema)))
}

/// Values of the library that are compared in one step, whatever they are.
fn of_fixed_size(ty: &Ty<'_>) -> bool {
    matches!(ty, Ty::Opaque("net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver"))
}

/// The type of what comes out; `None` where the operator takes no such values.
fn result_of<'s>(operator: Binary, left: &Ty<'s>, right: &Ty<'s>) -> Option<Ty<'s>> {
    use Ty::{Bool, Bytes, Double, Duration, Dyn, Int, List, Map, Optional, Text, Timestamp, Uint};
    let numbers = |ty: &Ty<'s>| matches!(ty, Int | Uint | Double);
    Some(match operator {
        Binary::Equal | Binary::NotEqual => {
            if !left.fits(right) {
                return None;
            }
            Bool
        }
        Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
            match (left, right) {
                (Dyn, Dyn) => Bool,
                (Dyn, of) | (of, Dyn) if numbers(of) => Bool,
                (left, right) if numbers(left) && numbers(right) => Bool,
                (Bool | Text | Bytes | Timestamp | Duration, right)
                    if left.fits(right) && !matches!(right, Ty::Null) =>
                {
                    Bool
                }
                (Dyn, Bool | Text | Bytes | Timestamp | Duration) => Bool,
                _ => return None,
            }
        }
        Binary::In => match right {
            Dyn | Optional(_) => Bool,
            List(item) if item.fits(left) => Bool,
            Map(key, _) if key.fits(left) => Bool,
            _ => return None,
        },
        Binary::Add => match (left, right) {
            (Dyn, Dyn) => Dyn,
            (Int, Int) | (Int, Dyn) | (Dyn, Int) => Int,
            (Uint, Uint) | (Uint, Dyn) | (Dyn, Uint) => Uint,
            (Double, Double) | (Double, Dyn) | (Dyn, Double) => Double,
            (Text, Text) | (Text, Dyn) | (Dyn, Text) => Text,
            (Bytes, Bytes) | (Bytes, Dyn) | (Dyn, Bytes) => Bytes,
            (Duration, Duration) => Duration,
            (Timestamp, Duration | Dyn) | (Duration | Dyn, Timestamp) => Timestamp,
            (Duration, Dyn) | (Dyn, Duration) => Dyn,
            (List(_), List(_)) if left.fits(right) => left.clone().join(right.clone()),
            (List(_), Dyn) | (Dyn, List(_)) => Ty::list(Dyn),
            _ => return None,
        },
        Binary::Subtract => match (left, right) {
            (Dyn, Dyn) => Dyn,
            (Int, Int) | (Int, Dyn) | (Dyn, Int) => Int,
            (Uint, Uint) | (Uint, Dyn) | (Dyn, Uint) => Uint,
            (Double, Double) | (Double, Dyn) | (Dyn, Double) => Double,
            (Duration, Duration) | (Duration, Dyn) | (Timestamp, Timestamp) => Duration,
            (Dyn, Timestamp) => Duration,
            (Timestamp, Duration) => Timestamp,
            (Timestamp, Dyn) | (Dyn, Duration) => Dyn,
            _ => return None,
        },
        Binary::Multiply | Binary::Divide | Binary::Modulo => match (left, right) {
            (Dyn, Dyn) => Dyn,
            (Int, Int) | (Int, Dyn) | (Dyn, Int) => Int,
            (Uint, Uint) | (Uint, Dyn) | (Dyn, Uint) => Uint,
            (Double, Double) | (Double, Dyn) | (Dyn, Double) if operator != Binary::Modulo => Double,
            _ => return None,
        },
    })
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
