//! Images from a real registry: Debian's docker-registry on loopback, with and without passwords and TLS.

mod common;

use common::lab::MACHINE;
use common::registry::{Registry, fill, registry};
use common::tap::Tap;
use common::{Appliance, appliance, images};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

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
    // an event may come a moment after what it tells of
    at.until_told(&["describe", "pod", pod], "Failed to pull image");
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

/// Which nobody but this test sees. It is on memory: not on every machine /tmp can be an upper layer.
fn layer_over_etc(at: &Appliance) {
    at.shell(
        "mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work \
         && mount -t overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work none /etc",
    )
    .ok("a layer over /etc");
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
    // as Docker has it: the authorities of a registry lie in a directory of its name
    let certs = format!("/etc/docker/certs.d/{address}");
    layer_over_etc(&at);
    at.shell(&format!("mkdir -p {certs} && cp {home}/ca.pem {certs}/ca.crt")).ok("trust it");
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

/// A registry at port 5000 that knows one user, whose password is `sesame`.
fn with_password(at: &Appliance) -> Registry {
    let home = at.home().display().to_string();
    at.shell(&format!("cd {home} && htpasswd -Bbn user sesame > htpasswd")).ok("passwords");
    registry(at, "127.0.0.1:5000", &format!("auth: {{htpasswd: {{realm: r, path: {home}/htpasswd}}}}\n"))
}

#[test]
fn images_go_out_and_come_back_in_the_words_of_docker() {
    let Some(at) = appliance("words") else { return };
    let _registry = with_password(&at);
    at.load_busybox();
    let (one, two, other) =
        ("127.0.0.1:5000/team/app:1", "127.0.0.1:5000/team/app:2", "127.0.0.1:5000/other/app:1");
    let image =
        images::of_layers(at.home(), "two.tar", two, &[images::noise("a", 9000), images::noise("b", 9)]);
    at.docker(&["load", "-i", image.to_str().unwrap()]).ok("load");
    at.docker(&["tag", "busybox:1", one]).ok("tag");
    at.docker(&["tag", "busybox:1", other]).ok("tag");
    let stranger = at.docker(&["pull", one]).refused("a stranger");
    assert!(
        stranger.contains("Error response from daemon: pull access denied for 127.0.0.1:5000/team/app"),
        "{stranger}"
    );
    let wrong =
        at.docker(&["login", "127.0.0.1:5000", "-u", "user", "-p", "wrong"]).refused("a wrong password");
    assert!(wrong.contains("/v2/\": unauthorized: incorrect username or password"), "{wrong}");
    at.docker(&["login", "127.0.0.1:5000", "-u", "user", "-p", "sesame"]).ok("login");

    let said = |arguments: &[&str], wanted: &[&str]| {
        let said = at.docker(arguments).ok(&arguments.join(" "));
        wanted.iter().for_each(|want| assert!(said.contains(want), "{arguments:?}: no {want:?} in {said}"));
        said
    };
    said(
        &["push", one],
        &["The push refers to repository [127.0.0.1:5000/team/app]", ": Pushed", "1: digest: sha256:"],
    );
    said(&["push", one], &[": Layer already exists", "1: digest: sha256:"]);
    said(&["push", other], &[": Mounted from team/app"]);
    said(&["push", "-a", "127.0.0.1:5000/team/app"], &["1: digest: sha256:", "2: digest: sha256:"]);
    let none = at.docker(&["push", "127.0.0.1:5000/team/none"]).refused("what is not there");
    assert!(
        none.contains("An image does not exist locally with the tag: 127.0.0.1:5000/team/none"),
        "{none}"
    );

    let digest = at.docker(&["inspect", "-f", "{{index .RepoDigests 1}}", one]).ok("its digest");
    let digest = digest.trim().strip_prefix("127.0.0.1:5000/team/app@").unwrap();
    said(
        &["rmi", one],
        &[&format!("Untagged: {one}"), &format!("Untagged: 127.0.0.1:5000/team/app@{digest}")],
    );
    said(&["rmi", two], &["Untagged: ", "Deleted: sha256:"]);
    said(
        &["pull", "-a", "127.0.0.1:5000/team/app"],
        &[
            "1: Pulling from team/app",
            "2: Pulling from team/app",
            ": Already exists",
            ": Pull complete",
            "Status: Downloaded newer image for 127.0.0.1:5000/team/app",
        ],
    );
    said(
        &["pull", one],
        &["Status: Image is up to date for 127.0.0.1:5000/team/app:1", &format!("Digest: {digest}")],
    );
    said(&["pull", &format!("127.0.0.1:5000/team/app@{digest}")], &["Image is up to date"]);
    said(&["manifest", "inspect", "--insecure", one], &["\"schemaVersion\": 2"]);
    let missing = at.docker(&["pull", "127.0.0.1:5000/team/app:9"]).refused("no such tag");
    assert!(
        missing.contains("manifest for 127.0.0.1:5000/team/app:9 not found: manifest unknown"),
        "{missing}"
    );
    at.docker(&["logout", "127.0.0.1:5000"]).ok("logout");
    at.docker(&["pull", one]).refused("after the logout");
    let logs = at.monopod(&["logs"]).ok("logs");
    assert!(!logs.contains("sesame") && !logs.contains("dXNlcjp"), "a password is in the logs: {logs}");
}

/// Entries of a directory of the image store.
fn entries(at: &Appliance, directory: &str) -> usize {
    std::fs::read_dir(at.places()[0].join("images").join(directory)).unwrap().count()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Pulls an image of a small and a large layer over a line that stands still, until the small one is there.
fn stuck_pull(at: &Appliance, image: &str) -> Child {
    let mut command = at.command("docker");
    let command = at.of_docker(&mut command).args(["pull", image]);
    let mut pull = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(pull.stdout.take().unwrap()).lines();
    let is_there = |line: String| line.contains("Pull complete") || line.contains("Already exists");
    assert!(lines.map_while(Result::ok).any(is_there), "no layer came");
    pull
}

#[test]
fn a_pull_that_ends_in_the_middle_leaves_nothing_half_made() {
    let Some(at) = appliance("torn") else { return };
    let _registry = registry(&at, "127.0.0.1:5000", "");
    let there = "127.0.0.1:5000/app:1";
    let layers = [images::noise("small", 10_000), images::noise("large", 3_000_000)];
    let archive = images::of_layers(at.home(), "app.tar", there, &layers);
    at.docker(&["load", "-i", archive.to_str().unwrap()]).ok("load");
    at.docker(&["push", there]).ok("push");
    at.docker(&["rmi", there]).ok("rmi");
    let tap = Tap::between("127.0.0.1:5001", "127.0.0.1:5000");
    let image = "127.0.0.1:5001/app:1";

    let mut client = stuck_pull(&at, image);
    client.kill().unwrap();
    client.wait().unwrap();
    until("the pull goes on without its client", || entries(&at, "tmp") == 0);
    assert_eq!(at.docker(&["images", "-q"]).ok("images"), "");

    let mut client = stuck_pull(&at, image);
    at.kill_daemon();
    client.wait().unwrap();
    at.monopod(&["start"]).ok("start again");
    assert_eq!((entries(&at, "tmp"), entries(&at, "layers")), (0, 1), "only the layer that was whole");
    assert_eq!(at.docker(&["images", "-q"]).ok("images"), "");

    tap.flow();
    let pulled = at.docker(&["pull", image]).ok("pull at last");
    assert!(pulled.contains(": Already exists") && pulled.contains(": Pull complete"), "{pulled}");
    at.docker(&["rmi", image]).ok("rmi");
    until("space", || entries(&at, "layers") == 0 && entries(&at, "tmp") == 0);
}

#[test]
fn what_is_saved_and_pushed_is_what_others_understand() {
    let Some(at) = appliance("others") else { return };
    if !at.shell("umoci --version && skopeo --version").0.status.success() {
        eprintln!("SKIPPED: umoci and skopeo are not installed");
        return;
    }
    let _registry = registry(&at, "127.0.0.1:5000", "");
    at.load_busybox();
    let directory = at.build_context("FROM busybox:1\nCOPY app.txt /app.txt\nRUN rm /etc/group\n");
    at.docker(&["build", "-q", "-t", "127.0.0.1:5000/app:1", &directory]).ok("build");
    at.docker(&["tag", "127.0.0.1:5000/app:1", "app:2"]).ok("tag");
    let home = at.home().display().to_string();
    at.docker(&["save", "-o", &format!("{home}/saved.tar"), "127.0.0.1:5000/app:1", "app:2", "busybox:1"])
        .ok("save");
    at.docker(&["push", "127.0.0.1:5000/app:1"]).ok("push");
    let seen = at
        .shell(&format!(
            "cd {home} && mkdir layout && tar xf saved.tar -C layout && umoci ls --layout layout | sort | tr '\\n' ' ' \
             && umoci unpack --image layout:2 bundle >/dev/null 2>&1 \
             && cat bundle/rootfs/app.txt && ls bundle/rootfs/etc"
        ))
        .ok("umoci");
    assert_eq!(seen, "1 1 2 made from a file\npasswd\n");
    for source in [
        format!("docker-archive:{home}/saved.tar:127.0.0.1:5000/app:1"),
        format!("docker-archive:{home}/saved.tar:busybox:1"),
        format!("oci-archive:{home}/saved.tar:2"),
        "docker://127.0.0.1:5000/app:1".to_owned(),
    ] {
        // copying reads and verifies every blob
        let copy =
            format!("rm -rf {home}/copy && skopeo copy --src-tls-verify=false {source} oci:{home}/copy:1");
        at.shell(&copy).ok(&source);
    }
    at.docker(&["rmi", "127.0.0.1:5000/app:1", "app:2", "busybox:1"]).ok("rmi");
    let loaded = at.docker(&["load", "-i", &format!("{home}/saved.tar")]).ok("load");
    assert_eq!(loaded.lines().count(), 3, "{loaded}");
    assert_eq!(at.docker(&["run", "--rm", "app:2", "cat", "/app.txt"]).ok("run"), "made from a file\n");
}

#[test]
fn a_client_has_a_certificate_where_its_registry_wants_one() {
    let Some(at) = appliance("mutual") else { return };
    let home = at.home().display().to_string();
    let address = format!("{MACHINE}:5443");
    at.shell(&format!(
        "cd {home} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=ca 2>/dev/null \
         && for name in server client; do openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr \
            -subj /CN=$name 2>/dev/null && printf 'subjectAltName=IP:{MACHINE}' > ext \
            && openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext \
            -out $name.pem 2>/dev/null; done"
    ))
    .ok("keys");
    let tls = format!(
        "  tls: {{certificate: {home}/server.pem, key: {home}/server.key, clientcas: [{home}/ca.pem]}}\n"
    );
    let _registry = registry(&at, &address, &tls);
    let certs = format!("/etc/docker/certs.d/{address}");
    layer_over_etc(&at);
    at.shell(&format!("mkdir -p {certs} && cp {home}/ca.pem {certs}/ca.crt")).ok("trust it");
    at.load_busybox();
    at.docker(&["tag", "busybox:1", &format!("{address}/app:1")]).ok("tag");
    at.docker(&["push", &format!("{address}/app:1")]).refused("without a certificate");
    at.shell(&format!("cp {home}/client.pem {certs}/client.cert")).ok("half of it");
    let half = at.docker(&["push", &format!("{address}/app:1")]).refused("a certificate without its key");
    assert!(half.contains("missing key client.key"), "{half}");
    at.shell(&format!("cp {home}/client.key {certs}/client.key")).ok("all of it");
    at.docker(&["push", &format!("{address}/app:1")]).ok("push with a certificate");
    at.docker(&["pull", &format!("{address}/app:1")]).ok("pull with a certificate");
}
