//! Admission policies with the real kubectl: what they refuse, warn of and change, and that a wrong one is refused itself.

mod common;

use common::appliance;

const VALIDATING: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few.example.com}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  matchConditions:
  - {name: not-of-the-system, expression: "!request.userInfo.username.startsWith('system:')"}
  variables:
  - {name: most, expression: "int(params.data.most)"}
  validations:
  - expression: object.spec.replicas <= variables.most
    messageExpression: "'%d replicas are more than %d in %s'.format([object.spec.replicas, variables.most, namespaceObject.metadata.name])"
    reason: Forbidden
"#;

const BINDING: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few-here}
spec:
  policyName: few.example.com
  validationActions: [Deny]
  paramRef: {name: limits, namespace: default, parameterNotFoundAction: Deny}
  matchResources:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}
"#;

fn deployment(name: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec:\n  replicas: {replicas}\n\
         \x20 selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n\
         \x20   spec: {{containers: [{{name: main, image: 'busybox:1', imagePullPolicy: Never}}]}}\n"
    )
}

#[test]
fn a_policy_judges_what_is_written() {
    let Some(cluster) = appliance("policies") else { return };
    let bad = VALIDATING.replace("object.spec.replicas <= variables.most", "objekt.spec.replicas <= 5");
    let refused = cluster.kubectl_with(&["create"], &bad).refused("an expression that can not be compiled");
    assert!(refused.contains("spec.validations[0].expression: Invalid value: \"objekt.spec.replicas <= 5\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'objekt'"), "{refused}");
    cluster.kubectl_with(&["apply"], VALIDATING).ok("the policy");
    cluster.kubectl_with(&["create"], &deployment("free", 9)).ok("without a binding it judges nothing");
    cluster.kubectl_with(&["apply"], BINDING).ok("the binding");
    let rows = cluster.kubectl(&["get", "validatingadmissionpolicies"]).ok("columns");
    assert!(
        rows.starts_with(
            "NAME              VALIDATIONS   PARAMKIND      AGE\nfew.example.com   1             v1/ConfigMap"
        ),
        "{rows}"
    );
    let rows = cluster.kubectl(&["get", "validatingadmissionpolicybindings"]).ok("columns");
    assert!(rows.contains("few.example.com   default/limits"), "{rows}");
    let seen =
        ["get", "validatingadmissionpolicy/few.example.com", "-o", "jsonpath={.status.observedGeneration}"];
    cluster.until(&seen, "1");
    let types = |name: &str| {
        let policy = format!("validatingadmissionpolicy/{name}");
        cluster.until(&["get", &policy, "-o", "jsonpath={.status.observedGeneration}"], "1");
        cluster.kubectl(&["get", &policy, "-o", "jsonpath={.status.typeChecking}"]).ok("what is suspect")
    };
    assert_eq!(types("few.example.com"), "{}");
    let suspect = VALIDATING
        .replace("few.example.com", "suspect")
        .replace("object.spec.replicas <=", "object.replicas <=");
    cluster.kubectl_with(&["apply"], &suspect).ok("it is suspect, and no more");
    let told = types("suspect");
    let want = r#"{"expressionWarnings":[{"fieldRef":"spec.validations[0].expression","warning":"apps/v1, Kind=Deployment: ERROR: \u003cinput\u003e:1:7: undefined field 'replicas'\n | object.replicas"#;
    assert!(told.replace('<', "\\u003c").replace('>', "\\u003e").contains(want), "{told}");
    let refused =
        cluster.kubectl_with(&["create"], &deployment("early", 1)).refused("its parameters are not there");
    assert!(refused.contains("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"), "{refused}");
    cluster.kubectl(&["create", "configmap", "limits", "--from-literal=most=3"]).ok("parameters");
    let refused = cluster.kubectl_with(&["create"], &deployment("many", 5)).refused("too many");
    let want = "deployments.apps \"many\" is forbidden: ValidatingAdmissionPolicy 'few.example.com' with binding 'few-here' denied request: 5 replicas are more than 3 in default";
    assert!(refused.contains(want), "{refused}");
    cluster.kubectl_with(&["create"], &deployment("some", 3)).ok("not too many");
    cluster.kubectl(&["create", "namespace", "other"]).ok("another namespace");
    cluster.kubectl_with(&["create", "-n", "other"], &deployment("many", 5)).ok("where it is not bound");
    cluster.kubectl_with(&["apply"], &BINDING.replace("[Deny]", "[Warn]")).ok("only a warning");
    let warned = cluster.kubectl_with(&["create"], &deployment("many", 5));
    let want = "Warning: Validation failed for ValidatingAdmissionPolicy 'few.example.com' with binding 'few-here': 5 replicas are more than 3";
    assert!(warned.err().contains(want), "{}", warned.err());
    warned.ok("and it is made");
    cluster.kubectl(&["delete", "validatingadmissionpolicy", "few.example.com"]).ok("it can be taken away");
}

/// Of the scheduler's bindings too.
const OF_BINDINGS: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: held}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods/binding, bindings]}
  validations:
  - {expression: "object.metadata.name != 'held'", message: not yet, reason: Forbidden}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: held}
spec: {policyName: held, validationActions: [Deny]}
"#;

#[test]
fn a_policy_judges_bindings() {
    let Some(cluster) = appliance("bindings") else { return };
    cluster.kubectl_with(&["apply"], OF_BINDINGS).ok("policy and binding");
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n\
             spec: {{containers: [{{name: c, image: 'busybox:1', imagePullPolicy: Never}}]}}\n"
        )
    };
    for name in ["free", "held"] {
        cluster.kubectl_with(&["create"], &pod(name)).ok(name);
    }
    let said = [
        "get",
        "events",
        "--field-selector",
        "involvedObject.name=held,reason=FailedScheduling",
        "-o",
        "jsonpath={.items[-1:].message}",
    ];
    let denied = "pods \"held\" is forbidden: ValidatingAdmissionPolicy 'held' with binding 'held' denied request: not yet";
    let rejected = format!("binding rejected: running Bind plugin \"DefaultBinder\": {denied}");
    cluster.until(&said, &rejected);
    let node = ["get", "pod", "held", "-o", "jsonpath={.spec.nodeName}"];
    assert_eq!(cluster.kubectl(&node).ok("it has no node"), "");
    cluster.until_some(&["get", "pod", "free", "-o", "jsonpath={.spec.nodeName}"]);
    // a client's, by the older collection
    let binding =
        "apiVersion: v1\nkind: Binding\nmetadata: {name: held}\ntarget: {kind: Node, name: anywhere}\n";
    let refused = cluster.kubectl_with(&["create"], binding).refused("a binding");
    assert!(refused.contains("bindings \"held\" is forbidden"), "{refused}");
    cluster.kubectl(&["delete", "validatingadmissionpolicy", "held"]).ok("nobody judges any more");
    cluster.until_some(&node);
}

const MUTATING: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: annotate}
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{metadata: Object.metadata{annotations: {"by": request.userInfo.username}},
               spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
                 containers: [Object.spec.template.spec.containers{name: "main", imagePullPolicy: "IfNotPresent"}]}}}}
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        [JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/team"), value: "blue"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: annotate}
spec: {policyName: annotate}
"#;

#[test]
fn a_policy_changes_what_is_written() {
    let Some(cluster) = appliance("mutations") else { return };
    cluster.kubectl_with(&["apply"], MUTATING).ok("policy and binding");
    let rows = cluster.kubectl(&["get", "mutatingadmissionpolicies"]).ok("columns");
    assert!(
        rows.starts_with("NAME       MUTATIONS   PARAMKIND   AGE\nannotate   2           <unset>"),
        "{rows}"
    );
    cluster.kubectl_with(&["create"], &deployment("web", 0)).ok("a deployment");
    let shown = "jsonpath={.metadata.annotations.by} {.metadata.labels.example\\.com/team} {.spec.template.spec.containers[0].imagePullPolicy} {.spec.template.spec.containers[0].image}";
    let web = cluster.kubectl(&["get", "deployment", "web", "-o", shown]).ok("what became of it");
    assert_eq!(web, "monopod-admin blue IfNotPresent busybox:1");
    cluster.kubectl(&["explain", "mutatingadmissionpolicy.spec.mutations.jsonPatch"]).ok("it is documented");
}
