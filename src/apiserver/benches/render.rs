//! Lists as clients see them, from the request on the socket to the last byte of the answer: objects, a table, metadata,
//! protobuf, and the OpenAPI documents.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Server, Who};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const LISTED: usize = 500;
const PODS: &str = "/api/v1/namespaces/default/pods";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const OPENAPI: &str = "/openapi/v3/apis/apps/v1";

async fn with_pods() -> Server {
    let server = Server::start().await;
    let pods = server.cluster.acting_as(cluster::Actor::root()).api::<Pod>();
    for n in 0..LISTED {
        let pod = json!({"metadata": {"name": format!("web-{n}"), "namespace": "default", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}]}});
        pods.create(serde_json::from_value(pod).expect("a pod")).await.expect("it is made");
    }
    server
}

/// One request after the other on one connection. Gives the length of the answer's body.
async fn ask(stream: &mut TlsStream<TcpStream>, path: &str, accept: &str) -> usize {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it listens");
    let (mut answer, mut block) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let got = stream.read(&mut block).await.expect("it answers");
        assert_ne!(got, 0, "the connection was closed");
        answer.extend_from_slice(&block[..got]);
        if let Some(length) = whole(&answer) {
            return length;
        }
    }
}

/// The body's length, where all of it is here.
fn whole(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).ok()?.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    (answer.len() >= end + length).then_some(length)
}

fn rendered(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(with_pods());
    let mut stream = runtime.block_on(server.connect(Who::Admin));
    let mut group = c.benchmark_group("render");
    for (name, path, accept) in [
        ("objects", PODS, "application/json"),
        ("table", PODS, TABLE),
        ("metadata", PODS, METADATA),
        ("protobuf", PODS, PROTOBUF),
        ("openapi", OPENAPI, "application/json"),
    ] {
        let length = runtime.block_on(ask(&mut stream, path, accept));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(name, |b| b.iter(|| runtime.block_on(ask(&mut stream, path, accept))));
    }
    group.finish();
}

criterion_group!(benches, rendered);
criterion_main!(benches);
