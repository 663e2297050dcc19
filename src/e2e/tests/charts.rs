//! Charts as people publish them, each with what its sort brings along: installed, asked, upgraded, rolled back, taken away. They
//! lie in `charts/`.

mod common;

use common::helm::{helm, run};
use common::lab::MACHINE;
use common::redis::load_redis;
use common::{Answer, Appliance, appliance, images};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CHARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts");
/// Of everything that a chart here makes; what lies in `crds/` has no label, and stays as helm says.
const KINDS: &str = "all,configmaps,secrets,serviceaccounts,persistentvolumeclaims,ingresses,networkpolicies,poddisruptionbudgets,\
clusterroles,clusterrolebindings,validatingwebhookconfigurations";
const CURL: &str = "/usr/bin/curl";
const OPENSSL: &str = "/usr/bin/openssl";

/// On a cluster of its own.
struct Release {
    at: Appliance,
    helm: PathBuf,
    name: &'static str,
    chart: &'static str,
}

impl Release {
    fn new(name: &'static str, chart: &'static str) -> Option<Self> {
        let helm = helm()?;
        let at = appliance(&format!("chart-{chart}"))?;
        Some(Release { at, helm, name, chart })
    }

    fn helm(&self, line: &str) -> Answer {
        run(&self.at, &self.helm, line)
    }

    /// What helm says of it.
    fn install(&self, more: &str) -> String {
        let line = format!("install {} {CHARTS}/{} --wait --timeout 60s {more}", self.name, self.chart);
        self.helm(&line).ok("install")
    }

    fn upgrade(&self, more: &str) -> Answer {
        self.helm(&format!("upgrade {} {CHARTS}/{} --wait --timeout 60s {more}", self.name, self.chart))
    }

    fn rollback(&self, revision: u32) {
        self.helm(&format!("rollback {} {revision} --wait --timeout 60s", self.name)).ok("rollback");
    }

    /// Nothing is left but that, as `kubectl get -o name` has it.
    fn uninstall(&self, left: &str) {
        self.helm(&format!("uninstall {} --wait --timeout 60s", self.name)).ok("uninstall");
        let label = format!("app.kubernetes.io/instance={}", self.name);
        self.at.until(&["get", KINDS, "-l", &label, "-o", "name"], left);
        assert_eq!(self.helm("list --short").ok("list").trim(), "");
    }

    /// What a command prints in a pod.
    fn exec(&self, pod: &str, command: &[&str]) -> String {
        self.at.kubectl(&[&["exec", pod, "--"], command].concat()).ok(&command.join(" "))
    }

    fn field(&self, of: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.at.kubectl(&["get", of, "-o", &path]).ok(of)
    }

    fn until_field(&self, of: &str, path: &str, want: &str) {
        self.at.until(&["get", of, "-o", &format!("jsonpath={{{path}}}")], want);
    }
}

#[test]
fn a_database_keeps_its_data_over_an_upgrade_and_a_rollback() {
    let Some(release) = Release::new("db", "database") else { return };
    let at = &release.at;
    load_redis(at);
    let refused = release.helm(&format!("install db {CHARTS}/database")).refused("no password");
    assert!(refused.contains("auth.password must be set"), "{refused}");
    release.install("--set auth.password=words");
    let redis = |command: &str| {
        let words: Vec<&str> = ["redis-cli"].into_iter().chain(command.split(' ')).collect();
        release.exec("db-database-0", &words)
    };
    assert_eq!(redis("set greeting kept"), "OK\n");
    let who = "id -u; ls -d /var/run/secrets/kubernetes.io 2>/dev/null || echo no token; touch /made 2>&1";
    let who = at.kubectl(&["exec", "db-database-0", "--", "sh", "-c", who]);
    assert_eq!(who.out(), "1001\nno token\ntouch: /made: Read-only file system\n", "{}", who.err());
    release.until_field("pdb/db-database", ".status.currentHealthy", "1");
    let tested = release.helm("test db --timeout 60s").ok("test");
    assert!(tested.contains("Succeeded"), "{tested}");
    at.until(&["get", "pod", "db-database-test", "--ignore-not-found", "-o", "name"], "");
    // who has not the client's label does not reach it
    at.kubectl(&[
        "run",
        "stranger",
        "--image=busybox:1",
        "--restart=Never",
        "--command",
        "--",
        "sleep",
        "3600",
    ])
    .ok("stranger");
    at.kubectl(&["wait", "--for=condition=ready", "pod/stranger", "--timeout=60s"]).ok("stranger");
    // wget's own time limit ends this static busybox with a segmentation fault
    let ask = "exec stranger -- busybox timeout 3 wget -q -O - http://db-database:6379";
    let ask: Vec<&str> = ask.split(' ').collect();
    let refused = at.kubectl(&ask).refused("a stranger");
    assert!(refused.contains("exit code 143"), "it is dropped, not refused: {refused}");

    release.upgrade("--reuse-values --set primary.maxMemory=16mb").ok("upgrade");
    assert_eq!(redis("config get maxmemory"), "maxmemory\n16777216\n");
    assert_eq!(redis("get greeting"), "kept\n");
    // the claims of a set are as they were made
    let refused =
        release.upgrade("--reuse-values --set primary.persistence.size=16Mi").refused("a larger claim");
    assert!(refused.contains("updates to statefulset spec for fields other than"), "{refused}");
    assert_eq!(redis("get greeting"), "kept\n");
    release.rollback(1);
    assert_eq!(redis("config get maxmemory"), "maxmemory\n8388608\n");
    assert_eq!(redis("get greeting"), "kept\n");

    release.uninstall("persistentvolumeclaim/data-db-database-0");
    release.until_field("pvc/data-db-database-0", ".spec.resources.requests.storage", "8Mi");
    at.kubectl(&["delete", "pvc", "data-db-database-0"]).ok("the claim");
    at.until(&["get", "pvc,pv", "-o", "name"], "");
}

/// Asks from another host until that page is answered.
fn until_page(at: &Appliance, want: &str) {
    let began = Instant::now();
    loop {
        let name = format!("shop.example.com:80:{MACHINE}");
        let ask = ["curl", "-sS", "--max-time", "5", "--resolve", &name, "http://shop.example.com/"];
        let done = at.lab.neighbour(&ask);
        let seen = String::from_utf8_lossy(&done.stdout);
        if seen == want {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "wanted {want:?}, saw {seen:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_web_application_answers_by_its_host_and_rolls_when_its_configuration_changes() {
    let Some(release) = Release::new("shop", "web") else { return };
    let at = &release.at;
    at.load_busybox();
    let notes = release.install("");
    assert!(notes.contains("It answers at http://shop.example.com/"), "{notes}");
    until_page(at, "hello\n");
    let migrated = |times: usize| {
        let of = "--field-selector=involvedObject.kind=Job,reason=Completed";
        let names = ["get", "events", of, "-o", "jsonpath={.items[*].involvedObject.name}"];
        at.until(&names, &vec!["shop-web-migration"; times].join(" "));
        at.until(&["get", "jobs", "-o", "name"], "");
        at.until(&["get", "cm", "shop-web-migration", "--ignore-not-found", "-o", "name"], "");
    };
    migrated(1);
    release.until_field("ingress/shop-web", ".status.loadBalancer.ingress[0].ip", MACHINE);
    release.until_field("pdb/shop-web", ".status.desiredHealthy", "1");

    release.upgrade("--set page=again --set autoscaling.minReplicas=2").ok("upgrade");
    until_page(at, "again\n");
    migrated(2);
    release.until_field("deploy/shop-web", ".status.readyReplicas", "2");
    let sets = ["get", "rs", "-l", "app.kubernetes.io/instance=shop", "-o", "name"];
    assert_eq!(at.kubectl(&sets).ok("sets").lines().count(), 2, "the pods are others");
    release.rollback(1);
    until_page(at, "hello\n");
    assert_eq!(release.field("hpa/shop-web", ".spec.minReplicas"), "1");
    // neither hook is one of a rollback
    migrated(2);
    release.uninstall("");
}

#[test]
fn a_cache_has_replicas_and_keeps_the_password_that_was_made_up() {
    let Some(release) = Release::new("cache", "cache") else { return };
    let at = &release.at;
    load_redis(at);
    release.install("");
    let password = release.field("secret/cache", ".data.password");
    assert!(!password.is_empty());
    let write = |pod: &str| {
        at.until(&["exec", pod, "--", "redis-cli", "-h", "cache-leader", "set", "greeting", "hello"], "OK");
    };
    let read = |pod: &str| at.until(&["exec", pod, "--", "redis-cli", "get", "greeting"], "hello");
    write("cache-replica-0");
    read("cache-replica-0");
    let refused = release.exec("cache-replica-0", &["redis-cli", "set", "greeting", "other"]);
    assert!(refused.starts_with("READONLY"), "{refused}");
    let by_service = release.exec("cache-leader-0", &["redis-cli", "-h", "cache-replica", "get", "greeting"]);
    assert_eq!(by_service, "hello\n");

    release.upgrade("--set replicas.count=2 --set config.maxMemory=16mb").ok("upgrade");
    assert_eq!(release.field("secret/cache", ".data.password"), password);
    let limit = |pod: &str| release.exec(pod, &["redis-cli", "config", "get", "maxmemory"]);
    for pod in ["cache-leader-0", "cache-replica-0", "cache-replica-1"] {
        assert_eq!(limit(pod), "maxmemory\n16777216\n", "{pod}");
    }
    // what a cache held it may lose
    write("cache-replica-1");
    read("cache-replica-0");
    read("cache-replica-1");

    release.rollback(1);
    release.until_field("sts/cache-replica", ".status.replicas", "1");
    assert_eq!(limit("cache-leader-0"), "maxmemory\n8388608\n");
    assert_eq!(release.field("secret/cache", ".data.password"), password);
    write("cache-replica-0");
    read("cache-replica-0");
    release.uninstall("");
}

#[test]
fn an_agent_is_on_a_tainted_node_and_reads_of_it_what_it_may() {
    let Some(release) = Release::new("agent", "agent") else { return };
    let at = &release.at;
    at.load_busybox_with(&[CURL]);
    at.kubectl(&["taint", "nodes", "--all", "dedicated=others:NoSchedule"]).ok("taint");
    let root = at.home().join("root");
    std::fs::create_dir(&root).unwrap();
    for name in ["one", "two", "three"] {
        std::fs::write(root.join(name), name).unwrap();
    }
    let root = format!("--set hostRoot={}", root.display());
    release.install(&root);
    let node = at.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("node");
    let metrics = |interval: u32| {
        let ask = ["exec", "ds/agent", "--", "wget", "-q", "-O", "-", "http://agent:9100/metrics"];
        at.until(&ask, &format!("node_files{{node=\"{node}\",interval=\"{interval}\"}} 3"));
    };
    metrics(10);
    let refused =
        at.kubectl(&["exec", "ds/agent", "--", "touch", "/host/root/four"]).refused("a write to the node");
    assert!(refused.contains("Read-only file system"), "{refused}");
    let asks = |path: &str| {
        let line = format!(
            "S=/var/run/secrets/kubernetes.io/serviceaccount; {CURL} -sS --cacert $S/ca.crt -o /dev/null -w '%{{http_code}}' \
             -H \"Authorization: Bearer $(cat $S/token)\" https://kubernetes.default.svc{path}"
        );
        release.exec("ds/agent", &["sh", "-c", &line])
    };
    assert_eq!(asks("/api/v1/nodes/$NODE_NAME"), "200");
    assert_eq!(asks("/api/v1/pods"), "200");
    assert_eq!(asks("/api/v1/namespaces/default/secrets"), "403");

    release.upgrade(&format!("{root} --set interval=20")).ok("upgrade");
    metrics(20);
    release.rollback(1);
    metrics(10);
    release.uninstall("");
}

#[test]
fn a_backup_is_made_by_hand_too_and_what_it_kept_outlives_the_release() {
    let Some(release) = Release::new("nightly", "backup") else { return };
    let at = &release.at;
    at.load_busybox();
    release.install("");
    assert_eq!(release.field("cronjob/nightly-backup", ".spec.schedule"), "0 3 * * *");
    let volume = release.field("pvc/nightly-backup", ".spec.volumeName");
    let directory = release.field(&format!("pv/{volume}"), ".spec.hostPath.path");
    // what lies there when it is done
    let back_up = |job: &str| {
        at.kubectl(&["create", "job", job, "--from=cronjob/nightly-backup"]).ok("create");
        let job = format!("job/{job}");
        at.kubectl(&["wait", "--for=condition=complete", &job, "--timeout=60s"]).ok("complete");
        at.kubectl(&["logs", &job]).ok("logs")
    };
    let kept = |n: u32| at.shell(&format!("tar -xOf {directory}/{n}.tar ./notes.txt")).ok("an archive");
    assert_eq!(back_up("first"), "1001.tar\n");
    assert_eq!(kept(1001), "remember");

    let other = r"--set keep=1 --set suspend=true --set-string 'files.notes\.txt=forget'";
    release.upgrade(other).ok("upgrade");
    assert_eq!(release.field("cronjob/nightly-backup", ".spec.suspend"), "true");
    assert_eq!(back_up("second"), "1002.tar\n");
    assert_eq!(kept(1002), "forget");
    release.rollback(1);
    assert_eq!(back_up("third"), "1002.tar\n1003.tar\n");
    assert_eq!(kept(1003), "remember");

    release.uninstall("persistentvolumeclaim/nightly-backup");
    assert_eq!(kept(1002), "forget");
    at.kubectl(&["delete", "pvc", "nightly-backup"]).ok("the claim");
    at.until(&["get", "pvc,pv", "-o", "name"], "");
}

#[test]
fn an_operator_brings_its_kind_its_webhook_and_objects_of_the_kind() {
    let Some(release) = Release::new("greeter", "operator") else { return };
    let at = &release.at;
    let kubectl = at.kubectl_path();
    let image = images::busybox(at.home(), "operator:1", &[OPENSSL, &kubectl]);
    at.monopod(&["image", "load", image.to_str().unwrap()]).ok("load");
    let kubectl = format!("--set kubectl={kubectl}");
    release.install(&kubectl);
    let authority = release.field("secret/greeter-operator-webhook", r".data.ca\.crt");

    release.upgrade(&format!("{kubectl} --set greetings.hello=there")).ok("an object in an upgrade");
    release.until_field("cm/hello", ".data.words", "Hello, there");
    release.until_field("greeting/hello", ".status.configMap", "hello");
    let shown = at.kubectl(&["get", "greetings"]).ok("columns");
    assert!(shown.starts_with("NAME    WORDS   CONFIGMAP\nhello   there   hello"), "{shown}");
    let refused = release
        .upgrade(&format!("{kubectl} --set greetings.hello=there --set greetings.bad="))
        .refused("a greeting without words");
    let why = "admission webhook \"greetings.charts.example.com\" denied the request: a greeting needs words";
    assert!(refused.contains(why), "{refused}");
    let other = "--set opening=Welcome --set greetings.hello=there --set greetings.bye=soon";
    release.upgrade(&format!("{kubectl} {other}")).ok("another opening");
    release.until_field("cm/hello", ".data.words", "Welcome, there");
    release.until_field("cm/bye", ".data.words", "Welcome, soon");
    assert_eq!(release.field("secret/greeter-operator-webhook", r".data.ca\.crt"), authority);

    release.rollback(2);
    release.until_field("cm/hello", ".data.words", "Hello, there");
    // what was made for an object goes with it
    at.until(&["get", "greeting,cm", "bye", "--ignore-not-found", "-o", "name"], "");
    release.uninstall("");
    at.until(&["get", "cm", "hello", "--ignore-not-found", "-o", "name"], "");
    // helm leaves the kinds that a chart brings
    at.kubectl(&["delete", "crd", "greetings.charts.example.com"]).ok("the kind");
}
