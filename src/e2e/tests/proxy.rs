//! The API proxy with a real client: `kubectl get --raw`.

mod common;

use common::appliance;

const WEB: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: monopod/kubia, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nothing}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: byhand}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: byhand}
subsets: [{addresses: [{ip: 203.0.113.2}], ports: [{port: 80}]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [services/proxy], resourceNames: ['web:http'], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
subjects: [{kind: User, name: jane, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: Role, name: reader, apiGroup: rbac.authorization.k8s.io}
";

const HERE: &str = "/api/v1/namespaces/default";

#[test]
fn pods_and_services_are_reached_through_the_api_server() {
    let Some(at) = appliance("proxy-raw") else { return };
    at.kubectl_with(&["create"], WEB).ok("create");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]).ok("wait");
    at.until_some(&[
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=web",
        "-o",
        "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}",
    ]);
    for path in [
        "pods/web/proxy/",
        "pods/web:8080/proxy/any/path?and=query",
        // sent to the path with a slash, which kubectl follows
        "pods/web:8080/proxy",
        "pods/http:web:8080/proxy/",
        "services/web:http/proxy/",
        "services/web:80/proxy/",
        "services/http:web:http/proxy/",
    ] {
        let answer = at.kubectl(&["get", "--raw", &format!("{HERE}/{path}")]).ok(path);
        assert_eq!(answer.trim(), "You've hit web", "{path}");
    }
    let ip = at.kubectl(&["get", "pod", "web", "-o", "jsonpath={.status.podIP}"]).ok("ip");
    let refused = format!("error trying to reach service: dial tcp {ip}:1: connect: connection refused");
    for (path, words) in [
        ("services/nobody/proxy/", "no endpoints available for service \"nobody\""),
        ("services/byhand:80/proxy/", "no endpoints available for service \"byhand:80\""),
        ("services/web:81/proxy/", "no service port 81 found for service \"web\""),
        ("services/missing/proxy/", "services \"missing\" not found"),
        ("pods/missing/proxy/", "pods \"missing\" not found"),
        ("pods/ftp:web:80/proxy/", "invalid pod request \"ftp:web:80\""),
        ("pods/web:1/proxy/", &refused),
    ] {
        let said = at.kubectl(&["get", "--raw", &format!("{HERE}/{path}")]).refused(path);
        assert!(said.contains(words), "{path}: {said}");
    }
    // a status that somebody has written leads nobody to the machine's own addresses
    let patch = r#"{"status":{"podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}]}}"#;
    let idle = "apiVersion: v1\nkind: Pod\nmetadata: {name: idle}\nspec: {nodeName: nowhere, containers: [{name: c, image: x}]}\n";
    at.kubectl_with(&["create"], idle).ok("idle");
    at.kubectl(&["patch", "pod", "idle", "--subresource=status", "--type=merge", "-p", patch]).ok("patch");
    let said = at.kubectl(&["get", "--raw", &format!("{HERE}/pods/idle:8443/proxy/")]).refused("loopback");
    assert!(said.contains("address not allowed"), "{said}");
    // by the verb, and by the name as the path has it
    let raw = |verb: &str, path: &str| {
        at.kubectl_with(&[verb, "--as=jane", "--raw", &format!("{HERE}/{path}")], "x: y\n")
    };
    let get = |path: &str| at.kubectl(&["get", "--as=jane", "--raw", &format!("{HERE}/{path}")]);
    assert_eq!(get("services/web:http/proxy/").ok("get").trim(), "You've hit web");
    let said = get("services/web:80/proxy/").refused("another name");
    assert!(said.contains("cannot get resource \"services/proxy\""), "{said}");
    let said = raw("create", "services/web:http/proxy/").refused("another verb");
    assert!(said.contains("cannot create resource \"services/proxy\""), "{said}");
    let listed = at.kubectl(&["get", "--raw", "/api/v1"]).ok("discovery");
    for part in ["pods/proxy", "services/proxy", "nodes/proxy"] {
        assert!(listed.contains(&format!("\"{part}\"")), "{part}");
    }
    assert!(at.kubectl(&["cluster-info"]).ok("cluster-info").contains("/services/kube-dns:"));
}
