//! Which crate uses which. The compiler holds each to its manifest; this test keeps the manifests from changing unseen. And within a
//! crate imports run one way, which the compiler does not hold.

mod imports;

use imports::circles_of;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Each crate and those of ours that it depends on.
const USED: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("durations", &[]),
    ("schema", &["api", "durations"]),
    ("expressions", &["schema"]),
    ("kinds", &["api", "durations", "expressions", "schema"]),
    ("apiextensions", &["api", "expressions", "kinds", "schema"]),
    ("etcd", &[]),
    ("encryption", &["api"]),
    ("store", &["api", "encryption", "etcd"]),
    ("cluster", &["api", "expressions", "kinds", "store"]),
    ("cri", &["trees"]),
    ("csi", &[]),
    ("openapi", &["api", "kinds"]),
    ("protobuf", &["schema"]),
    ("tls", &[]),
    ("trees", &[]),
    ("audit", &[]),
    ("authentication", &["expressions"]),
    ("authorization", &["durations", "expressions"]),
    ("flowcontrol", &[]),
    (
        "apiserver",
        &[
            "api",
            "audit",
            "authentication",
            "authorization",
            "cluster",
            "cri",
            "durations",
            "flowcontrol",
            "kinds",
            "listener",
            "openapi",
            "protobuf",
            "schema",
            "store",
            "tls",
        ],
    ),
    ("controllers", &["api", "apiextensions", "cluster", "kinds", "schema"]),
    ("scheduler", &["api", "cluster", "kinds", "schema"]),
    (
        "kubelet",
        &["api", "cluster", "cri", "csi", "durations", "kinds", "listener", "loopdev", "tls", "trees"],
    ),
    ("shim", &["cri"]),
    ("image", &["cri", "durations", "listener", "tls", "trees"]),
    ("net", &["cri"]),
    ("runtime", &["cri", "image", "trees"]),
    ("loopdev", &[]),
    ("provisioner", &["api", "cluster", "kinds", "loopdev", "trees"]),
    ("netpol", &["api", "cluster", "kinds", "net"]),
    ("proxy", &["api", "cluster", "kinds", "listener", "net"]),
    ("resolver", &[]),
    ("listener", &[]),
    ("dns", &["api", "cluster", "kinds", "resolver"]),
    ("ingress", &["api", "cluster", "kinds", "listener"]),
    ("dashboard", &["cluster"]),
    ("buildkit", &["cri", "image"]),
    ("docker", &["buildkit", "cri", "durations", "image", "listener", "resolver", "trees"]),
    ("sample", &[]),
    (
        "appliance",
        &[
            "api",
            "apiserver",
            "audit",
            "authentication",
            "authorization",
            "cluster",
            "controllers",
            "cri",
            "dashboard",
            "dns",
            "docker",
            "encryption",
            "image",
            "ingress",
            "kinds",
            "kubelet",
            "loopdev",
            "net",
            "netpol",
            "provisioner",
            "proxy",
            "runtime",
            "sample",
            "scheduler",
            "store",
            "trees",
        ],
    ),
    ("cli", &["appliance", "durations", "shim"]),
    // for tests only
    ("testkit", &["cluster", "cri", "kinds", "store"]),
    ("e2e", &[]),
];

#[test]
fn every_crate_uses_those_that_the_table_says() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let table: BTreeMap<&str, &[&str]> = USED.iter().copied().collect();
    let mut seen = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some(wanted) = table.get(name) else {
            panic!("crate {name} is not in the table of dependency rules")
        };
        // what only tests use is in no program
        let is_ours = |of: &&serde_json::Value| !of["path"].is_null() && of["kind"] != "dev";
        let all = package["dependencies"].as_array().unwrap().iter().filter(is_ours);
        let used: BTreeSet<&str> = all.map(|of| of["name"].as_str().unwrap()).collect();
        assert_eq!(used, wanted.iter().copied().collect(), "what {name} uses, and what the table says");
        seen += 1;
    }
    assert_eq!(seen, USED.len(), "the table names a crate that there is not");
}

#[test]
fn imports_run_one_way_within_each_crate() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, _) in USED {
        let circles: String =
            circles_of(&crates.join(name).join("src")).iter().map(ToString::to_string).collect();
        assert!(circles.is_empty(), "files of {name} import each other in circles:\n{circles}");
    }
}
