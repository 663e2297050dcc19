//! A user of one's own, the way that every course on access control shows it: a key, a request, an approval, a certificate, a role.
//! And a pod's own certificate.

mod common;

use common::{Answer, Appliance, appliance};

#[test]
fn a_user_gets_a_certificate_and_is_known_by_it() {
    let Some(cluster) = appliance("certs") else { return };
    request(&cluster, "jane", "/CN=jane/O=dev");
    let listed = cluster.kubectl(&["get", "csr"]).ok("requests");
    assert!(listed.contains("kubernetes.io/kube-apiserver-client"), "{listed}");
    assert!(
        listed.contains("monopod-admin") && listed.contains("24h") && listed.contains("Pending"),
        "{listed}"
    );
    cluster.kubectl(&["certificate", "approve", "jane"]).ok("approve");
    let certificate = cluster.until_some(&["get", "csr", "jane", "-o", "jsonpath={.status.certificate}"]);
    cluster.until(
        &["get", "csr", "jane", "--no-headers", "-o", "custom-columns=A:.status.conditions[0].type"],
        "Approved",
    );
    let listed = cluster.kubectl(&["get", "csr"]).ok("requests");
    assert!(listed.contains("Approved,Issued"), "{listed}");

    let home = cluster.home().display();
    cluster.shell(&format!("echo {certificate} | base64 -d > {home}/jane.crt")).ok("certificate");
    let as_jane = |arguments: &[&str]| {
        let (key, crt) =
            (format!("--client-key={home}/jane.key"), format!("--client-certificate={home}/jane.crt"));
        // --user drops the administrator's own credentials
        let user = ["config", "set-credentials", "jane", &key, &crt];
        cluster.kubectl(&user).ok("credentials");
        cluster.kubectl(&[&["--user=jane"], arguments].concat())
    };
    let who =
        as_jane(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"]);
    assert_eq!(who.ok("whoami"), "jane [\"dev\",\"system:authenticated\"]");
    let refused = as_jane(&["get", "pods"]).refused("no role yet");
    assert!(refused.contains("User \"jane\" cannot list resource \"pods\""), "{refused}");
    cluster.kubectl(&["create", "rolebinding", "dev", "--clusterrole=view", "--group=dev"]).ok("bind");
    as_jane(&["get", "pods"]).ok("with a role");

    // who could make himself a master so would need no role
    let why = requested(&cluster, "master", "/CN=jane/O=system:masters").refused("a master");
    let want = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed";
    assert!(why.contains(want), "{why}");
    request(&cluster, "joe", "/CN=joe");
    cluster.kubectl(&["certificate", "deny", "joe"]).ok("deny");
    let denied = cluster.kubectl(&["get", "csr", "joe", "--no-headers"]).ok("denied");
    assert!(denied.trim_end().ends_with("Denied"), "{denied}");
    // two organizations are one too many for this authority, and it says so instead of forgetting one
    request(&cluster, "two", "/CN=jane/O=dev/O=ops");
    cluster.kubectl(&["certificate", "approve", "two"]).ok("approve");
    let why = cluster.until_some(&["get", "csr", "two", "-o", "jsonpath={.status.conditions[1].message}"]);
    assert!(why.contains("two organizations"), "{why}");
}

#[test]
fn a_kubelet_gets_its_certificate_without_a_persons_word() {
    let Some(cluster) = appliance("node-certs") else { return };
    let usages = "digital signature, key encipherment, client auth";
    let signer = "kubernetes.io/kube-apiserver-client-kubelet";
    request_of(&cluster, "node", "/O=system:nodes/CN=system:node:other", signer, usages)
        .ok("the request is stored");
    let said = [
        "get",
        "csr",
        "node",
        "-o",
        "jsonpath={.status.conditions[0].reason}: {.status.conditions[0].message}",
    ];
    cluster
        .until(&said, "AutoApproved: Auto approving kubelet client certificate after SubjectAccessReview.");
    cluster.until_some(&["get", "csr", "node", "-o", "jsonpath={.status.certificate}"]);
}

#[test]
fn who_comes_as_a_node_has_what_its_pods_need_and_no_more() {
    let Some(cluster) = appliance("nodes") else { return };
    request(&cluster, "node", "/CN=system:node:other/O=system:nodes");
    cluster.kubectl(&["certificate", "approve", "node"]).ok("approve");
    let certificate = cluster.until_some(&["get", "csr", "node", "-o", "jsonpath={.status.certificate}"]);
    let home = cluster.home().display();
    cluster.shell(&format!("echo {certificate} | base64 -d > {home}/node.crt")).ok("certificate");
    let (key, crt) =
        (format!("--client-key={home}/node.key"), format!("--client-certificate={home}/node.crt"));
    cluster.kubectl(&["config", "set-credentials", "node", &key, &crt]).ok("credentials");
    let as_node = |arguments: &[&str]| cluster.kubectl(&[&["--user=node"], arguments].concat());
    let ours = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("our node");

    as_node(&["get", "services", "-A"]).ok("every node needs these");
    let cannot = "cannot list resource \"secrets\" in API group \"\" at the cluster scope: ";
    let refused = as_node(&["get", "secrets", "-A"]).refused("all secrets");
    let why = "can only read namespaced object of this type";
    assert!(refused.contains(&format!("{cannot}{why}")), "{refused}");
    let refused = as_node(&["get", "node", &ours]).refused("another node");
    assert!(
        refused.contains(&format!("node 'other' cannot read '{ours}', only its own Node object")),
        "{refused}"
    );
    let refused = as_node(&["create", "token", "default"]).refused("a token of nobody on it");
    assert!(refused.contains("no relationship found between node 'other' and this object"), "{refused}");
    let node = |name: &str, label: &str| {
        format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{{label}: ''}}}}\n")
    };
    let create =
        |manifest: &str| cluster.kubectl_with(&["--user=node", "create", "--validate=false"], manifest);
    let refused = create(&node("third", "disk")).refused("a node of another name");
    assert!(refused.contains("node \"other\" is not allowed to modify node \"third\""), "{refused}");
    let refused = create(&node("other", "node-role.kubernetes.io/control-plane")).refused("a role");
    let why = "is not allowed to set the following labels: node-role.kubernetes.io/control-plane";
    assert!(refused.contains(why), "{refused}");
    create(&node("other", "disk")).ok("itself");
    as_node(&["get", "node", "other"]).ok("its own node");
}

/// Of a user.
fn request(cluster: &Appliance, name: &str, subject: &str) {
    requested(cluster, name, subject).ok("the request is stored");
}

fn requested(cluster: &Appliance, name: &str, subject: &str) -> Answer {
    request_of(cluster, name, subject, "kubernetes.io/kube-apiserver-client", "client auth")
}

/// By openssl, as the documentation does it.
fn request_of(cluster: &Appliance, name: &str, subject: &str, signer: &str, usages: &str) -> Answer {
    let home = cluster.home().display();
    cluster
        .shell(&format!(
            "openssl req -new -newkey rsa:2048 -nodes -keyout {home}/{name}.key -out {home}/{name}.csr -subj '{subject}'"
        ))
        .ok("a request");
    let encoded = cluster.shell(&format!("base64 -w0 {home}/{name}.csr")).ok("encoded");
    let manifest = format!(
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {{name: {name}}}\nspec:\n  request: {encoded}\n  signerName: {signer}\n  expirationSeconds: 86400\n  usages: [{usages}]\n"
    );
    cluster.kubectl_with(&["apply"], &manifest)
}

/// What its container says is its key and its certificate.
fn pod_with_certificate(name: &str, key_type: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:\n\
         \x20 - {{name: c, image: 'busybox:1', command: [cat, /id/bundle.pem], volumeMounts: [{{name: id, mountPath: /id}}]}}\n\
         \x20 volumes:\n  - name: id\n    projected:\n      sources:\n\
         \x20     - podCertificate: {{signerName: example.com/mesh, keyType: {key_type}, credentialBundlePath: bundle.pem}}\n"
    )
}

#[test]
fn a_pod_gets_a_certificate_of_a_signer_that_somebody_brings() {
    let Some(cluster) = appliance("pod-certs") else { return };
    cluster.load_busybox();
    let home = cluster.home().display();
    cluster
        .shell(&format!(
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout {home}/mesh.key -out {home}/mesh.crt -subj /CN=mesh -days 2"
        ))
        .ok("an authority");
    let request_of = |pod: &str| {
        let path = format!("jsonpath={{.items[?(@.spec.podName=='{pod}')].metadata.name}}");
        cluster.until_some(&["get", "podcertificaterequests", "-o", &path])
    };
    let answer = |request: &str, status: serde_json::Value| {
        let patch = serde_json::json!({"status": status}).to_string();
        let at = ["patch", "podcertificaterequest", request, "--subresource=status", "--type=merge", "-p"];
        cluster.kubectl(&[&at[..], &[patch.as_str()]].concat()).ok("the signer answers");
    };
    cluster.kubectl_with(&["create"], &pod_with_certificate("own", "ECDSAP256")).ok("a pod");
    let request = request_of("own");
    let shown = ["get", "podcertificaterequest", &request, "-o", "jsonpath={.spec.stubPKCS10Request}"];
    let encoded = cluster.kubectl(&shown).ok("what it asks");
    cluster
        .shell(&format!(
            "cd {home} && echo {encoded} | base64 -d > own.der && openssl req -inform DER -in own.der -out own.csr && \
             openssl x509 -req -in own.csr -CA mesh.crt -CAkey mesh.key -CAcreateserial -days 1 -out own.crt"
        ))
        .ok("signed");
    let time = |field: &str, later: u32| {
        let read =
            format!("date -u -d \"$(openssl x509 -noout -{field} -in {home}/own.crt | cut -d= -f2)\" +%s");
        let shown = format!("date -u -d @$(($({read}) + {later})) +%Y-%m-%dT%H:%M:%SZ");
        cluster.shell(&shown).ok("a time").trim().to_owned()
    };
    let condition = |kind: &str, reason: &str| {
        let at = time("startdate", 0);
        serde_json::json!([{"type": kind, "status": "True", "reason": reason, "message": "so be it", "lastTransitionTime": at}])
    };
    let chain = std::fs::read_to_string(cluster.home().join("own.crt")).unwrap();
    let issued = serde_json::json!({
        "conditions": condition("Issued", "Issued"), "certificateChain": chain, "notBefore": time("startdate", 0),
        "beginRefreshAt": time("startdate", 3600), "notAfter": time("enddate", 0),
    });
    answer(&request, issued);
    cluster
        .kubectl(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/own", "--timeout=60s"])
        .ok("it has run");
    let bundle = cluster.kubectl(&["logs", "own"]).ok("what it was given");
    assert!(bundle.starts_with("-----BEGIN PRIVATE KEY-----\n") && bundle.ends_with(&chain), "{bundle}");
    std::fs::write(cluster.home().join("bundle.pem"), &bundle).unwrap();
    let key = cluster.shell(&format!("openssl pkey -in {home}/bundle.pem -pubout")).ok("its key");
    let certified =
        cluster.shell(&format!("openssl x509 -in {home}/own.crt -noout -pubkey")).ok("whose it is");
    assert_eq!(key, certified);

    cluster.kubectl_with(&["create"], &pod_with_certificate("refused", "ED25519")).ok("another pod");
    let request = request_of("refused");
    answer(&request, serde_json::json!({"conditions": condition("Denied", "UnsupportedKeyType")}));
    let until_told = |reason: &str, want: &str| {
        let selector = format!("involvedObject.name=refused,reason={reason}");
        let last = "jsonpath={.items[-1:].message}";
        cluster.until(&["get", "events", "--field-selector", &selector, "-o", last], want);
    };
    let why = r#"reason="UnsupportedKeyType", message="so be it""#;
    until_told("Denied", &format!("PodCertificateRequest default/{request} was denied, {why}"));
    let why =
        r#"PodCertificateRequest was permanently denied: reason="UnsupportedKeyType" message="so be it""#;
    until_told("FailedMount", &format!("MountVolume.SetUp failed for volume \"id\" : {why}"));
    let phase = ["get", "pod", "refused", "-o", "jsonpath={.status.phase}"];
    assert_eq!(cluster.kubectl(&phase).ok("it waits"), "Pending");
}
