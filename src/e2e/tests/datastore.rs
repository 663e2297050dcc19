//! A cluster whose state is in an etcd cluster, over TLS with certificates on both sides; and the way there and back.

mod common;

use common::{Answer, Appliance, ends, unstarted};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Debian's program; `scripts/test` sets it.
const ETCD: &str = "MONOPOD_ETCD";
const ENDPOINT: &str = "https://127.0.0.1:2379";
const PATIENCE: Duration = Duration::from_secs(120);
const SCRIPT: &str = r#"
set -e
mkdir -p ~/pki && cd ~/pki
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=etcd-ca -keyout ca.key -out ca.crt
for name in server client; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
    printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >$name.ext
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.crt
done
"#;

/// In the appliance's network, as its user.
struct Etcd {
    program: PathBuf,
    running: Option<Child>,
}

impl Etcd {
    /// `None`, loudly, where there is no etcd.
    fn start(at: &Appliance) -> Option<Etcd> {
        let Some(program) = std::env::var_os(ETCD) else {
            eprintln!("SKIPPED: {ETCD} says where etcd is; `scripts/test` sets it");
            return None;
        };
        at.shell(SCRIPT).ok("certificates");
        let mut etcd = Etcd { program: program.into(), running: None };
        etcd.again(at);
        Some(etcd)
    }

    fn again(&mut self, at: &Appliance) {
        let home = at.home().display();
        let pki = |file: &str| format!("{home}/pki/{file}");
        let mut command = at.command(self.program.to_str().unwrap());
        command.arg(format!("--data-dir={home}/etcd"));
        command
            .arg(format!("--listen-client-urls={ENDPOINT}"))
            .arg(format!("--advertise-client-urls={ENDPOINT}"));
        command
            .arg("--listen-peer-urls=http://127.0.0.1:2380")
            .arg("--initial-advertise-peer-urls=http://127.0.0.1:2380");
        command.arg("--initial-cluster=default=http://127.0.0.1:2380").arg("--client-cert-auth");
        command.arg(format!("--trusted-ca-file={}", pki("ca.crt")));
        command
            .arg(format!("--cert-file={}", pki("server.crt")))
            .arg(format!("--key-file={}", pki("server.key")));
        command.stdout(Stdio::null()).stderr(std::fs::File::create(at.home().join("etcd.log")).unwrap());
        self.running = Some(command.spawn().unwrap());
        let began = Instant::now();
        while keys(at).is_none() {
            let log = || at.shell("tail -20 ~/etcd.log").out();
            assert!(began.elapsed() < PATIENCE, "etcd does not come up: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How many keys the profiles have there; `None` where nobody answers. From `/monopod/` to `/monopod0`, in base64.
fn keys(at: &Appliance) -> Option<u64> {
    let range = r#"{"key":"L21vbm9wb2Qv","range_end":"L21vbm9wb2Qw","count_only":true}"#;
    let answer = ask(at, "range", range)?;
    Some(answer["count"].as_str().map_or(0, |count| count.parse().unwrap()))
}

/// By its gateway for JSON.
fn ask(at: &Appliance, what: &str, body: &str) -> Option<serde_json::Value> {
    let files = "--cacert ca.crt --cert client.crt --key client.key";
    let line = format!("cd ~/pki && curl -sS --max-time 5 {files} {ENDPOINT}/v3/kv/{what} -d '{body}'");
    let answer: serde_json::Value = serde_json::from_str(&at.shell(&line).out()).ok()?;
    answer["header"]["revision"].as_str()?;
    Some(answer)
}

/// As if another machine had waited for the lease to run out: `/monopod/e2e-datastore/holder` becomes `somebody`.
fn take_over(at: &Appliance) {
    let put = r#"{"key":"L21vbm9wb2QvZTJlLWRhdGFzdG9yZS9ob2xkZXI=","value":"c29tZWJvZHk="}"#;
    ask(at, "put", put).expect("etcd answers");
}

/// `monopod …` with the endpoint and the files that open it.
fn with_files(at: &Appliance, arguments: &[&str]) -> Answer {
    let pki = |file: &str| at.home().join("pki").join(file).display().to_string();
    let (ca, certificate, key) = (pki("ca.crt"), pki("client.crt"), pki("client.key"));
    let files =
        ["--datastore-cafile", &ca, "--datastore-certfile", &certificate, "--datastore-keyfile", &key];
    at.monopod(&[arguments, &files].concat())
}

fn start(at: &Appliance) -> Answer {
    with_files(at, &["start", "--datastore-endpoint", ENDPOINT])
}

fn says(answer: &Answer, code: i32, parts: &[&str]) {
    let said = format!("{}{}", answer.out(), answer.err());
    assert_eq!(answer.0.status.code(), Some(code), "{said}");
    parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} is not in {said}"));
}

fn make(at: &Appliance, name: &str) -> Answer {
    at.kubectl(&["create", "configmap", name, &format!("--from-literal=name={name}")])
}

fn is_there(at: &Appliance, name: &str) {
    let data = ["get", "configmap", name, "-o", "jsonpath={.data.name}"];
    assert_eq!(at.kubectl(&data).ok("get"), name);
}

fn with_pod(at: &Appliance) -> Vec<u32> {
    at.kubectl(&["run", "kubia", "--image=monopod/kubia"]).ok("run");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/kubia", "--timeout=60s"]).ok("ready");
    at.until_processes(1);
    at.processes("")
}

#[test]
fn everything_is_there_again_after_the_daemon_or_etcd_was_killed() {
    let Some(at) = unstarted("datastore") else { return };
    let Some(mut etcd) = Etcd::start(&at) else { return };
    let nobody = at.monopod(&["start", "--datastore-endpoint", ENDPOINT]);
    says(&nobody, 27, &[ENDPOINT, "TLS"]);
    // it wants to see a certificate of ours, and says so
    let ca = at.home().join("pki/ca.crt").display().to_string();
    let without = || at.monopod(&["start", "--datastore-endpoint", ENDPOINT, "--datastore-cafile", &ca]);
    let mut unknown = without();
    for _ in 0..20 {
        // its end of the connection may be seen before what it said
        if !unknown.err().contains("broken pipe") && !unknown.err().contains("reset") {
            break;
        }
        says(&unknown, 27, &[ENDPOINT]);
        unknown = without();
    }
    says(&unknown, 27, &[ENDPOINT, "received fatal alert: ", "ertificate"]);
    start(&at).ok("start");
    let [state, _] = at.places();
    assert!(!state.join("store/cluster.db").exists());
    make(&at, "first").ok("create");
    let pod = with_pod(&at);

    at.kill_daemon();
    // the endpoint and the files are remembered, and the dead one stands in nobody's way
    at.monopod(&["start"]).ok("start again");
    is_there(&at, "first");
    assert_eq!(at.processes(""), pod, "the pod went on");

    // another machine, with the same profile and the same etcd
    let pki = at.home().join("pki").display().to_string();
    let another = format!(
        "mount -t tmpfs tmpfs /var/lib/monopod && mount -t tmpfs tmpfs /run/monopod && exec {} -p e2e-datastore start --foreground \
         --datastore-endpoint {ENDPOINT} --datastore-cafile {pki}/ca.crt --datastore-certfile {pki}/client.crt \
         --datastore-keyfile {pki}/client.key --datastore-take-over",
        std::env::var("MONOPOD_BIN").unwrap()
    );
    let mut other = at.command("unshare");
    let other = Answer(other.args(["--mount", "sh", "-c", &another]).output().unwrap());
    says(&other, 22, &["/monopod/e2e-datastore/", &format!("is in use by process {} on ", at.pid())]);
    make(&at, "second").ok("create");

    etcd.kill();
    let refused = make(&at, "away");
    assert!(refused.refused("without etcd").contains("no answer"), "{}", refused.err());
    is_there(&at, "second");
    etcd.again(&at);
    make(&at, "away").ok("create when it is back");
    at.kubectl(&["delete", "pod", "kubia"]).ok("delete");
    let pod = with_pod(&at);

    let daemon = at.pid();
    take_over(&at);
    // what it still would write counts no more, and it ends
    make(&at, "lost").refused("by one who has lost what he held");
    assert!(ends(&daemon));
    at.monopod(&["start"]).ok("start when nobody holds it");

    at.monopod(&["stop"]).ok("stop");
    etcd.kill();
    says(&at.monopod(&["start"]), 27, &[ENDPOINT, "can not be reached", "refused"]);
    etcd.again(&at);
    at.monopod(&["start"]).ok("start");
    ["first", "second", "away"].iter().for_each(|name| is_there(&at, name));
    assert!(!at.kubectl(&["get", "configmap", "lost"]).0.status.success());
    assert_eq!(at.processes(""), pod);
    assert!(keys(&at).unwrap() > 50, "the cluster's own objects");
    at.monopod(&["delete"]).ok("delete");
    assert_eq!(keys(&at), Some(0));
}

#[test]
fn a_state_moves_to_etcd_and_back_and_is_deleted_in_both() {
    let Some(at) = unstarted("move") else { return };
    let Some(mut etcd) = Etcd::start(&at) else { return };
    at.monopod(&["start"]).ok("start");
    make(&at, "first").ok("create");
    let pod = with_pod(&at);
    says(&start(&at), 28, &["stop it first"]);
    says(&with_files(&at, &["datastore", "copy", "--to", ENDPOINT]), 22, &["stop it first"]);
    at.monopod(&["stop"]).ok("stop");
    // no flag begins an empty cluster beside the one that is there
    says(&start(&at), 28, &["datastore copy --to https://127.0.0.1:2379"]);
    let copied = with_files(&at, &["datastore", "copy", "--to", ENDPOINT]).ok("copy");
    assert!(copied.contains(" objects at revision "), "{copied}");
    at.monopod(&["start"]).ok("start in etcd");
    is_there(&at, "first");
    assert_eq!(at.processes(""), pod, "the pod went on");
    make(&at, "second").ok("create");
    at.monopod(&["stop"]).ok("stop");

    // without what says where it is, the older state in the file is not taken for it
    let [state, _] = at.places();
    let (settings, aside) = (state.join("settings.json"), state.join("settings.aside"));
    std::fs::rename(&settings, &aside).unwrap();
    says(&at.monopod(&["start"]), 21, &["settings.json is missing", "start --datastore-endpoint"]);
    std::fs::rename(&aside, &settings).unwrap();

    // the files are known
    let back = ["datastore", "copy", "--from", ENDPOINT];
    says(&at.monopod(&back), 28, &["--overwrite"]);
    at.monopod(&[&back[..], &["--overwrite"]].concat()).ok("copy back");
    at.monopod(&["start"]).ok("start in the file");
    ["first", "second"].iter().for_each(|name| is_there(&at, name));
    assert_eq!(at.processes(""), pod);
    make(&at, "third").ok("create");
    at.monopod(&["stop"]).ok("stop");
    assert!(keys(&at).unwrap() > 50, "the source stays");

    // what can not be reached is said, with its keys
    etcd.kill();
    says(&at.monopod(&["delete"]), 1, &["can not be reached", "/monopod/e2e-move/"]);
    at.monopod(&["delete"]).ok("nothing else is left");
}
