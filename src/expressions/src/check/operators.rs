//! What operators make of what they stand between, and what may cost more than one step.

use super::{Check, Checked, Known, ONE, Placed, no_overload};
use crate::cost::{self, Entry, Range};
use crate::node::{Binary, Node};
use crate::types::Ty;

impl<'s> Check<'_, 's> {
    pub(super) fn not(&mut self, whole: &Node, of: &Node) -> Checked<'s> {
        let mark = self.seen.count(whole);
        let of = self.node(of)?;
        if !of.ty.fits(&Ty::Bool) {
            return no_overload("!_", &[&of.ty], mark);
        }
        Ok(Known::new(Ty::Bool, of.cost.plus(ONE)))
    }

    pub(super) fn junction(&mut self, whole: &Node, left: &Node, right: &Node) -> Checked<'s> {
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

    pub(super) fn conditional(&mut self, whole: &Node, each: &[Node; 3]) -> Checked<'s> {
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

    pub(super) fn binary(&mut self, whole: &Node, operator: Binary, both: &[Node; 2]) -> Checked<'s> {
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
