//! Objects, controllers and the life of the daemon, whatever becomes of the pods.

mod common;

use common::appliance;

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: IMAGE, ports: [{containerPort: 80}]}]}
";

const CONTROLLER: &str = "
apiVersion: v1
kind: ReplicationController
metadata: {name: kubia}
spec:
  replicas: 1
  selector: {app: kubia}
  template:
    metadata: {labels: {app: kubia}}
    spec: {containers: [{name: kubia, image: '127.0.0.1:1/kubia', ports: [{containerPort: 8080}]}]}
";

#[test]
fn a_replication_controller_is_scaled_and_replaces_what_is_deleted() {
    let Some(at) = appliance("rc") else { return };
    at.kubectl_with(&["create"], CONTROLLER).ok("create");
    at.until(&["get", "rc", "kubia", "-o", "jsonpath={.status.replicas}"], "1");
    at.kubectl(&["scale", "rc", "kubia", "--replicas=3"]).ok("scale");
    at.until(&["get", "rc", "kubia", "-o", "jsonpath={.status.replicas}"], "3");
    let names = at.kubectl(&["get", "pods", "-o", "name"]).ok("names");
    let victim = names.lines().next().unwrap();
    at.kubectl(&["delete", victim]).ok("delete pod");
    // the status may still be of before
    at.until(&["get", "pods", "-o", "jsonpath={.items[*].kind}"], "Pod Pod Pod");
    let after = at.kubectl(&["get", "pods", "-o", "name"]).ok("names");
    assert_eq!(after.lines().count(), 3, "{after}");
    assert!(!after.contains(victim), "{victim} is gone: {after}");
    at.kubectl(&["delete", "rc", "kubia"]).ok("delete rc");
    at.until(&["get", "pods", "-o", "name"], "");
}

#[test]
fn a_deployment_rolls_keeps_its_history_and_goes_with_its_pods() {
    let Some(at) = appliance("deploy") else { return };
    at.kubectl_with(&["apply"], &DEPLOYMENT.replace("IMAGE", "127.0.0.1:1/web:1")).ok("apply");
    at.until(&["get", "deploy", "web", "-o", "jsonpath={.status.replicas}"], "3");
    at.kubectl_with(&["apply"], &DEPLOYMENT.replace("IMAGE", "127.0.0.1:1/web:2")).ok("apply again");
    // there is no such image, so no pod is ever ready: one new pod is made above the old three, and the rollout waits
    at.until(&["get", "deploy", "web", "-o", "jsonpath={.status.updatedReplicas}/{.status.replicas}"], "1/4");
    let history = at.kubectl(&["rollout", "history", "deploy/web"]).ok("history");
    assert!(history.contains("\n1 ") && history.contains("\n2 "), "{history}");
    at.kubectl(&["rollout", "undo", "deploy/web"]).ok("undo");
    at.until(
        &["get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"],
        "127.0.0.1:1/web:1",
    );
    at.kubectl(&["delete", "deploy", "web"]).ok("delete");
    at.until(&["get", "rs,pods", "-o", "name"], "");
}

#[test]
fn a_service_gets_its_address_and_node_port_and_keeps_them() {
    let Some(at) = appliance("svc") else { return };
    at.kubectl_with(&["create"], CONTROLLER).ok("create");
    at.kubectl(&["expose", "rc", "kubia", "--type=LoadBalancer", "--name=kubia-http"]).ok("expose");
    let get = ["get", "svc", "kubia-http", "-o", "jsonpath={.spec.clusterIP} {.spec.ports[0].nodePort}"];
    let before = at.kubectl(&get).ok("get");
    let port: u16 = before.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((30000..=32767).contains(&port), "{before}");
    at.kubectl(&["label", "svc", "kubia-http", "a=b"]).ok("label");
    assert_eq!(at.kubectl(&get).ok("get again"), before);
    let taken = at.kubectl_with(&["create"], &format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: other}}, spec: {{clusterIP: {}, ports: [{{port: 80}}]}}}}",
        before.split(' ').next().unwrap()
    ));
    assert!(taken.refused("taken address").contains("provided IP is already allocated"));
}

#[test]
fn bad_manifests_get_upstream_s_words_and_store_nothing() {
    let Some(at) = appliance("bad") else { return };
    let pod = |metadata: &str, spec: &str| {
        format!("{{apiVersion: v1, kind: Pod, metadata: {metadata}, spec: {spec}}}")
    };
    let cases = [
        ("unknown field", pod("{name: a}", "{containrs: []}"), "unknown field \"spec.containrs\""),
        ("wrong type", pod("{name: a}", "{containers: none}"), "cannot be handled as a Pod"),
        ("bad name", pod("{name: A_B}", "{containers: [{name: c, image: i}]}"), "a lowercase RFC 1123 subdomain must consist of"),
        ("no image", pod("{name: a}", "{containers: [{name: c}]}"), "spec.containers[0].image: Required value"),
        ("no containers", pod("{name: a}", "{containers: []}"), "spec.containers: Required value"),
        (
            "two of a name",
            pod("{name: a}", "{containers: [{name: c, image: i}, {name: c, image: i}]}"),
            "spec.containers[1].name: Duplicate value: \"c\"",
        ),
        (
            "selector that finds nothing",
            DEPLOYMENT.replace("matchLabels: {app: web}", "matchLabels: {app: other}"),
            "`selector` does not match template `labels`",
        ),
        (
            "two equal ports",
            "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{name: a, port: 80}, {name: b, port: 80}]}}".to_owned(),
            "spec.ports[1]: Duplicate value",
        ),
    ];
    for (name, manifest, want) in cases {
        let why = at.kubectl_with(&["create"], &manifest).refused(name);
        assert!(why.contains(want), "{name}: wanted {want:?} in {why}");
    }
    assert_eq!(at.kubectl(&["get", "pods,deploy", "-o", "name"]).ok("get"), "");
}

const DEVICES: &str = "
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpus}
spec: {selectors: [{cel: {expression: device.driver == 'gpu.example.com'}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: one}
spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpus}}]}}
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: slice}
spec: {driver: gpu.example.com, nodeName: node-1, pool: {name: p, generation: 1, resourceSliceCount: 1}, devices: [{name: a}]}
";

#[test]
fn kinds_without_a_controller_are_served_and_addresses_are_objects() {
    let Some(at) = appliance("kinds") else { return };
    at.kubectl_with(&["create"], DEVICES).ok("devices");
    let claims = at.kubectl(&["get", "resourceclaims"]).ok("claims");
    assert!(claims.starts_with("NAME   STATE     AGE\none    pending   "), "{claims}");
    let claim = at
        .kubectl(&["get", "resourceclaim", "one", "-o", "jsonpath={.spec.devices.requests[0].exactly}"])
        .ok("claim");
    assert!(claim.contains("\"allocationMode\":\"ExactCount\"") && claim.contains("\"count\":1"), "{claim}");
    let slices =
        at.kubectl(&["get", "resourceslices", "--field-selector=spec.driver=gpu.example.com"]).ok("slices");
    assert!(slices.contains("gpu.example.com   p"), "{slices}");
    let patch =
        r#"{"spec":{"devices":{"requests":[{"name":"other","exactly":{"deviceClassName":"gpus"}}]}}}"#;
    let fixed =
        at.kubectl(&["patch", "resourceclaim", "one", "--type=merge", "-p", patch]).refused("a claim stays");
    assert!(fixed.contains("field is immutable"), "{fixed}");
    let wrong = at
        .kubectl_with(
            &["create"],
            &DEVICES.replace("exactly: {deviceClassName: gpus}", "deviceClassName: gpus"),
        )
        .refused("an older form");
    assert!(wrong.contains("unknown field \"spec.devices.requests[0].deviceClassName\""), "{wrong}");
    at.kubectl_with(&["apply", "--server-side", "--force-conflicts"], DEVICES).ok("apply");
    let explained = at.kubectl(&["explain", "resourceclaim.spec.devices.requests"]).ok("explain");
    assert!(explained.contains("firstAvailable"), "{explained}");

    let components = at.kubectl(&["get", "cs"]).ok("component statuses");
    assert!(components.contains("scheduler            Healthy   ok"), "{components}");
    let flows =
        at.kubectl(&["get", "flowschemas,prioritylevelconfigurations", "-o", "name"]).ok("flow control");
    assert!(flows.contains("flowschema.flowcontrol.apiserver.k8s.io/catch-all"), "{flows}");

    // the Service of the API server has an address, and that an object
    let address =
        at.kubectl(&["get", "svc", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"]).ok("the Service");
    let shown = at.kubectl(&["get", "ip", &address, "--no-headers"]).ok("its address");
    assert!(shown.contains("services/default/kubernetes"), "{shown}");
    at.kubectl(&["delete", "ip", &address]).ok("delete the address");
    at.until(&["get", "ip", &address, "-o", "jsonpath={.spec.parentRef.name}"], "kubernetes");
    let ready = "jsonpath={.status.conditions[0].status}{.status.conditions[0].reason}";
    at.until(&["get", "servicecidr", "kubernetes", "-o", ready], "True");
    let other = "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: other}, spec: {cidrs: [10.250.0.0/24]}}";
    at.kubectl_with(&["create"], other).ok("another range");
    at.until(&["get", "servicecidr", "other", "-o", ready], "True");
}

#[test]
fn a_killed_daemon_has_lost_nothing_at_its_next_start() {
    let Some(at) = appliance("kill") else { return };
    at.kubectl_with(&["create"], CONTROLLER).ok("create");
    at.until(&["get", "rc", "kubia", "-o", "jsonpath={.status.replicas}"], "1");
    let uid = ["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"];
    let before = at.kubectl(&uid).ok("uid");
    at.kill_daemon();
    assert_eq!(at.monopod(&["status"]).0.status.code(), Some(3), "stopped");
    at.monopod(&["start"]).ok("start again");
    assert_eq!(at.kubectl(&uid).ok("uid again"), before);
    at.monopod(&["stop"]).ok("stop");
    assert_eq!(at.monopod(&["status"]).0.status.code(), Some(3), "stopped");
    at.monopod(&["start"]).ok("start a third time");
    assert_eq!(at.kubectl(&uid).ok("uid a third time"), before);
}

#[test]
fn delete_leaves_nothing() {
    let Some(at) = appliance("deleted") else { return };
    let pid = at.pid();
    assert!(at.places().iter().all(|place| place.exists()) && at.kubeconfig().exists());
    at.monopod(&["delete"]).ok("delete");
    for place in at.places().iter().chain([&at.kubeconfig()]) {
        assert!(!place.exists(), "{} is left", place.display());
    }
    // the daemon has let go of everything; the kernel may take a moment to let go of the daemon
    assert!(common::ends(&pid), "process {pid} is left");
}

#[test]
fn a_taken_port_is_one_sentence_with_its_cure() {
    let Some(at) = appliance("port") else { return };
    at.monopod(&["stop"]).ok("stop");
    let other = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let answer = at.monopod(&["start", "--apiserver-port", &port]);
    assert_eq!(answer.0.status.code(), Some(20));
    let why = answer.refused("taken port");
    assert!(why.contains(&port) && why.contains("cure: "), "{why}");
}
