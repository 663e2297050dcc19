//! What the tests begin with.

use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Client, Cluster, Target};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Pod, PodSpec, Service, ServiceAccount, ServicePort, ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::TypedKind;

pub async fn cluster() -> Cluster {
    let cluster = testkit::cluster(testkit::config()).await;
    let account = ServiceAccount { metadata: meta("default"), ..ServiceAccount::default() };
    root(&cluster).api().create(account).await.unwrap();
    cluster
}

pub fn root(cluster: &Cluster) -> Client {
    cluster.acting_as(Actor::root())
}

pub fn meta(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), namespace: Some("default".into()), ..ObjectMeta::default() }
}

pub fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

pub fn map(name: &str, label: &str) -> ConfigMap {
    let labels = Some([("app".to_owned(), label.to_owned())].into());
    ConfigMap { metadata: ObjectMeta { labels, ..meta(name) }, ..ConfigMap::default() }
}

pub fn pod(name: &str) -> Pod {
    let container = Container { name: "c".into(), image: Some("i".into()), ..Container::default() };
    Pod {
        metadata: meta(name),
        spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        status: None,
    }
}

pub fn service(name: &str, node_port: Option<i32>) -> Service {
    let port = ServicePort { port: 80, node_port, ..ServicePort::default() };
    let spec =
        ServiceSpec { type_: Some("NodePort".into()), ports: Some(vec![port]), ..ServiceSpec::default() };
    Service { metadata: meta(name), spec: Some(spec), status: None }
}

pub fn target<K: TypedKind>(cluster: &Cluster, name: Option<&str>) -> Target {
    let version = cluster.registry().by_gvr(&K::info().gvr).unwrap();
    match name {
        Some(name) => Target::object(&version, Some("default"), name),
        None => Target::collection(&version, Some("default")),
    }
}

pub fn reason<T>(outcome: Result<T, Status>) -> Reason {
    outcome.map(|_| ()).unwrap_err().reason
}
