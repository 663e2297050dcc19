//! Who may do what, where a webhook is asked before RBAC.

mod common;

use common::appliance;
use common::https::serve;

/// Knows jane, who may read config maps and nothing of the namespace `closed`, and writes down what it is asked.
const WEBHOOK: &str = r#"
class Handler(Json):
    def do_POST(self):
        review = self.body()
        spec = review["spec"]
        asked = spec.get("resourceAttributes", {})
        with open("asked", "a") as log:
            log.write(json.dumps(spec) + "\n")
        status = {"allowed": False}
        if asked.get("namespace") == "closed":
            status = {"allowed": False, "denied": True, "reason": "the namespace is closed"}
        elif spec.get("user") == "jane" and asked.get("resource") == "configmaps" and asked.get("verb") in ("get", "list"):
            status = {"allowed": True, "reason": "jane reads"}
        self.answer({"apiVersion": review["apiVersion"], "kind": "SubjectAccessReview", "status": status})
"#;
const PORT: u16 = 9557;

#[test]
fn a_webhook_is_asked_before_rbac() {
    let Some(at) = appliance("authorization") else { return };
    let (_server, bundle) = serve(&at, WEBHOOK, PORT, &[], &[]);
    let (config, connection) = (at.home().join("authorization.yaml"), at.home().join("webhook.conf"));
    let kubeconfig = format!(
        "clusters: [{{name: w, cluster: {{server: 'https://localhost:{PORT}/', certificate-authority-data: {bundle}}}}}]\n\
         contexts: [{{name: w, context: {{cluster: w, user: ''}}}}]\ncurrent-context: w\n"
    );
    std::fs::write(&connection, kubeconfig).unwrap();
    let file = |policy: &str| {
        format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n\
             - type: Webhook\n  name: desk\n  webhook:\n    timeout: 3s\n    subjectAccessReviewVersion: v1\n\
             \x20   matchConditionSubjectAccessReviewVersion: v1\n    failurePolicy: {policy}\n\
             \x20   connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {}}}\n\
             \x20   matchConditions: [{{expression: \"!request.user.startsWith('system:')\"}}]\n- {{type: RBAC, name: rbac}}\n",
            connection.display()
        )
    };
    let config = config.to_str().unwrap();
    at.monopod(&["stop"]).ok("stop");
    std::fs::write(config, file("Sometimes")).unwrap();
    let refused = at.monopod(&["start", "--authorization-config", config]).refused("no policy");
    assert!(refused.contains("webhook.failurePolicy: Unsupported value: \"Sometimes\""), "{refused}");
    std::fs::write(config, file("NoOpinion")).unwrap();
    at.monopod(&["start", "--authorization-config", config]).ok("start");

    at.kubectl(&["create", "namespace", "closed"]).ok("an administrator is not asked about");
    let may = |verb: &str, namespace: &str| {
        let answer = at.kubectl(&["auth", "can-i", verb, "configmaps", "--as=jane", "-n", namespace]);
        answer.out().trim().to_owned()
    };
    assert_eq!(
        [may("list", "default"), may("create", "default"), may("list", "closed")],
        ["yes", "no", "no - the namespace is closed"]
    );
    at.kubectl(&["get", "configmaps", "--as=jane"]).ok("what the webhook allows");
    let refused =
        at.kubectl(&["get", "configmaps", "--as=jane", "-n", "closed"]).refused("a closed namespace");
    assert!(refused.ends_with("in the namespace \"closed\": the namespace is closed\n"), "{refused}");
    // what it has no opinion of is RBAC's
    at.kubectl(&["create", "clusterrolebinding", "jane", "--clusterrole=edit", "--user=jane"])
        .ok("a binding");
    assert_eq!([may("create", "default"), may("create", "closed")], ["yes", "no - the namespace is closed"]);
    at.kubectl(&["create", "configmap", "hers", "--as=jane"]).ok("what RBAC allows");
    let asked = std::fs::read_to_string(at.home().join("asked")).unwrap();
    assert!(!asked.contains("\"user\": \"system:"), "its conditions leave those out: {asked}");
    at.kubectl(&["get", "configmaps", "--as=jane", "-l", "app=web,!old"]).ok("what she selects");
    let asked = std::fs::read_to_string(at.home().join("asked")).unwrap();
    assert!(asked.contains("\"key\": \"old\", \"operator\": \"DoesNotExist\""), "it is told so: {asked}");

    // the file changes, and what it says is in force without a start
    let put = |text: &str| {
        std::fs::write(at.home().join("staged"), text).unwrap();
        std::fs::rename(at.home().join("staged"), config).unwrap();
    };
    let reloads = |status: &str, count: u32| {
        let name = "apiserver_authorization_config_controller_automatic_reloads_total";
        at.until_told(&["get", "--raw", "/metrics"], &format!("{name}{{status=\"{status}\"}} {count}"));
    };
    put(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers: [{type: RBAC, name: rbac}]\n",
    );
    reloads("success", 1);
    assert_eq!([may("list", "closed"), may("create", "closed")], ["yes", "yes"]);
    put(&file("Sometimes"));
    reloads("failure", 1);
    assert_eq!([may("list", "closed"), may("create", "closed")], ["yes", "yes"], "what was read before");
    put(&file("NoOpinion"));
    reloads("success", 2);
    assert_eq!(may("list", "closed"), "no - the namespace is closed");

    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", "--authorization-config", "none"]).ok("start without");
    at.kubectl(&["get", "configmaps", "--as=jane", "-n", "closed"]).ok("RBAC alone");
}
