//! Lists that a schema calls sets or maps: who compares them looks at no order, and who adds to a set adds what is not in it yet, to a
//! map what has another key (upstream's `cel/common/values.go`). The library's lists do not know what they are, so these are known by
//! where they lie. What an expression makes of them is a plain list.

use crate::stack::enough;
use crate::values::escaped;
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map};
use schema::ListType;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

#[derive(Debug)]
enum Form {
    Set,
    /// The fields that tell its items apart, as expressions name them.
    Map(Vec<Key>),
}

/// Each with its list, so that no other one comes to lie there.
#[derive(Debug, Default)]
pub(crate) struct ListTypes(HashMap<usize, (Arc<Vec<Value>>, Form)>);

fn place(items: &Arc<Vec<Value>>) -> usize {
    Arc::as_ptr(items) as usize
}

/// What tells an item from others: of a map its keys, of a set all of it.
fn identity(item: &Value, form: &Form) -> String {
    match (form, item) {
        (Form::Map(keys), Value::Map(Map { map })) => {
            keys.iter().map(|key| format!("{:?};", map.get(key))).collect()
        }
        _ => written(item),
    }
}

/// The same for what is the same: the library's maps have no order.
fn written(value: &Value) -> String {
    match value {
        Value::Map(Map { map }) => {
            let mut entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key:?}: {}", written(value))).collect();
            entries.sort_unstable();
            format!("{{{}}}", entries.join(", "))
        }
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(", "))
        }
        other => format!("{other:?}"),
    }
}

impl ListTypes {
    pub(crate) fn note(&mut self, items: &Arc<Vec<Value>>, list: &ListType) {
        let form = match list {
            ListType::Atomic => return,
            ListType::Set => Form::Set,
            ListType::Map(keys) => {
                Form::Map(keys.iter().map(|key| Key::String(Arc::new(escaped(key)))).collect())
            }
        };
        self.0.insert(place(items), (items.clone(), form));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn form(&self, items: &Arc<Vec<Value>>) -> Option<&Form> {
        self.0.get(&place(items)).map(|(_, form)| form)
    }

    /// Whether a comparison may look at all of both: where no order counts it does, and not where there are more of the one.
    pub(crate) fn looks_at_all(&self, left: &Value, right: &Value) -> bool {
        let is_as_long = match (left, right) {
            (Value::List(left), Value::List(right)) => left.len() == right.len(),
            (Value::Map(left), Value::Map(right)) => left.map.len() == right.map.len(),
            _ => false,
        };
        is_as_long && !self.is_empty()
    }

    /// As the left one says what it is.
    pub(crate) fn equal(&self, left: &Value, right: &Value) -> bool {
        if self.is_empty() {
            return left == right;
        }
        match (left, right) {
            (Value::List(left), Value::List(right)) => {
                left.len() == right.len() && enough(|| self.items_equal(left, right))
            }
            (Value::Map(left), Value::Map(right)) => {
                let is_in_right = |(key, value): (&Key, &Value)| {
                    right.map.get(key).is_some_and(|other| self.equal(value, other))
                };
                left.map.len() == right.map.len() && enough(|| left.map.iter().all(is_in_right))
            }
            _ => left == right,
        }
    }

    /// Of two that are equally long.
    fn items_equal(&self, left: &Arc<Vec<Value>>, right: &Arc<Vec<Value>>) -> bool {
        let Some(form) = self.form(left) else {
            return left.iter().zip(right.iter()).all(|(left, right)| self.equal(left, right));
        };
        let known: HashMap<String, &Value> = left.iter().map(|item| (identity(item, form), item)).collect();
        right.iter().all(|item| known.get(&identity(item, form)).is_some_and(|left| self.equal(left, item)))
    }

    /// Of a set or a map and another list; `None` of all else.
    pub(crate) fn sum(&self, left: &Value, right: &Value) -> Option<Value> {
        let (Value::List(left), Value::List(right)) = (left, right) else { return None };
        let form = self.form(left)?;
        let mut items = left.to_vec();
        match form {
            Form::Set => {
                let mut known: HashSet<String> = items.iter().map(|item| identity(item, form)).collect();
                items.extend(right.iter().filter(|item| known.insert(identity(item, form))).cloned());
            }
            Form::Map(_) => {
                let places: HashMap<String, usize> =
                    items.iter().enumerate().map(|(at, item)| (identity(item, form), at)).collect();
                for item in right.iter() {
                    match places.get(&identity(item, form)) {
                        Some(&at) => items[at] = item.clone(),
                        None => items.push(item.clone()),
                    }
                }
            }
        }
        Some(Value::List(Arc::new(items)))
    }
}
