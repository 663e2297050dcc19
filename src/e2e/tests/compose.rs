//! A web server, a worker and a database, as `docker compose` starts and stops them.

mod common;

use common::{Answer, Appliance, appliance};

const COMPOSE: &str = "MONOPOD_COMPOSE";
const PROJECT: &str = "
services:
  web:
    image: monopod/kubia
    ports: ['18081:8080']
    depends_on: [db]
  worker:
    image: busybox:1
    command: sh -c 'echo working on $$QUEUE; sleep 3600'
    environment: {QUEUE: jobs}
    depends_on: [db]
  db:
    image: busybox:1
    command: sh -c 'echo data > /data/file; sleep 3600'
    volumes: ['dbdata:/data']
volumes: {dbdata: {}}
";

fn compose(at: &Appliance, program: &str, arguments: &[&str]) -> Answer {
    let file = at.home().join("compose.yaml");
    std::fs::write(&file, PROJECT).unwrap();
    let mut command = at.command(program);
    command.args(["-p", "shop", "-f", file.to_str().unwrap()]).args(arguments);
    Answer(at.of_docker(&mut command).output().unwrap())
}

#[test]
fn services_come_up_find_each_other_and_go() {
    let Ok(program) = std::env::var(COMPOSE) else {
        eprintln!("SKIPPED: {COMPOSE} says where compose is; `scripts/test` sets it");
        return;
    };
    let Some(at) = appliance("compose") else { return };
    at.load_busybox();
    compose(&at, &program, &["up", "-d"]).ok("up");
    let answer =
        at.shell("curl -sS --retry 5 --retry-connrefused --max-time 10 http://127.0.0.1:18081").ok("curl");
    assert!(answer.starts_with("You've hit "), "{answer}");
    let logs = compose(&at, &program, &["logs", "worker"]).ok("logs");
    assert!(logs.contains("working on jobs"), "{logs}");
    for name in ["web", "db"] {
        let found = compose(&at, &program, &["exec", "-T", "worker", "nslookup", name, "127.0.0.11"]).ok(name);
        assert!(found.contains(&format!("Name:\t{name}")), "{found}");
    }
    let kept = compose(&at, &program, &["exec", "-T", "db", "cat", "/data/file"]).ok("volume");
    assert_eq!(kept, "data\n");
    compose(&at, &program, &["down", "-v", "-t", "1"]).ok("down");
    assert_eq!(at.docker(&["ps", "-aq"]).ok("ps"), "");
    assert_eq!(at.docker(&["volume", "ls", "-q"]).ok("volumes"), "");
}
