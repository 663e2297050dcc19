//! A daemon that has used up what it may have: descriptors, memory, room for its log. The machine does not notice, and neither do
//! the containers.

mod common;

use common::{Appliance, appliance};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn api_port(at: &Appliance) -> u16 {
    let settings = std::fs::read(at.places()[0].join("settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_slice(&settings).unwrap();
    settings["api_port"].as_u64().unwrap() as u16
}

/// Of one core, in clock ticks.
fn ticks(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn soft_limit_of_files(pid: &str) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn connections_that_take_every_descriptor_do_not_make_the_daemon_deaf() {
    let Some(at) = appliance("files") else { return };
    let pid = at.pid();
    assert!(soft_limit_of_files(&pid) > 1024, "the soft limit of a login is raised");
    at.monopod(&["stop"]).ok("stop");
    at.shell(&format!("ulimit -Sn 1024; {} -p e2e-files start", std::env::var("MONOPOD_BIN").unwrap()))
        .ok("start");
    let pid = at.pid();
    assert!(soft_limit_of_files(&pid) > 1024, "{}", soft_limit_of_files(&pid));
    // and so many that no test could take them all: a limit that it can
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    at.shell(&format!("prlimit --pid {pid} --nofile={0}:{0}", open + 100)).ok("a small limit");
    let port = api_port(&at);
    let silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let log = || std::fs::metadata(at.places()[0].join("monopod.log")).unwrap().len();
    let began = Instant::now();
    while std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() < open + 95 {
        assert!(began.elapsed() < Duration::from_secs(60), "the descriptors are not used up");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (said, worked, began) = (log(), ticks(&pid), Instant::now());
    for _ in 0..10 {
        assert!(at.monopod(&["status"]).ok("status without a descriptor").contains("Running"));
        std::thread::sleep(Duration::from_millis(100));
    }
    // a hundred ticks are a second; each question takes its own, and longer on a slower machine
    let (worked, passed) = (ticks(&pid) - worked, began.elapsed().as_millis() as u64 / 10);
    assert!(worked * 5 < passed * 3, "{worked} ticks of a core in {passed}: it turns without a pause");
    assert!(log() - said < 20_000, "the log grew by {} bytes", log() - said);
    at.monopod(&["stop"]).ok("stop without a descriptor");
    drop(silent);
    at.monopod(&["start"]).ok("start again");
}

fn memory_directory(cgroup: &str) -> PathBuf {
    let v1 = Path::new("/sys/fs/cgroup/memory");
    if v1.exists() { v1.join(cgroup) } else { Path::new("/sys/fs/cgroup").join(cgroup) }
}

/// The file of the limit, and that of what is used.
fn memory_files(directory: &Path) -> [PathBuf; 2] {
    let v1 = directory.join("memory.limit_in_bytes");
    match v1.exists() {
        true => [v1, directory.join("memory.usage_in_bytes")],
        false => [directory.join("memory.max"), directory.join("memory.current")],
    }
}

fn number(path: &Path) -> u64 {
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// A namespace's administrator may make as many objects as he likes.
#[test]
fn objects_that_fill_the_daemons_memory_are_refused_and_the_cluster_goes_on() {
    let Some(at) = common::unstarted("filled") else { return };
    at.monopod(&["start", "--daemon-memory", "384Mi"]).ok("start with a limit");
    let (pid, data) = (at.pid(), "x".repeat(1_000_000));
    let write = |verb: &str, name: &str, data: &str| {
        let map =
            format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{a: {data}}}}}");
        at.kubectl_with(&[verb], &map)
    };
    let create = |name: &str| write("create", name, &data);
    write("create", "small", "x").ok("one that is to grow");
    let (stored, refused) = (0..384)
        .find_map(|number| {
            let answer = create(&format!("fill-{number}"));
            (!answer.0.status.success()).then(|| (number, answer.err()))
        })
        .expect("384 MB fit into a daemon of as much");
    assert!(refused.contains("etcdserver: mvcc: database space exceeded"), "{refused}");
    assert!((110..=134).contains(&stored), "{stored} MB were taken, of 128 MiB");
    assert_eq!(at.pid(), pid, "the daemon lives");
    let status = at.monopod(&["status"]).ok("status");
    assert!(status.contains("store:      full"), "{status}");
    let used = at.kubectl(&["get", "--raw", "/metrics"]).ok("metrics");
    assert!(used.contains(&format!("\netcd_server_quota_backend_bytes {}\n", 128 << 20)), "{used}");
    at.until(
        &["get", "nodes", "-o", "jsonpath={.items[0].status.conditions[?(@.type=='Ready')].status}"],
        "True",
    );
    // it comes up with all of it, and with room for what goes
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start again");
    create("more").refused("another one");
    // as much as there is no room for
    write("replace", "small", &data).refused("an object that grows");
    let names: Vec<String> = (0..stored).map(|number| format!("fill-{number}")).collect();
    at.shell(&format!("{} delete configmap {}", at.kubectl_path(), names.join(" "))).ok("delete");
    create("more").ok("there is room again");
    assert!(!at.monopod(&["status"]).ok("status").contains("store:"));
    let log = std::fs::read_to_string(at.places()[0].join("monopod.log")).unwrap();
    let said = log.matches("until something is deleted nothing is added").count();
    assert!((1..=3).contains(&said), "said {said} times");
}

#[test]
fn a_daemon_that_takes_too_much_memory_dies_alone_and_it_is_said() {
    let Some(at) = appliance("memory") else { return };
    at.load_busybox();
    at.kubectl(&["create", "deployment", "web", "--image=monopod/kubia", "--replicas=2"]).ok("create");
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("rollout");
    at.until_processes(2);
    let pods = at.processes("");
    let directory = memory_directory("monopod/e2e-memory/daemon");
    let members = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap();
    assert_eq!(members.trim(), at.pid(), "the daemon is in it, and no shim and no container");
    let [limit, used] = memory_files(&directory);
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", "--daemon-memory", "600Mi"]).ok("start with a limit");
    assert_eq!(number(&limit), 600 << 20);
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start again");
    assert_eq!(number(&limit), 600 << 20, "the limit is kept");
    let refused = at.monopod(&["start", "--daemon-memory", "a lot"]).refused("no amount");
    assert!(refused.contains("give an amount"), "{refused}");

    // what is used without the page cache can not be taken away from it
    let pid = at.pid();
    let resident = at.shell(&format!("awk '/RssAnon/ {{print $2}}' /proc/{pid}/status")).ok("rss");
    let least = resident.trim().parse::<u64>().unwrap() * 1024;
    let small = (least + (24 << 20)).max(number(&used).min(least * 2));
    std::fs::write(&limit, small.to_string()).unwrap();
    // no machine's swap takes what is too much: one of these files is there, the other's hierarchy is not
    let with_swap = small.to_string();
    for (file, most) in [("memory.swap.max", "0"), ("memory.memsw.limit_in_bytes", with_swap.as_str())] {
        let _ = std::fs::write(directory.join(file), most);
    }
    let (began, data) = (Instant::now(), "x".repeat(900_000));
    for number in 0.. {
        let map = format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: m{number}}}, data: {{a: {data}}}}}"
        );
        if !Path::new(&format!("/proc/{pid}")).exists()
            || !at.kubectl_with(&["create"], &map).0.status.success()
        {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "it lives on with {number} MB more than it may have"
        );
    }
    assert!(common::ends(&pid), "the kernel ends it");
    assert_eq!(at.processes(""), pods, "nobody else was ended");

    let status = at.monopod(&["status"]);
    assert_eq!(status.0.status.code(), Some(3), "{}", status.out());
    assert!(status.out().contains("had reached its memory limit"), "{}", status.out());
    let said = at.monopod(&["start"]);
    assert!(said.0.status.success() && said.err().contains("had reached its memory limit"), "{}", said.err());
    assert!(at.monopod(&["logs"]).ok("logs").contains("had reached its memory limit"));
    at.kubectl(&["rollout", "status", "deploy/web", "--timeout=60s"]).ok("all is well again");
    assert_eq!(at.processes(""), pods);
    at.monopod(&["stop"]).ok("stop");
    assert!(!at.monopod(&["status"]).out().contains("memory limit"), "an end in order is none of that");
}
