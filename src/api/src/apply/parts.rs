//! What of a value may have different owners.

use super::element::Element;
use super::{ListType, Structure};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Items by what they are known by.
pub(super) type Items<'v> = BTreeMap<Element, Item<'v>>;

pub(super) enum Parts<'v> {
    /// Nothing that is a part; it is one value itself where nothing is in its place (upstream's `emptyPromoteToLeaf`).
    Empty,
    /// One value, which one manager has as a whole.
    Whole,
    Named(&'v Map<String, Value>),
    Items(Items<'v>),
}

#[derive(PartialEq)]
pub(super) enum Item<'v> {
    One(&'v Value),
    /// With one key, which a client may write; they have one owner together.
    Several(Vec<&'v Value>),
}

impl<'v> Parts<'v> {
    /// # Errors
    /// An item without its key.
    pub(super) fn of(value: &'v Value, path: &[&str], structure: &dyn Structure) -> Result<Self, String> {
        Ok(match value {
            Value::Null => Parts::Empty,
            Value::Object(_) if structure.is_atomic(path) => Parts::Whole,
            Value::Object(fields) if fields.is_empty() => Parts::Empty,
            Value::Object(fields) => Parts::Named(fields),
            Value::Array(items) => match structure.list(path) {
                ListType::Atomic => Parts::Whole,
                _ if items.is_empty() => Parts::Empty,
                list => Parts::Items(items_of(items, &list, path, structure)?),
            },
            _ => Parts::Whole,
        })
    }

    pub(super) fn fields(&self) -> Option<&'v Map<String, Value>> {
        match *self {
            Parts::Named(fields) => Some(fields),
            _ => None,
        }
    }

    pub(super) fn into_items(self) -> Items<'v> {
        match self {
            Parts::Items(items) => items,
            _ => Items::new(),
        }
    }
}

fn items_of<'v>(
    items: &'v [Value],
    list: &ListType,
    path: &[&str],
    structure: &dyn Structure,
) -> Result<Items<'v>, String> {
    let mut found = Items::new();
    for (index, item) in items.iter().enumerate() {
        match found.entry(element_at(index, item, list, path, structure)?) {
            Entry::Vacant(place) => {
                place.insert(Item::One(item));
            }
            Entry::Occupied(mut place) => place.get_mut().add(item),
        }
    }
    Ok(found)
}

impl<'v> Item<'v> {
    fn add(&mut self, item: &'v Value) {
        match self {
            Item::One(first) => *self = Item::Several(vec![*first, item]),
            Item::Several(all) => all.push(item),
        }
    }
}

/// What an item is known by; the name of the key that it lacks where it has none.
pub(super) fn element_of<'k>(
    item: &Value,
    list: &'k ListType,
    path: &[&str],
    structure: &dyn Structure,
) -> Result<Element, &'k str> {
    match list {
        ListType::Map(keys) => Element::key(item, keys, path, structure),
        ListType::Set | ListType::Atomic => Ok(Element::value(item)),
    }
}

/// # Errors
/// An item without its key, in upstream's words.
pub(super) fn element_at(
    index: usize,
    item: &Value,
    list: &ListType,
    path: &[&str],
    structure: &dyn Structure,
) -> Result<Element, String> {
    element_of(item, list, path, structure).map_err(|key| {
        format!(
            ".{}: element {index}: associative list with keys has an element that omits key field {key:?} (and doesn't have default value)",
            path.join(".")
        )
    })
}
