//! The walks over an object beside its schema: what each write of a client passes.

mod objects;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use schema::{ErrorList, Schema};
use serde_json::Value;
use std::hint::black_box;

fn walks(c: &mut Criterion) {
    let definition = objects::definition();
    for (kind, object, schema) in
        [("pod", objects::pod(), objects::pod_schema()), ("custom", objects::custom(), &definition)]
    {
        walk(c, kind, &object, schema);
    }
}

fn walk(c: &mut Criterion, kind: &str, object: &Value, schema: &Schema) {
    let json = serde_json::to_vec(object).expect("JSON");
    c.bench_function(&format!("check/{kind}"), |b| b.iter(|| schema::check(black_box(&json), schema)));
    c.bench_function(&format!("default/{kind}"), |b| {
        b.iter_batched_ref(
            || object.clone(),
            |object| schema::set_defaults(object, schema),
            BatchSize::SmallInput,
        );
    });
    c.bench_function(&format!("prune/{kind}"), |b| {
        b.iter_batched_ref(|| object.clone(), |object| schema::prune(object, schema), BatchSize::SmallInput);
    });
    c.bench_function(&format!("validate/{kind}"), |b| {
        b.iter(|| {
            let mut errors = ErrorList::default();
            schema::validate(black_box(object), schema, &mut errors);
            errors
        });
    });
}

criterion_group!(benches, walks);
criterion_main!(benches);
