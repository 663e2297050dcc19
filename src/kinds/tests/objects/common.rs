//! An object as the write path makes it, without a cluster around it.

use kinds::{Errors, FieldValidation, Handler, Instance, Registry};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn handler(registry: &Registry, object: &Value) -> Arc<dyn Handler> {
    let text = |key: &str| object[key].as_str().map(str::to_owned);
    let (version, kind) = (text("apiVersion").unwrap(), text("kind").unwrap());
    let served = registry.iter().find(|handler| {
        let gvk = &handler.info().gvk;
        gvk.api_version() == version && *gvk.kind == *kind
    });
    served.expect("a kind that is served").clone()
}

/// Decoded, and with its defaults.
pub fn defaulted(handler: &dyn Handler, object: &Value) -> Box<dyn Instance> {
    let json = serde_json::to_vec(object).unwrap();
    let mut made = handler.decode(&json, FieldValidation::Strict).expect("it can be decoded").instance;
    made.set_defaults();
    made
}

pub fn created(handler: &dyn Handler, object: &Value) -> Box<dyn Instance> {
    let mut made = defaulted(handler, object);
    if handler.info().scope == kinds::Scope::Namespaced {
        made.meta_mut().namespace.get_or_insert_with(|| "default".to_owned());
    }
    made.prepare_create();
    made
}

/// What is wrong with a new object: `spec.replicas: Invalid value: -1: must be …`.
pub fn faults(handler: &dyn Handler, made: &dyn Instance) -> Vec<String> {
    let mut errors = Errors::default();
    kinds::validate_meta(handler, made.meta(), &mut errors);
    made.validate(&mut errors);
    made.validate_create(&mut errors);
    handler.validate_version(made, None, &mut errors);
    told(errors)
}

pub fn told(errors: Errors) -> Vec<String> {
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
