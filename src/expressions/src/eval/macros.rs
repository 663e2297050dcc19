//! Macros: what is evaluated for each item of a list, or for each entry of a map.

use super::access::{as_key, insert};
use super::{Run, as_bool, no_overload};
use crate::node::{Collect, Fold, Made, Node};
use crate::outcome::{Answer, Fault};
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

impl<'p> Run<'p> {
    /// The items of a list, the keys of a map; for two names the places and the items, the keys and the values.
    fn rounds(&mut self, range: &'p Node, has_value: bool) -> Result<Vec<(Value, Option<Value>)>, Fault> {
        match self.eval(range)? {
            Value::List(items) => {
                self.pay(items.len() as u64)?;
                let items = items.iter().cloned();
                Ok(match has_value {
                    true => (0..).map(Value::Int).zip(items.map(Some)).collect(),
                    false => items.map(|item| (item, None)).collect(),
                })
            }
            Value::Map(map) => {
                self.pay(map.map.len() as u64)?;
                let entry =
                    |(key, value): (&Key, &Value)| (Value::from(key), has_value.then(|| value.clone()));
                let mut entries: Vec<(Value, Option<Value>)> = map.map.iter().map(entry).collect();
                // the order of a map is nobody's, but should be the same each time
                entries.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal));
                Ok(entries)
            }
            _ => no_overload(),
        }
    }

    /// The names of a round.
    fn enter(&mut self, item: &'p str, value: Option<&'p str>, (first, second): (Value, Option<Value>)) {
        self.scope.push((item, Ok(first)));
        if let (Some(name), Some(second)) = (value, second) {
            self.scope.push((name, Ok(second)));
        }
    }

    pub(super) fn fold(&mut self, of: &'p Fold) -> Answer {
        let rounds = self.rounds(&of.range, of.value.is_some())?;
        let result = self.eval(&of.init);
        let at = self.scope.len();
        self.scope.push((&of.result_name, result));
        let mut failed = None;
        for round in rounds {
            self.enter(&of.item, of.value.as_deref(), round);
            let goes_on = self.eval(&of.condition).and_then(as_bool);
            let next = match goes_on {
                Ok(true) => Some(self.eval(&of.step)),
                Ok(false) => None,
                Err(fault) => {
                    failed = Some(fault);
                    None
                }
            };
            self.scope.truncate(at + 1);
            match next {
                Some(next) => self.scope[at].1 = next,
                None => break,
            }
        }
        let result = match failed {
            Some(fault) => Err(fault),
            None => self.eval(&of.result),
        };
        self.scope.pop();
        result
    }

    pub(super) fn collect(&mut self, of: &'p Collect) -> Answer {
        let (mut list, mut map) = (Vec::new(), HashMap::new());
        let before = self.scope.len();
        for round in self.rounds(&of.range, of.value.is_some())? {
            let key = round.0.clone();
            self.enter(&of.item, of.value.as_deref(), round);
            let wanted = of.condition.as_ref().map_or(Ok(true), |asked| self.eval(asked).and_then(as_bool));
            let made = match wanted {
                Ok(true) => self.eval(&of.transform).map(Some),
                Ok(false) => Ok(None),
                Err(fault) => Err(fault),
            };
            self.scope.truncate(before);
            let Some(made) = made? else { continue };
            match (of.made, made) {
                (Made::List, item) => list.push(item),
                (Made::Map, value) => insert(&mut map, as_key(key), value)?,
                (Made::Entries, Value::Map(entries)) => {
                    self.pay(entries.map.len() as u64)?;
                    for (key, value) in entries.map.iter() {
                        insert(&mut map, Some(key.clone()), value.clone())?;
                    }
                }
                (Made::Entries, _) => return no_overload(),
            }
        }
        Ok(match of.made {
            Made::List => Value::List(Arc::new(list)),
            Made::Map | Made::Entries => Value::Map(Map { map: Arc::new(map) }),
        })
    }
}
