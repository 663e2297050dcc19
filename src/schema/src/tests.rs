use crate::{ErrorList, ListType, Schema, from_openapi, prune, set_defaults, validate};
use serde_json::{Map, Value, json};

fn schema(openapi: Value) -> Schema {
    from_openapi(&openapi, "schema").unwrap_or_else(|e| panic!("{:?}", e.into_causes()))
}

fn of_spec(spec: Value) -> Schema {
    schema(json!({"type": "object", "properties": {"spec": spec}}))
}

fn faults(openapi: Value) -> Vec<String> {
    let errors = from_openapi(&openapi, "schema").map(|_| ErrorList::default()).unwrap_or_else(|e| e);
    errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

fn wrong(value: &Value, schema: &Schema) -> Vec<String> {
    let mut errors = ErrorList::default();
    validate(value, schema, &mut errors);
    errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

#[test]
fn what_is_not_structural_is_said_with_its_place() {
    let cases = [
        (
            "no type",
            json!({"type": "object", "properties": {"a": {}}}),
            "schema.properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            "no type at the root",
            json!({"properties": {}}),
            "schema.type: Required value: must not be empty at the root",
        ),
        (
            "no object",
            json!({"type": "string"}),
            "schema.type: Invalid value: \"string\": must be object at the root",
        ),
        (
            "a list without items",
            json!({"type": "object", "properties": {"a": {"type": "array"}}}),
            "schema.properties[a].items: Required value: must be specified",
        ),
        (
            "a type that there is not",
            json!({"type": "object", "properties": {"a": {"type": "text"}}}),
            "schema.properties[a].type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
        ),
        (
            "both kinds of fields",
            json!({"type": "object", "properties": {"a": {"type": "object",
            "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}}}),
            "schema.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            "look-around",
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?!b)a"}}}),
            "schema.properties[a].pattern: Invalid value: \"^(?!b)a\": must be a valid regular expression, but isn't: \
             error parsing regexp: invalid or unsupported Perl syntax: `(?!`",
        ),
        (
            "a reference",
            json!({"type": "object", "properties": {"a": {"type": "object", "$ref": "#/x"}}}),
            "schema.properties[a].$ref: Forbidden: $ref is not supported",
        ),
        (
            "a default in a junctor",
            json!({"type": "object", "properties": {"a": {"type": "string", "anyOf": [{"default": "x"}]}}}),
            "schema.properties[a].anyOf[0].default: Forbidden: must be empty to be structural",
        ),
        (
            "more than names",
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
            "schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
        (
            "a map without keys",
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}}}),
            "schema.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
    ];
    for (name, given, want) in cases {
        assert_eq!(faults(given), [want], "{name}");
    }
}

#[test]
fn a_schema_that_is_too_deep_is_refused() {
    let mut deep = json!({"type": "string"});
    for _ in 0..200 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(faults(deep)[0].ends_with("schemas may be at most 128 levels deep"));
}

#[test]
fn unknown_fields_are_dropped_and_named() {
    let schema = of_spec(json!({"type": "object", "properties": {
        "a": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"y": {"type": "string"}}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
    }}));
    let mut value = json!({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "n", "labels": {"a": "b"}}, "other": 1, "spec": {
        "a": "1", "b": "2", "list": [{"x": 1, "z": 2}], "map": {"k": {"y": "1", "n": 0}}, "free": {"anything": {"goes": 1}},
        "pod": {"kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}, "nam": 1, "ownerReferences": [{"x": 1}]}, "spec": {}}}});
    let mut dropped = prune(&mut value, &schema);
    dropped.sort();
    assert_eq!(
        dropped,
        [
            "other",
            "spec.b",
            "spec.list[0].z",
            "spec.map.k.n",
            "spec.pod.metadata.nam",
            "spec.pod.metadata.ownerReferences[0].x"
        ]
    );
    assert_eq!(value["spec"]["list"], json!([{"x": 1}]));
    assert_eq!(value["spec"]["free"], json!({"anything": {"goes": 1}}));
    assert_eq!(value["metadata"]["labels"]["a"], "b");
    assert_eq!(value["spec"]["pod"]["metadata"]["labels"]["a"], "b");
    assert!(prune(&mut value, &schema).is_empty(), "pruning twice is pruning once");
    let unknown: Map<String, Value> = (0..1000).map(|n| (format!("n{n}"), json!(1))).collect();
    let mut long = json!({"spec": {"map": {"k".repeat(1 << 20): unknown}}});
    assert_eq!(prune(&mut long, &schema).len(), 1, "each would have the long key");
    assert!(prune(&mut long, &schema).is_empty(), "and all are dropped");
}

#[test]
fn defaults_fill_gaps_from_the_outside_in() {
    let schema = of_spec(json!({"type": "object", "default": {}, "properties": {
        "replicas": {"type": "integer", "default": 1},
        "nested": {"type": "object", "default": {"x": 5}, "properties": {"x": {"type": "integer"}, "y": {"type": "string", "default": "why"}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer", "default": 80}}}},
        "maybe": {"type": "string", "nullable": true, "default": "there"},
    }}));
    let cases = [
        (
            "nothing was said",
            json!({}),
            json!({"spec": {"replicas": 1, "nested": {"x": 5, "y": "why"}, "maybe": "there"}}),
        ),
        (
            "what was said stays",
            json!({"spec": {"replicas": 3, "nested": {}, "list": [{}]}}),
            json!({"spec": {"replicas": 3, "nested": {"y": "why"}, "list": [{"port": 80}], "maybe": "there"}}),
        ),
        (
            "null is not set, unless it may be null",
            json!({"spec": {"replicas": null, "maybe": null, "nested": {"x": 1}}}),
            json!({"spec": {"replicas": 1, "maybe": null, "nested": {"x": 1, "y": "why"}}}),
        ),
    ];
    for (name, mut given, want) in cases {
        set_defaults(&mut given, &schema);
        assert_eq!(given, want, "{name}");
    }
}

#[test]
fn faults_are_said_in_the_words_that_clients_know() {
    let schema = of_spec(json!({"type": "object", "required": ["cron"], "properties": {
        "cron": {"type": "string", "pattern": r"^(\d+|\*)$"},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 10},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "name": {"type": "string", "maxLength": 3, "minLength": 1},
        "tags": {"type": "array", "maxItems": 2, "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "ports": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}, "x": {"type": "string"}}},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"]},
        "size": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "restored": {"x-kubernetes-int-or-string": true, "type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "either": {"type": "object", "properties": {"l": {"type": "string"}, "r": {"type": "string"}}, "oneOf": [{"required": ["l"]}, {"required": ["r"]}]},
    }}));
    let cases = [
        (json!({"cron": "*"}), None),
        (json!({}), Some("spec.cron: Required value")),
        (
            json!({"cron": "x"}),
            Some(r#"spec.cron: Invalid value: "x": spec.cron in body should match '^(\d+|\*)$'"#),
        ),
        (
            json!({"cron": 5}),
            Some(
                r#"spec.cron: Invalid value: "integer": spec.cron in body must be of type string: "integer""#,
            ),
        ),
        (
            json!({"cron": "*", "replicas": 11}),
            Some(
                "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
            ),
        ),
        (
            json!({"cron": "*", "replicas": 0}),
            Some(
                "spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
            ),
        ),
        (json!({"cron": "*", "replicas": 2.0}), None),
        (json!({"cron": "*", "restored": "1Gi"}), None),
        (
            json!({"cron": "*", "restored": 1}),
            Some(
                r#"spec.restored: Invalid value: "integer": spec.restored in body must be of type string: "integer""#,
            ),
        ),
        (
            json!({"cron": "*", "mode": "c"}),
            Some(r#"spec.mode: Unsupported value: "c": supported values: "a", "b""#),
        ),
        (json!({"cron": "*", "name": "long"}), Some("spec.name: Too long: may not be more than 3 bytes")),
        (
            json!({"cron": "*", "name": ""}),
            Some(r#"spec.name: Invalid value: "": spec.name in body should be at least 1 chars long"#),
        ),
        (json!({"cron": "*", "tags": ["a", "a"]}), Some(r#"spec.tags[1]: Duplicate value: "a""#)),
        (
            json!({"cron": "*", "tags": ["a", "b", "c"]}),
            Some("spec.tags: Too many: 3: must have at most 2 items"),
        ),
        (
            json!({"cron": "*", "ports": [{"port": 1}, {"port": 1, "x": "y"}]}),
            Some(r#"spec.ports[1]: Duplicate value: {"port":1}"#),
        ),
        (json!({"cron": "*", "size": "10%"}), None),
        (json!({"cron": "*", "size": 1}), None),
        (
            json!({"cron": "*", "size": true}),
            Some(
                r#"spec.size: Invalid value: "boolean": spec.size in body must be of type integer,string: "boolean""#,
            ),
        ),
        (
            json!({"cron": "*", "at": "yesterday"}),
            Some(
                r#"spec.at: Invalid value: "yesterday": spec.at in body must be of type date-time: "yesterday""#,
            ),
        ),
        (json!({"cron": "*", "either": {"l": "1"}}), None),
    ];
    for (spec, want) in cases {
        let found = wrong(&json!({"spec": spec}), &schema);
        assert_eq!(found, want.into_iter().map(str::to_owned).collect::<Vec<_>>(), "{spec}");
    }
}

#[test]
fn of_alternatives_the_closest_one_is_told() {
    let text = json!({"type": "string"});
    let a_or_b = json!([{"required": ["a"]}, {"required": ["b"]}]);
    let judged = |junctor: &str, of: Value, spec: Value| {
        let properties = json!({"a": text, "b": text, "c": {"type": "object", "properties": {"d": text}}});
        let mut schema = json!({"type": "object", "properties": properties});
        schema[junctor] = of;
        wrong(&json!({"spec": spec}), &of_spec(schema))
    };
    let none = "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found none valid";
    let cases = [
        ("oneOf", a_or_b.clone(), json!({}), vec![none, "spec.a: Required value"]),
        (
            "oneOf",
            a_or_b.clone(),
            json!({"a": "", "b": ""}),
            vec![
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
            ],
        ),
        ("oneOf", a_or_b.clone(), json!({"b": ""}), vec![]),
        (
            "anyOf",
            a_or_b.clone(),
            json!({}),
            vec![
                "<nil>: Invalid value: \"\": \"spec\" must validate at least one schema (anyOf)",
                "spec.a: Required value",
            ],
        ),
        ("anyOf", a_or_b.clone(), json!({"a": "", "b": ""}), vec![]),
        (
            "allOf",
            a_or_b.clone(),
            json!({"a": ""}),
            vec![
                "spec.b: Required value",
                "<nil>: Invalid value: \"\": \"spec\" must validate all the schemas (allOf)",
            ],
        ),
        (
            "allOf",
            a_or_b.clone(),
            json!({}),
            vec![
                "spec.a: Required value",
                "spec.b: Required value",
                "<nil>: Invalid value: \"\": \"spec\" must validate all the schemas (allOf). None validated",
            ],
        ),
        (
            "not",
            json!({"required": ["a"]}),
            json!({"a": ""}),
            vec!["<nil>: Invalid value: \"\": \"spec\" must not validate the schema (not)"],
        ),
        // the second has looked at a field more
        (
            "oneOf",
            json!([{"required": ["a"]}, {"required": ["b"], "properties": {"c": {"required": ["d"]}}}]),
            json!({"c": {}}),
            vec![none, "spec.b: Required value", "spec.c.d: Required value"],
        ),
    ];
    for (junctor, of, spec, want) in cases {
        assert_eq!(judged(junctor, of, spec.clone()), want, "{junctor}: {spec}");
    }
}

#[test]
fn what_the_root_asks_of_type_and_names_is_judged() {
    let narrow = json!({"type": "object", "required": ["apiVersion", "kind", "metadata", "spec"], "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string", "enum": ["Cron"]}, "spec": {"type": "object"},
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 4, "pattern": "^c"}}}}});
    let narrow = schema(narrow);
    let wide = json!({"type": "object", "required": ["spec"], "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}, "spec": {"type": "object"}}});
    assert!(narrow.judges_identity() && !schema(wide).judges_identity());
    let object = |kind: &str, name: &str| json!({"apiVersion": "a/v1", "kind": kind, "metadata": {"name": name}, "spec": {}});
    let cases = [
        ("all is there", object("Cron", "cron"), vec![]),
        (
            "nothing is there",
            json!({}),
            vec![
                "apiVersion: Required value",
                "kind: Required value",
                "metadata: Required value",
                "spec: Required value",
            ],
        ),
        (
            "a long name",
            object("Cron", "crons"),
            vec!["metadata.name: Too long: may not be more than 4 bytes"],
        ),
        (
            "another name",
            object("Cron", "a"),
            vec![r#"metadata.name: Invalid value: "a": metadata.name in body should match '^c'"#],
        ),
        (
            "another kind",
            object("Job", "c"),
            vec![r#"kind: Unsupported value: "Job": supported values: "Cron""#],
        ),
    ];
    for (name, given, want) in cases {
        assert_eq!(wrong(&given, &narrow), want, "{name}");
    }
}

#[test]
fn a_hostile_value_does_not_make_a_walk_deep() {
    let schema = of_spec(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": deep});
    }
    let mut value = json!({"spec": deep});
    assert!(prune(&mut value, &schema).is_empty());
    assert!(wrong(&value, &schema).is_empty());
}

#[test]
fn lists_are_known_by_their_place() {
    use api::apply::Structure;
    let schema = of_spec(json!({"type": "object", "properties": {
        "ports": {"type": "array", "items": {"type": "object", "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
            "sub": {"type": "object", "x-kubernetes-map-type": "atomic"}}},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]},
        "plain": {"type": "array", "items": {"type": "string"}},
    }}));
    assert_eq!(
        schema.properties["spec"].properties["ports"].list,
        ListType::Map(vec!["port".into(), "protocol".into()])
    );
    assert_eq!(schema.list(&["spec", "ports"]), api::apply::ListType::map(&["port", "protocol"]));
    assert_eq!(schema.list(&["spec", "plain"]), api::apply::ListType::Atomic);
    assert_eq!(schema.list(&["metadata", "finalizers"]), api::apply::ListType::Set);
    assert!(schema.is_atomic(&["spec", "ports", "sub"]));
    assert_eq!(schema.default_of(&["spec", "ports"], "protocol"), Some(json!("TCP")));
}

#[test]
fn fields_are_declared_by_the_schema_or_free() {
    use api::apply::Structure;
    let custom = of_spec(json!({"type": "object", "properties": {
        "known": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"y": {"type": "string"}}}},
        "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"z": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        "empty": {"type": "object"},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
    }}));
    let deployment = crate::table::named("apps.v1.Deployment").unwrap();
    for (schema, declared, undeclared) in [
        (
            &custom,
            "apiVersion kind metadata.labels.any spec.known spec.list.x spec.map.k.y spec.kept.w spec.empty.any spec.pod.kind \
             spec.pod.metadata.name spec.pod.spec.any",
            "other metadata.other spec.other spec.list.other spec.map.k.other spec.kept.z.other spec.pod.other spec.pod.metadata.other",
        ),
        (
            deployment,
            "kind metadata.annotations.any spec.replicas spec.template.spec.containers.env.name \
             spec.template.spec.containers.resources.limits.cpu spec.template.spec.volumes.ephemeral.volumeClaimTemplate.metadata.name",
            "other metadata.other spec.kind spec.template.metadata.other spec.template.spec.containers.imag",
        ),
    ] {
        for (paths, want) in [(declared, true), (undeclared, false)] {
            for path in paths.split_whitespace() {
                let names: Vec<&str> = path.split('.').collect();
                assert_eq!(schema.declares(&names), want, "{path}");
            }
        }
    }
}

#[test]
fn what_was_wrong_before_and_did_not_change_is_let_be() {
    let schema = of_spec(json!({"type": "object", "properties": {
        "a": {"type": "string", "maxLength": 2},
        "b": {"type": "string", "maxLength": 2},
        "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 1}}},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
    }}));
    let old = json!({"spec": {"a": "long", "b": "ok", "list": [{"k": "x", "v": 9}]}});
    let cases = [
        (
            "nothing of it changed",
            json!({"spec": {"a": "long", "b": "no", "list": [{"k": "y", "v": 1}, {"k": "x", "v": 9}]}}),
            vec![],
        ),
        ("it changed", json!({"spec": {"a": "longer", "b": "ok"}}), vec!["spec.a"]),
        ("an item changed", json!({"spec": {"list": [{"k": "x", "v": 8}]}}), vec!["spec.list[0].v"]),
    ];
    for (name, new, want) in cases {
        let mut errors = ErrorList::default();
        crate::validate_update(&new, &old, &schema, &mut errors);
        let found: Vec<String> = errors.into_causes().into_iter().map(|c| c.field).collect();
        assert_eq!(found, want, "{name}");
    }
}

/// One by one it would be ten thousand million comparisons.
#[test]
fn items_of_long_lists_are_found_again_by_their_keys() {
    let schema = of_spec(
        json!({"type": "object", "properties": {"list": {"type": "array", "items": {"type": "object", "properties": {
        "k": {"type": "string"}, "n": {"type": "integer"}, "v": {"type": "integer", "maximum": 1}}},
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "n"]}}}),
    );
    let item = |n: usize, v: u8| json!({"k": format!("a,{n}"), "n": n, "v": v});
    let old = json!({"spec": {"list": (0..100_000).map(|n| item(n, 9)).collect::<Vec<_>>()}});
    let mut list: Vec<Value> = (0..100_000).rev().map(|n| item(n, 9)).collect();
    list[10] = item(99_989, 8);
    list[20] = json!({"k": "a,99979", "v": 9});
    let mut errors = ErrorList::default();
    crate::validate_update(&json!({"spec": {"list": list}}), &old, &schema, &mut errors);
    let found: Vec<String> = errors.into_causes().into_iter().map(|c| c.field).collect();
    assert_eq!(found, ["spec.list[10].v", "spec.list[20].v"]);
}

#[test]
fn patterns_are_compiled_until_enough_of_them_are_refused() {
    let properties = (0..30).map(|n| (format!("p{n}"), json!({"type": "string", "pattern": "("})));
    let properties: serde_json::Map<_, _> = properties.collect();
    let schema = json!({"type": "object", "properties": properties});
    assert_eq!(from_openapi(&schema, "schema").unwrap_err().len(), 10);
}
