use crate::{
    conditions, kinds_of, kinds_without_schemas, measured_kinds_of, measured_kinds_of_stored, names,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::{ErrorList, FieldValidation, Subresource, Version};
use serde_json::{Value, json};
use std::sync::Arc;

fn definition() -> CustomResourceDefinition {
    serde_json::from_value(json!({
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "listKind": "CronTabList", "shortNames": ["ct"]},
            "versions": [
                {"name": "v1", "served": true, "storage": true,
                 "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["cronSpec"], "properties": {
                        "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)( (\\d+|\\*)){4}$"},
                        "image": {"type": "string", "default": "busybox"},
                        "replicas": {"type": "integer", "minimum": 1, "maximum": 10}}},
                    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}}}},
                 "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
                 "additionalPrinterColumns": [
                    {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                 "selectableFields": [{"jsonPath": ".spec.image"}]},
                {"name": "v1beta1", "served": true, "storage": false, "deprecated": true,
                 "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
                {"name": "v0", "served": false, "storage": false,
                 "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})).unwrap()
}

fn versions() -> Vec<Arc<Version>> {
    kinds_of(&definition()).unwrap()
}

fn decode(version: &Version, object: &Value) -> Box<dyn kinds::Instance> {
    version.decode(object.to_string().as_bytes(), FieldValidation::Strict).unwrap().instance
}

fn cron(spec: Value) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "a", "namespace": "d"}, "spec": spec})
}

#[test]
fn what_is_stored_is_served_alike() {
    let mut definition = definition();
    definition.spec.versions[1].schema = None;
    definition.spec.versions[1].served = false;
    let stored = serde_json::to_vec(&definition).unwrap();
    let (want, size) = measured_kinds_of(&definition).unwrap();
    let (got, read) = measured_kinds_of_stored(&stored).unwrap();
    assert_eq!((got.len(), read), (want.len(), size));
    let told = |version: &Version| {
        let published: Value = serde_json::from_str(version.published_schema().unwrap()).unwrap();
        let mut object = decode(version, &cron(json!({"cronSpec": "* * * * *"})));
        object.set_defaults();
        (
            format!("{:?} {:?}", version.info().gvk, version.info().subresources),
            published,
            version.columns().len(),
            version.selects_by("spec.image"),
            object.field("spec.image"),
        )
    };
    assert_eq!(told(&got[0]), told(&want[0]));
    assert_eq!(got[0].columns().len(), 4, "what stands beside the schema is read too");
    for (name, edit, want) in [
        ("none", json!({"openAPIV3Schema": null}), "version v1 has no schema"),
        ("nothing", Value::Null, "version v1 has no schema"),
        (
            "no structure",
            json!({"openAPIV3Schema": {"type": "string"}}),
            "openAPIV3Schema.type: Invalid value",
        ),
    ] {
        let mut stored = serde_json::to_value(&definition).unwrap();
        stored["spec"]["versions"][0]["schema"] = edit;
        let refused = measured_kinds_of_stored(stored.to_string().as_bytes()).err().unwrap_or_default();
        assert!(refused.starts_with(want), "{name}: {refused}");
    }
    assert!(measured_kinds_of_stored(b"{").is_err());
}

#[test]
fn what_is_served_is_a_kind() {
    let versions = versions();
    let names: Vec<String> = versions.iter().map(|v| v.info().gvk.version.to_string()).collect();
    assert_eq!(names, ["v1", "v1beta1"]);
    let mut converted = definition();
    converted.spec.conversion = serde_json::from_value(json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://localhost/convert"}}}))
    .unwrap();
    let converted = kinds_of(&converted).unwrap();
    let names: Vec<String> = converted.iter().map(|v| v.info().gvk.version.to_string()).collect();
    assert_eq!(names, ["v1", "v1beta1"]);
    assert!(versions.iter().all(|version| version.conversion().is_none()));
    let stored = converted.iter().map(|h| h.conversion().unwrap().stored_version.as_str());
    assert_eq!(stored.collect::<Vec<_>>(), ["stable.example.com/v1", "stable.example.com/v1"]);
    let registry = kinds::all().with(converted.clone());
    assert_eq!(registry.kind(&converted[1].info().storage).unwrap().stored().info().gvk.version, "v1");
    // it is of its own version until the webhook has converted it
    let older = cron(json!({"cronSpec": "* * * * *"})).to_string().replace("/v1", "/v1beta1");
    let older = converted[1].decode(older.as_bytes(), FieldValidation::Ignore).unwrap().instance;
    let encoded = older.encode().unwrap().stamp(api::ResourceVersion(1));
    let encoded: Value = encoded.decode().unwrap();
    assert_eq!(encoded["apiVersion"], "stable.example.com/v1beta1");
    let info = versions[0].info();
    assert!(info.has_subresource(Subresource::Status) && info.has_subresource(Subresource::Scale));
    assert_eq!(info.short_names, ["ct"]);
    assert_eq!(versions[1].deprecation(), Some("stable.example.com/v1beta1 CronTab is deprecated"));
    assert!(versions[0].selects_by("spec.image") && !versions[0].selects_by("spec.cronSpec"));
}

#[test]
fn an_object_is_pruned_defaulted_and_validated() {
    let version = &versions()[0];
    let given = cron(json!({"cronSpec": "* * * * *", "unknown": 1}));
    let strict = version.decode(given.to_string().as_bytes(), FieldValidation::Strict);
    assert_eq!(
        strict.err().map(|e| e.message).unwrap(),
        "CronTab in version \"v1\" cannot be handled as a CronTab: strict decoding error: unknown field \"spec.unknown\""
    );
    let decoded = version.decode(given.to_string().as_bytes(), FieldValidation::Warn).unwrap();
    assert_eq!(decoded.warnings, ["unknown field \"spec.unknown\""]);
    let mut object = decoded.instance;
    object.set_defaults();
    assert_eq!(object.field("spec.image"), "busybox");
    let mut errors = ErrorList::default();
    object.validate(&mut errors);
    assert!(errors.is_empty());

    let mut errors = ErrorList::default();
    decode(version, &cron(json!({"cronSpec": "x", "replicas": 15}))).validate(&mut errors);
    let fields: Vec<String> = errors.into_causes().into_iter().map(|c| c.field).collect();
    assert_eq!(fields, ["spec.cronSpec", "spec.replicas"]);
}

#[test]
fn a_schema_may_ask_for_the_metadata_and_narrow_the_name() {
    let mut definition = definition();
    let schema = definition.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    let mut value = serde_json::to_value(&*schema).unwrap();
    value["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    value["properties"]["metadata"] =
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}});
    *schema = serde_json::from_value(value).unwrap();
    let version = &kinds_of(&definition).unwrap()[0];
    let told = |name: &str, replicas: i32, old: Option<&dyn kinds::Instance>| {
        let mut object = cron(json!({"cronSpec": "* * * * *", "replicas": replicas}));
        object["metadata"]["name"] = name.into();
        let mut object = decode(version, &object);
        if let Some(old) = old {
            object.prepare_update(old);
        }
        let mut errors = ErrorList::default();
        object.validate(&mut errors);
        errors.into_causes().into_iter().map(|cause| cause.field).collect::<Vec<_>>()
    };
    assert_eq!(told("abc", 1, None), [""; 0]);
    assert_eq!(told("long", 1, None), ["metadata.name"]);
    // a name that is there already stays
    let mut long = cron(json!({"cronSpec": "* * * * *"}));
    long["metadata"]["name"] = "long".into();
    let long = decode(version, &long);
    assert_eq!(told("long", 2, Some(&*long)), [""; 0]);
    assert_eq!(told("long", 11, Some(&*long)), ["spec.replicas"]);
}

#[test]
fn rules_are_asked_of_what_has_the_right_form() {
    let mut definition = definition();
    let schema = definition.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    let mut value = serde_json::to_value(&*schema).unwrap();
    value["x-kubernetes-validations"] =
        json!([{"rule": "self.metadata.name != 'forbidden'", "message": "not that name"}]);
    value["properties"]["spec"]["x-kubernetes-validations"] =
        json!([{"rule": "!has(self.replicas) || self.replicas % 2 == 0", "message": "even only"}]);
    value["properties"]["status"]["x-kubernetes-validations"] = json!([{"rule": "self.replicas < 5"}]);
    *schema = serde_json::from_value(value).unwrap();
    let version = &kinds_of(&definition).unwrap()[0];
    let told = |object: &dyn kinds::Instance| {
        let mut errors = ErrorList::default();
        object.validate(&mut errors);
        errors.into_causes().into_iter().map(|cause| cause.message).collect::<Vec<_>>()
    };
    let odd = decode(version, &cron(json!({"cronSpec": "* * * * *", "replicas": 3})));
    assert_eq!(told(&*odd), ["Invalid value: \"object\": even only"]);
    let malformed = decode(version, &cron(json!({"cronSpec": "x", "replicas": 3})));
    assert!(told(&*malformed).iter().all(|message| !message.contains("even only")));
    let mut named = cron(json!({"cronSpec": "* * * * *"}));
    named["metadata"]["name"] = "forbidden".into();
    assert_eq!(told(&*decode(version, &named)), ["Invalid value: \"object\": not that name"]);
    // what was stored before the rule came may be changed elsewhere, and the status is judged too
    let stored = odd.encode().unwrap().stamp(api::ResourceVersion(7));
    let old = version.decode_stored(&stored).unwrap();
    assert!(told(&*old).is_empty());
    let mut status = decode(version, &cron(json!({"cronSpec": "* * * * *", "replicas": 3})));
    status.prepare_status_update(&*old);
    let mut errors = ErrorList::default();
    status.validate_status_update(&*old, &mut errors);
    assert!(errors.is_empty(), "{:?}", errors.into_causes());
    let mut with_status = cron(json!({"cronSpec": "* * * * *", "replicas": 3}));
    with_status["status"] = json!({"replicas": 9});
    let mut status = decode(version, &with_status);
    status.prepare_status_update(&*old);
    let mut errors = ErrorList::default();
    status.validate_status_update(&*old, &mut errors);
    assert_eq!(errors.len(), 1);
}

#[test]
fn the_status_is_written_by_itself_and_makes_no_generation() {
    let version = &versions()[0];
    let mut old = decode(version, &cron(json!({"cronSpec": "* * * * *"})));
    old.prepare_create();
    let mut with_status = cron(json!({"cronSpec": "1 * * * *"}));
    with_status["status"] = json!({"replicas": 3});
    let mut by_update = decode(version, &with_status);
    by_update.prepare_update(&*old);
    assert_eq!(by_update.scale().unwrap().current, None, "the status stays");
    assert!(by_update.generation_changes(&*old));
    let mut by_status = decode(version, &with_status);
    by_status.meta_mut().labels = Some([("a".to_owned(), "b".to_owned())].into());
    by_status.prepare_status_update(&*old);
    assert_eq!(by_status.scale().unwrap().current, Some(3));
    assert_eq!(by_status.meta().labels, None, "the labels stay");
    assert!(!by_status.generation_changes(&*old), "the spec stays");
}

#[test]
fn it_is_stored_in_one_version_and_shown_in_each() {
    let versions = versions();
    let beta = json!({"apiVersion": "stable.example.com/v1beta1", "kind": "CronTab", "metadata": {"name": "a", "namespace": "d"}, "spec": {"x": 1}});
    let stored = decode(&versions[1], &beta).encode().unwrap().stamp(api::ResourceVersion(7));
    let version_of = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["apiVersion"].clone();
    assert_eq!(version_of(stored.bytes()), "stable.example.com/v1");
    assert_eq!(version_of(&versions[0].present(stored.bytes())), "stable.example.com/v1");
    assert_eq!(version_of(&versions[1].present(stored.bytes())), "stable.example.com/v1beta1");
}

#[test]
fn columns_end_before_one_whose_path_can_not_be_read() {
    let mut definition = definition();
    let columns = definition.spec.versions[0].additional_printer_columns.as_mut().unwrap();
    columns[1].json_path = ".spec.replicas]".to_owned();
    let version = &kinds_of(&definition).unwrap()[0];
    let columns: Vec<&str> = version.columns().iter().map(|c| c.name.as_ref()).collect();
    assert_eq!(columns, ["Name", "Spec"]);
}

#[test]
fn a_column_that_is_not_described_is_by_its_path() {
    let mut definition = definition();
    let columns = definition.spec.versions[0].additional_printer_columns.as_mut().unwrap();
    columns[0].description = Some("When it runs".to_owned());
    columns[1].description = Some(String::new());
    columns[1].priority = Some(1);
    let version = &kinds_of(&definition).unwrap()[0];
    let told: Vec<(&str, i32)> =
        version.columns().iter().skip(1).map(|c| (c.description.as_ref(), c.priority)).collect();
    let by_path = "Custom resource definition column (in JSONPath format): ";
    assert_eq!(
        told,
        [
            ("When it runs", 0),
            (format!("{by_path}.spec.replicas").as_str(), 1),
            (format!("{by_path}.metadata.creationTimestamp").as_str(), 0),
        ]
    );
}

#[test]
fn rows_and_scales_come_by_path() {
    let version = &versions()[0];
    let mut object = decode(version, &cron(json!({"cronSpec": "* * * * *", "replicas": 2})));
    object.meta_mut().creation_timestamp = Some(Time("2026-01-01T00:00:00Z".parse().unwrap()));
    let columns: Vec<&str> = version.columns().iter().map(|c| c.name.as_ref()).collect();
    assert_eq!(columns, ["Name", "Spec", "Replicas", "Age"]);
    assert_eq!(
        object.row("2026-01-01T00:01:00Z".parse().unwrap()),
        [json!("a"), json!("* * * * *"), json!(2), json!("60s")]
    );
    let mut scale = kinds::scale::of(&*object).unwrap();
    assert_eq!(scale.spec.as_ref().unwrap().replicas, Some(2));
    scale.spec.as_mut().unwrap().replicas = Some(5);
    kinds::scale::set(&mut *object, &scale).unwrap();
    assert_eq!(kinds::scale::of(&*object).unwrap().spec.unwrap().replicas, Some(5));
}

#[test]
fn names_belong_to_one_definition_of_a_group() {
    let cases: [(&str, &dyn Fn(&mut CustomResourceDefinition), Option<(&str, &str)>); 4] = [
        ("the same", &|_| {}, Some(("PluralConflict", "\"crontabs\" is already in use"))),
        ("another group", &|d| d.spec.group = "other.example.com".into(), None),
        (
            "the kind",
            &|d| {
                d.spec.names.plural = "xs".into();
                d.spec.names.singular = Some("x".into());
                d.spec.names.short_names = None;
            },
            Some(("KindConflict", "\"CronTab\" is already in use")),
        ),
        (
            "a short name",
            &|d| {
                d.spec.names.plural = "xs".into();
                d.spec.names.singular = Some("ct".into());
            },
            Some(("SingularConflict", "\"ct\" is already in use")),
        ),
    ];
    for (name, change, want) in cases {
        let mut second = definition();
        change(&mut second);
        let found = names::conflict(&second, [&definition()]);
        let found = found.as_ref().map(|c| (c.reason, c.message.as_str()));
        assert_eq!(found, want, "{name}");
    }
}

#[test]
fn conditions_say_how_far_a_definition_is() {
    let now = Time("2026-01-01T00:00:00Z".parse().unwrap());
    let mut definition = definition();
    let status = conditions::after_acceptance(&definition, None, Ok(()), &now).unwrap();
    assert_eq!(status.stored_versions.as_deref(), Some(&["v1".to_owned()][..]));
    definition.status = Some(status);
    assert!(conditions::is_true(&definition, conditions::ESTABLISHED));
    assert_eq!(conditions::after_acceptance(&definition, None, Ok(()), &now), None, "nothing is new");
    let conflict = names::Conflict { reason: "KindConflict", message: "taken".into() };
    definition.status = conditions::after_acceptance(&definition, Some(&conflict), Ok(()), &now);
    assert!(conditions::is_true(&definition, conditions::ESTABLISHED), "what was served goes on");
    assert!(!conditions::is_true(&definition, conditions::NAMES_ACCEPTED));
    definition.status = conditions::while_deleting(&definition, conditions::Cleanup::Going, &now);
    assert!(conditions::is_true(&definition, conditions::TERMINATING));
}

#[test]
fn what_was_stored_before_a_default_came_is_read_with_it() {
    let stored = decode(&versions()[0], &cron(json!({"cronSpec": "* * * * *", "replicas": 2})));
    let stored = stored.encode().unwrap().stamp(api::ResourceVersion(7));
    // of version 1, in which it is stored, and of another
    let served = |image: [Value; 2]| {
        let mut definition = definition();
        for (version, image) in definition.spec.versions.iter_mut().zip(image) {
            let spec =
                json!({"type": "object", "properties": {"cronSpec": {"type": "string"}, "image": image}});
            let schema = json!({"type": "object", "properties": {"spec": spec}});
            version.schema.as_mut().unwrap().open_api_v3_schema = serde_json::from_value(schema).unwrap();
        }
        kinds_of(&definition).unwrap()
    };
    let image = |default: &str| json!({"type": "string", "default": default});
    for version in served([image("one"), image("beta")]) {
        let shown: Value = serde_json::from_slice(&version.present(stored.bytes())).unwrap();
        assert_eq!(shown["spec"], json!({"cronSpec": "* * * * *", "image": "one"}));
        assert_eq!(shown["apiVersion"], version.info().gvk.api_version());
        assert_eq!(shown["metadata"]["resourceVersion"], "7");
        assert_eq!(
            version
                .decode_stored(&stored)
                .unwrap()
                .encode()
                .unwrap()
                .stamp(api::ResourceVersion(7))
                .decode::<Value>()
                .unwrap()["spec"],
            shown["spec"]
        );
    }
    let without = served([json!({"type": "string"}), json!({"type": "string"})]);
    assert_eq!(without[0].present(stored.bytes()), *stored.bytes(), "nobody reads what has no defaults");
}

#[test]
fn what_has_no_memory_is_not_established_and_its_objects_are_found() {
    let now = Time("2026-01-01T00:00:00Z".parse().unwrap());
    let mut definition = definition();
    definition.status = conditions::after_acceptance(&definition, None, Ok(()), &now);
    definition.status = conditions::without_memory(&definition, "no room", &now);
    assert!(!conditions::is_true(&definition, conditions::ESTABLISHED));
    assert!(conditions::is_true(&definition, conditions::NAMES_ACCEPTED));
    assert_eq!(conditions::without_memory(&definition, "no room", &now), None, "nothing is new");
    definition.status = conditions::after_acceptance(&definition, None, Ok(()), &now);
    assert!(conditions::is_true(&definition, conditions::ESTABLISHED), "there is room again");
    let (kinds, bytes) = measured_kinds_of(&definition).unwrap();
    let without = kinds_without_schemas(&definition);
    let storages =
        |kinds: &[Arc<Version>]| kinds.iter().map(|kind| kind.info().storage.clone()).collect::<Vec<_>>();
    assert_eq!(storages(&without), storages(&kinds));
    let written = kinds.iter().filter_map(|kind| kind.published_schema()).map(str::len).sum::<usize>();
    assert!(bytes > 2 * written, "{bytes} for {written} in JSON");
    let object = decode(&without[0], &cron(json!({"cronSpec": "x", "anything": 1})));
    assert_eq!(object.meta().name.as_deref(), Some("a"));
}
