//! Images from a real registry: Debian's docker-registry on loopback, with and without passwords and TLS.

mod common;

use common::lab::MACHINE;
use common::registry::{fill, registry};
use common::{Appliance, appliance};

const SUCCEEDED: &str = "jsonpath={.status.phase}";

fn run(at: &Appliance, name: &str, image: &str) {
    at.kubectl(&[
        "run",
        name,
        &format!("--image={image}"),
        "--restart=Never",
        "--command",
        "--",
        "echo",
        "it ran",
    ])
    .ok("run");
}

fn why_not(at: &Appliance, pod: &str) -> String {
    let reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    at.until(&["get", "pod", pod, "-o", reason], "ImagePullBackOff");
    at.kubectl(&["describe", "pod", pod]).ok("describe")
}

#[test]
fn a_pod_runs_from_a_plain_registry_on_loopback() {
    let Some(at) = appliance("plain") else { return };
    let _registry = registry(&at, "127.0.0.1:5000", "");
    fill(&at, "127.0.0.1:5000", "--dest-tls-verify=false");
    run(&at, "there", "127.0.0.1:5000/team/busybox:1");
    at.until(&["get", "pod", "there", "-o", SUCCEEDED], "Succeeded");
    assert_eq!(at.kubectl(&["logs", "there"]).ok("logs"), "it ran\n");
    run(&at, "missing", "127.0.0.1:5000/team/busybox:2");
    let why = why_not(&at, "missing");
    assert!(why.contains("manifest unknown") || why.contains("not found"), "{why}");
    let pulled = at.monopod(&["image", "pull", "127.0.0.1:5000/team/busybox:1"]).ok("pull again");
    assert!(pulled.contains("127.0.0.1:5000/team/busybox:1"), "{pulled}");
}

#[test]
fn a_registry_with_passwords_and_an_authority_of_its_own() {
    let Some(at) = appliance("private") else { return };
    let home = at.home().display().to_string();
    let address = format!("{MACHINE}:5443");
    at.shell(&format!(
        "cd {home} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out ca.pem \
            -subj /CN=registry -addext subjectAltName=IP:{MACHINE} 2>/dev/null \
         && htpasswd -Bbn user sesame > htpasswd"
    ))
    .ok("keys and passwords");
    let more = format!(
        "  tls: {{certificate: {home}/ca.pem, key: {home}/key.pem}}\nauth: {{htpasswd: {{realm: r, path: {home}/htpasswd}}}}\n"
    );
    let _registry = registry(&at, &address, &more);
    fill(&at, &address, "--dest-tls-verify=false --dest-creds user:sesame");
    let image = &format!("{address}/team/busybox:1");
    run(&at, "untrusted", image);
    let why = why_not(&at, "untrusted");
    assert!(why.contains("certificate"), "{why}");
    // as Docker has it: the authorities of a registry lie in a folder of its name
    // a layer over /etc, which nobody but this test sees
    let certs = format!("/etc/docker/certs.d/{address}");
    at.shell(&format!(
        "mkdir {home}/up {home}/work && mount -t overlay -o lowerdir=/etc,upperdir={home}/up,workdir={home}/work none /etc \
         && mkdir -p {certs} && cp {home}/ca.pem {certs}/ca.crt"
    ))
    .ok("trust it");
    run(&at, "stranger", image);
    let why = why_not(&at, "stranger");
    assert!(why.to_lowercase().contains("unauthorized") || why.contains("authoriz"), "{why}");
    at.kubectl(&[
        "create",
        "secret",
        "docker-registry",
        "key",
        &format!("--docker-server={address}"),
        "--docker-username=user",
        "--docker-password=sesame",
    ])
    .ok("secret");
    let with_key = r#"{"spec":{"imagePullSecrets":[{"name":"key"}]}}"#;
    at.kubectl(&[
        "run",
        "friend",
        &format!("--image={image}"),
        "--restart=Never",
        &format!("--overrides={with_key}"),
        "--command",
        "--",
        "echo",
        "it ran",
    ])
    .ok("run");
    at.until(&["get", "pod", "friend", "-o", SUCCEEDED], "Succeeded");
}
