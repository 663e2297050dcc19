//! Claims and volumes in every state that they can be found in.

use super::claim_plan::{Seen, Step, plan};
use super::volume_plan;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::{Value, json};
use std::sync::Arc;

fn merge(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            more.iter().for_each(|(key, value)| merge(base.entry(key.clone()).or_insert(Value::Null), value));
        }
        (base, more) => *base = more.clone(),
    }
}

fn claim(more: &Value) -> PersistentVolumeClaim {
    let mut object = json!({"metadata": {"name": "data", "namespace": "d", "uid": "u"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"}});
    merge(&mut object, more);
    serde_json::from_value(object).unwrap()
}

fn volume(more: &Value) -> PersistentVolume {
    let mut object = json!({"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"}, "storageClassName": "fast", "hostPath": {"path": "/d"}}});
    merge(&mut object, more);
    serde_json::from_value(object).unwrap()
}

fn class(provisioner: &str, mode: &str) -> StorageClass {
    serde_json::from_value(
        json!({"metadata": {"name": "fast"}, "provisioner": provisioner, "volumeBindingMode": mode}),
    )
    .unwrap()
}

fn shown(step: &Step) -> String {
    let said = |said: &super::claim_plan::Said| {
        let kind = if said.is_warning { "Warning" } else { "Normal" };
        format!("{kind} {} {}", said.reason, said.message)
    };
    match step {
        Step::Bind(name) => format!("bind {name}"),
        Step::SetClass(name) => format!("class {name}"),
        Step::Provision { provisioner, said: told } => format!("ask {provisioner}, {}", said(told)),
        Step::Wait(told) => format!("wait, {}", said(told)),
        Step::WaitSilently => "wait".to_owned(),
        Step::Lost(told) => format!("lost, {}", said(told)),
    }
}

#[test]
fn claims() {
    let now = Some(class("example.com/p", "Immediate"));
    let later = Some(class("example.com/p", "WaitForFirstConsumer"));
    let (inside, by_hand) = (
        Some(class("kubernetes.io/aws-ebs", "Immediate")),
        Some(class("kubernetes.io/no-provisioner", "WaitForFirstConsumer")),
    );
    let default = class("example.com/p", "Immediate");
    let free = || Some(volume(&json!({})));
    let mine = |uid: Value| {
        Some(volume(&json!({"spec": {"claimRef": {"namespace": "d", "name": "data", "uid": uid}}})))
    };
    let other =
        || Some(volume(&json!({"spec": {"claimRef": {"namespace": "d", "name": "other", "uid": "o"}}})));
    let small = || Some(volume(&json!({"spec": {"capacity": {"storage": "1Mi"}}})));
    let names = json!({"spec": {"volumeName": "v"}});
    let done = json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": "v"}});
    let forgot = json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}});
    let placed = json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n"}}});
    let waits = "wait, Normal WaitForFirstConsumer waiting for first consumer to be created before binding";
    let asks = "ask example.com/p, Normal ExternalProvisioning Waiting for a volume to be created either by the external provisioner 'example.com/p' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.";
    let cases: [(&str, Value, &Option<StorageClass>, Option<PersistentVolume>, &str); 25] = [
        ("a volume that fits", json!({}), &now, free(), "bind v"),
        ("none", json!({}), &now, None, asks),
        ("one that is somebody's", json!({}), &now, other(), asks),
        ("one that was promised", json!({}), &later, mine(Value::Null), "bind v"),
        ("a class that waits", json!({}), &later, free(), waits),
        ("a class that waited", placed.clone(), &later, None, asks),
        ("a class that waits, made by hand", json!({}), &by_hand, None, waits),
        ("no class, and a default", json!({"spec": {"storageClassName": null}}), &None, None, "class fast"),
        (
            "no class is wished for",
            json!({"spec": {"storageClassName": ""}}),
            &None,
            None,
            "wait, Normal FailedBinding no persistent volumes available for this claim and no storage class is set",
        ),
        (
            "a class that there is not",
            json!({}),
            &None,
            None,
            "wait, Warning ProvisioningFailed storageclass.storage.k8s.io \"fast\" not found",
        ),
        (
            "a class of a cloud",
            json!({}),
            &inside,
            None,
            "wait, Warning ProvisioningFailed no volume plugin matched name: kubernetes.io/aws-ebs",
        ),
        ("a name", names.clone(), &now, free(), "bind v"),
        ("the name of nothing", names.clone(), &now, None, "wait"),
        (
            "the name of what is too small",
            names.clone(),
            &now,
            small(),
            "wait, Warning VolumeMismatch Cannot bind to requested volume \"v\": requested PV is too small",
        ),
        (
            "the name of a device",
            names.clone(),
            &now,
            Some(volume(&json!({"spec": {"volumeMode": "Block"}}))),
            "wait, Warning VolumeMismatch Cannot bind to requested volume \"v\": incompatible volumeMode",
        ),
        (
            "the name of another's",
            names.clone(),
            &now,
            other(),
            "wait, Warning FailedBinding volume \"v\" already bound to a different claim.",
        ),
        ("half bound", names.clone(), &now, mine(json!("u")), "bind v"),
        ("bound", done.clone(), &now, mine(json!("u")), "bind v"),
        ("bound, and the volume forgot", done.clone(), &now, free(), "bind v"),
        (
            "bound, and the volume is gone",
            done.clone(),
            &now,
            None,
            "lost, Warning ClaimLost Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        ),
        (
            "bound, and it forgot",
            forgot,
            &now,
            free(),
            "lost, Warning ClaimLost Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        ),
        (
            "bound to another's",
            done.clone(),
            &now,
            other(),
            "lost, Warning ClaimMisbound Two claims are bound to the same volume, this one is bound incorrectly",
        ),
        (
            "bound to what was given to one before it",
            done,
            &now,
            mine(json!("before")),
            "lost, Warning ClaimMisbound Two claims are bound to the same volume, this one is bound incorrectly",
        ),
        ("placed, and the volume is there", placed.clone(), &later, mine(json!("u")), "bind v"),
        ("promised to one before it", json!({}), &now, mine(json!("before")), asks),
    ];
    for (name, more, class, of, want) in cases {
        let claim = claim(&more);
        let volumes: Vec<Arc<PersistentVolume>> = of.clone().map(Arc::new).into_iter().collect();
        let seen = Seen {
            claim: &claim,
            class: class.as_ref(),
            default_class: Some(&default),
            volumes: &volumes,
            named: of.as_ref(),
            waiting_pods: &[],
        };
        assert_eq!(shown(&plan(&seen)), want, "{name}");
    }
    let claim = claim(&json!({}));
    for (pods, want) in [
        (vec!["a".to_owned()], "wait, Normal WaitForPodScheduled waiting for pod a to be scheduled"),
        (
            vec!["a".to_owned(), "b".to_owned()],
            "wait, Normal WaitForPodScheduled waiting for pods a,b to be scheduled",
        ),
    ] {
        let seen = Seen {
            claim: &claim,
            class: later.as_ref(),
            default_class: None,
            volumes: &[],
            named: None,
            waiting_pods: &pods,
        };
        assert_eq!(shown(&plan(&seen)), want);
    }
}

#[test]
fn volumes() {
    use volume_plan::Step::{LookAtClaim, Nothing, Phase, Unbind};
    let bound = || json!({"spec": {"claimRef": {"namespace": "d", "name": "data", "uid": "u"}}});
    let with = |more: Value| {
        let mut whole = bound();
        merge(&mut whole, &more);
        whole
    };
    let released = |policy: &str| {
        with(json!({"spec": {"persistentVolumeReclaimPolicy": policy}, "status": {"phase": "Released"}}))
    };
    let made = json!({"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": "p"}}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}});
    let named = |name: &str| Some(claim(&json!({"spec": {"volumeName": name}})));
    let fails = |reason, message: &str| volume_plan::Step::Fail { reason, message: message.to_owned() };
    let cases = [
        ("free", json!({}), None, Phase("Available")),
        (
            "promised",
            json!({"spec": {"claimRef": {"namespace": "d", "name": "data"}}}),
            None,
            Phase("Available"),
        ),
        ("taken", bound(), named("v"), Phase("Bound")),
        ("half taken", bound(), Some(claim(&json!({}))), LookAtClaim),
        (
            "promised to what wants a device",
            bound(),
            Some(claim(&json!({"spec": {"volumeMode": "Block"}}))),
            volume_plan::Step::Mismatch {
                of_volume: "Cannot bind PersistentVolume to requested PersistentVolumeClaim \"data\" due to incompatible volumeMode.".to_owned(),
                of_claim: "Cannot bind PersistentVolume \"v\" to requested PersistentVolumeClaim \"data\" due to incompatible volumeMode.".to_owned(),
            },
        ),
        ("its claim has another", bound(), named("w"), Unbind),
        ("its claim has another, and it was made for it", with(made.clone()), named("w"), Phase("Released")),
        ("its claim is gone", bound(), None, Phase("Released")),
        (
            "its claim is another",
            bound(),
            Some(claim(&json!({"metadata": {"uid": "later"}}))),
            Phase("Released"),
        ),
        ("kept", released("Retain"), None, Nothing),
        (
            "made, and to be deleted",
            {
                let mut all = released("Delete");
                merge(&mut all, &made);
                all
            },
            None,
            Nothing,
        ),
        (
            "to be deleted by nobody",
            released("Delete"),
            None,
            fails(
                "VolumeFailedDelete",
                "error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched",
            ),
        ),
        (
            "to be recycled",
            released("Recycle"),
            None,
            fails("VolumeFailedRecycle", "No recycler plugin found for the volume!"),
        ),
        (
            "failed",
            with(
                json!({"spec": {"persistentVolumeReclaimPolicy": "Recycle"}, "status": {"phase": "Failed"}}),
            ),
            None,
            Nothing,
        ),
    ];
    for (name, more, claim, want) in cases {
        assert_eq!(volume_plan::plan(&volume(&more), claim.as_ref()), want, "{name}");
    }
}
