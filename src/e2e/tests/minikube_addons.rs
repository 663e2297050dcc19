//! Add-ons of the user's own, under both names; the record of commands.

mod common;

use common::{Answer, Appliance, appliance};
use serde_json::Value;

const PROFILE: &str = "e2e-own-addons";

fn minikube(cluster: &Appliance, words: &[&str]) -> Answer {
    let link = cluster.home().join("minikube");
    if !link.exists() {
        std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
    }
    cluster.program(&link, &[&["-p", PROFILE], words].concat())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

const CRD: &str = r#"{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "hats.example.com"},
    "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "hats", "singular": "hat", "kind": "Hat"},
    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
    "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}}"#;

#[test]
fn a_directory_of_manifests_is_an_addon() {
    let Some(cluster) = appliance("own-addons") else { return };
    let call = |words: &[&str]| minikube(&cluster, words);
    let directory = cluster.home().join("Hat_Shop");
    std::fs::create_dir(&directory).unwrap();
    let file = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    // the kind and the namespace come with it, and after what needs them
    file(
        "1.yaml",
        "apiVersion: example.com/v1\nkind: Hat\nmetadata: {name: tall, namespace: shop}\nspec: {size: 7}\n",
    );
    file(
        "2.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: keeper, namespace: shop}\nspec: {terminationGracePeriodSeconds: 1, \
        containers: [{name: c, image: monopod/kubia}]}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
    );
    file("3.json", CRD);
    let path = directory.to_str().unwrap();
    let said = call(&["addons", "enable", path]).ok("enable");
    assert!(said.contains("Hat shop/tall") && said.contains("The 'hat-shop' addon is enabled"), "{said}");
    cluster.until(&["get", "hat", "tall", "-n", "shop", "-o", "jsonpath={.spec.size}"], "7");
    cluster.until(&["get", "pod", "keeper", "-n", "shop", "-o", "jsonpath={.status.phase}"], "Running");
    let listed = json(&call(&["addons", "list", "-o", "json"]).ok("list"));
    assert_eq!(listed["hat-shop"], serde_json::json!({"Profile": PROFILE, "Status": "enabled"}));
    assert_eq!(
        json(&cluster.monopod(&["addons", "list", "-o", "json"]).ok("list"))["hat-shop"]["source"],
        path
    );

    // a fault is said, and nothing of it is applied
    let bad = cluster.home().join("bad.yaml");
    std::fs::write(
        &bad,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n---\napiVersion: v1\nkind: ConfigMap\n\
        metadata: {name: bad}\ndatum: {}\n---\nkind: Pod\n",
    )
    .unwrap();
    let refusals: [(&str, &str); 5] = [
        (bad.to_str().unwrap(), "document 3: apiVersion, metadata.name is missing"),
        ("./none", "No such file"),
        ("http://127.0.0.1:9/x.yaml", "127.0.0.1:9"),
        ("/proc/self/status", "document 1"),
        ("nonsense", "nonsense is not a valid addon"),
    ];
    for (source, want) in refusals {
        let answer = call(&["addons", "enable", source]);
        assert_eq!(answer.0.status.code(), Some(10), "{source}: {}", answer.err());
        assert!(answer.err().contains(want), "{source}: {}", answer.err());
    }
    cluster.kubectl(&["get", "configmap", "good"]).refused("nothing is half applied");

    // from a URL
    std::fs::write(
        cluster.home().join("extra.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n",
    )
    .unwrap();
    let home = cluster.home().to_owned();
    let mut server = std::process::Command::new("busybox")
        .args(["httpd", "-f", "-p", "127.0.0.1:8099", "-h", home.to_str().unwrap()])
        .spawn()
        .unwrap();
    while !cluster.shell("curl -sf http://127.0.0.1:8099/extra.yaml").0.status.success() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let enabled = cluster.monopod(&["addons", "enable", "http://127.0.0.1:8099/extra.yaml"]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(enabled.ok("from a URL").contains("extra is enabled: ConfigMap default/extra"));
    cluster.monopod(&["addons", "disable", "extra"]).ok("disable");
    cluster.kubectl(&["get", "configmap", "extra"]).refused("it is gone");

    call(&["addons", "disable", "hat-shop"]).ok("disable");
    cluster.until(&["get", "crd", "-o", "name"], "");
    cluster.until(&["get", "namespace", "shop", "--ignore-not-found", "-o", "name"], "");
    assert!(json(&call(&["addons", "list", "-o", "json"]).ok("list"))["hat-shop"].is_null());
    assert_eq!(cluster.monopod(&["addons", "disable", "hat-shop"]).0.status.code(), Some(43));

    // one of minikube's own, which comes with the program
    let status =
        || json(&call(&["addons", "list", "-o", "json"]).ok("list"))["volumesnapshots"]["Status"].clone();
    assert_eq!(status(), "disabled");
    let said = call(&["addons", "enable", "volumesnapshots"]).ok("enable");
    assert!(said.contains("The 'volumesnapshots' addon is enabled"), "{said}");
    assert_eq!(status(), "enabled");
    // twice is as good as once, though a kind of its own has no namespaces
    call(&["addons", "enable", "volumesnapshots"]).ok("again");
    let classes = cluster.kubectl(&["get", "vsclass"]).ok("classes");
    assert!(classes.contains("standard   k8s.io/minikube-hostpath   Delete"), "{classes}");
    let said = call(&["addons", "disable", "volumesnapshots"]).ok("disable");
    assert!(said.contains("The 'volumesnapshots' addon is disabled"), "{said}");
    cluster.until(&["get", "crd", "-o", "name"], "");
    assert_eq!(status(), "disabled");
}

#[test]
fn commands_are_recorded_but_for_those_that_ask() {
    let Some(cluster) = appliance("audit") else { return };
    let call = |words: &[&str]| {
        let link = cluster.home().join("minikube");
        if !link.exists() {
            std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
        }
        cluster.program(&link, &[&["-p", "e2e-audit"], words].concat())
    };
    call(&["ip", "--user=skaffold"]).ok("ip");
    call(&["status"]).ok("status");
    call(&["node", "list", "--skip-audit"]).ok("node list");
    call(&["stop", "--schedule=nonsense"]).refused("stop");
    let table = call(&["logs", "--audit"]).ok("audit");
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("e2e-audit")).collect();
    assert!(table.contains("==> Audit <==") && table.contains("| Command |"), "{table}");
    assert_eq!(rows.len(), 2, "{table}");
    assert!(rows[0].contains("| ip ") && rows[0].contains("| skaffold "), "{table}");
    assert!(rows[1].contains("--schedule=nonsense"), "{table}");
    let file = cluster.home().join("bundle.txt");
    call(&["logs", "--file", file.to_str().unwrap()]).ok("logs");
    let bundle = std::fs::read_to_string(&file).unwrap();
    for head in [
        "==> Audit <==",
        "==> Last Start <==",
        "==> versions <==",
        "==> daemon [e2e-audit] <==",
        "==> kernel <==",
    ] {
        assert!(bundle.contains(head), "{head}: {bundle}");
    }
    let start = call(&["logs", "--last-start-only"]).ok("last start");
    let lines: Vec<&str> = start.lines().filter(|line| line.contains(": ")).collect();
    assert!(
        lines[0].contains(": starting version=") && lines.last().unwrap().contains(": ready api="),
        "{start}"
    );
    call(&["logs", "--problems"]).ok("problems");
    assert_eq!(call(&["logs", "--node", "m07"]).0.status.code(), Some(85));
    let unwritable = call(&["logs", "--file", "/none/x"]);
    assert_eq!(unwritable.0.status.code(), Some(38), "{}", unwritable.err());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &cluster.home().join(".minikube/logs/monopod-audit.json").metadata().unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}
