//! Managed fields of what is written otherwise than by being applied, as clusters of upstream show them: each line of the golden file has
//! an object, or two versions of one, as a cluster stored it, and what the entry of its writer said.

use api::apply::{Structure, Who, create, update};
use schema::{from_openapi, table};
use serde::Deserialize;
use serde_json::{Value, json};

const WRITER: Who<'static> =
    Who { manager: "writer", subresource: None, api_version: "v1", now: "2026-01-01T00:00:00Z" };

/// Of an object of a kind in the table of types.
#[derive(Deserialize)]
struct Case {
    name: String,
    /// `core.v1.Pod`
    #[serde(rename = "type")]
    kind: String,
    /// What was there before; else the object is new.
    old: Option<Value>,
    new: Value,
    /// The fields of the one entry there is then.
    fields: Value,
}

fn fields(old: Option<&Value>, new: &Value, structure: &dyn Structure) -> Value {
    let entries = match old {
        Some(old) => update(old, new, Vec::new(), WRITER, structure),
        None => create(new, WRITER, structure),
    };
    let entries = entries.unwrap();
    assert!(entries.len() < 2, "{entries:?}");
    entries.into_iter().next().map_or(Value::Null, |entry| entry.fields_v1)
}

#[test]
fn entries_are_as_upstream_writes_them() {
    let cases: Vec<Case> = include_str!("golden/managed_fields.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(cases.len() > 10);
    for Case { name, kind, old, new, fields: want } in cases {
        let schema = table::named(&kind).unwrap_or_else(|| panic!("{name}: there is no {kind}"));
        assert_eq!(fields(old.as_ref(), &new, schema), want, "{name}");
    }
}

/// Nothing of a custom resource is there before somebody has written it.
#[test]
fn of_a_custom_resource_every_object_and_list_counts() {
    let item =
        json!({"type": "object", "properties": {"name": {"type": "string"}, "on": {"type": "boolean"}}});
    let schema = from_openapi(
        &json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "runStrategy": {"type": "string"},
                "template": {"type": "object", "properties": {"cpu": {"type": "object", "properties": {"model": {"type": "string"}}}}},
                "disks": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
                "plain": {"type": "array", "items": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}}),
        "schema",
    )
    .unwrap_or_else(|errors| panic!("{:?}", errors.into_causes()));
    let of = |metadata: Value, spec: Value| json!({"apiVersion": "a.b/v1", "kind": "C", "metadata": metadata, "spec": spec});
    let bare = || of(json!({"name": "c"}), json!({"runStrategy": "Always"}));
    let with_status = |status: Value| {
        let mut object = bare();
        object["status"] = status;
        object
    };
    let whole = of(
        json!({"name": "c", "labels": {"a": "b"}, "ownerReferences": [{"uid": "u", "name": "o"}]}),
        json!({"runStrategy": "Always", "template": {"cpu": {"model": "host"}}, "disks": [{"name": "d", "on": true}],
            "plain": ["x"], "free": {"any": {"x": 1}}}),
    );
    let owner = r#"k:{"uid":"u"}"#;
    let disk = r#"k:{"name":"d"}"#;
    let metadata = json!({"f:labels": {".": {}, "f:a": {}}, "f:ownerReferences": {".": {}, owner: {}}});
    for (name, old, new, want) in [
        (
            "a new one",
            None,
            whole.clone(),
            json!({"f:metadata": metadata, "f:spec": {".": {}, "f:runStrategy": {},
                "f:template": {".": {}, "f:cpu": {".": {}, "f:model": {}}},
                "f:disks": {".": {}, disk: {".": {}, "f:name": {}, "f:on": {}}},
                "f:plain": {}, "f:free": {".": {}, "f:any": {".": {}, "f:x": {}}}}}),
        ),
        (
            "the first status",
            Some(bare()),
            with_status(json!({"ready": false})),
            json!({"f:status": {".": {}, "f:ready": {}}}),
        ),
        (
            "another status",
            Some(with_status(json!({"ready": false}))),
            with_status(json!({"ready": true})),
            json!({"f:status": {"f:ready": {}}}),
        ),
        (
            "more of a spec",
            Some(bare()),
            of(json!({"name": "c"}), json!({"runStrategy": "Always", "template": {}})),
            json!({"f:spec": {"f:template": {}}}),
        ),
    ] {
        assert_eq!(fields(old.as_ref(), &new, &schema), want, "{name}");
    }
}
