//! Charts, with the real helm (3 and 4), and what helm 4 is built on: server-side apply.

mod common;

use common::helm::{helm, run};
use common::{Appliance, appliance};
use std::path::PathBuf;

const CHART: &str = "apiVersion: v2\nname: shop\nversion: 0.1.0\n";
const VALUES: &str = "replicas: 1\ngreeting: hello\n";
const TEMPLATE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-words"}
data: {greeting: "{{ .Values.greeting }}"}
---
apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec:
  selector: {app: "{{ .Release.Name }}"}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: "{{ .Release.Name }}"}}
  template:
    metadata: {labels: {app: "{{ .Release.Name }}"}}
    spec:
      containers:
        - name: kubia
          image: monopod/kubia
          ports: [{containerPort: 8080}]
          envFrom: [{configMapRef: {name: "{{ .Release.Name }}-words"}}]
"#;

/// Jobs before an installation, an upgrade and a removal, which end as they are told to, and a pod that asks what was installed.
const HOOKS: &str = r#"
{{- range $hook := list "pre-install" "pre-upgrade" "pre-delete" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: "{{ $.Release.Name }}-{{ $hook }}"
  annotations: {"helm.sh/hook": "{{ $hook }}", "helm.sh/hook-delete-policy": before-hook-creation}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: 'busybox:1', command: [sh, -c, "exit {{ $.Values.exit }}"]}]
{{- end }}
---
apiVersion: v1
kind: Pod
metadata:
  name: "{{ .Release.Name }}-answers"
  annotations: {"helm.sh/hook": test, "helm.sh/hook-delete-policy": before-hook-creation}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:1
      command: [sh, -c, "until wget -q -O /tmp/page http://{{ .Release.Name }}; do sleep 0.2; done; grep '{{ .Values.wanted }}' /tmp/page"]
"#;

fn chart(at: &Appliance) -> PathBuf {
    let chart = at.home().join("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    for (name, text) in [("Chart.yaml", CHART), ("values.yaml", VALUES), ("templates/all.yaml", TEMPLATE)] {
        std::fs::write(chart.join(name), text).unwrap();
    }
    chart
}

#[test]
fn a_kind_that_nobody_serves_is_named() {
    let (Some(helm), Some(at)) = (helm(), appliance("helm-kind")) else { return };
    let chart = chart(&at);
    let thing = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\n";
    std::fs::write(chart.join("templates/thing.yaml"), thing).unwrap();
    let said = run(&at, &helm, &format!("install shop {}", chart.display())).refused("install");
    assert!(said.contains("no matches for kind \"Thing\" in version \"example.com/v1\""), "{said}");
}

#[test]
fn a_chart_is_installed_upgraded_rolled_back_and_uninstalled() {
    let (Some(helm), Some(at)) = (helm(), appliance("helm")) else { return };
    let chart = chart(&at).display().to_string();
    run(&at, &helm, &format!("install shop {chart} --wait --timeout 60s")).ok("install");
    at.until(&["get", "deploy", "shop", "-o", "jsonpath={.status.readyReplicas}"], "1");
    assert!(run(&at, &helm, "list").ok("list").contains("deployed"));
    let upgrade = format!("upgrade shop {chart} --set replicas=2,greeting=again --wait --timeout 60s");
    run(&at, &helm, &upgrade).ok("upgrade");
    at.until(&["get", "deploy", "shop", "-o", "jsonpath={.status.readyReplicas}"], "2");
    at.until(&["get", "cm", "shop-words", "-o", "jsonpath={.data.greeting}"], "again");
    run(&at, &helm, "rollback shop 1 --wait --timeout 60s").ok("rollback");
    at.until(&["get", "cm", "shop-words", "-o", "jsonpath={.data.greeting}"], "hello");
    at.until(&["get", "deploy", "shop", "-o", "jsonpath={.spec.replicas}"], "1");
    let history = run(&at, &helm, "history shop").ok("history");
    assert_eq!(history.lines().count(), 4, "{history}");
    run(&at, &helm, "uninstall shop --wait").ok("uninstall");
    at.until(&["get", "all", "-l", "app=shop", "-o", "name"], "");
    assert!(at.kubectl(&["get", "cm", "shop-words"]).refused("the map").contains("not found"));
}

#[test]
fn hooks_run_before_and_after_and_tests_judge_a_release() {
    let (Some(helm), Some(at)) = (helm(), appliance("helm-hooks")) else { return };
    at.load_busybox();
    let chart = chart(&at);
    std::fs::write(chart.join("templates/hooks.yaml"), HOOKS).unwrap();
    let more = format!("{VALUES}exit: 0\nwanted: hit shop\n");
    std::fs::write(chart.join("values.yaml"), more).unwrap();
    let chart = chart.display().to_string();
    let succeeded = |hook: &str| {
        at.until(&["get", "job", &format!("shop-{hook}"), "-o", "jsonpath={.status.succeeded}"], "1");
    };
    let replicas = ["get", "deploy", "shop", "-o", "jsonpath={.spec.replicas}"];
    run(&at, &helm, &format!("install shop {chart} --wait --timeout 60s")).ok("install");
    succeeded("pre-install");
    let tested = run(&at, &helm, "test shop --logs --timeout 60s").ok("test");
    assert!(tested.contains("Phase:") && tested.contains("Succeeded"), "{tested}");
    assert!(tested.contains("You've hit shop"), "{tested}");

    // a hook that fails holds the upgrade back
    let refused =
        run(&at, &helm, &format!("upgrade shop {chart} --set replicas=2,exit=1 --wait --timeout 60s"))
            .refused("a hook that fails");
    assert!(refused.contains("pre-upgrade hooks failed"), "{refused}");
    assert_eq!(at.kubectl(&replicas).ok("replicas"), "1");
    let history = run(&at, &helm, "history shop").ok("history");
    assert!(history.lines().last().is_some_and(|last| last.contains("failed")), "{history}");
    run(&at, &helm, "rollback shop 1 --wait --timeout 60s").ok("rollback");

    let other = format!("upgrade shop {chart} --set replicas=2 --set wanted=nothing --wait --timeout 60s");
    run(&at, &helm, &other).ok("upgrade");
    succeeded("pre-upgrade");
    at.until(&replicas, "2");
    let failed = run(&at, &helm, "test shop --timeout 60s");
    assert!(format!("{}{}", failed.out(), failed.refused("a test that fails")).contains("ailed"));
    run(&at, &helm, "rollback shop 1 --wait --timeout 60s").ok("rollback");
    at.until(&replicas, "1");
    run(&at, &helm, "test shop --timeout 60s").ok("test of what was before");

    run(&at, &helm, "uninstall shop --wait --timeout 60s").ok("uninstall");
    succeeded("pre-delete");
    assert!(at.kubectl(&replicas).refused("the deployment").contains("not found"));
}

#[test]
fn two_who_apply_to_one_object_hear_of_each_other() {
    let Some(at) = appliance("apply") else { return };
    let words = |greeting: &str, extra: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: words}}\ndata: {{greeting: {greeting}{extra}}}\n"
        )
    };
    let apply = |manager: &str, manifest: &str, more: &[&str]| {
        let manager = format!("--field-manager={manager}");
        at.kubectl_with(&[&["apply", "--server-side", &manager], more].concat(), manifest)
    };
    let created = apply("ops", &words("hello", ", place: here"), &[]).ok("apply");
    assert_eq!(created.trim(), "configmap/words serverside-applied");
    let refused = apply("dev", &words("hi", ""), &[]).refused("a conflict");
    assert!(refused.contains("conflict with \"ops\": .data.greeting"), "{refused}");
    apply("dev", &words("hi", ""), &["--force-conflicts"]).ok("by force");
    // what ops no longer says goes; what dev took stays
    apply("ops", &words("hi", ""), &[]).ok("apply again");
    at.until(&["get", "cm", "words", "-o", "jsonpath={.data}"], r#"{"greeting":"hi"}"#);
    at.kubectl(&["get", "cm", "words", "-o", "yaml", "--show-managed-fields"]).ok("show");
}

#[test]
fn kubectl_moves_from_the_clients_side_to_the_servers() {
    let Some(at) = appliance("migrate") else { return };
    let words = |greeting: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: words}}\ndata: {{greeting: {greeting}}}\n"
        )
    };
    at.kubectl_with(&["apply"], &words("hello")).ok("client-side");
    let owners =
        ["get", "cm", "words", "-o", "jsonpath={.metadata.managedFields[*]['manager', 'operation']}"];
    assert_eq!(at.kubectl(&owners).ok("owners"), "kubectl-client-side-apply Update");
    at.kubectl_with(&["apply", "--server-side"], &words("again")).ok("server-side");
    at.until(&["get", "cm", "words", "-o", "jsonpath={.data.greeting}"], "again");
    // and what it applied from its own side it keeps, under a name of its own
    at.until(&owners, "kubectl kubectl-last-applied Apply Apply");
    let shown = at.kubectl(&["get", "cm", "words", "-o", "yaml"]).ok("show");
    assert!(!shown.contains("managedFields") && shown.contains("greeting: again"), "{shown}");
    let diff = at.kubectl_with(&["diff", "--server-side"], &words("other"));
    assert!(diff.out().contains("+  greeting: other"), "{}{}", diff.out(), diff.err());
}
