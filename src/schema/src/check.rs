//! A client's bytes beside their schema, in one pass that keeps nothing: types that do not fit, fields that the schema does
//! not name, and keys that stand twice. The words are those of upstream's decoder (`sigs.k8s.io/json`).

#[cfg(test)]
mod tests;
mod walk;

pub(crate) use walk::has_room;

use crate::zero::zero_of;
use crate::{Schema, Type, base64_fields, table};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use walk::{Step, Walk};

/// What a strict reader refuses and another is warned of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// `unknown field "spec.replica"`, `duplicate field "spec.replicas"`, in the order of the bytes.
    pub faults: Vec<String>,
    /// Bytes in a base64 that Go reads and a strict decoder does not: see [`base64_fields::canonical`].
    pub loose_bytes: bool,
    /// A field of a feature that is off: see [`drop_off`](crate::drop_off).
    pub off: bool,
    /// A null as the value of a map or the item of a list: see [`zero_nulls`](crate::zero_nulls).
    pub nulls: bool,
    /// A field that Go leaves out as it is: see [`drop_zeros`](crate::drop_zeros).
    pub zeros: bool,
}

/// `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`, or what is wrong with
/// the JSON itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongType(pub String);

/// An object of a built-in kind.
///
/// # Errors
/// [`WrongType`]
pub fn check(json: &[u8], schema: &Schema) -> Result<Checked, WrongType> {
    run(json, Some(schema))
}

/// An object of a custom kind, of which upstream's decoder knows the metadata only: all else its schema's own walks check.
///
/// # Errors
/// [`WrongType`]
pub fn check_custom(json: &[u8]) -> Result<Checked, WrongType> {
    run(json, None)
}

/// Keys that stand twice in any object: `duplicate field "spec.paused"`.
///
/// # Errors
/// [`WrongType`] for what is no JSON.
pub fn doubled_fields(json: &[u8]) -> Result<Vec<String>, WrongType> {
    let anything = Schema { preserve_unknown: true, ..Schema::default() };
    check(json, &anything).map(|checked| checked.faults)
}

fn run(json: &[u8], schema: Option<&Schema>) -> Result<Checked, WrongType> {
    let mut walk = Walk { path: Vec::new(), checked: Checked::default(), wrong: None };
    let mut from = serde_json::Deserializer::from_slice(json);
    let read = Node { schema, omits_zero: false, outer: "", walk: &mut walk }
        .deserialize(&mut from)
        .and_then(|()| from.end());
    match (read, walk.wrong) {
        (Ok(()), _) => Ok(walk.checked),
        (Err(_), Some(wrong)) => Err(wrong),
        (Err(error), None) => Err(WrongType(format!("json: {error}"))),
    }
}

/// A value beside its node; without one it can be anything. `outer` is the type that it is a field of.
struct Node<'w, 's> {
    schema: Option<&'s Schema>,
    /// Go leaves it out where it is nothing.
    omits_zero: bool,
    outer: &'s str,
    walk: &'w mut Walk<'s>,
}

impl<'s> Node<'_, 's> {
    fn refuse<E: serde::de::Error>(&mut self, found: &str, schema: &Schema) -> E {
        self.walk.mistyped(self.outer, found, schema);
        E::custom("wrong type")
    }

    fn wrong<E: serde::de::Error>(&mut self, why: String) -> E {
        self.walk.wrong = Some(WrongType(why));
        E::custom("wrong type")
    }

    fn number<E: serde::de::Error>(mut self, whole: Option<i128>, shown: &dyn fmt::Display) -> Result<(), E> {
        let Some(schema) = self.schema else { return Ok(()) };
        let fits = match schema.kind {
            Type::Any | Type::Number | Type::Quantity => true,
            Type::Integer => whole.is_some_and(|n| i64::try_from(n).is_ok()),
            Type::Int32 | Type::IntOrString => whole.is_some_and(|n| i32::try_from(n).is_ok()),
            _ => return Err(self.refuse("number", schema)),
        };
        self.zero(whole == Some(0) && matches!(schema.kind, Type::Integer | Type::Int32 | Type::Number));
        if fits { Ok(()) } else { Err(self.refuse(&format!("number {shown}"), schema)) }
    }

    fn zero(&mut self, is_zero: bool) {
        self.walk.checked.zeros |= self.omits_zero && is_zero;
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    /// Null fits wherever it stands.
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        let is_element = matches!(self.walk.path.last(), Some(Step::Key(_) | Step::Index(_)));
        self.walk.checked.nulls |= is_element && self.schema.is_some_and(|schema| zero_of(schema).is_some());
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(mut self, flag: bool) -> Result<(), E> {
        self.zero(!flag);
        match self.schema {
            Some(schema) if !matches!(schema.kind, Type::Any | Type::Boolean) => {
                Err(self.refuse("bool", schema))
            }
            _ => Ok(()),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.number(Some(number.into()), &number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.number(Some(number.into()), &number)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.number(None, &number)
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        let Some(schema) = self.schema else { return Ok(()) };
        self.zero(text.is_empty() && matches!(schema.kind, Type::String | Type::Bytes));
        match schema.kind {
            Type::Any | Type::String | Type::IntOrString | Type::Quantity | Type::Duration => Ok(()),
            Type::Bytes => match base64_fields::check(text) {
                Ok(strict) => {
                    self.walk.checked.loose_bytes |= !strict;
                    Ok(())
                }
                Err(illegal) => Err(self.wrong(illegal.to_string())),
            },
            // "" is no time, as null is
            Type::Time | Type::MicroTime if text.parse::<jiff::Timestamp>().is_ok() => Ok(()),
            Type::Time => Err(self.wrong(not_a_time(text, "2006-01-02T15:04:05Z07:00"))),
            Type::MicroTime => Err(self.wrong(not_a_time(text, "2006-01-02T15:04:05.000000Z07:00"))),
            _ => Err(self.refuse("string", schema)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let of = match self.schema {
            Some(schema) if !matches!(schema.kind, Type::Any | Type::Array) => {
                return Err(self.refuse("array", schema));
            }
            schema => schema.and_then(|schema| schema.items.as_deref()),
        };
        for index in 0.. {
            self.walk.path.push(Step::Index(index));
            let item = Node { schema: of, omits_zero: false, outer: self.outer, walk: self.walk };
            if items.next_element_seed(item)?.is_none() {
                self.walk.path.pop();
                self.zero(index == 0);
                break;
            }
            self.walk.path.pop();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, fields: A) -> Result<(), A::Error> {
        match self.schema {
            Some(schema) if !matches!(schema.kind, Type::Any | Type::Object) => {
                Err(self.refuse("object", schema))
            }
            Some(schema) if schema.additional.is_none() && !schema.preserve_unknown => {
                self.fields(schema, fields)
            }
            schema => self.entries(schema.and_then(|schema| schema.additional.as_deref()), fields),
        }
    }
}

impl<'s> Node<'_, 's> {
    /// Of an object whose fields the schema names.
    fn fields<'de, A: MapAccess<'de>>(self, schema: &'s Schema, mut fields: A) -> Result<(), A::Error> {
        let mut seen: Vec<&'s str> = Vec::with_capacity(schema.properties.len().min(16));
        while let Some(key) = fields.next_key_seed(Key)? {
            let known = schema.properties.get_key_value(&*key);
            match known {
                Some((name, _)) if seen.contains(&name.as_str()) => self.walk.fault("duplicate", name),
                Some((name, _)) => seen.push(name),
                // what kind an object is, the path says; where it is part of another, both know
                None if self.is_resource(schema) && matches!(&*key, "apiVersion" | "kind") => {}
                None => self.walk.fault("unknown", &key),
            }
            let (name, below, omits_zero) = match known {
                Some((name, below)) => {
                    self.walk.checked.off |= below.off;
                    (Step::Field(name), Some(&**below), below.omits_zero())
                }
                None => (Step::Key(key.into_owned()), None, false),
            };
            self.walk.path.push(name);
            // below a field that is not known there is nothing that can be
            let silent = known.is_none().then_some(self.walk.checked.faults.len());
            fields.next_value_seed(Node {
                schema: below,
                omits_zero,
                outer: schema.name,
                walk: self.walk,
            })?;
            if let Some(told) = silent {
                self.walk.checked.faults.truncate(told);
            }
            self.walk.path.pop();
        }
        Ok(())
    }

    /// A kind of its own: it has metadata.
    fn is_resource(&self, schema: &Schema) -> bool {
        schema.properties.contains_key("metadata") || self.walk.path.is_empty()
    }

    /// Of a map, or of an object of which nothing is known.
    fn entries<'de, A: MapAccess<'de>>(
        mut self,
        of: Option<&'s Schema>,
        mut fields: A,
    ) -> Result<(), A::Error> {
        let is_custom = self.schema.is_none() && self.walk.path.is_empty();
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(key) = fields.next_key_seed(Key)? {
            if seen.contains(&*key) {
                self.walk.fault("duplicate", &key);
            }
            let (step, below) = match &*key {
                // of every object, whatever its kind
                "metadata" if is_custom => (Step::Field("metadata"), table::named("meta.v1.ObjectMeta")),
                key => (Step::Key(key.to_owned()), of),
            };
            seen.insert(key.into_owned());
            self.walk.path.push(step);
            let value = Node { schema: below, omits_zero: false, outer: self.outer, walk: self.walk };
            fields.next_value_seed(value)?;
            self.walk.path.pop();
        }
        self.zero(seen.is_empty() && of.is_some());
        Ok(())
    }
}

fn not_a_time(text: &str, layout: &str) -> String {
    format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")
}

/// A key of an object, not copied where that is possible.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
