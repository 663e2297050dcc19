//! An image's configuration as it is found: programs of all ages wrote some, and Docker, for which they were written, takes
//! null for what is not said, and what is not said for its own.

use crate::document_bounds::check_values;
use crate::error::{ImageError, Result};
use crate::platform::architecture;
use serde_json::{Map, Value, json};

/// The document as one that says everything would be.
///
/// # Errors
/// It is no configuration of an image, or one of too many values.
pub(crate) fn read(bytes: &[u8]) -> Result<Value> {
    check_values("image configuration", bytes)?;
    let mut config: Map<String, Value> = serde_json::from_slice(bytes)
        .map_err(|e| ImageError::Refused(format!("broken image configuration: {e}")))?;
    without_nulls(&mut config);
    let Some(Value::Object(rootfs)) = config.get_mut("rootfs") else {
        return Err(ImageError::Refused("invalid image JSON, no RootFS key".into()));
    };
    without_nulls(rootfs);
    or(rootfs, "type", "layers");
    rootfs.entry("diff_ids").or_insert_with(|| json!([]));
    or(&mut config, "os", "linux");
    or(&mut config, "architecture", architecture());
    if let Some(Value::Array(history)) = config.get_mut("history") {
        history.iter_mut().filter_map(Value::as_object_mut).for_each(without_nulls);
    }
    if let Some(Value::Object(run)) = config.get_mut("config") {
        without_nulls(run);
        for (name, nothing) in [("ExposedPorts", json!({})), ("Volumes", json!({})), ("Labels", json!(""))] {
            let Some(Value::Object(map)) = run.get_mut(name) else { continue };
            map.values_mut().filter(|value| value.is_null()).for_each(|value| *value = nothing.clone());
        }
        if let Some(Value::Object(check)) = run.get_mut("Healthcheck") {
            without_nulls(check);
        }
    }
    Ok(Value::Object(config))
}

fn without_nulls(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
}

/// Where it is not said, or said to be nothing.
fn or(members: &mut Map<String, Value>, name: &str, usual: &str) {
    let said = members.get(name).is_some_and(|value| value.as_str() != Some(""));
    if !said {
        members.insert(name.to_owned(), usual.into());
    }
}

#[cfg(test)]
mod tests {
    use crate::manifest::parse_config;
    use crate::save::document;
    use serde_json::json;

    #[test]
    fn what_is_null_or_missing_is_as_if_it_were_not_said() {
        let whole = || {
            json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["a"]}, "history": [{"created_by": "x"}],
                "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", "a".repeat(64))]}})
        };
        for (name, at, given) in [
            ("whole", "/config/Cmd", json!(["a"])),
            ("no layers", "/rootfs/diff_ids", json!(null)),
            ("no kind of layers", "/rootfs/type", json!("")),
            ("no layers and no kind", "/rootfs", json!({})),
            ("no history", "/history", json!(null)),
            ("an empty line of history", "/history/0", json!({"created_by": null, "comment": null})),
            ("no configuration", "/config", json!(null)),
            ("no machine", "/architecture", json!(null)),
            ("no system", "/os", json!("")),
            (
                "maps",
                "/config",
                json!({"ExposedPorts": {"80/tcp": null}, "Volumes": {"/v": null}, "Labels": {"l": null}}),
            ),
            (
                "nothing",
                "/config",
                json!({"User": null, "WorkingDir": null, "Env": null, "Labels": null, "Volumes": null}),
            ),
            ("a check", "/config", json!({"Healthcheck": {"Test": null, "Interval": null}})),
        ] {
            let mut said = whole();
            *said.pointer_mut(at).unwrap() = given;
            let bytes = serde_json::to_vec(&said).unwrap();
            let (read, shown) = (parse_config(&bytes), document(&bytes));
            assert!(read.is_ok() && shown.is_ok(), "{name}: {:?} {shown:?}", read.err());
            let shown = shown.unwrap();
            assert_eq!((shown.os.as_str(), shown.architecture.as_str()), ("linux", "amd64"), "{name}");
        }
        let none = parse_config(br#"{"os": "linux"}"#).unwrap_err();
        assert_eq!(none.to_string(), "invalid image JSON, no RootFS key");
    }
}
