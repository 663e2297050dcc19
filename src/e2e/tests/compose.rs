//! A web server, workers and a database in `compose/compose.yaml`, as `docker compose` builds, starts, changes and stops them.

mod common;

use common::redis::load_redis;
use common::{Answer, Appliance, appliance};
use std::time::{Duration, Instant};

const COMPOSE: &str = "MONOPOD_COMPOSE";
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compose/compose.yaml");
const VISIT: &str = "curl -sS --retry 5 --retry-connrefused --max-time 10 http://127.0.0.1";

struct Shop<'a> {
    at: &'a Appliance,
    program: String,
}

impl Shop<'_> {
    fn tagged(&self, tag: &str, arguments: &[&str]) -> Answer {
        let mut command = self.at.command(&self.program);
        command.args(["-f", FILE]).args(arguments).env("TAG", tag);
        Answer(self.at.of_docker(&mut command).output().unwrap())
    }

    fn ok(&self, arguments: &[&str]) -> String {
        self.tagged("1", arguments).ok(&arguments.join(" "))
    }

    fn visit(&self, place: &str) -> String {
        self.at.shell(&format!("{VISIT}:{place}/cgi-bin/visit")).ok("visit")
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `service state health` of all, in order.
    fn states(&self) -> Vec<String> {
        let shown = self.ok(&["ps", "-a", "--format", "{{.Service}} {{.State}} {{.Health}}"]);
        let mut lines: Vec<String> = shown.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.sort();
        lines
    }
}

#[test]
fn a_shop_opens_is_looked_at_changed_and_closed() {
    let Ok(program) = std::env::var(COMPOSE) else {
        eprintln!("SKIPPED: {COMPOSE} says where compose is; `scripts/test` sets it");
        return;
    };
    let Some(at) = appliance("compose") else { return };
    load_redis(&at);
    let shop = Shop { at: &at, program };
    shop.ok(&["build"]);
    shop.ok(&["up", "-d", "--wait"]);
    look(&shop);
    go_inside(&shop);
    run_once(&shop);
    scale_and_stop(&shop);
    renew(&shop);
    close(&shop);
}

/// What waits for what has waited; the web server has its configuration, its secret and its way to the database.
fn look(shop: &Shop<'_>) {
    assert_eq!(shop.visit("18081"), "hello, visit 41, a secret, mode=fast\n");
    let second = shop.ok(&["port", "web", "8080"]);
    assert_eq!(second, "0.0.0.0:18081\n");
    let in_range =
        shop.at.shell(&format!("{VISIT}:18082/cgi-bin/visit || {VISIT}:18083/cgi-bin/visit")).ok("range");
    assert!(in_range.starts_with("hello, visit 42"), "{in_range}");
    let up =
        ["db running healthy", "migrate exited", "web running healthy", "worker running", "worker running"];
    assert_eq!(shop.states(), up);
    let listed = shop.ok(&["ps"]);
    assert!(listed.contains("0.0.0.0:18081->8080/tcp") && !listed.contains("127.0.0.1:0->"), "{listed}");
    let lines = ["worker-1", "worker-2", "worker of jobs on test", "| OK"];
    shop.until("the logs tell of all", || {
        let logs = shop.ok(&["logs", "--no-color", "worker", "migrate"]);
        lines.iter().all(|line| logs.contains(line))
    });
    assert!(shop.ok(&["ls"]).contains("running(4)"));
    assert!(shop.ok(&["images"]).contains("shop-web"));
    assert!(shop.ok(&["top", "worker"]).contains("echo worker of $QUEUE"));
    assert!(shop.ok(&["stats", "--no-stream"]).contains("64MiB"));
    assert!(shop.ok(&["volumes", "-q"]).contains("shop_dbdata"));
}

fn go_inside(shop: &Shop<'_>) {
    let script = "cat /base; echo $QUEUE $STAGE; ulimit -n; grep other /etc/hosts; touch /x || touch /scratch/x && ls /scratch; \
                  head -n 1 /proc/1/comm";
    let seen = shop.ok(&["exec", "-T", "--index", "2", "worker", "sh", "-c", script]);
    assert_eq!(seen, "base\njobs test\n1000\n192.0.2.7\tother\nx\ndocker-init\n");
    for name in ["db", "database", "web"] {
        let found = shop.ok(&["exec", "-T", "worker", "nslookup", name, "127.0.0.11"]);
        assert!(found.contains(&format!("Name:\t{name}")), "{found}");
    }
    let file = shop.at.home().join("copied.txt");
    std::fs::write(&file, "copied\n").unwrap();
    let file = file.to_str().unwrap();
    shop.ok(&["cp", file, "web:/tmp/copied.txt"]);
    assert_eq!(shop.ok(&["exec", "-T", "web", "cat", "/tmp/copied.txt"]), "copied\n");
    shop.ok(&["cp", "web:/www/health", file]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "healthy\n");
    assert!(!shop.tagged("1", &["exec", "-T", "web", "false"]).0.status.success());
}

fn run_once(shop: &Shop<'_>) {
    assert_eq!(shop.ok(&["run", "--rm", "tools"]), "tools ran\n");
    assert_eq!(shop.ok(&["run", "--rm", "tools", "cat", "/w.env"]), "QUEUE=jobs\n");
    assert_eq!(
        shop.ok(&["run", "--rm", "-T", "--no-deps", "-e", "A=b", "web", "sh", "-c", "echo $A"]),
        "b\n"
    );
    assert_eq!(shop.ok(&["run", "--rm", "-T", "web", "redis-cli", "-h", "db", "get", "visits"]), "40\n");
}

fn scale_and_stop(shop: &Shop<'_>) {
    let workers =
        |state: &str| shop.states().iter().filter(|line| *line == &format!("worker {state}")).count();
    shop.ok(&["up", "-d", "--no-recreate", "--scale", "worker=3"]);
    assert_eq!(workers("running"), 3);
    shop.ok(&["stop", "worker"]);
    assert_eq!(workers("exited"), 3);
    assert!(shop.ok(&["logs", "--no-log-prefix", "worker"]).contains("goodbye"));
    shop.ok(&["start", "worker"]);
    shop.ok(&["restart", "-t", "5", "worker"]);
    shop.ok(&["pause", "db"]);
    assert!(shop.states().iter().any(|line| line.starts_with("db paused")));
    shop.ok(&["unpause", "db"]);
    // the signal that it is stopped with: it is not started again
    shop.ok(&["kill", "-s", "TERM", "worker"]);
    shop.until("the workers have ended", || workers("exited") == 3);
    shop.ok(&["up", "-d", "--scale", "worker=2"]);
    assert_eq!(workers("running"), 2);
    let watched = shop.tagged("1", &["watch"]).refused("watch without a develop section");
    assert!(watched.contains("none of the selected services is configured for watch"), "{watched}");
}

/// Another tag is another container, in the place of the old one.
fn renew(shop: &Shop<'_>) {
    let id = || shop.ok(&["ps", "-q", "web"]);
    let before = id();
    shop.ok(&["up", "-d"]);
    assert_eq!(id(), before);
    shop.tagged("2", &["up", "-d", "--build", "--wait"]).ok("another tag");
    assert_ne!(id(), before);
    assert!(shop.visit("18081").starts_with("hello, visit "));
    let image = shop.at.docker(&["inspect", "-f", "{{.Config.Image}}", "shop-web-1"]).ok("its image");
    assert_eq!(image, "shop-web:2\n");
    shop.ok(&["rm", "-fs", "worker"]);
    assert!(!shop.states().iter().any(|line| line.starts_with("worker")));
}

/// The data outlive the containers until they are given up as well.
fn close(shop: &Shop<'_>) {
    let networks = || shop.at.docker(&["network", "ls", "-q", "--filter", "name=shop_"]).ok("networks");
    shop.ok(&["exec", "-T", "db", "redis-cli", "set", "kept", "yes"]);
    shop.ok(&["down", "-t", "5"]);
    assert_eq!((shop.at.docker(&["ps", "-aq"]).ok("ps").as_str(), networks().as_str()), ("", ""));
    shop.ok(&["up", "-d", "--no-build", "db"]);
    assert_eq!(shop.ok(&["exec", "-T", "db", "redis-cli", "get", "kept"]), "yes\n");
    shop.ok(&["--profile", "tools", "down", "-v", "--rmi", "local", "-t", "5"]);
    assert_eq!(shop.at.docker(&["ps", "-aq"]).ok("ps"), "");
    assert_eq!(shop.at.docker(&["volume", "ls", "-q", "--filter", "name=shop_"]).ok("volumes"), "");
    assert!(!shop.at.docker(&["images"]).ok("images").contains("shop-worker"));
}
