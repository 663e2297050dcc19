//! What lies below a value: a field, an item, what stands under a key.

use super::{Check, Checked, Issue, Known, ONE, Placed, issue, no_overload};
use crate::cost::Range;
use crate::node::Node;
use crate::types::{Place, Ty, Typing};

impl<'s> Check<'_, 's> {
    pub(super) fn select(
        &mut self,
        whole: &Node,
        operand: &Node,
        field: &str,
        is_optional: bool,
    ) -> Checked<'s> {
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

    pub(super) fn has(&mut self, whole: &Node, operand: &Node, field: &str) -> Checked<'s> {
        let operand = self.node(operand)?;
        let mark = self.seen.count(whole);
        self.field_of(&operand.ty, field, mark)?;
        Ok(Known::new(Ty::Bool, operand.cost))
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

    pub(super) fn index(
        &mut self,
        whole: &Node,
        operand: &Node,
        index: &Node,
        is_optional: bool,
    ) -> Checked<'s> {
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
}

/// The system's own metadata, which no definition describes.
fn metadata_ty<'s>() -> Ty<'s> {
    schema::table::named("meta.v1.ObjectMeta").map_or(Ty::Dyn, |schema| Ty::Object(Place::Schema(schema)))
}
