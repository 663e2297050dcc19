//! Server-side apply: an object is put over the stored one, and its managed fields are kept.

mod objects;

use api::apply::{Entry, Who, apply, create, update};
use criterion::{Criterion, criterion_group, criterion_main};
use serde::Deserialize;
use serde_json::Value;
use std::hint::black_box;

const OWNER: Who<'static> =
    Who { manager: "helm", subresource: None, api_version: "v1", now: "2026-01-01T00:00:00Z" };
const OTHER: Who<'static> = Who { manager: "operator", now: "2026-01-01T00:00:01Z", ..OWNER };

fn applied(c: &mut Criterion) {
    let (pod, schema) = (objects::pod(), objects::pod_schema());
    c.bench_function("apply/new", |b| b.iter(|| apply(&empty(), black_box(&pod), OWNER, false, schema)));
    let live = apply(&empty(), &pod, OWNER, false, schema).expect("nobody else has it");
    c.bench_function("apply/same", |b| b.iter(|| apply(black_box(&live), &pod, OWNER, false, schema)));
    let mut other = pod.clone();
    other["spec"]["containers"][0]["image"] = "registry.example.com/team/web:1.28".into();
    c.bench_function("apply/taken", |b| b.iter(|| apply(black_box(&live), &other, OTHER, true, schema)));
    c.bench_function("apply/conflict", |b| b.iter(|| apply(black_box(&live), &other, OTHER, false, schema)));
    c.bench_function("managed_fields/create", |b| b.iter(|| create(black_box(&pod), OWNER, schema)));
    let entries = Vec::<Entry>::deserialize(&live["metadata"]["managedFields"]).expect("as it was written");
    c.bench_function("managed_fields/update", |b| {
        b.iter(|| update(&live, black_box(&other), entries.clone(), OTHER, schema));
    });
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

criterion_group!(benches, applied);
criterion_main!(benches);
