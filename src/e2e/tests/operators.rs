//! What operators bring, with the real kubectl: rules in CEL, and webhooks that change and judge what is written: by address,
//! and through a Service to a pod that comes after its configuration, as charts install them.

mod common;

use common::{Appliance, appliance};
use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

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
        .kubectl(&["wait", "--for=condition=Established", "crd/ranges.stable.example.com", "--timeout=30s"])
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
const SERVER: &str = r#"
import base64, http.server, json, ssl, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
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
        answer = json.dumps({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_): pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = http.server.ThreadingHTTPServer(("0.0.0.0", 9555), Hook)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"#;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The running server, and its authority as a `caBundle`.
fn server(cluster: &Appliance) -> (Server, String) {
    let home = cluster.home().to_owned();
    let script = r#"
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hook-ca -keyout ca.key -out ca.crt &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=hook -keyout hook.key -out hook.csr &&
        printf 'subjectAltName=DNS:hook.hooks.svc,DNS:localhost,IP:127.0.0.1' > san &&
        openssl x509 -req -in hook.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out hook.crt &&
        base64 -w0 ca.crt"#;
    let made = Command::new("sh").args(["-c", script]).current_dir(&home).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bundle = String::from_utf8(made.stdout).unwrap();
    fs::write(home.join("hook.py"), SERVER).unwrap();
    let child = Command::new("python3")
        .args(["hook.py", "hook.crt", "hook.key"])
        .current_dir(&home)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    for _ in 0..100 {
        if TcpStream::connect("127.0.0.1:9555").is_ok() {
            return (server, bundle);
        }
        sleep(Duration::from_millis(100));
    }
    panic!("the webhook does not listen");
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

/// The pod only carries the connection on: what TLS says is the server's.
const HOOK: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: hooks}
spec: {selector: {app: hook}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hook, namespace: hooks}
spec:
  selector: {matchLabels: {app: hook}}
  template:
    metadata: {labels: {app: hook}}
    spec:
      containers:
      - name: hook
        image: busybox:1
        imagePullPolicy: Never
        command: [sh, -c, 'exec nc -ll -p 8443 -e nc $HOST 9555']
        env: [{name: HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}]
        readinessProbe: {tcpSocket: {port: 8443}, periodSeconds: 1}
"#;

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
    cluster.kubectl_with(&["apply"], HOOK).ok("the pod comes");
    cluster
        .kubectl(&["rollout", "status", "-n", "hooks", "deployment/hook", "--timeout=60s"])
        .ok("and is ready");
    cluster.until(&["create", "configmap", "good", "-o", "name"], "configmap/good");
    let refused = cluster.kubectl(&["create", "configmap", "bad"]).refused("a bad name");
    assert!(refused.contains("admission webhook \"needed.example.com\" denied the request"), "{refused}");
}
