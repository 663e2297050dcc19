//! What a client hears beside the answer to its write.

use cluster::{Actor, Cluster, Target, Wanted, Warnings, WriteOptions};
use k8s_openapi::api::core::v1::ConfigMap;
use kinds::{FieldValidation, TypedKind};
use serde_json::json;

fn target<K: TypedKind>(cluster: &Cluster, name: &str) -> Target {
    Target::object(&cluster.registry().by_gvr(&K::info().gvr).unwrap(), Some("default"), name)
}

#[tokio::test]
async fn an_apply_says_what_it_does_not_know() {
    let cluster = testkit::cluster(testkit::config()).await;
    let target = target::<ConfigMap>(&cluster, "a");
    for _creates_then_changes in 0..2 {
        let options = WriteOptions {
            field_manager: "m".into(),
            warnings: Warnings::collected(),
            ..WriteOptions::default()
        };
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dat": {}});
        let wanted = Wanted { config, force: false, validation: FieldValidation::Warn };
        cluster.apply(&Actor::root(), &target, wanted, &options).await.unwrap();
        assert_eq!(options.warnings.take(), ["unknown field \"dat\""]);
    }
}
