//! Claims and volumes at the write path: the default class, the finalizers that hold them, and who may grow.

use api::ObjectKey;
use cluster::{Actor, Client, STORAGE_PROVISIONER};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kinds::volume;
use serde_json::{Value, json};

async fn root() -> Client {
    testkit::cluster(testkit::config()).await.acting_as(Actor::root())
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn claim(name: &str, more: Value) -> PersistentVolumeClaim {
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}))
}

#[tokio::test]
async fn a_claim_that_names_no_class_is_of_the_default_one() {
    let root = root().await;
    let standard = root.api::<StorageClass>().get(&ObjectKey::cluster("standard")).unwrap();
    assert_eq!(standard.provisioner, STORAGE_PROVISIONER);
    let claims = root.api::<PersistentVolumeClaim>();
    for (name, more, want) in [
        ("plain", json!({}), "standard"),
        ("none", json!({"storageClassName": ""}), ""),
        ("named", json!({"storageClassName": "fast"}), "fast"),
    ] {
        let made = claims.create(claim(name, more)).await.unwrap();
        assert_eq!(volume::class_of_claim(&made), want, "{name}");
        assert!(volume::has_finalizer(&made.metadata, volume::CLAIM_FINALIZER));
    }
    root.api::<StorageClass>().delete(&ObjectKey::cluster("standard"), Default::default()).await.unwrap();
    let made = claims.create(claim("late", json!({}))).await.unwrap();
    assert!(!volume::names_class(&made));
}

#[tokio::test]
async fn a_volume_is_held_by_its_finalizer() {
    let root = root().await;
    let made = object::<PersistentVolume>(json!({"metadata": {"name": "v"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}}}));
    let volumes = root.api::<PersistentVolume>();
    let made = volumes.create(made).await.unwrap();
    assert_eq!(made.metadata.finalizers.as_deref(), Some(&[volume::VOLUME_FINALIZER.to_owned()][..]));
    assert!(made.status.unwrap().last_phase_transition_time.is_some());
    volumes.delete(&ObjectKey::cluster("v"), Default::default()).await.unwrap();
    assert!(volumes.get(&ObjectKey::cluster("v")).unwrap().metadata.deletion_timestamp.is_some());
}

#[tokio::test]
async fn only_bound_claims_of_classes_that_allow_it_grow() {
    let root = root().await;
    let growing = json!({"metadata": {"name": "growing"}, "provisioner": "p", "allowVolumeExpansion": true});
    root.api::<StorageClass>().create(object(growing)).await.unwrap();
    let claims = root.api::<PersistentVolumeClaim>();
    let grow = |to: &'static str| {
        move |claim: &mut PersistentVolumeClaim| {
            let requests =
                claim.spec.as_mut().unwrap().resources.as_mut().unwrap().requests.as_mut().unwrap();
            requests.insert("storage".to_owned(), Quantity(to.to_owned()));
            Ok(())
        }
    };
    for (name, is_bound, want) in [
        ("growing", true, ""),
        ("growing", false, "spec is immutable after creation except resources.requests"),
        (
            "standard",
            true,
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
        ),
    ] {
        let of = format!("{name}-{is_bound}");
        claims.create(claim(&of, json!({"storageClassName": name}))).await.unwrap();
        let key = ObjectKey::namespaced("default", &of);
        if is_bound {
            let bind = |claim: &mut PersistentVolumeClaim| {
                let status = claim.status.get_or_insert_default();
                status.phase = Some("Bound".to_owned());
                status.capacity = Some([("storage".to_owned(), Quantity("1Gi".to_owned()))].into());
                Ok(())
            };
            claims.modify_status(&key, bind).await.unwrap();
        }
        let said = claims.modify(&key, grow("2Gi")).await.map_err(|status| status.to_string());
        match want {
            "" => assert!(said.is_ok(), "{of}: {said:?}"),
            want => assert!(said.as_ref().is_err_and(|said| said.contains(want)), "{of}: {said:?}"),
        }
    }
    let key = ObjectKey::namespaced("default", "growing-true");
    claims.modify(&key, grow("1500Mi")).await.unwrap();
    let less = claims.modify(&key, grow("1Gi")).await.unwrap_err().to_string();
    assert!(less.contains("field can not be less than status.capacity"), "{less}");
}
