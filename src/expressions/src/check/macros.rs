//! Macros: what they call the items of what they go through, and what they put together of them.

use super::{Check, Checked, Issue, Known, Local, ONE, mismatch, no_method};
use crate::cost::{self, Argument, CallCost, Entry, Range};
use crate::node::{Collect, Fold, Made, Node};
use crate::signatures;
use crate::types::Ty;

impl<'s> Check<'_, 's> {
    pub(super) fn bind(&mut self, name: &str, value: &Node, body: &Node) -> Checked<'s> {
        let value = self.node(value)?;
        let cost = value.cost.plus(Range::fixed(cost::LIST));
        let body = self.with(vec![self.bound(name, value)], |check| check.node(body))?;
        let size = self.size(&body);
        Ok(Known { entry: body.entry, ..Known::new(body.ty, cost.plus(body.cost)).sized(size) })
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

    pub(super) fn fold(&mut self, of: &Fold) -> Checked<'s> {
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
    pub(super) fn collect(&mut self, of: &Collect) -> Checked<'s> {
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
    pub(super) fn sort_by(&mut self, list: &Node, keys: &Node) -> Checked<'s> {
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
    pub(super) fn optional_map(
        &mut self,
        operand: &Node,
        name: &str,
        body: &Node,
        is_flat: bool,
    ) -> Checked<'s> {
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
}
