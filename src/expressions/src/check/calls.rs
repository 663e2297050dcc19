//! Calls of functions and methods.

use super::{Check, Checked, Issue, Known, ONE, Path, Placed, mismatch, no_method, no_overload};
use crate::cost::{self, Argument, CallCost, Range};
use crate::node::{Node, Pattern};
use crate::signatures;
use crate::types::{Place, Ty};
use kube_cel::cel::Value;

impl<'s> Check<'_, 's> {
    pub(super) fn matches(&mut self, whole: &Node, text: &Node, pattern: &Pattern) -> Checked<'s> {
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

    pub(super) fn unknown<'n>(&mut self, parts: impl Iterator<Item = &'n Node>, own: Range) -> Checked<'s> {
        let mut cost = own;
        for part in parts {
            cost = cost.plus(self.node(part)?.cost);
        }
        Ok(Known::new(Ty::Dyn, cost))
    }

    pub(super) fn call(
        &mut self,
        whole: &Node,
        name: &str,
        is_method: bool,
        arguments: &[Node],
    ) -> Checked<'s> {
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

fn sum<'a>(costs: impl IntoIterator<Item = &'a Range>) -> Range {
    costs.into_iter().fold(Range::default(), |sum, cost| sum.plus(*cost))
}
