//! What operators bring, with the real kubectl: rules in CEL, and webhooks that change and judge what is written: by address,
//! and through a Service to a pod that comes after its configuration, as charts install them.

mod common;

use common::https::{Server, relay, serve};
use common::{Appliance, appliance};
use std::fs;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ranges.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: ranges, kind: Range}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: self.least <= self.most, messageExpression: "'%d is more than %d'.format([self.least, self.most])"}
            - {rule: self.class == oldSelf.class, message: class is immutable, fieldPath: .class}
            properties:
              least: {type: integer}
              most: {type: integer}
              class: {type: string, default: plain}
"#;

fn range(least: u32, most: u32, class: &str) -> String {
    format!(
        "apiVersion: stable.example.com/v1\nkind: Range\nmetadata: {{name: one}}\n\
         spec: {{least: {least}, most: {most}, class: {class}}}\n"
    )
}

#[test]
fn rules_of_a_definition_are_kept() {
    let Some(cluster) = appliance("rules") else { return };
    let bad = DEFINITION.replace("self.least <= self.most", "self.lest <= self.most");
    let refused = cluster.kubectl_with(&["create"], &bad).refused("a field that there is not");
    assert!(refused.contains("undefined field 'lest'"), "{refused}");
    cluster.kubectl_with(&["create"], DEFINITION).ok("create the definition");
    cluster
        .kubectl(&["wait", "--for=condition=Established", "crd/ranges.stable.example.com", "--timeout=60s"])
        .ok("established");
    let refused = cluster.kubectl_with(&["create"], &range(5, 3, "plain")).refused("least is more than most");
    assert!(
        refused.contains("The Range \"one\" is invalid: spec: Invalid value: \"object\": 5 is more than 3"),
        "{refused}"
    );
    cluster.kubectl_with(&["apply"], &range(1, 3, "plain")).ok("a good one");
    cluster.kubectl_with(&["apply"], &range(2, 3, "plain")).ok("changed");
    let refused = cluster.kubectl_with(&["apply"], &range(2, 3, "other")).refused("another class");
    assert!(refused.contains("spec.class: Invalid value: \"object\": class is immutable"), "{refused}");
}

/// An HTTPS server that labels what it is asked to change, and refuses what is called `bad`.
const HOOKS: &str = r#"
import base64
class Handler(Json):
    def do_POST(self):
        review = self.body()
        request = review["request"]
        response = {"uid": request["uid"], "allowed": True}
        if self.path.startswith("/mutate"):
            labels = dict(request["object"]["metadata"].get("labels") or {}, seen="yes")
            patch = [{"op": "add", "path": "/metadata/labels", "value": labels}]
            response.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(patch).encode()).decode())
        elif request["name"] == "bad":
            response = {"uid": request["uid"], "allowed": False, "status": {"message": "bad names are not wanted", "code": 403}}
        else:
            response["warnings"] = ["judged by the webhook"]
        self.answer({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response})
"#;
const PORT: u16 = 9555;

/// The running server, and its authority as a `caBundle`.
fn server(cluster: &Appliance) -> (Server, String) {
    serve(cluster, HOOKS, PORT, &["hook.hooks.svc"], &[])
}

fn configuration(kind: &str, name: &str, client: &str, bundle: &str, more: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nwebhooks:\n\
         - name: {name}.example.com\n  sideEffects: None\n  admissionReviewVersions: [v1]\n  timeoutSeconds: 5\n\
         \x20 clientConfig: {{caBundle: {bundle}, {client}}}\n\
         \x20 rules: [{{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}}]\n{more}"
    )
}

#[test]
fn webhooks_change_and_judge_what_is_written() {
    let Some(cluster) = appliance("webhooks") else { return };
    let (_server, bundle) = server(&cluster);
    let by_url = |path: &str| format!("url: 'https://localhost:9555/{path}'");
    let mutating = configuration("MutatingWebhookConfiguration", "label", &by_url("mutate"), &bundle, "");
    cluster.kubectl_with(&["apply"], &mutating).ok("a mutating webhook");
    let validating = configuration("ValidatingWebhookConfiguration", "judge", &by_url("judge"), &bundle, "");
    cluster.kubectl_with(&["apply"], &validating).ok("a validating webhook");
    let rows = cluster.kubectl(&["get", "mutatingwebhookconfigurations"]).ok("columns");
    assert!(rows.starts_with("NAME    WEBHOOKS   AGE\nlabel   1"), "{rows}");
    let made = cluster.kubectl(&["create", "configmap", "good"]);
    assert!(made.err().contains("Warning: judged by the webhook"), "{}", made.err());
    made.ok("a good name");
    let label = cluster.kubectl(&["get", "configmap", "good", "-o", "jsonpath={.metadata.labels.seen}"]);
    assert_eq!(label.ok("the label"), "yes");
    let refused = cluster.kubectl(&["create", "configmap", "bad"]).refused("a bad name");
    assert!(
        refused
            .contains("admission webhook \"judge.example.com\" denied the request: bad names are not wanted"),
        "{refused}"
    );
    // who is not of the authority is not asked
    let other = cluster
        .kubectl(&["get", "configmap", "kube-root-ca.crt", "-o", r"jsonpath={.data.ca\.crt}"])
        .ok("a CA");
    fs::write(cluster.home().join("other.crt"), other).unwrap();
    let other =
        cluster.shell(&format!("base64 -w0 {}", cluster.home().join("other.crt").display())).ok("as base64");
    let forged = configuration("ValidatingWebhookConfiguration", "judge", &by_url("judge"), other.trim(), "");
    cluster.kubectl_with(&["apply"], &forged).ok("another authority");
    let refused =
        cluster.kubectl(&["create", "configmap", "other"]).refused("a certificate of somebody else's");
    assert!(refused.contains("x509: certificate signed by unknown authority"), "{refused}");
    cluster.kubectl(&["delete", "validatingwebhookconfiguration", "judge"]).ok("it can be taken away");
    cluster.kubectl(&["create", "configmap", "other"]).ok("and then nobody asks");
}

#[test]
fn a_chart_may_bring_a_webhook_before_the_pod_that_answers() {
    let Some(cluster) = appliance("chart-hooks") else { return };
    let (_server, bundle) = server(&cluster);
    cluster.load_busybox();
    cluster.kubectl(&["create", "namespace", "hooks"]).ok("namespace");
    let service = "service: {name: hook, namespace: hooks, path: /judge}";
    let needed = configuration("ValidatingWebhookConfiguration", "needed", service, &bundle, "");
    cluster.kubectl_with(&["apply"], &needed).ok("the configuration comes first");
    let refused = cluster.kubectl(&["create", "configmap", "early"]).refused("nobody answers yet");
    assert!(refused.contains("failed calling webhook \"needed.example.com\": failed to call webhook: Post \"https://hook.hooks.svc:443/judge?timeout=5s\": "), "{refused}");
    let optional = configuration(
        "ValidatingWebhookConfiguration",
        "needed",
        service,
        &bundle,
        "  failurePolicy: Ignore\n",
    );
    cluster.kubectl_with(&["apply"], &optional).ok("one that may fail");
    cluster.kubectl(&["create", "configmap", "early"]).ok("goes on without it");
    cluster
        .kubectl_with(&["apply"], &needed.replace("  sideEffects", "  failurePolicy: Fail\n  sideEffects"))
        .ok("needed again");
    cluster.kubectl_with(&["apply"], &relay("hooks", "hook", PORT)).ok("the pod comes");
    cluster
        .kubectl(&["rollout", "status", "-n", "hooks", "deployment/hook", "--timeout=60s"])
        .ok("and is ready");
    cluster.until(&["create", "configmap", "good", "-o", "name"], "configmap/good");
    let refused = cluster.kubectl(&["create", "configmap", "bad"]).refused("a bad name");
    assert!(refused.contains("admission webhook \"needed.example.com\" denied the request"), "{refused}");
}
