//! Volumes of drivers by their objects, and what drivers are asked.

use super::*;
use serde_json::{Value, json};

fn pod() -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"containers": [], "serviceAccountName": "sa"}}))
    .unwrap()
}

fn driver(spec: Value) -> CSIDriver {
    serde_json::from_value(json!({"metadata": {"name": "d.example"}, "spec": spec})).unwrap()
}

fn persistent(spec: Value, csi: Value) -> CsiVolume {
    let mut source = json!({"driver": "d.example", "volumeHandle": "h"});
    source.as_object_mut().unwrap().extend(csi.as_object().unwrap().clone());
    let mut whole = json!({"csi": source, "capacity": {"storage": "2Gi"}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let found: PersistentVolume =
        serde_json::from_value(json!({"metadata": {"name": "pv"}, "spec": whole})).unwrap();
    let claim: PersistentVolumeClaim = serde_json::from_value(
        json!({"metadata": {"name": "data", "namespace": "d"}, "status": {"capacity": {"storage": "1Gi"}}}),
    )
    .unwrap();
    let of: Volume = serde_json::from_value(json!({"name": "x"})).unwrap();
    CsiVolume::of_claim(&of, &found, &claim, false).unwrap()
}

fn ephemeral(csi: Value) -> CsiVolume {
    let of: Volume = serde_json::from_value(json!({"name": "x", "csi": csi})).unwrap();
    CsiVolume::of_pod(&pod(), &of).unwrap()
}

#[test]
fn what_a_volume_is() {
    let secret = json!({"nodeStageSecretRef": {"name": "s", "namespace": "n"}});
    let of_claim = persistent(json!({}), secret);
    assert_eq!((of_claim.name.as_str(), of_claim.spec_name.as_str()), ("x", "pv"));
    assert_eq!(of_claim.stage_secret, Some(("n".to_owned(), "s".to_owned())));
    let growth = of_claim.growth.unwrap();
    assert_eq!((growth.to.0.as_str(), growth.bytes, &*growth.claim.name), ("2Gi", 2 << 30, "data"));
    let own = ephemeral(json!({"driver": "d.example", "nodePublishSecretRef": {"name": "s"}}));
    assert_eq!(own.publish_secret, Some(("d".to_owned(), "s".to_owned())));
    assert_eq!(own.handle, kinds::csi::ephemeral_handle("u", "x"));
}

#[test]
fn a_node_grows_what_waits_for_it() {
    let cases = [
        (None, true),
        (Some("NodeResizePending"), true),
        (Some("NodeResizeInProgress"), true),
        (Some("NodeResizeInfeasible"), false),
        (Some("ControllerResizeInProgress"), false),
    ];
    let found: PersistentVolume =
        serde_json::from_value(json!({"metadata": {"name": "pv"}, "spec": {"capacity": {"storage": "2Gi"}}}))
            .unwrap();
    for (status, want) in cases {
        let mut claim: PersistentVolumeClaim = serde_json::from_value(
            json!({"metadata": {"name": "data"}, "status": {"capacity": {"storage": "1Gi"}}}),
        )
        .unwrap();
        claim.status.as_mut().unwrap().allocated_resource_statuses =
            status.map(|status| [("storage".to_owned(), status.to_owned())].into());
        assert_eq!(growth(&found, &claim).is_some(), want, "{status:?}");
    }
}

#[test]
fn access_modes_are_the_interfaces_own() {
    let none = NodeCapabilities::new(&[]);
    let many = NodeCapabilities::new(&[Rpc::SingleNodeMultiWriter]);
    let cases = [
        (json!(["ReadWriteOnce"]), &none, Mode::SingleNodeWriter),
        (json!(["ReadWriteOnce", "ReadOnlyMany"]), &many, Mode::SingleNodeMultiWriter),
        (json!(["ReadWriteOncePod"]), &none, Mode::SingleNodeWriter),
        (json!(["ReadWriteOncePod"]), &many, Mode::SingleNodeSingleWriter),
        (json!(["ReadOnlyMany"]), &none, Mode::MultiNodeReaderOnly),
        (json!(["ReadWriteMany"]), &many, Mode::MultiNodeMultiWriter),
        (json!(null), &none, Mode::SingleNodeWriter),
    ];
    for (modes, can, want) in cases {
        let volume = persistent(json!({"accessModes": modes}), json!({"fsType": "ext4"}));
        let capability = volume.capability(can, Some(7));
        assert_eq!((capability.mode(), capability.fs_type()), (want, "ext4"), "{modes}");
        assert!(!capability.is_device(), "{modes}");
        let device = json!({"accessModes": modes, "volumeMode": "Block"});
        let device = persistent(device, json!({"fsType": "ext4"})).capability(can, Some(7));
        assert_eq!((device.mode(), device.fs_type(), device.is_device()), (want, "", true), "{modes}");
    }
}

#[test]
fn whose_files_become_the_groups() {
    let none = NodeCapabilities::new(&[]);
    let itself = NodeCapabilities::new(&[Rpc::VolumeMountGroup]);
    let rwo = || persistent(json!({"accessModes": ["ReadWriteOnce"]}), json!({"fsType": "ext4"}));
    let bare = || persistent(json!({"accessModes": ["ReadWriteOnce"]}), json!({}));
    let rwop = || persistent(json!({"accessModes": ["ReadWriteOncePod"]}), json!({"fsType": "ext4"}));
    let rwx = || persistent(json!({"accessModes": ["ReadWriteMany"]}), json!({"fsType": "ext4"}));
    let read = || CsiVolume { read_only: true, ..rwo() };
    let inline = || ephemeral(json!({"driver": "d", "fsType": "ext4"}));
    let device = || CsiVolume { form: Form::Block, ..rwo() };
    let default = "ReadWriteOnceWithFSType";
    let cases = [
        ("one writer", rwo(), default, &none, true),
        ("one pod", rwop(), default, &none, true),
        ("the driver does it", rwo(), default, &itself, false),
        ("no type", bare(), default, &none, false),
        ("many writers", rwx(), default, &none, false),
        ("lives with its pod", inline(), default, &none, true),
        ("never", rwo(), "None", &none, false),
        ("always", rwx(), "File", &none, true),
        ("read only", read(), "File", &none, false),
        ("a device", device(), "File", &none, false),
    ];
    for (name, volume, policy, can, want) in cases {
        let driver = driver(json!({"fsGroupPolicy": policy}));
        assert_eq!(volume.is_given(Some(&driver), can), want, "{name}");
    }
}

#[test]
fn a_driver_is_told_of_the_pod_where_it_asks() {
    let volume = persistent(json!({}), json!({"volumeAttributes": {"a": "b"}}));
    assert_eq!(volume.context(&pod(), None), HashMap::from([("a".to_owned(), "b".to_owned())]));
    let told = volume.context(&pod(), Some(&driver(json!({"podInfoOnMount": true}))));
    let mut told: Vec<String> = told.iter().map(|(key, value)| format!("{key}={value}")).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "a=b",
            "csi.storage.k8s.io/ephemeral=false",
            "csi.storage.k8s.io/pod.name=p",
            "csi.storage.k8s.io/pod.namespace=d",
            "csi.storage.k8s.io/pod.uid=u",
            "csi.storage.k8s.io/serviceAccount.name=sa"
        ]
    );
}

#[test]
fn how_long_a_volume_lives_is_the_drivers_to_say() {
    let modes = |modes: Value| Some(driver(json!({"volumeLifecycleModes": modes})));
    let cases = [
        ("persistent", persistent(json!({}), json!({})), modes(json!(["Persistent"])), None),
        ("persistent, unknown", persistent(json!({}), json!({})), None, None),
        (
            "ephemeral, unknown",
            ephemeral(json!({"driver": "d.example"})),
            None,
            Some("volume mode \"Ephemeral\" not supported by driver d.example (no CSIDriver object)"),
        ),
        (
            "not ephemeral",
            ephemeral(json!({"driver": "d.example"})),
            modes(json!(["Persistent"])),
            Some(
                "volume mode \"Ephemeral\" not supported by driver d.example (only supports [\"Persistent\"])",
            ),
        ),
        ("both", ephemeral(json!({"driver": "d.example"})), modes(json!(["Ephemeral", "Persistent"])), None),
    ];
    for (name, volume, driver, want) in cases {
        assert_eq!(volume.check_lifecycle(driver.as_ref()).err().as_deref(), want, "{name}");
    }
}
