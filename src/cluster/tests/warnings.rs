//! What a client hears beside the answer to its write.

use cluster::{Actor, Cluster, Remarks, Target, Wanted, WriteOptions};
use k8s_openapi::api::core::v1::ConfigMap;
use kinds::{FieldValidation, TypedKind};
use serde_json::json;

fn target<K: TypedKind>(cluster: &Cluster, name: &str) -> Target {
    Target::object(&cluster.registry().by_gvr(&K::info().gvr).unwrap(), Some("default"), name)
}

#[tokio::test]
async fn an_apply_says_what_stands_twice_in_it() {
    let cluster = testkit::cluster(testkit::config()).await;
    let target = target::<ConfigMap>(&cluster, "a");
    let twice = "line 4: key \"a\" already set in map";
    let apply = async |validation| {
        let options = WriteOptions {
            field_manager: "m".into(),
            remarks: Remarks::collected(),
            ..WriteOptions::default()
        };
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let wanted = Wanted { config, force: false, validation, doubled_keys: vec![twice.to_owned()] };
        let refused = cluster.apply(&Actor::root(), &target, wanted, &options).await.err();
        (refused.map(|refused| refused.message), options.remarks.take_warnings())
    };
    let refusal = format!(
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {twice}"
    );
    assert_eq!(apply(FieldValidation::Strict).await, (Some(refusal), vec![]));
    for _creates_then_changes in 0..2 {
        assert_eq!(apply(FieldValidation::Warn).await, (None, vec![twice.to_owned()]));
    }
    assert_eq!(apply(FieldValidation::Ignore).await, (None, vec![]));
}
