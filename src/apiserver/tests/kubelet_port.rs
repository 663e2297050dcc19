//! Who may read the kubelet's pages at its own port.

mod common;

use bytes::Bytes;
use cluster::Actor;
use common::{Server, Who};
use cri::{
    AttachStreams, CriError, Duplex, ExecConfig, ExecSession, KubeletPage, LogOptions, PodAccess,
    PodContainer,
};
use futures::stream::BoxStream;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Has two pages.
struct Kubelet;

fn nothing<T>() -> cri::Result<T> {
    Err(CriError::Invalid("pages only".to_owned()))
}

#[async_trait::async_trait]
impl PodAccess for Kubelet {
    async fn logs(
        &self,
        _: &PodContainer,
        _: LogOptions,
    ) -> cri::Result<BoxStream<'static, std::io::Result<Bytes>>> {
        nothing()
    }
    async fn exec(&self, _: &PodContainer, _: ExecConfig) -> cri::Result<ExecSession> {
        nothing()
    }
    async fn attach(&self, _: &PodContainer, _: AttachStreams) -> cri::Result<ExecSession> {
        nothing()
    }
    async fn port_forward(&self, _: &str, _: &str, _: u16) -> cri::Result<Box<dyn Duplex>> {
        nothing()
    }
    async fn page(&self, node: &str, path: &str) -> cri::Result<Option<KubeletPage>> {
        let is_there = node == "n" && ["/metrics", "/pods", "/healthz"].contains(&path);
        Ok(is_there.then(|| KubeletPage { content_type: "text/plain", body: format!("{path} of {node}") }))
    }
    fn flags(&self, node: &str) -> Option<BTreeMap<&'static str, String>> {
        (node == "n").then(|| [("max-pods", "110".to_owned())].into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_for_who_is_known_and_may_read_them() {
    let mut server = Server::reaching_into(Arc::new(Kubelet)).await;
    server.ask_kubelet().await;
    for (who, line, code, body) in [
        (Who::Anonymous, "GET /metrics", 401, "Unauthorized"),
        (Who::Anonymous, "GET /healthz", 401, "Unauthorized"),
        (
            Who::Nobody,
            "GET /metrics",
            403,
            "Forbidden (user=nobody, verb=get, resource=nodes, subresource(s)=[metrics])\n",
        ),
        (
            Who::Nobody,
            "POST /run/default/p/c",
            403,
            "Forbidden (user=nobody, verb=create, resource=nodes, subresource(s)=[proxy])\n",
        ),
        (Who::Admin, "GET /metrics", 200, "/metrics of n"),
        (Who::Admin, "GET /metrics?x=y", 200, "/metrics of n"),
        (Who::Admin, "GET /logs/", 405, "logs endpoint is disabled.\n"),
        (Who::Admin, "GET /logs/../metrics", 405, "logs endpoint is disabled.\n"),
        (Who::Admin, "GET /nonsense", 404, "404 page not found\n"),
        (Who::Admin, "GET /flagz/x", 404, "404 page not found\n"),
        (Who::Admin, "POST /statusz", 405, "405: Method Not Allowed"),
        (
            Who::Nobody,
            "GET /flagz",
            403,
            "Forbidden (user=nobody, verb=get, resource=nodes, subresource(s)=[configz])\n",
        ),
        (Who::Admin, "POST /metrics", 405, "405: Method Not Allowed"),
    ] {
        let answer = server.ask(who, line, &[], b"").await;
        assert_eq!((answer.code, answer.body.as_str()), (code, body), "{who:?} {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_what_it_is_and_how_it_is_set() {
    let mut server = Server::reaching_into(Arc::new(Kubelet)).await;
    server.ask_kubelet().await;
    for (line, accept, code, want) in [
        ("GET /statusz", "*/*", 200, "\nkubelet statusz\nWarning: "),
        ("GET /flagz", "*/*", 200, "\nmax-pods=110\n"),
        ("GET /flagz", "application/json;v=v1beta1;g=config.k8s.io;as=Flagz", 200, r#"{"max-pods":"110"}"#),
        ("GET /flagz", "application/json", 406, "only the following media types are accepted: "),
    ] {
        let answer = server.ask(Who::Admin, line, &[("Accept", accept)], b"").await;
        assert_eq!(answer.code, code, "{line} {accept}: {}", answer.body);
        assert!(answer.body.contains(want), "{line} {accept}: {}", answer.body);
    }
}

/// As the kubelet's ServiceMonitor of kube-prometheus does it: with a service account's token, and rights for metrics alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_what_its_account_may_read() {
    let mut server = Server::reaching_into(Arc::new(Kubelet)).await;
    let root = server.cluster.acting_as(Actor::root());
    let body =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let made = server.post(Who::Admin, path, "application/json", body.to_string().as_bytes()).await.json();
    let token = made["status"]["token"].as_str().unwrap().to_owned();
    server.ask_kubelet().await;
    let bearer = format!("Bearer {token}");
    let bearer = [("Authorization", bearer.as_str())];
    assert_eq!(server.ask(Who::Anonymous, "GET /metrics", &bearer, b"").await.code, 403);
    let role = json!({"metadata": {"name": "scraper"}, "rules": [{"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}]});
    root.api().create(serde_json::from_value::<ClusterRole>(role).unwrap()).await.unwrap();
    let binding = json!({"metadata": {"name": "scraper"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "scraper"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]});
    root.api().create(serde_json::from_value::<ClusterRoleBinding>(binding).unwrap()).await.unwrap();
    for (line, code) in [("GET /metrics", 200), ("GET /pods", 403), ("POST /metrics", 403), ("GET /", 403)] {
        assert_eq!(server.ask(Who::Anonymous, line, &bearer, b"").await.code, code, "{line}");
    }
    let wrong = [("Authorization", "Bearer no-token")];
    assert_eq!(server.ask(Who::Admin, "GET /metrics", &wrong, b"").await.code, 401);
}
