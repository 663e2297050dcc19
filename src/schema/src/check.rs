//! A client's bytes beside their schema, in one pass that keeps nothing: types that do not fit, fields that the schema does
//! not name, and keys that stand twice. The words are those of upstream's decoder (`sigs.k8s.io/json`).

use crate::zero::zero_of;
use crate::{Schema, Type, base64_fields, table};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// So many unknown and doubled fields are told; upstream's decoder gathers as many.
const MOST_FAULTS: usize = 100;
/// In bytes, of all of them but the last: each has the whole path, and of that a client makes up the keys of maps.
const MOST_TOLD: usize = 64 << 10;

/// Whether a further one is told.
pub(crate) fn has_room(faults: &[String]) -> bool {
    faults.len() < MOST_FAULTS && faults.iter().map(String::len).sum::<usize>() < MOST_TOLD
}

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
    let read = Node { schema, outer: "", walk: &mut walk }.deserialize(&mut from).and_then(|()| from.end());
    match (read, walk.wrong) {
        (Ok(()), _) => Ok(walk.checked),
        (Err(_), Some(wrong)) => Err(wrong),
        (Err(error), None) => Err(WrongType(format!("json: {error}"))),
    }
}

/// One step from the root to where the walk stands.
enum Step<'s> {
    Field(&'s str),
    Key(String),
    Index(usize),
}

struct Walk<'s> {
    path: Vec<Step<'s>>,
    checked: Checked,
    wrong: Option<WrongType>,
}

impl Walk<'_> {
    /// `spec.containers[0].image`
    fn place(&self, last: &str) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => place.push_str(&format!("[{index}]")),
                Step::Field(name) => append(&mut place, name),
                Step::Key(key) => append(&mut place, key),
            }
        }
        append(&mut place, last);
        place
    }

    fn fault(&mut self, what: &str, field: &str) {
        if has_room(&self.checked.faults) {
            let place = self.place(field);
            self.checked.faults.push(format!("{what} field \"{place}\""));
        }
    }

    /// Go names the innermost struct and the fields on the way, without indexes and keys of maps.
    fn mistyped(&mut self, outer: &str, found: &str, schema: &Schema) {
        let mut place = String::new();
        for step in &self.path {
            if let Step::Field(name) = step {
                append(&mut place, name);
            }
        }
        let of = go_type(schema);
        let into = match place.as_str() {
            "" => "Go value".to_owned(),
            place => format!("Go struct field {}.{place}", outer.rsplit('.').next().unwrap_or(outer)),
        };
        self.wrong = Some(WrongType(format!("json: cannot unmarshal {found} into {into} of type {of}")));
    }
}

fn append(place: &mut String, step: &str) {
    if !place.is_empty() {
        place.push('.');
    }
    place.push_str(step);
}

/// `v1.Container`, `[]string`, `int32`, as the field is declared in Go.
fn go_type(schema: &Schema) -> String {
    fn named(name: &str) -> String {
        if let Some(items) = name.strip_prefix("[]") {
            return format!("[]{}", named(items));
        }
        if let Some(values) = name.strip_prefix("map[string]") {
            return format!("map[string]{}", named(values));
        }
        match name {
            "bytes" => "[]uint8".to_owned(),
            "double" => "float64".to_owned(),
            "quantity" => "resource.Quantity".to_owned(),
            // their decoders read the text first
            "time" | "microtime" | "duration" => "string".to_owned(),
            "intorstring" => "int32".to_owned(),
            "any" | "raw" => "interface {}".to_owned(),
            name => name.split_once('.').map_or(name, |(_, name)| name).to_owned(),
        }
    }
    named(schema.name)
}

/// A value beside its node; without one it can be anything. `outer` is the type that it is a field of.
struct Node<'w, 's> {
    schema: Option<&'s Schema>,
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
        if fits { Ok(()) } else { Err(self.refuse(&format!("number {shown}"), schema)) }
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

    fn visit_bool<E: serde::de::Error>(mut self, _: bool) -> Result<(), E> {
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
            let item = Node { schema: of, outer: self.outer, walk: self.walk };
            if items.next_element_seed(item)?.is_none() {
                self.walk.path.pop();
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
            let (name, below) = match known {
                Some((name, below)) => {
                    self.walk.checked.off |= below.off;
                    (Step::Field(name), Some(&**below))
                }
                None => (Step::Key(key.into_owned()), None),
            };
            self.walk.path.push(name);
            // below a field that is not known there is nothing that can be
            let silent = known.is_none().then_some(self.walk.checked.faults.len());
            fields.next_value_seed(Node { schema: below, outer: schema.name, walk: self.walk })?;
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
    fn entries<'de, A: MapAccess<'de>>(self, of: Option<&'s Schema>, mut fields: A) -> Result<(), A::Error> {
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
            fields.next_value_seed(Node { schema: below, outer: self.outer, walk: self.walk })?;
            self.walk.path.pop();
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    fn faults(kind: &str, json: &str) -> Result<Vec<String>, String> {
        let schema = table::named(kind).expect("a type of the table");
        check(json.as_bytes(), schema).map(|checked| checked.faults).map_err(|wrong| wrong.0)
    }

    #[test]
    fn what_a_client_sends_is_checked_beside_its_schema() {
        let deployment = "apps.v1.Deployment";
        let cases: &[(&str, &str, &str, Result<&[&str], &str>)] = &[
            (
                "good",
                deployment,
                r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","labels":{"a":"b"}},"spec":{"replicas":2}}"#,
                Ok(&[]),
            ),
            (
                "null is nothing",
                deployment,
                r#"{"metadata":null,"spec":{"replicas":null,"template":null}}"#,
                Ok(&[]),
            ),
            (
                "unknown",
                deployment,
                r#"{"spec":{"replica":2,"template":{"spec":{"containers":[{"name":"a"},{"imag":{"deeper":1}}]}}}}"#,
                Ok(&[
                    "unknown field \"spec.replica\"",
                    "unknown field \"spec.template.spec.containers[1].imag\"",
                ]),
            ),
            ("unknown at the root", deployment, r#"{"specs":1}"#, Ok(&["unknown field \"specs\""])),
            (
                "kind is the root's",
                deployment,
                r#"{"spec":{"kind":"x"}}"#,
                Ok(&["unknown field \"spec.kind\""]),
            ),
            (
                "doubled",
                deployment,
                r#"{"spec":{"replicas":1,"replicas":2}}"#,
                Ok(&["duplicate field \"spec.replicas\""]),
            ),
            (
                "doubled label",
                deployment,
                r#"{"metadata":{"labels":{"a":"1","a":"2"}}}"#,
                Ok(&["duplicate field \"metadata.labels.a\""]),
            ),
            (
                "string for a number",
                deployment,
                r#"{"spec":{"replicas":"2"}}"#,
                Err(
                    "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
                ),
            ),
            (
                "number for a string",
                "core.v1.Pod",
                r#"{"spec":{"containers":[{"image":5}]}}"#,
                Err(
                    "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
                ),
            ),
            (
                "bool in labels",
                "core.v1.Pod",
                r#"{"metadata":{"labels":{"a":true}}}"#,
                Err(
                    "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
                ),
            ),
            (
                "string for a list",
                "core.v1.Pod",
                r#"{"spec":{"containers":"none"}}"#,
                Err(
                    "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
                ),
            ),
            (
                "list for an object",
                "core.v1.Pod",
                r#"{"spec":[]}"#,
                Err("json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
            ),
            (
                "too large",
                deployment,
                r#"{"spec":{"replicas":3000000000}}"#,
                Err(
                    "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
                ),
            ),
            (
                "broken",
                deployment,
                r#"{"spec":{"replicas":1.5}}"#,
                Err(
                    "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
                ),
            ),
            (
                "a port by name",
                "core.v1.Service",
                r#"{"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":81,"targetPort":8}]}}"#,
                Ok(&[]),
            ),
            (
                "a port that is an object",
                "core.v1.Service",
                r#"{"spec":{"ports":[{"targetPort":{}}]}}"#,
                Err(
                    "json: cannot unmarshal object into Go struct field ServicePort.spec.ports.targetPort of type int32",
                ),
            ),
            (
                "quantities",
                "core.v1.Pod",
                r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":1,"memory":"1Gi"}}}]}}"#,
                Ok(&[]),
            ),
            ("base64", "core.v1.Secret", r#"{"data":{"a":"aGVsbG8="},"stringData":{"b":"?"}}"#, Ok(&[])),
            (
                "no base64",
                "core.v1.Secret",
                r#"{"data":{"a":"aGV*bG8="}}"#,
                Err("illegal base64 data at input byte 3"),
            ),
            (
                "no time",
                "core.v1.Pod",
                r#"{"metadata":{"creationTimestamp":"soon"}}"#,
                Err(
                    "parsing time \"soon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"soon\" as \"2006\"",
                ),
            ),
            (
                "whatever is raw",
                "apps.v1.ControllerRevision",
                r#"{"data":{"a":[1,{"b":null}]},"revision":1}"#,
                Ok(&[]),
            ),
            (
                "a schema within itself",
                "apiextensions.v1.CustomResourceDefinition",
                r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"type":"object","properties":{"a":{"properties":{"b":{"typ":"x"}}}}}}}]}}"#,
                Ok(&[
                    "unknown field \"spec.versions[0].schema.openAPIV3Schema.properties.a.properties.b.typ\"",
                ]),
            ),
            (
                "not an object",
                deployment,
                "[]",
                Err("json: cannot unmarshal array into Go value of type v1.Deployment"),
            ),
        ];
        for (name, kind, json, want) in cases {
            let got = faults(kind, json);
            let got = got.as_ref().map(|faults| faults.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(got.as_deref().map_err(|e| e.as_str()), *want, "{name}");
        }
        assert!(faults(deployment, r#"{"spec":"#).unwrap_err().starts_with("json: EOF"));
        assert!(faults(deployment, "{} {}").unwrap_err().contains("trailing"));
    }

    #[test]
    fn base64_that_only_go_reads_is_told() {
        let secret = table::named("core.v1.Secret").unwrap();
        assert!(check(br#"{"data":{"a":"aGVs\nbG8="}}"#, secret).unwrap().loose_bytes);
        assert!(!check(br#"{"data":{"a":"aGVsbG8="}}"#, secret).unwrap().loose_bytes);
    }

    #[test]
    fn of_a_custom_object_the_metadata_is_known() {
        let json = br#"{"metadata":{"name":"a","label":{}},"spec":{"x":1,"x":2,"list":[{"y":1,"y":1}]}}"#;
        let want = [
            "unknown field \"metadata.label\"",
            "duplicate field \"spec.x\"",
            "duplicate field \"spec.list[0].y\"",
        ];
        assert_eq!(check_custom(json).unwrap().faults, want);
        let wrong = check_custom(br#"{"metadata":{"name":1}}"#).unwrap_err();
        assert_eq!(
            wrong.0,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string"
        );
    }

    #[test]
    fn doubled_fields_are_found_in_what_is_no_object_of_a_kind() {
        for (json, want) in [
            (r#"{"a":1,"metadata":{"x":1}}"#, &[][..]),
            (r#"{"a":{"b":1,"b":2},"a":2}"#, &["duplicate field \"a.b\"", "duplicate field \"a\""]),
            (r#"[{"op":"add","op":"add"}]"#, &["duplicate field \"[0].op\""]),
        ] {
            assert_eq!(doubled_fields(json.as_bytes()).unwrap(), want, "{json}");
        }
        assert!(doubled_fields(b"a: 1").is_err());
    }

    #[test]
    fn no_more_is_told_than_somebody_reads() {
        let many: Vec<String> = (0..1_000).map(|n| format!("\"x{n}\":1")).collect();
        let json = format!("{{\"spec\":{{{}}}}}", many.join(","));
        assert_eq!(faults("apps.v1.Deployment", &json).unwrap().len(), MOST_FAULTS);
        let below = format!(r#"{{"{}":{{{}}}}}"#, "x".repeat(MOST_TOLD), [r#""a":1"#; 300].join(","));
        let told = doubled_fields(below.as_bytes()).unwrap();
        assert_eq!(told.len(), 1, "each would have the long key");
    }
}
