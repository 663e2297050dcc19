//! The store: writes alone and in groups, on disk and in memory; lists of a snapshot; one write that many watch.

use api::{ObjectKey, REVISION_PLACEHOLDER, Unstamped};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use store::{Change, Durability, Options, Precondition, Resource, Store, Watch, Write};
use tokio::runtime::Runtime;

const RESOURCE: &str = "configmaps";
/// Of the value in each object: with the rest about a kilobyte.
const VALUE: usize = 900;
const AT_ONCE: usize = 64;
const LISTED: usize = 1000;
const WATCHERS: usize = 100;

fn put(name: &str) -> Write {
    let json = serde_json::json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {"value": "x".repeat(VALUE)},
        "metadata": {"name": name, "namespace": "default", "resourceVersion": REVISION_PLACEHOLDER}});
    let draft = Unstamped::new(serde_json::to_vec(&json).expect("JSON")).expect("an object");
    Write {
        resource: Resource::from(RESOURCE),
        key: ObjectKey::namespaced("default", name),
        precondition: Precondition::None,
        change: Change::Put(draft),
        durability: Durability::Sync,
    }
}

async fn put_all(store: &Store, count: usize) {
    let writes = (0..count).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(vec![put(&format!("m{n}"))]).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.expect("it does not panic").expect("it is written");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn puts(c: &mut Criterion) {
    let runtime = runtime();
    let dir = tempfile::tempdir().expect("a directory");
    let on_disk = Store::open(dir.path(), Options::default()).expect("a store").0;
    for (place, store) in [("memory", Store::in_memory(Options::default())), ("disk", on_disk)] {
        let mut group = c.benchmark_group(format!("put/{place}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("alone", |b| b.iter(|| runtime.block_on(put_all(&store, 1))));
        group.throughput(Throughput::Elements(AT_ONCE as u64));
        group.bench_function(format!("{AT_ONCE} at once"), |b| {
            b.iter(|| runtime.block_on(put_all(&store, AT_ONCE)));
        });
        group.finish();
        runtime.block_on(store.close());
    }
}

fn lists(c: &mut Criterion) {
    let runtime = runtime();
    let store = Store::in_memory(Options::default());
    runtime.block_on(put_all(&store, LISTED));
    let resource = Resource::from(RESOURCE);
    let mut group = c.benchmark_group("list");
    group.throughput(Throughput::Elements(LISTED as u64));
    group.bench_function(format!("{LISTED}"), |b| {
        b.iter(|| {
            black_box(store.snapshot().list(&resource, None, None).map(|o| o.bytes().len()).sum::<usize>())
        });
    });
    group.finish();
}

/// From the write to the moment at which the last one has heard of it.
fn watches(c: &mut Criterion) {
    let runtime = runtime();
    let store = Store::in_memory(Options::default());
    let resource = Resource::from(RESOURCE);
    let watch = || store.watch(&resource, store.revision()).expect("it begins now");
    let mut watchers: Vec<Watch> = (0..WATCHERS).map(|_| watch()).collect();
    let mut group = c.benchmark_group("watch");
    group.throughput(Throughput::Elements(WATCHERS as u64));
    group.bench_function(format!("one write, {WATCHERS} watchers"), |b| {
        b.iter(|| {
            runtime.block_on(async {
                store.commit(vec![put("m")]).await.expect("it is written");
                for watcher in &mut watchers {
                    watcher.next().await.expect("it is held");
                }
            });
        });
    });
    group.finish();
}

criterion_group!(benches, puts, lists, watches);
criterion_main!(benches);
