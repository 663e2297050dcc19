//! An extension API server behind an APIService, with the real kubectl: found, asked as the user, and told who that is by a
//! certificate that only the API server has.

mod common;

use common::appliance;
use common::https::{relay, serve};
use std::fs;

/// Serves flunders, and says whom it believes to be asked by.
const EXTENSION: &str = r##"
gone = []
class Handler(Json):
    def do_GET(self):
        path = self.path.split("?")[0]
        root = "/apis/wardle.example.com/v1alpha1"
        by = self.headers.get("X-Remote-User") if self.connection.getpeercert() else None
        if path == root:
            self.answer({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "wardle.example.com/v1alpha1", "resources": [
                {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": ["delete", "deletecollection", "get", "list"], "shortNames": ["fl"]}]})
        elif path == root + "/namespaces/default/flunders":
            self.answer({"kind": "FlunderList", "apiVersion": "wardle.example.com/v1alpha1", "metadata": {}, "items": [
                {"kind": "Flunder", "apiVersion": "wardle.example.com/v1alpha1", "metadata": {"name": "one", "namespace": "default"}, "spec": {"by": by}}]})
        elif path == root + "/namespaces/brief/flunders":
            items = [] if gone else [{"metadata": {"name": "two", "namespace": "brief"}}]
            self.answer({"kind": "FlunderList", "apiVersion": "wardle.example.com/v1alpha1", "metadata": {}, "items": items})
        elif path.startswith(root + "/namespaces/") and path.endswith("/flunders"):
            self.answer({"kind": "FlunderList", "apiVersion": "wardle.example.com/v1alpha1", "metadata": {}, "items": []})
        elif path == root + "/gone":
            self.answer({"gone": gone})
        elif path == root + "/whoami":
            self.answer({"by": by, "groups": self.headers.get_all("X-Remote-Group"), "token": self.headers.get("Authorization"), "path": self.path})
        elif path == "/openapi/v3":
            self.answer({"paths": {"apis/wardle.example.com/v1alpha1": {"serverRelativeURL": "/openapi/v3/apis/wardle.example.com/v1alpha1?hash=A1"}}})
        elif path == "/openapi/v3/apis/wardle.example.com/v1alpha1":
            self.answer({"openapi": "3.0.0", "info": {"title": "flunders"}, "paths": {}})
        elif path == "/openapi/v2":
            schema = {"$ref": "#/definitions/com.example.wardle.FlunderList"}
            self.answer({"swagger": "2.0", "info": {"title": "flunders"},
                "paths": {root + "/flunders": {"get": {"responses": {"200": {"description": "OK", "schema": schema}}}}},
                "definitions": {"com.example.wardle.FlunderList": {"type": "object"}}})
        else:
            self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}, 404)
    def do_DELETE(self):
        gone.append(self.path + " by " + str(self.headers.get("X-Remote-User")))
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})
"##;

fn api_service(bundle: &str) -> String {
    format!(
        "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {{name: v1alpha1.wardle.example.com}}\nspec:\n\
         \x20 group: wardle.example.com\n  version: v1alpha1\n  groupPriorityMinimum: 2000\n  versionPriority: 200\n\
         \x20 service: {{namespace: wardle, name: api}}\n  caBundle: {bundle}\n"
    )
}

#[test]
fn an_extension_serves_a_part_of_the_api() {
    let Some(cluster) = appliance("aggregation") else { return };
    let trusted = ["get", "configmap", "-n", "kube-system", "extension-apiserver-authentication", "-o"];
    let key = r"jsonpath={.data.requestheader-client-ca-file}";
    let authority = cluster.until_some(&[&trusted[..], &[key]].concat());
    fs::write(cluster.home().join("front-proxy.crt"), authority).unwrap();
    let (server, bundle) = serve(&cluster, EXTENSION, 9557, &["api.wardle.svc"], &["front-proxy.crt"]);
    cluster.load_busybox();
    let local = cluster.until_some(&["get", "apiservice", "v1.apps", "--no-headers"]);
    let local: Vec<&str> = local.split_whitespace().collect();
    assert_eq!(local[..3], ["v1.apps", "Local", "True"]);
    cluster.kubectl_with(&["create"], &api_service(&bundle)).ok("the APIService comes first");
    let reason =
        ["get", "apiservice", "v1alpha1.wardle.example.com", "-o", "jsonpath={.status.conditions[0].reason}"];
    cluster.until(&reason, "ServiceNotFound");
    let refused =
        cluster.kubectl(&["get", "--raw", "/apis/wardle.example.com/v1alpha1"]).refused("nobody is there");
    assert!(refused.contains("currently unable to handle the request"), "{refused}");
    cluster.kubectl(&["create", "namespace", "wardle"]).ok("namespace");
    cluster.kubectl_with(&["apply"], &relay("wardle", "api", 9557)).ok("the server");
    cluster
        .kubectl(&[
            "wait",
            "--for=condition=Available",
            "apiservice/v1alpha1.wardle.example.com",
            "--timeout=60s",
        ])
        .ok("it is there");
    let row =
        cluster.kubectl(&["get", "apiservice", "v1alpha1.wardle.example.com", "--no-headers"]).ok("columns");
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row[..3], ["v1alpha1.wardle.example.com", "wardle/api", "True"]);
    let resources = ["api-resources", "--api-group=wardle.example.com", "--no-headers"];
    cluster.until_told(&resources, "flunders");
    let found = cluster.kubectl(&resources).ok("found");
    assert_eq!(
        found.split_whitespace().collect::<Vec<_>>(),
        ["flunders", "fl", "wardle.example.com/v1alpha1", "true", "Flunder"]
    );
    let by = cluster.kubectl(&["get", "fl", "-o", "jsonpath={.items[0].metadata.name} {.items[0].spec.by}"]);
    assert_eq!(by.ok("asked as the user"), "one monopod-admin");
    let raw = |path: &str| cluster.kubectl(&["get", "--raw", path]);
    let who = raw("/apis/wardle.example.com/v1alpha1/whoami?a=b%2Fc").ok("who asks");
    let who: serde_json::Value = serde_json::from_str(&who).unwrap();
    assert_eq!((&who["by"], &who["token"]), (&"monopod-admin".into(), &serde_json::Value::Null));
    assert_eq!(who["path"], "/apis/wardle.example.com/v1alpha1/whoami?a=b%2Fc");
    assert!(who["groups"].as_array().unwrap().contains(&"system:masters".into()), "{who}");
    let group = raw("/apis/wardle.example.com").ok("the group");
    assert!(
        group.contains("\"preferredVersion\":{\"groupVersion\":\"wardle.example.com/v1alpha1\""),
        "{group}"
    );
    let document = "/openapi/v3/apis/wardle.example.com/v1alpha1?hash=A1";
    cluster.until_told(&["get", "--raw", "/openapi/v3"], document);
    let document = raw(document).ok("its document");
    assert!(document.contains("flunders"), "{document}");
    let whole = raw("/openapi/v2").ok("the one document of version 2");
    let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert!(whole["paths"]["/apis/wardle.example.com/v1alpha1/flunders"].is_object());
    assert!(whole["definitions"]["com.example.wardle.FlunderList"].is_object());
    let refused = cluster.kubectl(&["get", "fl", "--as=jane"]).refused("who may not");
    assert!(
        refused
            .contains("User \"jane\" cannot list resource \"flunders\" in API group \"wardle.example.com\""),
        "{refused}"
    );
    cluster.kubectl(&["create", "namespace", "brief"]).ok("a namespace with a flunder");
    cluster
        .kubectl(&["delete", "namespace", "brief", "--timeout=60s"])
        .ok("goes with what the extension has");
    let gone = raw("/apis/wardle.example.com/v1alpha1/gone").ok("what was deleted");
    let by = "by system:serviceaccount:kube-system:namespace-controller";
    let path = "/apis/wardle.example.com/v1alpha1/namespaces/brief/flunders?propagationPolicy=Background";
    assert!(gone.contains(&format!("{path} {by}")), "{gone}");
    cluster.kubectl(&["scale", "-n", "wardle", "deployment/api", "--replicas=0"]).ok("the pod goes");
    cluster.until(&reason, "MissingEndpoints");
    cluster.kubectl(&["create", "namespace", "waits"]).ok("a namespace");
    cluster.kubectl(&["delete", "namespace", "waits", "--wait=false"]).ok("nobody knows what it has");
    let told = "{.status.conditions[?(@.type=='NamespaceDeletionDiscoveryFailure')].reason}";
    let told = format!("jsonpath={told}");
    cluster.until(&["get", "namespace", "waits", "-o", &told], "DiscoveryFailed");
    cluster.kubectl(&["delete", "apiservice", "v1alpha1.wardle.example.com"]).ok("taken away");
    raw("/apis/wardle.example.com/v1alpha1").refused("and nobody serves it");
    // what there is is known again
    cluster.until(&["get", "namespace", "waits", "--ignore-not-found", "-o", "name"], "");
    drop(server);
}
