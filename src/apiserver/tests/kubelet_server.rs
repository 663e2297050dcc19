//! What is behind a kubelet's paths, at its own port and through the API proxy.

mod common;

use bytes::Bytes;
use cluster::Actor;
use common::{Server, Who, many_files};
use cri::{
    AttachStreams, CriError, Duplex, ExecConfig, ExecSession, KubeletPage, LogOptions, PodAccess,
    PodContainer,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde_json::json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Says what it was asked for, where something would print; commands that begin with `no` fail.
struct Kubelet;

#[async_trait::async_trait]
impl PodAccess for Kubelet {
    async fn logs(
        &self,
        at: &PodContainer,
        options: LogOptions,
    ) -> cri::Result<BoxStream<'static, std::io::Result<Bytes>>> {
        let LogOptions { follow, previous, timestamps, tail_lines, limit_bytes, .. } = options;
        let line =
            format!("{} {follow} {previous} {timestamps} {tail_lines:?} {limit_bytes:?}", at.container);
        Ok(futures::stream::iter([Ok(Bytes::from(line))]).boxed())
    }
    async fn exec(&self, at: &PodContainer, config: ExecConfig) -> cri::Result<ExecSession> {
        if config.stdin {
            return Err(CriError::Invalid(format!("{:?} with stdin", config.command)));
        }
        let fails = config.command.first().is_some_and(|word| word.starts_with("no"));
        let (exited, exit) = tokio::sync::oneshot::channel();
        let _ = exited.send(Ok(if fails { 3 } else { 0 }));
        let stdout = format!("{:?} in {}/{}/{};", config.command, at.namespace, at.pod, at.container);
        Ok(ExecSession {
            stdin: None,
            stdout: Some(Box::new(std::io::Cursor::new(stdout.into_bytes()))),
            stderr: Some(Box::new(&b"errors"[..])),
            resize: None,
            pid: 0,
            exit,
        })
    }
    async fn attach(&self, at: &PodContainer, _: AttachStreams) -> cri::Result<ExecSession> {
        Err(CriError::Invalid(format!("attach to {}", at.container)))
    }
    async fn port_forward(&self, _: &str, _: &str, _: u16) -> cri::Result<Box<dyn Duplex>> {
        Err(CriError::Invalid("no ports".to_owned()))
    }
    async fn page(&self, node: &str, path: &str) -> cri::Result<Option<KubeletPage>> {
        if path == "/runningpods/" {
            return Ok(Some(KubeletPage { content_type: "application/json", body: POD_LIST.to_owned() }));
        }
        let is_there = node == "n" && ["/pods", "/healthz"].contains(&path);
        Ok(is_there.then(|| KubeletPage { content_type: "text/plain", body: format!("{path} of {node}") }))
    }
}

const POD_LIST: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#;

/// With the pod `p`, its container `main` has run, and a pod of another node.
async fn server() -> Server {
    let server = Server::reaching_into(Arc::new(Kubelet)).await;
    let root = server.cluster.acting_as(Actor::root());
    for (name, node) in [("p", "n"), ("elsewhere", "other")] {
        let pod = json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "main"}]}});
        root.api().create(serde_json::from_value::<Pod>(pod).unwrap()).await.unwrap();
    }
    let runs = |pod: &mut Pod| {
        pod.status = serde_json::from_value(json!({"containerStatuses": [{"name": "main", "image": "main",
            "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}]}))
        .unwrap();
        Ok(())
    };
    root.api::<Pod>().modify_status(&api::ObjectKey::namespaced("default", "p"), runs).await.unwrap();
    let node = json!({"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.9"}]}});
    root.api().create(serde_json::from_value::<Node>(node).unwrap()).await.unwrap();
    server
}

const SOCKET: [(&str, &str); 5] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"),
];

/// Method and path, whether as a WebSocket, the code, and what the body has.
type Case = (&'static str, bool, u16, &'static str);

const CASES: &[Case] = &[
    ("GET /containerLogs/default/p/main", false, 200, "main false false false None None"),
    (
        "GET /containerLogs/default/p/main?follow=true&timestamps=true&tailLines=7&limitBytes=9",
        false,
        200,
        "main true false true Some(7) Some(9)",
    ),
    ("GET /containerLogs/default/p/main?tail=5&tailLines=7", false, 200, "false false false Some(5) None"),
    (
        "GET /containerLogs/default/p/main?previous=true",
        false,
        400,
        "previous terminated container \"main\" in pod \"p\" not found",
    ),
    ("GET /containerLogs/default/p/main?tailLines=-1", false, 422, r#"{"message":"Invalid request."}"#),
    ("GET /containerLogs/default/p/main?tailLines=x", false, 400, r#"{"message":"Unable to decode query."}"#),
    ("GET /containerLogs/default/p/none", false, 404, "container \"none\" not found in pod \"p\""),
    ("GET /containerLogs/default/none/main", false, 404, "pod \"none\" does not exist"),
    ("GET /containerLogs/default/elsewhere/main", false, 404, "pod \"elsewhere\" does not exist"),
    ("GET /containerLogs/default/p", false, 404, "404: Page Not Found"),
    ("POST /containerLogs/default/p/main", false, 405, "405: Method Not Allowed"),
    ("POST /run/default/p/main?cmd=ls%20-l", false, 200, r#"["ls", "-l"] in default/p/main;errors"#),
    ("POST /run/default/p/main?cmd=no", false, 500, "command 'no' exited with 3: errors"),
    ("POST /run/default/p/wrong-uid/main?cmd=ls", false, 404, "pod does not exist"),
    ("POST /run/default/elsewhere/main?cmd=ls", false, 404, "pod does not exist"),
    ("POST /run/default%2Fp/x/main?cmd=ls", false, 404, "pod does not exist"),
    ("GET /run/default/p/main?cmd=ls", false, 405, "405: Method Not Allowed"),
    (
        "GET /exec/default/p/main?command=ls",
        true,
        400,
        "you must specify at least 1 of stdin, stdout, stderr",
    ),
    ("GET /exec/default/p/main?command=ls&output=1", false, 400, "Upgrade request required"),
    ("GET /exec/default/p/main?command=ls&input=1", true, 400, r#"["ls"] with stdin"#),
    ("GET /exec/default/p/main?output=1", true, 400, "you must specify at least 1 command for the container"),
    ("GET /exec/default/p/main?command=ls&output=1", true, 101, ""),
    ("GET /attach/default/p/main?output=1", true, 400, "attach to main"),
    ("GET /portForward/default/p?port=x", true, 400, "unable to parse \"x\" as a port"),
    ("GET /portForward/default/p?port=80", true, 101, ""),
    ("GET /portForward/default/none?port=80", true, 404, "pod does not exist"),
    ("GET /logs/", false, 405, "logs endpoint is disabled.\n"),
    ("GET /debug/pprof/heap", false, 405, "profiling endpoint is disabled.\n"),
    ("GET /pods", false, 200, "/pods of n"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_and_containers_are_reached_at_the_port_and_through_the_proxy() {
    let mut server = server().await;
    for prefix in ["/api/v1/nodes/n/proxy", ""] {
        if prefix.is_empty() {
            server.ask_kubelet().await;
        }
        for (line, is_socket, code, body) in CASES {
            let line = line.replacen('/', &format!("{prefix}/"), 1);
            let headers = if *is_socket { &SOCKET[..] } else { &[] };
            let answer = server.ask(Who::Admin, &line, headers, b"").await;
            assert!(
                answer.code == *code && answer.body.contains(*body),
                "{line}: {} {}",
                answer.code,
                answer.body
            );
        }
    }
}

/// What nobody else may.
async fn let_use_proxy(server: &Server, verbs: &[&str]) {
    let root = server.cluster.acting_as(Actor::root());
    let rule = json!({"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": verbs});
    let role = json!({"metadata": {"name": "proxy"}, "rules": [rule]});
    root.api().create(serde_json::from_value::<ClusterRole>(role).unwrap()).await.unwrap();
    let binding = json!({"metadata": {"name": "proxy"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "proxy"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "nobody"}]});
    root.api().create(serde_json::from_value::<ClusterRoleBinding>(binding).unwrap()).await.unwrap();
}

/// As monitoring is often given it: `get nodes/proxy` for the pages, which is not to be a way into every container.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_read_through_a_kubelet_opens_nothing() {
    let mut server = server().await;
    let_use_proxy(&server, &["get"]).await;
    for prefix in ["/api/v1/nodes/n/proxy", ""] {
        if prefix.is_empty() {
            server.ask_kubelet().await;
        }
        for (line, code) in [
            ("GET /pods", 200),
            ("GET /containerLogs/default/p/main", 200),
            ("GET /exec/default/p/main?command=ls&output=1", 403),
            ("GET /attach/default/p/main?output=1", 403),
            ("GET /portForward/default/p?port=80", 403),
            ("POST /exec/default/p/main?command=ls&output=1", 403),
            ("POST /run/default/p/main?cmd=ls", 403),
        ] {
            let line = line.replacen('/', &format!("{prefix}/"), 1);
            let answer = server.ask(Who::Nobody, &line, &SOCKET, b"").await;
            assert_eq!(answer.code, code, "{line}: {}", answer.body);
            let unknown = server.ask(Who::Anonymous, &line, &SOCKET, b"").await;
            assert_eq!(unknown.code, if prefix.is_empty() { 401 } else { 403 }, "{line}");
        }
    }
}

/// A tunnel for ports, and what is answered: it stays for as long as its connection does.
async fn tunnel(server: &Server, tls: &TlsConnector, prefix: &str) -> (TlsStream<TcpStream>, String) {
    let ask = format!(
        "GET {prefix}/portForward/default/p HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n"
    );
    let mut stream = server.connect_with(tls).await.unwrap();
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = vec![0; 4096];
    let read = stream.read(&mut head).await.unwrap();
    (stream, String::from_utf8_lossy(&head[..read]).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_the_kubelet_s_port_are_counted_with_the_others_of_their_user() {
    many_files();
    let mut server = server().await;
    let_use_proxy(&server, &["get", "create"]).await;
    let (nobody, admin) = (server.tls(Who::Nobody, "http/1.1"), server.tls(Who::Admin, "http/1.1"));
    let mut streams = Vec::new();
    for prefix in ["/api/v1/nodes/n/proxy", ""] {
        if prefix.is_empty() {
            server.ask_kubelet().await;
        }
        for number in 0..250 {
            let (stream, head) = tunnel(&server, &nobody, prefix).await;
            assert!(head.starts_with("HTTP/1.1 101"), "{prefix} {number}: {head}");
            streams.push(stream);
        }
    }
    let (_refused, head) = tunnel(&server, &nobody, "").await;
    assert!(head.starts_with("HTTP/1.1 429") && head.contains("retry-after: 1\r\n"), "{head}");
    let (_of_another, head) = tunnel(&server, &admin, "").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_comes_through_the_proxy_as_the_kubelet_has_it() {
    let server = server().await;
    for accept in ["application/vnd.kubernetes.protobuf", "application/yaml"] {
        let line = "GET /api/v1/nodes/n/proxy/runningpods/?pretty=true";
        let answer = server.ask(Who::Admin, line, &[("Accept", accept)], b"").await;
        assert_eq!((answer.code, answer.body.as_str()), (200, POD_LIST), "{accept}");
    }
}
