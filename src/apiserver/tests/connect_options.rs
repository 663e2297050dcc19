//! Connections are made as policies have left their options.

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use cluster::Actor;
use common::{Server, Who};
use cri::{
    AttachStreams, CriError, Duplex, ExecConfig, ExecSession, KubeletPage, LogOptions, PodAccess,
    PodContainer,
};
use futures::stream::BoxStream;
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use std::sync::Arc;

/// Refuses all, and says what it was asked for.
struct Kubelet;

fn asked<T>(what: String) -> cri::Result<T> {
    Err(CriError::Invalid(what))
}

#[async_trait]
impl PodAccess for Kubelet {
    async fn logs(
        &self,
        at: &PodContainer,
        _: LogOptions,
    ) -> cri::Result<BoxStream<'static, std::io::Result<Bytes>>> {
        asked(format!("log of {}", at.container))
    }
    async fn exec(&self, at: &PodContainer, config: ExecConfig) -> cri::Result<ExecSession> {
        let ExecConfig { command, stdin, stdout, stderr, tty, .. } = config;
        asked(format!("{command:?} in {} with {:?}", at.container, [stdin, stdout, stderr, tty]))
    }
    async fn attach(&self, at: &PodContainer, want: AttachStreams) -> cri::Result<ExecSession> {
        let AttachStreams { stdin, stdout, stderr, tty } = want;
        asked(format!("attached to {} with {:?}", at.container, [stdin, stdout, stderr, tty]))
    }
    async fn port_forward(&self, _: &str, _: &str, port: u16) -> cri::Result<Box<dyn Duplex>> {
        asked(format!("port {port}"))
    }
    async fn page(&self, node: &str, path: &str) -> cri::Result<Option<KubeletPage>> {
        Ok(Some(KubeletPage { content_type: "text/plain", body: format!("{path} of {node}") }))
    }
}

async fn server() -> Server {
    let server = Server::reaching_into(Arc::new(Kubelet)).await;
    let root = server.cluster.acting_as(Actor::root());
    let containers = ["main", "other"].map(|name| json!({"name": name, "image": name}));
    let pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "n", "containers": containers}});
    root.api().create(serde_json::from_value::<Pod>(pod).unwrap()).await.unwrap();
    let node = json!({"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.9"}]}});
    root.api().create(serde_json::from_value::<Node>(node).unwrap()).await.unwrap();
    server
}

/// A policy that changes how somebody connects.
async fn change(server: &Server, resource: &str, patch: &str) {
    let root = server.cluster.acting_as(Actor::root());
    let rule =
        json!({"operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]});
    let policy: MutatingAdmissionPolicy = serde_json::from_value(json!({"metadata": {"name": "m"}, "spec": {
        "matchConstraints": {"resourceRules": [rule]}, "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}]}}))
    .unwrap();
    root.api().create(policy).await.unwrap();
    let binding: MutatingAdmissionPolicyBinding =
        serde_json::from_value(json!({"metadata": {"name": "m"}, "spec": {"policyName": "m"}})).unwrap();
    root.api().create(binding).await.unwrap();
}

/// What the kubelet is asked for, or why it is not.
async fn connect(server: &Server, what: &str) -> String {
    let socket = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"),
    ];
    let headers = if what.starts_with("nodes") { &[][..] } else { &socket };
    let answer = server.ask(Who::Admin, &format!("GET /api/v1/{what}"), headers, b"").await;
    match answer.json() {
        Value::Null => answer.body,
        _ => answer.message(),
    }
}

const POD: &str = "namespaces/default/pods/p";

#[tokio::test]
async fn what_is_judged_is_what_is_done() {
    let exec = format!("{POD}/exec?command=sh&command=-i&container=main&stdin=1&stdout=1&stderr=1");
    let attach = format!("{POD}/attach?container=main&stdout=1");
    let cases = [
        (&*exec, "", "", r#"["sh", "-i"] in main with [true, true, true, false]"#),
        (
            &exec,
            "pods/exec",
            "[JSONPatch{op: 'replace', path: '/command', value: ['ls']}, JSONPatch{op: 'replace', path: '/container', value: 'other'}, JSONPatch{op: 'remove', path: '/stdin'}, JSONPatch{op: 'add', path: '/tty', value: true}]",
            r#"["ls"] in other with [false, true, false, true]"#,
        ),
        (
            &exec,
            "pods/exec",
            "[JSONPatch{op: 'replace', path: '/container', value: 'nope'}]",
            "container nope is not valid for pod p",
        ),
        (
            &exec,
            "pods/exec",
            "[JSONPatch{op: 'remove', path: '/command'}]",
            "you must specify at least 1 command for the container",
        ),
        (&attach, "", "", "attached to main with [false, true, false, false]"),
        (
            &attach,
            "pods/attach",
            "[JSONPatch{op: 'replace', path: '/container', value: 'other'}, JSONPatch{op: 'add', path: '/stderr', value: true}]",
            "attached to other with [false, true, true, false]",
        ),
        ("nodes/n/proxy/stats/a%2Fb", "", "", "/stats/a%2Fb of n"),
        (
            "nodes/n/proxy/stats/a%2Fb",
            "nodes/proxy",
            "[JSONPatch{op: 'replace', path: '/path', value: '/metrics/x y'}]",
            "/metrics/x%20y of n",
        ),
    ];
    for (what, resource, patch, want) in cases {
        let server = server().await;
        if !patch.is_empty() {
            change(&server, resource, patch).await;
        }
        let got = connect(&server, what).await;
        assert!(got.ends_with(want), "{what} {patch}: {got}");
    }
}

#[tokio::test]
async fn the_ports_that_are_forwarded_are_those_of_the_options() {
    let what = format!("{POD}/portforward?ports=80");
    let patch = "[JSONPatch{op: 'replace', path: '/ports', value: [81]}]";
    for (patch, want) in [("", "port 80"), (patch, "port 81")] {
        let server = server().await;
        if !patch.is_empty() {
            change(&server, "pods/portforward", patch).await;
        }
        let said = connect(&server, &what).await;
        assert!(said.contains(want), "{want}: {said:?}");
    }
}
