//! A pod between JSON and protobuf.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use std::hint::black_box;

const LISTED: usize = 500;

fn pod(n: usize) -> Value {
    let env: Vec<Value> =
        (0..10).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "value"})).collect();
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("web-{n}"), "namespace": "default", "uid": "u", "labels": {"app": "web"},
            "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "web", "image": "nginx:1.27", "env": env, "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]},
        "status": {"phase": "Running", "podIP": "10.244.0.5"}})
}

fn between(c: &mut Criterion) {
    let one = pod(0);
    let bytes = protobuf::encode(&one).expect("a kind of the table");
    c.bench_function("encode/pod", |b| b.iter(|| protobuf::encode(black_box(&one))));
    c.bench_function("decode/pod", |b| b.iter(|| protobuf::decode(black_box(&bytes), 100_000)));
    let items: Vec<Value> = (0..LISTED).map(pod).collect();
    let list =
        json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": items});
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(LISTED as u64));
    group.bench_function(format!("{LISTED} pods"), |b| b.iter(|| protobuf::encode(black_box(&list))));
    group.finish();
}

criterion_group!(benches, between);
criterion_main!(benches);
