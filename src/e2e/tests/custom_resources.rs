//! Custom resources with the real kubectl: a definition is served at once, its objects are checked by its schema, and they
//! go with it.

mod common;

use common::appliance;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
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
            description: What is wanted.
            required: [cronSpec]
            properties:
              cronSpec: {type: string, pattern: '^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$'}
              image: {type: string, default: busybox}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
          status:
            type: object
            properties: {replicas: {type: integer}, selector: {type: string}}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#;

fn cron_tab(name: &str, spec: &str) -> String {
    format!("apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

#[test]
fn what_a_definition_defines_is_served_checked_and_removed_with_it() {
    let Some(cluster) = appliance("custom") else { return };
    cluster.kubectl_with(&["create"], DEFINITION).ok("create the definition");
    cluster
        .kubectl(&["wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=60s"])
        .ok("established");
    let resources =
        cluster.kubectl(&["api-resources", "--api-group=stable.example.com", "--no-headers"]).ok("resources");
    assert!(resources.starts_with("crontabs") && resources.contains("ct"), "{resources}");

    // checked, with upstream's words
    let wrong =
        cluster.kubectl_with(&["create"], &cron_tab("bad", "{cronSpec: x, replicas: 15}")).refused("wrong");
    assert!(wrong.contains("The CronTab \"bad\" is invalid"), "{wrong}");
    assert!(wrong.contains("spec.replicas in body should be less than or equal to 10"), "{wrong}");
    let unknown = cluster
        .kubectl_with(&["create"], &cron_tab("bad", "{cronSpec: '* * * * *', x: 1}"))
        .refused("unknown");
    assert!(unknown.contains("strict decoding error: unknown field \"spec.x\""), "{unknown}");

    // defaulted, shown, scaled, patched, applied
    cluster.kubectl_with(&["apply"], &cron_tab("one", "{cronSpec: '* * * * *'}")).ok("apply");
    let rows = cluster.kubectl(&["get", "ct"]).ok("get");
    assert!(rows.starts_with("NAME   SPEC        REPLICAS\none    * * * * *   1"), "{rows}");
    cluster.kubectl(&["scale", "ct/one", "--replicas=3"]).ok("scale");
    let patch = r#"{"spec":{"image":"mine"}}"#;
    cluster.kubectl(&["patch", "ct", "one", "--type=merge", "-p", patch]).ok("patch");
    let strategic =
        cluster.kubectl(&["patch", "ct", "one", "--type=strategic", "-p", patch]).refused("strategic");
    assert!(strategic.contains("UnsupportedMediaType") || strategic.contains("media type"), "{strategic}");
    let applied = cron_tab("one", "{cronSpec: '1 * * * *'}");
    cluster
        .kubectl_with(&["apply", "--server-side", "--force-conflicts"], &applied)
        .ok("apply at the server");
    let want = "1 * * * * mine 3 3";
    let path = "jsonpath={.spec.cronSpec} {.spec.image} {.spec.replicas} {.metadata.generation}";
    let seen = cluster.kubectl(&["get", "ct", "one", "-o", path]).ok("fields");
    assert!(seen.starts_with("1 * * * * mine 3 "), "wanted {want}, saw {seen}");
    let beta = cluster
        .kubectl(&["get", "crontabs.v1beta1.stable.example.com", "one", "-o", "jsonpath={.apiVersion}"])
        .ok("beta");
    assert_eq!(beta, "stable.example.com/v1beta1");
    let explained = cluster.kubectl(&["explain", "crontab.spec"]).ok("explain");
    assert!(explained.contains("What is wanted.") && explained.contains("cronSpec"), "{explained}");
    let all = cluster.kubectl(&["explain", "crontab", "--recursive"]).ok("explain all");
    assert!(all.contains("cronSpec") && all.contains("finalizers"), "{all}");
    let published = || cluster.kubectl(&["get", "--raw", "/openapi/v2"]).ok("the document of version 2");
    assert!(published().contains("\"com.example.stable.v1.CronTab\""), "it has no custom kind");

    // still there after a restart, before anybody asks twice
    cluster.monopod(&["stop"]).ok("stop");
    cluster.monopod(&["start"]).ok("start");
    assert_eq!(cluster.kubectl(&["get", "ct", "-o", "name"]).ok("again"), "crontab.stable.example.com/one\n");

    // owners work across kinds, and objects with finalizers hold their definition
    let uid = cluster.kubectl(&["get", "ct", "one", "-o", "jsonpath={.metadata.uid}"]).ok("uid");
    let owned = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: owned\n  ownerReferences:\n  - {{apiVersion: stable.example.com/v1, kind: CronTab, name: one, uid: {uid}}}\n"
    );
    cluster.kubectl_with(&["create"], &owned).ok("owned");
    let hold = r#"{"metadata":{"finalizers":["example.com/hold"]}}"#;
    cluster.kubectl(&["patch", "ct", "one", "--type=merge", "-p", hold]).ok("hold");
    cluster.kubectl(&["delete", "crd", "crontabs.stable.example.com", "--wait=false"]).ok("delete");
    let terminating = r#"jsonpath={.status.conditions[?(@.type=="Terminating")].status}"#;
    cluster.until(&["get", "crd", "crontabs.stable.example.com", "-o", terminating], "True");
    cluster
        .kubectl(&["patch", "ct", "one", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#])
        .ok("release");
    cluster.until(&["get", "crd", "-o", "name"], "");
    cluster.until(&["get", "cm", "owned", "--ignore-not-found", "-o", "name"], "");
    let gone = cluster.kubectl(&["get", "--raw", "/apis/stable.example.com/v1/crontabs"]).refused("gone");
    assert!(gone.contains("the server could not find the requested resource"), "{gone}");
    assert!(!published().contains("com.example.stable"), "it has a custom kind that is gone");
}

/// A list each of whose items is compared with all the others.
fn words(bound: &str, of_each: &str) -> String {
    format!(
        "words: {{type: array, {bound} items: {{type: string{of_each}}}, \
         x-kubernetes-validations: [{{rule: \"self.all(a, self.exists_one(b, a == b))\", message: twice}}]}}"
    )
}

#[test]
fn a_definition_that_can_not_be_served_is_refused_or_says_why() {
    let Some(cluster) = appliance("nocustom") else { return };
    let cases = [
        (
            "no schema",
            DEFINITION.replace(
                "schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}",
                "",
            ),
            "schemas are required",
        ),
        (
            "not structural",
            DEFINITION.replace("image: {type: string, default: busybox}", "image: {description: x}"),
            "must not be empty for specified object fields",
        ),
        (
            "a default of another type",
            DEFINITION.replace(
                "image: {type: string, default: busybox}",
                "image: {type: integer, default: busybox}",
            ),
            "properties[spec].properties[image].default in body must be of type integer: \"string\"",
        ),
        (
            "two stored",
            DEFINITION.replace("storage: false", "storage: true"),
            "must have exactly one version marked as storage version",
        ),
        (
            "another name",
            DEFINITION.replace("{name: crontabs.stable.example.com}", "{name: other.stable.example.com}"),
            "must be spec.names.plural+\".\"+spec.group",
        ),
        (
            "a group of upstream's",
            DEFINITION.replace("stable.example.com", "x.k8s.io"),
            "protected groups must have approval annotation",
        ),
        (
            "a rule about a field that there is not",
            DEFINITION.replace(
                "description: What is wanted.",
                "x-kubernetes-validations: [{rule: self.repliccas > 1}]",
            ),
            "compilation failed: ERROR: <input>:1:5: undefined field 'repliccas'",
        ),
        (
            "a rule that may cost too much",
            DEFINITION.replace("image: {type: string, default: busybox}", &words("", "")),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[words].x-kubernetes-validations[0].rule: \
             Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding \
             maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)",
        ),
    ];
    for (name, manifest, want) in cases {
        let refused = cluster.kubectl_with(&["create"], &manifest).refused(name);
        assert!(refused.contains(want), "{name}: {refused}");
    }
    let bounded = DEFINITION
        .replace("image: {type: string, default: busybox}", &words("maxItems: 20,", ", maxLength: 50"));
    cluster.kubectl_with(&["create", "--dry-run=server"], &bounded).ok("with a bound it costs little");
    cluster.kubectl_with(&["create"], DEFINITION).ok("the first");
    cluster
        .kubectl(&["wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=60s"])
        .ok("established");
    let second = DEFINITION
        .replace("name: crontabs.stable", "name: others.stable")
        .replace("plural: crontabs, singular: crontab", "plural: others, singular: other");
    cluster.kubectl_with(&["create"], &second).ok("the second");
    let why = r#"jsonpath={.status.conditions[?(@.type=="NamesAccepted")].reason}"#;
    cluster.until(&["get", "crd", "others.stable.example.com", "-o", why], "ShortNamesConflict");
}

#[test]
fn a_name_that_a_definition_takes_too_stays_the_built_in_kind_s() {
    let Some(cluster) = appliance("first") else { return };
    let definition = DEFINITION
        .replace("stable.example.com", "aa.example.com")
        .replace("crontab", "deployment")
        .replace("CronTab", "Deployment");
    cluster.kubectl_with(&["create"], &definition).ok("create the definition");
    cluster
        .kubectl(&["wait", "--for=condition=Established", "crd/deployments.aa.example.com", "--timeout=60s"])
        .ok("established");
    let custom = "apiVersion: aa.example.com/v1\nkind: Deployment\nmetadata: {name: other}\nspec: {cronSpec: '* * * * *'}\n";
    cluster.kubectl_with(&["create"], custom).ok("a custom one");
    cluster.kubectl(&["create", "deployment", "web", "--image=127.0.0.1:1/web"]).ok("a built-in one");
    let found = cluster.kubectl(&["get", "deployments", "-o", "name"]).ok("by the name alone");
    assert_eq!(found.trim(), "deployment.apps/web");
    let found = cluster.kubectl(&["get", "deployments.aa.example.com", "-o", "name"]).ok("by the group too");
    assert_eq!(found.trim(), "deployment.aa.example.com/other");
}
