//! What is understood, and what is refused in Docker's words.

use super::*;
use serde_json::{Value, json};

#[test]
fn what_v_means() {
    for (text, want) in [
        ("/data", Some((MountKind::Volume, "", "/data", false))),
        ("db:/data", Some((MountKind::Volume, "db", "/data", false))),
        ("/h:/c", Some((MountKind::Bind, "/h", "/c", false))),
        ("/h:/c/:ro,z", Some((MountKind::Bind, "/h", "/c", true))),
        ("db:/c:nocopy", Some((MountKind::Volume, "db", "/c", false))),
        ("/h:/c:rshared", Some((MountKind::Bind, "/h", "/c", false))),
        ("", None),
        ("/h:ro", None),
        ("/h:/c:ro,rw", None),
        ("/h:/c:nocopy", None),
        ("db:/c:rshared", None),
        ("/h:c", None),
        ("/h:/", None),
        ("/h:/c:what", None),
        ("a:b:c:d", None),
    ] {
        let got = bind(text).ok();
        let got = got.as_ref().map(|w| (w.kind, w.source.as_str(), w.target.to_str().unwrap(), w.read_only));
        assert_eq!(got, want, "{text}");
    }
    assert!(!bind("db:/c:nocopy").unwrap().copy);
    assert_eq!(
        bind("/h:c").unwrap_err().message,
        "invalid volume specification: '/h:c': invalid mount config for type \"bind\": invalid mount path: 'c' mount \
             path must be absolute"
    );
}

#[test]
fn what_is_said_wrong_in_a_mount() {
    for (spec, want) in [
        (json!({"Type": "bind", "Target": "/t"}), "field Source must not be empty"),
        (json!({"Type": "bind", "Source": "/s"}), "field Target must not be empty"),
        (
            json!({"Type": "bind", "Source": "s", "Target": "/t"}),
            "invalid mount path: 's' mount path must be absolute",
        ),
        (
            json!({"Type": "bind", "Source": "/s", "Target": "/t", "BindOptions": {"Propagation": "x"}}),
            "invalid propagation mode: x",
        ),
        (
            json!({"Type": "bind", "Source": "/s", "Target": "/t", "VolumeOptions": {}}),
            "field VolumeOptions must not be specified",
        ),
        (json!({"Type": "tmpfs", "Source": "s", "Target": "/t"}), "field Source must not be specified"),
        (
            json!({"Type": "volume", "Source": "v", "Target": "/t", "VolumeOptions": {"Subpath": "../x"}}),
            "subpath must be a relative path within the volume",
        ),
        (
            json!({"Type": "volume", "Target": "/t", "ReadOnly": true}),
            "must not set ReadOnly mode when using anonymous volumes",
        ),
        (json!({"Type": "image", "Target": "/t"}), "field Source must not be empty"),
        (
            json!({"Type": "image", "Source": "i", "Target": "/t", "ImageOptions": {"Subpath": "/x"}}),
            "subpath must be a relative path within the volume",
        ),
        (
            json!({"Type": "tmpfs", "Target": "/t", "ImageOptions": {}}),
            "field ImageOptions must not be specified",
        ),
        (json!({"Type": "what", "Target": "/t"}), "mount type unknown"),
    ] {
        let kind = spec["Type"].clone();
        let parsed: MountSpec = serde_json::from_value(spec).unwrap();
        let want = format!("invalid mount config for type {kind}: {want}");
        assert_eq!(mount(&parsed).unwrap_err().message, want);
    }
}

#[test]
fn options_of_a_tmpfs() {
    for (text, want) in [
        ("", Some("noexec,nosuid,nodev")),
        ("size=1m,exec,suid", Some("nodev,size=1m,exec,suid")),
        ("ro,mode=700", Some("noexec,nosuid,nodev,mode=700")),
        ("what=1", None),
        ("what", None),
    ] {
        let got = tmpfs("/t", text).ok().map(|wanted| wanted.options.join(","));
        assert_eq!(got.as_deref(), want, "{text}");
    }
    assert!(tmpfs("/t", "ro").unwrap().read_only);
    let spec: Value =
        json!({"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 1016}});
    let wanted = mount(&serde_json::from_value(spec).unwrap()).unwrap();
    assert_eq!(wanted.options.join(","), "noexec,nosuid,nodev,size=4096,mode=1770");
}
