//! Every field of every built-in kind at once, through everything that goes by the table of types.

use schema::{Schema, Type};
use serde_json::{Map, Value, json};

/// Deeper than any type that does not hold itself.
const DEEPEST: usize = 16;

/// An object with each field that the schema names.
fn whole(schema: &Schema, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    Some(match schema.kind {
        Type::Any => json!({"any": [1]}),
        Type::Object if schema.preserve_unknown => json!({"raw": {"a": [true]}}),
        Type::Object => {
            let named = schema.properties.iter().map(|(name, of)| (name.clone(), of));
            let entry = schema.additional.iter().map(|of| ("key".to_owned(), of));
            let fields: Map<String, Value> =
                named.chain(entry).filter_map(|(name, of)| Some((name, whole(of, depth + 1)?))).collect();
            fields.into()
        }
        Type::Array => Value::Array(vec![whole(schema.items.as_deref()?, depth + 1)?]),
        Type::String => "text".into(),
        Type::Integer | Type::Int32 | Type::IntOrString => 7.into(),
        Type::Number => 1.5.into(),
        Type::Boolean => true.into(),
        Type::Bytes => "aGVsbG8=".into(),
        Type::Time => "2026-01-02T03:04:05Z".into(),
        Type::MicroTime => "2026-01-02T03:04:05.000006Z".into(),
        Type::Quantity => "1500m".into(),
        Type::Duration => "5s".into(),
    })
}

/// What kind it is, and no resourceVersion: those are the system's. Nor what is dropped, as its feature is off.
fn object(version: &kinds::Version) -> Value {
    let gvk = &version.info().gvk;
    let mut object = whole(version.schema(), 0).expect("it is not that deep");
    object["apiVersion"] = gvk.api_version().into();
    object["kind"] = gvk.kind.as_ref().into();
    object["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
    schema::drop_off(&mut object, version.schema());
    object
}

/// The first place where something of `sent` is missing or another.
fn lost(sent: &Value, got: &Value, at: &str) -> Option<String> {
    match (sent, got) {
        (Value::Object(sent), Value::Object(got)) => sent.iter().find_map(|(name, value)| {
            let at = format!("{at}.{name}");
            lost(value, got.get(name).unwrap_or(&Value::Null), &at)
        }),
        (Value::Array(sent), Value::Array(got)) if sent.len() == got.len() => {
            sent.iter().zip(got).find_map(|(sent, got)| lost(sent, got, at))
        }
        _ if sent == got => None,
        _ => Some(format!("{at}: {sent} became {got}")),
    }
}

/// A field that the table names, and a type does not, would be taken from a client and lost.
#[test]
fn no_field_of_a_kind_is_lost() {
    for version in kinds::all().versions() {
        let name = version.info().gvk.kind.to_string();
        // of events' second version another is stored; a definition's schema, which holds itself, has unions
        if matches!(name.as_str(), "Event" | "CustomResourceDefinition") {
            continue;
        }
        let sent = object(version.as_ref());
        let json = serde_json::to_vec(&sent).unwrap();
        let decoded =
            version.decode(&json, kinds::FieldValidation::Strict).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let stored = decoded.instance.encode().unwrap().stamp(api::ResourceVersion(0));
        // as this version shows it: of autoscalers another one is stored
        let got: Value = serde_json::from_slice(&version.present(stored.bytes())).unwrap();
        assert_eq!(lost(&sent, &got, &name), None);
    }
}

#[test]
fn every_field_travels_as_protobuf_and_back() {
    let mut numbered = 0;
    for version in kinds::all().versions() {
        let info = version.info();
        if info.gvk.group == "apiextensions.k8s.io" {
            continue;
        }
        let mut sent = object(version.as_ref());
        drop_unnumbered(&mut sent, version.schema());
        let bytes = crate::encode(&sent).unwrap_or_else(|e| panic!("{}: {e}", info.gvk.kind));
        let got = crate::decode(&bytes, 100_000).unwrap();
        assert_eq!(lost(&sent, &got, &info.gvk.kind), None);
        numbered += 1;
    }
    assert!(numbered > 20, "{numbered}");
}

/// Fields that are younger than the numbers that are known.
fn drop_unnumbered(value: &mut Value, schema: &Schema) {
    if let Value::Object(fields) = value {
        if let Some(rows) = schema::table::fields(schema.name) {
            for row in rows.iter().filter(|row| row.number.is_none()) {
                fields.remove(row.field);
            }
        }
        for (name, value) in fields {
            if let Some(of) = schema.field(name) {
                drop_unnumbered(value, of);
            }
        }
    } else if let (Value::Array(items), Some(of)) = (value, schema.items.as_deref()) {
        items.iter_mut().for_each(|item| drop_unnumbered(item, of));
    }
}
