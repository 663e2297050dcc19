//! Custom resources in two versions that a webhook converts, with the real kubectl.

mod common;

use common::appliance;
use common::https::serve;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// v1 has `hostPort: host:port`, v2 has `host` and `port`, and the host as a label too. What is called `fails` it does not convert.
const CONVERTER: &str = r#"
class Handler(Json):
    def do_POST(self):
        review = self.body()
        request = review["request"]
        wanted = request["desiredAPIVersion"]
        converted, result = [], {"status": "Success"}
        for thing in request["objects"]:
            if thing["metadata"]["name"] == "fails":
                result = {"status": "Failed", "message": "it can not be"}
            spec = thing.get("spec", {})
            if wanted.endswith("/v2") and "hostPort" in spec:
                host, port = spec.pop("hostPort").split(":")
                spec.update(host=host, port=int(port))
                thing["metadata"].setdefault("labels", {})["host"] = host
            elif wanted.endswith("/v1") and "host" in spec:
                spec["hostPort"] = "%s:%d" % (spec.pop("host"), spec.pop("port"))
                labels = thing["metadata"].get("labels", {})
                labels.pop("host", None)
                if not labels:
                    thing["metadata"].pop("labels", None)
            thing["metadata"].setdefault("annotations", {})["converted-to"] = wanted
            thing["metadata"]["generation"] = 99
            thing["apiVersion"] = wanted
            converted.append(thing)
        self.answer({"apiVersion": review["apiVersion"], "kind": "ConversionReview",
                     "response": {"uid": request["uid"], "result": result, "convertedObjects": converted}})
"#;

fn definition(bundle: &str, stored: &str) -> String {
    let is = |version: &str| stored == version;
    format!(
        r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: places.example.com}}
spec:
  group: example.com
  scope: Namespaced
  names: {{plural: places, kind: Place}}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {{url: 'https://localhost:9556/convert', caBundle: {bundle}}}
  versions:
  - name: v1
    served: true
    storage: {}
    schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, required: [hostPort], properties: {{hostPort: {{type: string}}}}}}}}}}}}
  - name: v2
    served: true
    storage: {}
    additionalPrinterColumns: [{{name: Port, type: integer, jsonPath: .spec.port}}]
    schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, required: [host, port], properties: {{host: {{type: string}}, port: {{type: integer, maximum: 65535}}}}}}}}}}}}
"#,
        is("v1"),
        is("v2")
    )
}

const V1: &str = "apiVersion: example.com/v1\nkind: Place\nmetadata: {name: one}\nspec: {hostPort: 'a:1'}\n";
const V2: &str = "apiVersion: example.com/v2\nkind: Place\nmetadata: {name: two}\nspec: {host: b, port: 2}\n";

#[test]
fn a_webhook_converts_between_versions() {
    let Some(cluster) = appliance("conversions") else { return };
    let (server, bundle) = serve(&cluster, CONVERTER, 9556, &[], &[]);
    cluster.kubectl_with(&["apply"], &definition(&bundle, "v1")).ok("the definition");
    cluster
        .kubectl(&["wait", "--for=condition=Established", "crd/places.example.com", "--timeout=60s"])
        .ok("established");
    cluster.kubectl_with(&["create"], V1).ok("in the stored version");
    cluster.kubectl_with(&["create"], V2).ok("in the other");
    let specs = |version: &str| {
        let shown = "jsonpath={range .items[*]}{.apiVersion} {.metadata.name} {.metadata.generation} {.spec}{'\\n'}{end}";
        let all =
            cluster.kubectl(&["get", &format!("places.{version}.example.com"), "-o", shown]).ok("a list");
        all.trim_end().to_owned()
    };
    assert_eq!(
        specs("v1"),
        "example.com/v1 one 1 {\"hostPort\":\"a:1\"}\nexample.com/v1 two 1 {\"hostPort\":\"b:2\"}"
    );
    assert_eq!(
        specs("v2"),
        "example.com/v2 one 1 {\"host\":\"a\",\"port\":1}\nexample.com/v2 two 1 {\"host\":\"b\",\"port\":2}"
    );
    let rows = cluster.kubectl(&["get", "places.v2.example.com", "two"]).ok("columns of its version");
    assert!(rows.starts_with("NAME   PORT\ntwo    2"), "{rows}");
    // labels are those of the version that is asked for
    let selected = |version: &str, labels: &str| {
        let kind = format!("places.{version}.example.com");
        cluster.kubectl(&["get", &kind, "-l", labels, "-o", "name"]).ok("by labels").trim_end().to_owned()
    };
    assert_eq!(selected("v2", "host=a"), "place.example.com/one");
    assert_eq!(selected("v2", "host!=a"), "place.example.com/two");
    assert_eq!(selected("v1", "host"), "");
    // a change by one version is seen by the other, judged by its own
    cluster
        .kubectl(&["patch", "places.v2.example.com", "one", "--type=merge", "-p", r#"{"spec":{"port":7}}"#])
        .ok("patched");
    cluster.until(&["get", "places.v1.example.com", "one", "-o", "jsonpath={.spec.hostPort}"], "a:7");
    let refused = cluster
        .kubectl(&[
            "patch",
            "places.v2.example.com",
            "one",
            "--type=merge",
            "-p",
            r#"{"spec":{"port":70000}}"#,
        ])
        .refused("a port that there is not");
    assert!(refused.contains("spec.port"), "{refused}");
    let apply = ["apply", "--server-side", "--force-conflicts"];
    cluster.kubectl_with(&apply, &V2.replace("port: 2", "port: 5")).ok("applied");
    cluster.until(&["get", "places.v1.example.com", "two", "-o", "jsonpath={.spec.hostPort}"], "b:5");
    // a watch in the other version
    let mut watch = cluster.command(&cluster.kubectl_path());
    let watch = watch.args([
        "get",
        "places.v2.example.com",
        "two",
        "--watch",
        "-o",
        "jsonpath={.apiVersion} {.spec.port}{'\\n'}",
    ]);
    let mut watching = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut seen = BufReader::new(watching.stdout.take().unwrap()).lines();
    assert_eq!(seen.next().unwrap().unwrap(), "example.com/v2 5");
    cluster
        .kubectl(&[
            "patch",
            "places.v1.example.com",
            "two",
            "--type=merge",
            "-p",
            r#"{"spec":{"hostPort":"b:6"}}"#,
        ])
        .ok("changed in the stored version");
    assert_eq!(seen.next().unwrap().unwrap(), "example.com/v2 6");
    let _ = watching.kill();
    let _ = watching.wait();
    cluster.kubectl(&["delete", "places.v2.example.com", "-l", "host=nowhere"]).ok("nothing is selected");
    assert_eq!(selected("v2", "host in (a,b)"), "place.example.com/one\nplace.example.com/two");
    // another version is stored from now on; what is there already stays as it is
    cluster.kubectl_with(&["apply"], &definition(&bundle, "v2")).ok("v2 is stored");
    cluster.until(
        &["get", "crd/places.example.com", "-o", "jsonpath={.status.storedVersions}"],
        r#"["v1","v2"]"#,
    );
    cluster.kubectl_with(&["create"], &V2.replace("two", "three")).ok("one more");
    let names = |version: &str| {
        let shown = "jsonpath={.items[*].apiVersion}";
        cluster.kubectl(&["get", &format!("places.{version}.example.com"), "-o", shown]).ok("a mixed list")
    };
    assert_eq!(names("v1"), "example.com/v1 example.com/v1 example.com/v1");
    assert_eq!(names("v2"), "example.com/v2 example.com/v2 example.com/v2");
    let refused =
        cluster.kubectl_with(&["create"], &V1.replace("one", "fails")).refused("what it does not convert");
    assert!(
        refused.contains("conversion webhook for example.com/v1, Kind=Place failed: it can not be"),
        "{refused}"
    );
    cluster.kubectl(&["delete", "places.v2.example.com", "-l", "host=a"]).ok("what is selected goes");
    assert_eq!(selected("v1", "!host"), "place.example.com/three\nplace.example.com/two");
    drop(server);
    let refused = cluster.kubectl(&["get", "places.v1.example.com", "three"]).refused("nobody converts");
    assert!(
        refused.contains("conversion webhook for example.com/v2, Kind=Place failed: Post \"https://localhost:9556/convert?timeout=30s\": dial tcp"),
        "{refused}"
    );
    // what is stored in the version that is asked for needs nobody
    cluster.kubectl(&["get", "places.v2.example.com", "three"]).ok("the stored version");
}
