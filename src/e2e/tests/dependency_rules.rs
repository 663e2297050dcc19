//! The walls between the crates: who may use whom. The compiler holds them; this test keeps them from moving unseen. And
//! within a crate imports run one way, which the compiler does not hold.

mod imports;

use imports::circles_of;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Each crate and those of ours that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
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
    ("cri", &[]),
    ("csi", &[]),
    ("openapi", &["api", "kinds"]),
    ("protobuf", &["api", "kinds", "schema"]),
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
    ("image", &["cri", "durations", "tls", "trees"]),
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
    ("dashboard", &["api", "cluster"]),
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
fn every_dependency_is_an_allowed_one() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut seen = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some(may) = allowed.get(name) else {
            panic!("crate {name} is not in the table of dependency rules")
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            // what only tests use is in no program
            let ours = !dependency["path"].is_null() && dependency["kind"] != "dev";
            assert!(!ours || may.contains(&used), "{name} may not use {used}");
        }
        seen += 1;
    }
    assert_eq!(seen, ALLOWED.len(), "the table names a crate that there is not");
}

#[test]
fn imports_run_one_way_within_each_crate() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, _) in ALLOWED {
        let circles: String =
            circles_of(&crates.join(name).join("src")).iter().map(ToString::to_string).collect();
        assert!(circles.is_empty(), "files of {name} import each other in circles:\n{circles}");
    }
}
