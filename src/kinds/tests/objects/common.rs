//! An object as the write path makes it, without a cluster around it.

use kinds::{ErrorList, FieldValidation, Instance, Registry, Version};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn version(registry: &Registry, object: &Value) -> Arc<Version> {
    let text = |key: &str| object[key].as_str().unwrap();
    let gvk = api::Gvk::parse(text("apiVersion"), text("kind"));
    registry.by_gvk(&gvk).expect("a kind that is served")
}

/// Decoded, and with its defaults.
pub fn defaulted(version: &Version, object: &Value) -> Box<dyn Instance> {
    let json = serde_json::to_vec(object).unwrap();
    let mut made = version.decode(&json, FieldValidation::Strict).expect("it can be decoded").instance;
    made.set_defaults();
    made
}

pub fn created(version: &Version, object: &Value) -> Box<dyn Instance> {
    let mut made = defaulted(version, object);
    if version.info().scope == kinds::Scope::Namespaced {
        made.meta_mut().namespace.get_or_insert_with(|| "default".to_owned());
    }
    made.prepare_create();
    made
}

/// What is wrong with a new object: `spec.replicas: Invalid value: -1: must be …`.
pub fn faults(version: &Version, made: &dyn Instance) -> Vec<String> {
    let mut errors = ErrorList::default();
    kinds::validate_meta(version, made.meta(), &mut errors);
    made.validate(&mut errors);
    made.validate_create(&mut errors);
    version.validate_version(made, None, &mut errors);
    told(errors)
}

/// What an update of the status is told; `patch` is merged into the old object.
pub fn status_update(old: &Value, patch: &Value) -> Vec<String> {
    let registry = kinds::all();
    let version = version(&registry, old);
    let mut object = old.clone();
    merge(&mut object, patch);
    let (before, mut new) = (defaulted(&version, old), defaulted(&version, &object));
    Instance::prepare_status_update(&mut *new, &*before);
    let mut errors = ErrorList::default();
    new.validate_status_update(&*before, &mut errors);
    told(errors)
}

pub fn told(errors: ErrorList) -> Vec<String> {
    errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

pub fn json(made: &dyn Instance) -> Value {
    let draft = made.encode().unwrap();
    let stored = draft.stamp(api::ResourceVersion(0));
    let mut value: Value = serde_json::from_slice(stored.bytes()).unwrap();
    value["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    value
}

/// A table in a file, a case in each line.
pub fn table(name: &str) -> (PathBuf, Vec<Value>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    (path, cases)
}

/// Compares what is wanted with what is got, case by case; `UPDATE_GOLDEN=1` writes the table anew.
pub fn golden(name: &str, field: &str, get: impl Fn(&Value) -> Value) {
    let (path, cases) = table(name);
    let got: Vec<(Value, Value)> = cases
        .into_iter()
        .map(|case| {
            let value = get(&case);
            (case, value)
        })
        .collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let lines = got.into_iter().map(|(mut case, value)| {
            case[field] = value;
            format!("{case}\n")
        });
        return std::fs::write(path, lines.collect::<String>()).unwrap();
    }
    for (case, value) in got {
        assert_eq!(value, case[field], "{}", case["name"]);
    }
}

pub fn merge(value: &mut Value, patch: &Value) {
    match (value, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (key, patch) in patch {
                match patch {
                    Value::Null => drop(fields.remove(key)),
                    patch => merge(fields.entry(key).or_insert(Value::Null), patch),
                }
            }
        }
        (value, patch) => *value = patch.clone(),
    }
}

pub fn check(name: &str, said: &[String], want: &str) {
    match want {
        "" => assert_eq!(said, [""; 0], "{name}"),
        want => assert!(said.iter().any(|text| text.contains(want)), "{name}: {said:?}"),
    }
}

pub fn pod(spec: &Value) -> Value {
    let mut object = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "image": "x"}]}});
    merge(&mut object["spec"], spec);
    object
}

/// With an address of its own.
pub fn service(spec: &Value) -> Value {
    let mut object = serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}], "clusterIP": "10.96.0.10",
            "clusterIPs": ["10.96.0.10"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}});
    merge(&mut object["spec"], spec);
    object
}
