//! Bodies as JSON, whatever form the client chose, and within bounds: a short text may stand for much memory. YAML names a
//! value once and repeats it a thousand times (what aliases stand for counts as if it were written out), and three megabytes
//! of `{},{},…` become hundreds in Rust's types. Depth is bounded by the readers themselves: `serde_json` reads 128 levels,
//! protobuf 48, and YAML as many as JSON.

use api::{Reason, Status};
use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;
use std::collections::HashSet;
use std::fmt;

pub(crate) use api::values::MOST_VALUES;

/// Upstream's limit on a request's body.
pub(crate) const LARGEST_BODY: usize = 3 * 1024 * 1024;
const DEEPEST: usize = 128;
/// For the reader of YAML, which recurses: an unoptimised build takes 20 kB for a level.
const YAML_STACK: usize = 16 * 1024 * 1024;

/// How many values are in JSON, or a few more. Nothing is parsed.
pub(crate) fn values_in(json: &[u8]) -> usize {
    let (mut values, mut in_string, mut escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'{' | b'[' if !in_string => values += 1,
            _ => {}
        }
    }
    values
}

/// As [`values_in`], of a body.
///
/// # Errors
/// `RequestEntityTooLarge` for more than [`MOST_VALUES`].
pub(crate) fn count_values(json: &[u8]) -> Result<usize, Status> {
    let values = values_in(json);
    match values > MOST_VALUES {
        true => Err(too_many_values()),
        false => Ok(values),
    }
}

/// The same of what is no JSON, by its size: no form writes a value with less than two bytes.
pub(crate) fn guess_values(body: &[u8]) -> usize {
    (body.len() / 2 + 1).min(MOST_VALUES)
}

fn too_many_values() -> Status {
    let message = format!("Request entity too large: limit is {MOST_VALUES} values");
    Status::new(Reason::RequestEntityTooLarge, message)
}

pub(crate) fn too_large() -> Status {
    let message = format!("Request entity too large: limit is {LARGEST_BODY}");
    Status::new(Reason::RequestEntityTooLarge, message)
}

/// A body of this media type as JSON.
///
/// # Errors
/// `UnsupportedMediaType`, `BadRequest`, `RequestEntityTooLarge`.
pub(crate) fn to_json(media: &str, body: Bytes) -> Result<Bytes, Status> {
    let json = match media {
        "" | "application/json" | "*/*" => body,
        "application/yaml" => serde_json::to_vec(&yaml_value(&body)?).map_err(Status::internal)?.into(),
        protobuf::MEDIA_TYPE => protobuf_to_json(&body)?,
        other => {
            return Err(Status::new(
                Reason::UnsupportedMediaType,
                format!(
                    "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf (got {other})"
                ),
            ));
        }
    };
    count_values(&json)?;
    Ok(json)
}

/// JSON, or else YAML.
///
/// # Errors
/// `BadRequest` for what is neither, `RequestEntityTooLarge`.
pub(crate) fn to_value(body: &[u8]) -> Result<Value, Status> {
    count_values(body)?;
    serde_json::from_slice(body).or_else(|_| yaml_value(body))
}

/// Keys that stand twice, as upstream's strict reader of YAML tells them, those of inner maps first:
/// `line 3: key "paused" already set in map`. JSON is YAML too.
///
/// # Errors
/// As [`to_value`].
pub(crate) fn doubled_keys(body: &[u8]) -> Result<Vec<String>, Status> {
    // without lines it is found at less cost
    if schema::doubled_fields(body).is_ok_and(|doubled| doubled.is_empty()) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    find_doubled(&read_yaml(body)?, &mut found);
    Ok(found)
}

/// What [`doubled_keys`] tells, as one error.
pub(crate) fn unmarshal_errors(doubled: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", doubled.join("\n  "))
}

/// A value of which only the keys count, and the lines where what they name begins.
enum Keys {
    Plain,
    List(Vec<Keys>),
    Map(Vec<(String, Spanned<Keys>)>),
}

fn find_doubled(keys: &Keys, found: &mut Vec<String>) {
    match keys {
        Keys::Plain => {}
        Keys::List(items) => items.iter().for_each(|item| find_doubled(item, found)),
        Keys::Map(fields) => {
            let mut seen = HashSet::new();
            for (key, value) in fields {
                find_doubled(&value.value, found);
                if !seen.insert(key) {
                    let line = value.referenced.line();
                    found.push(format!("line {line}: key {key:?} already set in map"));
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }
    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys::Plain)
    }
    fn visit_none<E>(self) -> Result<Keys, E> {
        Ok(Keys::Plain)
    }
    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Keys, D::Error> {
        Keys::deserialize(from)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys::Plain)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys::Plain)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys::Plain)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys::Plain)
    }
    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys::Plain)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Keys, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Keys::List(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Keys, A::Error> {
        let mut all = Vec::new();
        while let Some(field) = fields.next_entry()? {
            all.push(field);
        }
        Ok(Keys::Map(all))
    }
}

fn yaml_value(body: &[u8]) -> Result<Value, Status> {
    read_yaml(body)
}

/// YAML as upstream's reader has it, which is version 1.1: `0644` is octal, `yes` is true, of two equal keys the last counts.
fn read_yaml<T: DeserializeOwned + Send>(body: &[u8]) -> Result<T, Status> {
    let bad = |why: &dyn std::fmt::Display| Status::bad_request(format!("error decoding YAML: {why}"));
    let text = std::str::from_utf8(body).map_err(|e| bad(&e))?;
    // options hold callbacks, which do not travel to another thread
    let options = || {
        serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: DEEPEST,
                flow_nesting_limit: DEEPEST,
                max_nodes: MOST_VALUES,
                // a node is at most two events, its begin and its end; the document's own come on top
                max_events: 2 * MOST_VALUES + 16,
                max_total_scalar_bytes: LARGEST_BODY,
                max_recorded_anchor_bytes: LARGEST_BODY,
                max_recorded_anchor_events: MOST_VALUES,
                max_documents: 1,
            },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_VALUES },
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            legacy_octal_numbers: true,
            with_snippet: false,
        }
    };
    std::thread::scope(|scope| {
        let read = move || serde_saphyr::from_str_with_options(text, options()).map_err(|e| bad(&e));
        let reader = std::thread::Builder::new().name("yaml".into()).stack_size(YAML_STACK);
        let reader = reader.spawn_scoped(scope, read).map_err(Status::internal)?;
        reader.join().unwrap_or_else(|_| Err(Status::internal("the reader of YAML broke")))
    })
}

/// # Errors
/// `UnsupportedMediaType` for definitions, of which upstream has messages and we have none; `BadRequest` for what is no message,
/// or of a kind that has none: upstream's reader of custom resources takes the media type, and fails at what is in it.
fn protobuf_to_json(body: &[u8]) -> Result<Bytes, Status> {
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let object = protobuf::decode(body, MOST_VALUES).map_err(|e| match e {
        protobuf::ProtobufError::UnknownKind { ref api_version, .. }
            if api_version.starts_with("apiextensions.k8s.io/") =>
        {
            Status::new(Reason::UnsupportedMediaType, e.to_string())
        }
        protobuf::ProtobufError::TooMany => too_many_values(),
        e => Status::bad_request(e.to_string()),
    })?;
    serde_json::to_vec(&object).map(Bytes::from).map_err(Status::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_is_read_as_upstream_reads_it() {
        for (yaml, want) in [
            ("a: 1\nb: [x, 'y']\nc: {d: }", json!({"a": 1, "b": ["x", "y"], "c": {"d": null}})),
            ("mode: 0644", json!({"mode": 420})),
            ("on: yes\nn: 'no'", json!({"on": true, "n": "no"})),
            ("a: 1\na: 2", json!({"a": 2})),
            ("1: x\ntrue: z\n", json!({"1": "x", "true": "z"})),
            (
                "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}",
                json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
            ),
            (
                "a: |\n  x\n  y\nb: 1.5\nc: 1e3\nd: 12345678901234567890",
                json!({"a": "x\ny\n", "b": 1.5, "c": 1000.0, "d": 12_345_678_901_234_567_890_u64}),
            ),
            ("t: 2001-01-01\nv: 1.30.2\nz: ~", json!({"t": "2001-01-01", "v": "1.30.2", "z": null})),
            ("{\"a\": \"\\u00e4\"}", json!({"a": "ä"})),
        ] {
            assert_eq!(yaml_value(yaml.as_bytes()).unwrap(), want, "{yaml}");
        }
        assert!(yaml_value("- ".repeat(DEEPEST).as_bytes()).is_ok());
    }

    #[test]
    fn what_has_no_message_is_no_good_body() {
        let text = |number: u8, text: &str| {
            let head = [(number << 3) | 2, u8::try_from(text.len()).unwrap()];
            [&head[..], text.as_bytes()].concat()
        };
        let object = |api_version: &str, kind: &str| {
            let meta = [text(1, api_version), text(2, kind)].concat();
            let head = [0x0a, u8::try_from(meta.len()).unwrap()];
            [&b"k8s\0"[..], &head, &meta].concat()
        };
        for (name, body, want) in [
            ("a built-in kind", object("v1", "ConfigMap"), 0),
            ("a custom kind", object("example.com/v1", "ConfigMap"), 400),
            ("a kind that there is not", object("v1", "Widget"), 400),
            ("a definition", object("apiextensions.k8s.io/v1", "CustomResourceDefinition"), 415),
            ("JSON", b"{}".to_vec(), 400),
        ] {
            let read = to_json(protobuf::MEDIA_TYPE, body.into());
            assert_eq!(read.err().map_or(0, |status| status.code), want, "{name}");
        }
    }

    #[test]
    fn keys_that_stand_twice_are_told_with_their_lines() {
        for (name, text, want) in [
            ("none", "a: 1\nb: {a: 1}\nc: [{a: 1}, {a: 1}]", &[][..]),
            ("none in JSON", r#"{"a": {"b": 1}, "c": {"b": 1}}"#, &[]),
            ("in YAML", "a: 1\nb:\n  c: 1\n  d: x\n  c: 2\n", &["line 5: key \"c\" already set in map"]),
            (
                "inner ones first",
                "a: 1\na:\n  b: 1\n  b: [x]\n  1: x\n",
                &["line 4: key \"b\" already set in map", "line 3: key \"a\" already set in map"],
            ),
            (
                "in JSON, each time",
                "{\"a\": 1,\n\"b\": [{\"c\": 1,\n \"c\": {},\n \"c\": null}]}",
                &["line 3: key \"c\" already set in map", "line 4: key \"c\" already set in map"],
            ),
            ("of an anchor", "a: &a {b: 1}\nc:\n  <<: *a\n  b: 2\n", &[]),
        ] {
            assert_eq!(doubled_keys(text.as_bytes()).unwrap(), want, "{name}");
        }
        assert!(doubled_keys("- ".repeat(DEEPEST).as_bytes()).unwrap().is_empty());
        let maps: String = (0..DEEPEST - 1).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert!(doubled_keys(maps.as_bytes()).unwrap().is_empty(), "as deep as values are read");
    }

    #[test]
    fn bodies_that_grow_when_they_are_read_are_refused() {
        let aliases = |text: usize, count: usize| {
            format!("a: &a {}\nb: [{}]\n", "x".repeat(text), vec!["*a"; count].join(","))
        };
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..10 {
            laughs += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(","));
        }
        for (name, yaml) in [
            ("a long string many times", aliases(100_000, 10_000)),
            ("a string of megabytes", aliases(1_600_000, 14)),
            ("a billion laughs", laughs),
            ("lists in lists", "[".repeat(1_400_000)),
            ("blocks in blocks", "- ".repeat(1_400_000)),
            ("one more than is allowed", "- ".repeat(DEEPEST + 1)),
            ("maps in maps", (0..1500).map(|n| " ".repeat(n) + "a:\n").collect()),
            ("many values", "[".to_owned() + &"0,".repeat(1_400_000) + "0]"),
            ("many pairs", "{".to_owned() + &"?,".repeat(1_000_000) + "}"),
            ("many anchors", (0..100_000).map(|n| format!("- &a{n} x\n")).collect()),
            ("an anchor around itself", "&a [*a]".to_owned()),
            ("two documents", "a: 1\n---\nb: 1\n".to_owned()),
            ("no text", "\u{0}".to_owned()),
        ] {
            let begun = std::time::Instant::now();
            let code = yaml_value(yaml.as_bytes()).map_or_else(|status| status.code, |_| 200);
            assert!(matches!(code, 400 | 413), "{name}: {code}");
            assert!(begun.elapsed().as_secs() < 20, "{name}: {:?}", begun.elapsed());
        }
    }

    #[test]
    fn values_are_counted_where_they_are_values() {
        for (json, want) in [
            ("1", 1),
            (r#"{"a": 1, "b": [2, 3]}"#, 5),
            (r#"{"a": "[{,\",,"}"#, 2),
            (r#"{"a\\": "\\", "b,": 0}"#, 3),
        ] {
            assert_eq!(count_values(json.as_bytes()).unwrap(), want, "{json}");
        }
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert_eq!(count_values(many.as_bytes()).unwrap_err().code, 413);
        assert_eq!(to_json("application/json", many.into()).unwrap_err().code, 413);
    }
}
