//! Turns k8s-openapi's schemas into the OpenAPI documents that the server publishes: one of version 3 for each group
//! and version, and one of version 2 for all, as JSON and as gnostic's protobuf. What the schemas do not know (merge
//! keys, list types) stands in `assets/kubernetes/types.tsv`. Read [`table::resources`] first: it is the list of what is served.

mod gnostic;
#[allow(dead_code)]
#[path = "../../api/src/kubernetes_version.rs"]
mod kubernetes_version;
mod paths;
// what it does not need the schemas do
#[allow(dead_code)]
#[path = "../../schema/src/rows.rs"]
mod rows;
mod schemas;
mod table;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What the documents say of themselves.
const VERSION: &str = kubernetes_version::KUBERNETES_VERSION.git;

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=../schema/src/rows.rs");
    println!("cargo::rerun-if-changed=../api/src/kubernetes_version.rs");
    println!("cargo::rerun-if-changed=../../assets/kubernetes/types.tsv");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let resources = table::resources();
    let all = schemas::all(&resources);

    let mut list = String::from("pub(crate) static V3: &[Document] = &[\n");
    let groups: BTreeSet<String> = resources.iter().map(table::Resource::prefix).collect();
    for group in &groups {
        let document = version_3(group, &resources, &all);
        let text = serde_json::to_vec(&document).expect("a JSON value can be written");
        let file = format!("{}.json.gz", group.replace('/', "_"));
        store(&out.join(&file), &text);
        let hash = hash(&text);
        let _ = writeln!(
            list,
            "    Document {{ path: {group:?}, hash: {hash:?}, gz: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")) }},",
        );
    }
    list.push_str("];\n");

    let document = version_2(&resources, &all);
    let text = serde_json::to_vec(&document).expect("a JSON value can be written");
    store(&out.join("v2.json.gz"), &text);
    store(&out.join("v2.pb.gz"), &gnostic::document(&document));
    let _ = writeln!(list, "static V2_HASH: &str = {:?};", hash(&text));
    fs::write(out.join("documents.rs"), list).expect("write documents.rs");
}

fn hash(text: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016X}", hasher.finish())
}

fn version_3(group: &str, resources: &[table::Resource], all: &BTreeMap<String, Value>) -> Value {
    let own = || resources.iter().filter(|r| r.prefix() == group);
    let mut wanted = BTreeSet::new();
    for resource in own() {
        resource.definitions().into_iter().for_each(|name| schemas::reach(all, &name, &mut wanted));
    }
    for always in [schemas::STATUS, schemas::DELETE_OPTIONS, schemas::PATCH] {
        schemas::reach(all, always, &mut wanted);
    }
    let picked: serde_json::Map<String, Value> =
        wanted.iter().map(|name| (name.clone(), schemas::version_3(name, &all[name]))).collect();
    let paths: serde_json::Map<String, Value> =
        own().flat_map(|r| paths::of(r, paths::Dialect::V3)).collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": picked},
    })
}

fn version_2(resources: &[table::Resource], all: &BTreeMap<String, Value>) -> Value {
    let definitions: serde_json::Map<String, Value> =
        all.iter().map(|(name, schema)| (name.clone(), schemas::version_2(name, schema))).collect();
    let paths: serde_json::Map<String, Value> =
        resources.iter().flat_map(|r| paths::of(r, paths::Dialect::V2)).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "definitions": definitions,
    })
}

fn store(path: &Path, content: &[u8]) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).expect("memory takes every byte");
    let compressed = encoder.finish().expect("memory takes every byte");
    fs::write(path, compressed).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}
