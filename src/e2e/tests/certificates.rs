//! A user of one's own, the way that every course on access control shows it: a key, a request, an approval, a certificate, a role.

mod common;

use common::{Appliance, appliance};

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
    request(&cluster, "master", "/CN=jane/O=system:masters");
    cluster.kubectl(&["certificate", "approve", "master"]).ok("approve");
    cluster.until(&["get", "csr", "master", "-o", "jsonpath={.status.conditions[1].type}"], "Failed");
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

/// By openssl, as the documentation does it.
fn request(cluster: &Appliance, name: &str, subject: &str) {
    let home = cluster.home().display();
    cluster
        .shell(&format!(
            "openssl req -new -newkey rsa:2048 -nodes -keyout {home}/{name}.key -out {home}/{name}.csr -subj '{subject}'"
        ))
        .ok("a request");
    let encoded = cluster.shell(&format!("base64 -w0 {home}/{name}.csr")).ok("encoded");
    let manifest = format!(
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {{name: {name}}}\nspec:\n  request: {encoded}\n  signerName: kubernetes.io/kube-apiserver-client\n  expirationSeconds: 86400\n  usages: [client auth]\n"
    );
    cluster.kubectl_with(&["apply"], &manifest).ok("the request is stored");
}
