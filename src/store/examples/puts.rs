//! Puts per second with one writer and with 64, 1 KB each, on the disk that holds the given directory (default: the
//! current one), and how long it takes to open the result: `cargo run --release -p store --example puts [DIRECTORY]`.

use api::{ObjectKey, REVISION_PLACEHOLDER, Unstamped};
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Change, Durability, Options, Precondition, Resource, Store, Write};

const RUN: Duration = Duration::from_secs(4);
const NAMES: usize = 10_000;

fn put(name: &str, durability: Durability) -> Write {
    let json = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"value": "x".repeat(850)},
        "metadata": {"name": name, "namespace": "default", "resourceVersion": REVISION_PLACEHOLDER},
    });
    let draft = Unstamped::new(serde_json::to_vec(&json).expect("JSON")).expect("a draft");
    Write {
        resource: Resource::from("configmaps"),
        key: ObjectKey::namespaced("default", name),
        precondition: Precondition::None,
        change: Change::Put(draft),
        durability,
    }
}

async fn measure(store: &Store, writers: usize, durability: Durability) {
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                while started.elapsed() < RUN {
                    let name = format!("map-{}", (writer * 7919 + took.len()) % NAMES);
                    let asked = Instant::now();
                    store.commit(vec![put(&name, durability)]).await.expect("a commit");
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("a writer"));
    }
    took.sort_unstable();
    let rate = took.len() as f64 / started.elapsed().as_secs_f64();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!("{writers:>3} writers {durability:?}: {rate:>8.0} puts/s, p50 {:?}, p99 {:?}", at(50), at(99));
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(Path::new(&base))?;
    let (store, _) = Store::open(dir.path(), Options::default())?;
    for (writers, durability) in [(1, Durability::Sync), (64, Durability::Sync), (64, Durability::Lazy)] {
        measure(&store, writers, durability).await;
    }
    for start in (0..NAMES).step_by(500) {
        let writes = (start..start + 500).map(|at| put(&format!("map-{at}"), Durability::Sync)).collect();
        store.commit(writes).await?;
    }
    store.close().await;
    let started = Instant::now();
    let (store, _) = Store::open(dir.path(), Options::default())?;
    let count = store.snapshot().count(&Resource::from("configmaps"), None);
    println!("opened {count} objects in {:?}", started.elapsed());
    store.close().await;
    Ok(())
}
