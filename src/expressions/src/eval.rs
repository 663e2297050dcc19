//! The evaluation. Every node is a step, and looking at a value costs as much as there is of it.

mod access;
mod macros;

use crate::composition::Composition;
use crate::functions::{COMPILED_IN_A_STEP, PATTERN_COST, call, computed_pattern, extra_cost, fault};
use crate::list_types::ListTypes;
use crate::node::{Binary, Node, Pattern};
use crate::outcome::{Answer, Fault};
use crate::stack::enough;
use crate::values::{as_optional, optional, type_name, type_value, weight};
use crate::variables::Variables;
use crate::{authz, constructed, lists};
use access::{as_key, at, find, has, select};
use kube_cel::cel::Value;
use kube_cel::cel::objects::Map;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An expression is never so deep; those that are composed of one another could be.
const DEEPEST: usize = 400;

pub(crate) struct Run<'p> {
    /// What names mean, the innermost last. What failed fails when it is asked for.
    scope: Vec<(&'p str, Answer)>,
    list_types: &'p ListTypes,
    composition: &'p Composition,
    /// What the composed expressions came out as.
    known: Vec<Option<Answer>>,
    /// So many of the scope are there for all.
    shared: usize,
    depth: usize,
    left: u64,
    spent: bool,
}

fn no_overload<T>() -> Result<T, Fault> {
    Err(Fault::Error("no such overload".to_owned()))
}

fn as_bool(value: Value) -> Result<bool, Fault> {
    match value {
        Value::Bool(of) => Ok(of),
        _ => no_overload(),
    }
}

impl<'p> Run<'p> {
    pub(crate) fn new(
        variables: &'p Variables,
        composition: &'p Composition,
        known: Vec<Option<Answer>>,
        limit: u64,
    ) -> Self {
        let scope: Vec<_> = variables.values.iter().map(|(name, value)| (*name, Ok(value.clone()))).collect();
        let shared = scope.len();
        let list_types = &*variables.list_types;
        Run { scope, list_types, composition, known, shared, depth: 0, left: limit, spent: false }
    }

    pub(crate) fn take_known(&mut self) -> Vec<Option<Answer>> {
        std::mem::take(&mut self.known)
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    fn pay(&mut self, steps: u64) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) if !self.spent => {
                self.left = left;
                Ok(())
            }
            _ => {
                (self.left, self.spent) = (0, true);
                Err(Fault::Cost)
            }
        }
    }

    fn pay_for(&mut self, value: &Value) -> Result<(), Fault> {
        let steps = weight(value, self.left);
        self.pay(steps)
    }

    pub(crate) fn eval(&mut self, node: &'p Node) -> Answer {
        self.pay(1)?;
        if self.depth >= DEEPEST {
            return Err(Fault::Error(format!("expression recursion limit exceeded: {DEEPEST}")));
        }
        self.depth += 1;
        let answer = enough(|| self.node(node));
        self.depth -= 1;
        answer
    }

    fn node(&mut self, node: &'p Node) -> Answer {
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Variable(name) => match self.scope.iter().rev().find(|(known, _)| known == name) {
                Some((_, answer)) => answer.clone(),
                None => Err(Fault::Error(format!("no such attribute(s): {name}"))),
            },
            Node::Select { operand, field, optional } => {
                let operand = self.eval(operand)?;
                select(&operand, field, *optional)
            }
            Node::Has { operand, field } => {
                let operand = self.eval(operand)?;
                has(&operand, field)
            }
            Node::Index { operand, index, optional } => {
                let operand = self.eval(operand)?;
                let index = self.eval(index)?;
                at(&operand, &index, *optional)
            }
            Node::And(left, right) => self.junction(left, right, false),
            Node::Or(left, right) => self.junction(left, right, true),
            Node::Not(of) => Ok(Value::Bool(!as_bool(self.eval(of)?)?)),
            Node::NotStrictlyFalse(of) => Ok(Value::Bool(!matches!(self.eval(of), Ok(Value::Bool(false))))),
            Node::Conditional(of) => {
                let [asked, then, other] = &**of;
                if as_bool(self.eval(asked)?)? { self.eval(then) } else { self.eval(other) }
            }
            Node::Binary(operator, both) => {
                let [left, right] = &**both;
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                self.binary(*operator, left, right)
            }
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Fold(of) => self.fold(of),
            Node::Collect(of) => self.collect(of),
            Node::SortBy { list, keys } => {
                let (list, keys) = (self.eval(list)?, self.eval(keys)?);
                // long texts are looked at when they are compared
                self.pay_for(&keys)?;
                let (Value::List(list), Value::List(keys)) = (&list, &keys) else { return no_overload() };
                self.pay(lists::compared_with_itself(keys))?;
                lists::sorted(list, keys)
            }
            Node::Bind { name, value, body } => {
                let value = self.eval(value);
                self.with(name, value, body)
            }
            Node::OptionalMap { operand, name, body, flat } => {
                let operand = self.eval(operand)?;
                match as_optional(&operand) {
                    None => no_overload(),
                    Some(None) => Ok(optional(None)),
                    Some(Some(inner)) => {
                        let result = self.with(name, Ok(inner), body)?;
                        Ok(if *flat { result } else { optional(Some(result)) })
                    }
                }
            }
            Node::Size(of) => {
                let value = self.eval(of)?;
                self.size(&value)
            }
            Node::TypeOf(of) => self.eval(of).map(|value| type_value(type_name(&value))),
            Node::Dyn(of) => self.eval(of),
            Node::Matches { text, pattern } => self.matches(text, pattern),
            Node::Composed(index) => self.composed(*index),
            Node::Authorize { method, arguments } => {
                let arguments: Vec<Value> =
                    arguments.iter().map(|argument| self.eval(argument)).collect::<Result<_, _>>()?;
                self.pay(authz::cost(method))?;
                authz::call(method, &arguments)
            }
            Node::Construct { type_name, fields } => self.construct(type_name, fields),
            Node::Call { arguments, call: expr, function } => {
                let arguments: Vec<Value> =
                    arguments.iter().map(|argument| self.eval(argument)).collect::<Result<_, _>>()?;
                for argument in &arguments {
                    self.pay_for(argument)?;
                }
                let extra = extra_cost(function, &arguments, self.left);
                self.pay(extra)?;
                let result = call(expr, arguments)?;
                self.pay_for(&result)?;
                Ok(result)
            }
        }
    }

    fn with(&mut self, name: &'p str, value: Answer, body: &'p Node) -> Answer {
        self.scope.push((name, value));
        let result = self.eval(body);
        self.scope.pop();
        result
    }

    /// It sees what is there for all, and nothing of where it is asked for.
    fn composed(&mut self, index: usize) -> Answer {
        if let Some(Some(known)) = self.known.get(index) {
            return known.clone();
        }
        let composition = self.composition;
        let node = composition.node(index).map_err(|why| Fault::Error(why.clone()))?;
        let asking = self.scope.split_off(self.shared);
        let answer = self.eval(node);
        self.scope.truncate(self.shared);
        self.scope.extend(asking);
        // what cost too much here may be had by one who has more left
        if !matches!(answer, Err(Fault::Cost | Fault::Budget))
            && let Some(known) = self.known.get_mut(index)
        {
            *known = Some(answer.clone());
        }
        answer
    }

    fn construct(&mut self, type_name: &str, fields: &'p [(String, Node, bool)]) -> Answer {
        let mut made = BTreeMap::new();
        for (field, value, is_optional) in fields {
            let value = self.eval(value)?;
            match as_optional(&value).filter(|_| *is_optional) {
                Some(inner) => made.extend(inner.map(|inner| (field.clone(), inner))),
                None => drop(made.insert(field.clone(), value)),
            }
        }
        Ok(constructed::of(type_name, made))
    }

    /// `&&` (where `short` is false) and `||`: one side that decides outweighs a fault of the other.
    fn junction(&mut self, left: &'p Node, right: &'p Node, short: bool) -> Answer {
        let left = self.eval(left).and_then(as_bool);
        if left == Ok(short) {
            return Ok(Value::Bool(short));
        }
        match (left, self.eval(right).and_then(as_bool)) {
            (_, Ok(right)) if right == short => Ok(Value::Bool(short)),
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
            (Ok(_), Ok(_)) => Ok(Value::Bool(!short)),
        }
    }

    fn binary(&mut self, operator: Binary, left: Value, right: Value) -> Answer {
        if !matches!((&left, &right), (Value::Int(_), Value::Int(_))) {
            let most = self.left;
            // what is compared is looked at until it differs; what is added is copied
            let both = || weight(&left, most).saturating_add(weight(&right, most));
            let steps = match operator {
                Binary::Add => both(),
                Binary::Equal | Binary::NotEqual if self.list_types.looks_at_all(&left, &right) => both(),
                Binary::In => weight(&right, most),
                _ => weight(&left, most).min(weight(&right, most)),
            };
            self.pay(steps)?;
        }
        let compared = |test: fn(Ordering) -> bool| match left.partial_cmp(&right) {
            Some(order) => Ok(Value::Bool(test(order))),
            None => no_overload(),
        };
        match operator {
            Binary::Equal => Ok(Value::Bool(self.list_types.equal(&left, &right))),
            Binary::NotEqual => Ok(Value::Bool(!self.list_types.equal(&left, &right))),
            Binary::Less => compared(Ordering::is_lt),
            Binary::LessOrEqual => compared(Ordering::is_le),
            Binary::Greater => compared(Ordering::is_gt),
            Binary::GreaterOrEqual => compared(Ordering::is_ge),
            Binary::In => match &right {
                Value::List(items) => Ok(Value::Bool(items.contains(&left))),
                Value::Map(map) => Ok(Value::Bool(find(&map.map, &left).is_some())),
                _ => no_overload(),
            },
            Binary::Add => match self.list_types.sum(&left, &right) {
                Some(sum) => Ok(sum),
                None => (left + right).map_err(fault),
            },
            Binary::Subtract => (left - right).map_err(fault),
            Binary::Multiply => (left * right).map_err(fault),
            Binary::Divide => (left / right).map_err(fault),
            Binary::Modulo => (left % right).map_err(fault),
        }
    }

    fn list(&mut self, items: &'p [(Node, bool)]) -> Answer {
        let mut list = Vec::with_capacity(items.len());
        for (item, is_optional) in items {
            let value = self.eval(item)?;
            match as_optional(&value).filter(|_| *is_optional) {
                Some(inner) => list.extend(inner),
                None => list.push(value),
            }
        }
        Ok(Value::List(Arc::new(list)))
    }

    fn map(&mut self, entries: &'p [(Node, Node, bool)]) -> Answer {
        let mut map = HashMap::with_capacity(entries.len());
        for (key, value, is_optional) in entries {
            let Some(key) = self.eval(key).map(as_key)? else { return no_overload() };
            let value = self.eval(value)?;
            match as_optional(&value).filter(|_| *is_optional) {
                Some(inner) => map.extend(inner.map(|inner| (key, inner))),
                None => drop(map.insert(key, value)),
            }
        }
        Ok(Value::Map(Map { map: Arc::new(map) }))
    }

    fn size(&mut self, value: &Value) -> Answer {
        let size = match value {
            Value::String(text) => {
                self.pay_for(value)?;
                text.chars().count()
            }
            Value::Bytes(bytes) => bytes.len(),
            Value::List(items) => items.len(),
            Value::Map(map) => map.map.len(),
            _ => return no_overload(),
        };
        Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }

    fn matches(&mut self, text: &'p Node, pattern: &'p Pattern) -> Answer {
        let value = self.eval(text)?;
        let Value::String(text) = &value else { return no_overload() };
        // upstream asks more for longer patterns
        let steps = weight(&value, self.left).saturating_mul(4);
        match pattern {
            Pattern::Fixed(pattern) => {
                self.pay(steps)?;
                let (is_match, compiled) = pattern.matched(text);
                self.pay(compiled as u64 / COMPILED_IN_A_STEP)?;
                Ok(Value::Bool(is_match))
            }
            Pattern::Computed(pattern) => {
                let Value::String(pattern) = self.eval(pattern)? else { return no_overload() };
                self.pay(steps.saturating_add(PATTERN_COST).saturating_add(pattern.len() as u64))?;
                Ok(Value::Bool(computed_pattern(&pattern)?.is_match(text)))
            }
        }
    }
}
