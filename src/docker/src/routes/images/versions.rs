//! An image's inspection as the versions of the API differ in it.

use crate::api_version::Version;
use serde_json::{Map, Value, json};

/// What programs look for by name: said as null where an image does not have it.
const ALWAYS: [&str; 4] = ["Entrypoint", "Labels", "OnBuild", "Volumes"];

/// Adds and takes away what a client of that version knows.
pub(super) fn fit(shown: &mut Value, version: Version) {
    let Value::Object(shown) = shown else { return };
    if let Some(Value::Object(config)) = shown.get_mut("Config") {
        fit_config(config, version);
    }
    fit_size(shown, version);
    if version < (1, 45) {
        let mut config = Map::new();
        fit_config(&mut config, version);
        shown.insert("Container".to_owned(), json!(""));
        shown.insert("ContainerConfig".to_owned(), config.into());
    }
}

/// The same for an image of a list.
pub(super) fn fit_listed(shown: &mut Value, version: Version) {
    if let Value::Object(shown) = shown {
        fit_size(shown, version);
    }
}

/// It was the size with all layers, when the size was without those below.
fn fit_size(shown: &mut Map<String, Value>, version: Version) {
    if version >= (1, 44) {
        shown.remove("VirtualSize");
    }
}

fn fit_config(config: &mut Map<String, Value>, version: Version) {
    for name in ALWAYS {
        config.entry(name).or_insert(Value::Null);
    }
    // an image's configuration was that of a container, of which an image never says anything
    if version < (1, 50) {
        let texts = ["Hostname", "Domainname", "User", "WorkingDir", "Image"].map(|name| (name, json!("")));
        let flags = ["AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"];
        let lists = ["Cmd", "Env"].map(|name| (name, Value::Null));
        for (name, nothing) in texts.into_iter().chain(flags.map(|name| (name, json!(false)))).chain(lists) {
            config.entry(name).or_insert(nothing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_versions_show() {
        let image = json!({"Id": "a", "VirtualSize": 5, "Config": {"Cmd": ["sh"], "Labels": {"x": "y"}}});
        for (version, has, has_not) in [
            (
                (1, 51),
                vec!["/Config/OnBuild", "/Config/Volumes"],
                vec!["/Config/Tty", "/VirtualSize", "/Container"],
            ),
            ((1, 49), vec!["/Config/Tty", "/Config/Hostname"], vec!["/VirtualSize", "/ContainerConfig"]),
            ((1, 44), vec!["/ContainerConfig/Cmd", "/Container"], vec!["/VirtualSize"]),
            ((1, 24), vec!["/VirtualSize", "/ContainerConfig/OnBuild"], vec![]),
        ] {
            let mut shown = image.clone();
            fit(&mut shown, version);
            let missing: Vec<_> = has.into_iter().filter(|path| shown.pointer(path).is_none()).collect();
            let surplus: Vec<_> = has_not.into_iter().filter(|path| shown.pointer(path).is_some()).collect();
            assert!(missing.is_empty() && surplus.is_empty(), "{version:?}: -{missing:?} +{surplus:?}");
            assert_eq!(shown["Config"]["Cmd"], image["Config"]["Cmd"], "{version:?}");
            assert_eq!(shown["Config"]["Labels"], image["Config"]["Labels"], "{version:?}");
        }
    }
}
