//! Docker's networks, with the stock docker command and compose: who reaches whom, and by which name.

mod common;

use common::{Answer, Appliance, appliance};
use std::time::{Duration, Instant};

const COMPOSE: &str = "MONOPOD_COMPOSE";
const PATIENCE: Duration = Duration::from_secs(120);

/// A web server that says `You've hit <its host name>` at port 8080.
fn serve(at: &Appliance, name: &str, flags: &[&str]) {
    let run = [&["run", "-d", "--name", name, "--hostname", name], flags, &["monopod/kubia"]].concat();
    at.docker(&run).ok(name);
}

/// A container with a shell in it.
fn shell(at: &Appliance, name: &str, flags: &[&str]) {
    let run = [&["run", "-d", "--name", name], flags, &["busybox:1", "sleep", "3600"]].concat();
    at.docker(&run).ok(name);
}

fn within(at: &Appliance, container: &str, line: &str) -> Answer {
    at.docker(&["exec", container, "sh", "-c", line])
}

/// Who answers there, as seen from a container: asked once.
fn hit(at: &Appliance, from: &str, address: &str) -> Option<String> {
    hit_at(at, from, address, 8080)
}

fn hit_at(at: &Appliance, from: &str, address: &str, port: u16) -> Option<String> {
    let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} {port} 2>/dev/null");
    let answer = within(at, from, &ask).out();
    answer.lines().find_map(|line| line.strip_prefix("You've hit ")).map(str::to_owned)
}

/// Asks until somebody answers: a server that has just been started may not listen yet.
fn met(at: &Appliance, from: &str, address: &str, port: u16) -> Option<String> {
    let began = Instant::now();
    loop {
        let answer = hit_at(at, from, address, port);
        if answer.is_some() || began.elapsed() > PATIENCE {
            return answer;
        }
    }
}

fn looked_up(at: &Appliance, from: &str, name: &str) -> Vec<String> {
    let said = within(at, from, &format!("nslookup {name} 127.0.0.11")).out();
    // the first address is the server's own
    let mut found: Vec<String> =
        said.lines().skip(2).filter_map(|line| line.strip_prefix("Address: ")).map(str::to_owned).collect();
    found.sort();
    found
}

fn shown(at: &Appliance, container: &str, format: &str) -> String {
    at.docker(&["inspect", "-f", format, container]).ok(format).trim().to_owned()
}

fn address(at: &Appliance, container: &str, network: &str) -> String {
    shown(at, container, &format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}"))
}

#[test]
fn members_meet_by_name_and_strangers_do_not() {
    let Some(at) = appliance("nets") else { return };
    at.load_busybox();
    for network in ["front", "back"] {
        at.docker(&["network", "create", network]).ok("create");
    }
    serve(&at, "db", &["--network", "back", "--network-alias", "store", "-p", "18090:8080"]);
    shell(&at, "app", &["--network", "front", "--network", "back"]);
    shell(&at, "web", &["--network", "front"]);
    shell(&at, "plain", &[]);
    let db = address(&at, "db", "back");
    for name in ["db", "store", "db.back", &db] {
        assert_eq!(met(&at, "app", name, 8080).as_deref(), Some("db"), "{name}");
    }
    for (from, to) in [("web", db.as_str()), ("web", "db"), ("plain", &db), ("plain", "db")] {
        assert_eq!(hit(&at, from, to), None, "{from} to {to}");
    }
    // a published port is everybody's, by the machine's address
    for from in ["app", "web", "plain"] {
        assert_eq!(met(&at, from, "203.0.113.1", 18090).as_deref(), Some("db"), "{from}");
    }
    assert_eq!(at.shell("curl -sS http://127.0.0.1:18090").ok("localhost"), "You've hit db\n");
    let lan = at.lab.neighbour(&["curl", "-sS", "http://203.0.113.1:18090"]);
    assert_eq!(String::from_utf8_lossy(&lan.stdout), "You've hit db\n", "from the LAN");
    let direct = at.lab.neighbour(&["curl", "-sS", "--max-time", "2", &format!("http://{db}:8080")]);
    assert!(!direct.status.success(), "the LAN reaches nothing but published ports");
    // reverse, and each in its own network
    let reverse = within(&at, "app", &format!("nslookup {db} 127.0.0.11")).out();
    assert!(reverse.contains("db.back"), "{reverse}");
    assert_eq!(looked_up(&at, "web", "app"), [address(&at, "app", "front")]);
    let members = at.docker(&[
        "network",
        "inspect",
        "-f",
        "{{range .Containers}}{{.Name}}={{.IPv4Address}} {{end}}",
        "back",
    ]);
    assert!(members.ok("inspect").contains(&format!("db={db}/20")));
    at.docker(&["stop", "-t", "1", "db"]).ok("stop");
    assert_eq!(looked_up(&at, "app", "db"), Vec::<String>::new(), "a name goes with its container");
    at.docker(&["start", "db"]).ok("start");
    assert_eq!(met(&at, "app", "db", 8080).as_deref(), Some("db"), "and comes with it");
    let why = at.docker(&["network", "rm", "back"]).refused("in use");
    assert!(why.contains("network back has active endpoints"), "{why}");
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    let Some(at) = appliance("netconn") else { return };
    at.load_busybox();
    at.docker(&["network", "create", "one"]).ok("create");
    at.docker(&["network", "create", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.254", "two"])
        .ok("create");
    serve(&at, "db", &["--network", "one"]);
    shell(&at, "app", &["--network", "two", "--ip", "10.77.0.7", "--mac-address", "02:42:00:00:00:07"]);
    assert_eq!(address(&at, "app", "two"), "10.77.0.7");
    let link = within(&at, "app", "ip -o link show eth0; ip -o -4 address show eth0; ip route").ok("inside");
    for part in ["02:42:00:00:00:07", "10.77.0.7/24", "default via 10.77.0.254"] {
        assert!(link.contains(part), "{part}: {link}");
    }
    assert_eq!(hit(&at, "app", "db"), None);
    at.docker(&["network", "connect", "--alias", "data", "two", "db"]).ok("connect");
    for name in ["db", "data"] {
        assert_eq!(met(&at, "app", name, 8080).as_deref(), Some("db"), "{name}, connected");
    }
    assert_eq!(address(&at, "db", "two"), "10.77.0.1", "the smallest that is free");
    let again = at.docker(&["network", "connect", "two", "db"]).refused("twice");
    assert!(again.contains("endpoint with name db already exists in network two"), "{again}");
    at.docker(&["network", "disconnect", "two", "db"]).ok("disconnect");
    assert_eq!(hit(&at, "app", "db"), None, "disconnected");
    assert_eq!(hit(&at, "app", "10.77.0.1"), None);
    // from the default bridge to names
    shell(&at, "plain", &[]);
    at.docker(&["network", "connect", "one", "plain"]).ok("connect");
    assert_eq!(met(&at, "plain", "db", 8080).as_deref(), Some("db"));
    let taken = at.docker(&["run", "--rm", "--network", "two", "--ip", "10.77.0.7", "busybox:1", "true"]);
    assert!(taken.refused("taken").contains("Address already in use"));
    let outside = at.docker(&["run", "--rm", "--network", "two", "--ip", "10.78.0.7", "busybox:1", "true"]);
    assert!(outside.refused("outside").contains("no configured subnet contains IP address 10.78.0.7"));
    let chosen = at.docker(&["run", "--rm", "--network", "one", "--ip", "10.77.0.9", "busybox:1", "true"]);
    assert!(
        chosen.refused("chosen").contains("only when connecting to networks with user configured subnets")
    );
}

#[test]
fn internal_networks_reach_nothing_outside() {
    let Some(at) = appliance("netint") else { return };
    at.load_busybox();
    at.docker(&["network", "create", "--internal", "vault"]).ok("create");
    at.docker(&["network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart"])
        .ok("create");
    serve(&at, "safe", &["--network", "vault"]);
    shell(&at, "in", &["--network", "vault"]);
    serve(&at, "hermit", &["--network", "apart"]);
    shell(&at, "monk", &["--network", "apart"]);
    assert_eq!(met(&at, "in", "safe", 8080).as_deref(), Some("safe"));
    assert!(!within(&at, "in", "ping -c 1 -W 2 203.0.113.2").0.status.success(), "no way out");
    assert!(within(&at, "monk", "ping -c 1 -W 5 203.0.113.2").0.status.success(), "a way out");
    assert_eq!(hit(&at, "monk", "hermit"), None, "members that do not meet");
    assert_eq!(within(&at, "in", "ip route").ok("routes").lines().count(), 1);
}

#[test]
fn a_network_is_shared_with_a_container_that_runs() {
    let Some(at) = appliance("netshare") else { return };
    at.load_busybox();
    at.docker(&["network", "create", "shop"]).ok("create");
    serve(&at, "web", &["--network", "shop", "-p", "18091:8080"]);
    let shared = ["--network", "container:web"];
    shell(&at, "side", &shared);
    assert_eq!(met(&at, "side", "127.0.0.1", 8080).as_deref(), Some("web"));
    assert_eq!(within(&at, "side", "hostname").ok("hostname"), "web\n");
    assert_eq!(met(&at, "side", "web", 8080).as_deref(), Some("web"), "with its names");
    let id = shown(&at, "web", "{{.Id}}");
    assert_eq!(shown(&at, "side", "{{.HostConfig.NetworkMode}}"), format!("container:{id}"));
    assert_eq!(shown(&at, "side", "{{len .NetworkSettings.Networks}}"), "0");
    for (flags, why) in [
        (&["-p", "1:1"][..], "conflicting options: port publishing and the container type network mode"),
        (&["--hostname", "x"], "conflicting options: hostname and the network mode"),
        (&["--dns", "1.1.1.1"], "conflicting options: dns and the network mode"),
        (&["--add-host", "a:1.1.1.1"], "conflicting options: custom host-to-IP mapping and the network mode"),
        (&["--expose", "80"], "conflicting options: port exposing and the container type network mode"),
    ] {
        let run = [&["run", "--rm"], &shared[..], flags, &["busybox:1", "true"]].concat();
        let said = at.docker(&run).refused(why);
        assert!(said.contains(why), "{said}");
    }
    let connect = at.docker(&["network", "connect", "bridge", "side"]).refused("connect");
    assert!(connect.contains("cannot be connected to any other network"), "{connect}");
    at.docker(&["stop", "-t", "1", "side", "web"]).ok("stop");
    let late = at.docker(&["start", "side"]).refused("its network is gone");
    assert!(late.contains("cannot join network namespace of a non running container"), "{late}");
    at.docker(&["start", "web", "side"]).ok("start again");
    assert_eq!(met(&at, "side", "127.0.0.1", 8080).as_deref(), Some("web"));
}

#[test]
fn networks_are_made_listed_and_removed_in_dockers_words() {
    let Some(at) = appliance("netcli") else { return };
    let create = |flags: &[&str]| at.docker(&[&["network", "create"], flags].concat());
    create(&["--label", "app=shop", "--subnet", "10.70.0.0/16", "--ip-range", "10.70.5.0/24", "one"])
        .ok("create");
    for (flags, why) in [
        (&["one"][..], "network with name one already exists"),
        (&["bridge"], "operation is not permitted on predefined bridge network"),
        (&["--subnet", "10.70.1.0/24", "two"], "Pool overlaps with other one on this address space"),
        (&["--subnet", "10.71.1.0/16", "two"], "invalid subnet 10.71.1.0/16: it should be 10.71.0.0/16"),
        (&["-d", "macvlan", "two"], "the macvlan driver is not offered"),
        (&["-d", "overlay", "two"], "This node is not a swarm manager"),
        (&["-d", "nonsense", "two"], "could not find plugin nonsense"),
    ] {
        let said = create(flags).refused(why);
        assert!(said.contains(why), "{said}");
    }
    let config = at.docker(&["network", "inspect", "-f", "{{json .IPAM.Config}}", "one"]).ok("inspect");
    assert_eq!(
        config,
        "[{\"Subnet\":\"10.70.0.0/16\",\"IPRange\":\"10.70.5.0/24\",\"Gateway\":\"10.70.5.0\"}]\n"
    );
    let list = |filter: &str| {
        let said = at.docker(&["network", "ls", "--format", "{{.Name}}", "--filter", filter]).ok(filter);
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (filter, want) in [
        ("driver=bridge", &["bridge", "one"][..]),
        ("type=builtin", &["bridge", "host", "none"]),
        ("type=custom", &["one"]),
        ("label=app=shop", &["one"]),
        ("name=on", &["none", "one"]),
        ("dangling=true", &["one"]),
    ] {
        assert_eq!(list(filter), want, "{filter}");
    }
    let why = at.docker(&["network", "rm", "host"]).refused("built in");
    assert!(why.contains("host is a pre-defined network and cannot be removed"), "{why}");
    at.docker(&["network", "rm", "one"]).ok("rm");
    create(&["two"]).ok("create");
    assert!(at.docker(&["network", "prune", "-f"]).ok("prune").contains("two"));
    // the client knows whole seconds only
    let soon = at.shell("echo $(($(date +%s) + 1))").ok("date");
    let events = at.docker(&[
        "events",
        "--since",
        "1h",
        "--until",
        soon.trim(),
        "--filter",
        "type=network",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    // what was pruned has a number, and no name
    let want = "create one\ndestroy one\ncreate two\ndestroy two\nprune <no value>\n";
    assert_eq!(events.ok("events"), want);
}

#[test]
fn networks_and_names_survive_the_daemon_and_are_deleted() {
    let Some(at) = appliance("netsurv") else { return };
    at.load_busybox();
    at.docker(&["network", "create", "shop"]).ok("create");
    serve(&at, "db", &["--network", "shop"]);
    shell(&at, "app", &["--network", "shop", "--restart", "always"]);
    let before = (address(&at, "db", "shop"), address(&at, "app", "shop"));
    at.kill_daemon();
    // what is connected stays so meanwhile
    let pid = at.shell("pgrep -f 'sleep 3600' | tail -n 1").ok("pid");
    assert!(!pid.is_empty());
    at.monopod(&["start"]).ok("start again");
    assert_eq!((address(&at, "db", "shop"), address(&at, "app", "shop")), before);
    assert_eq!(met(&at, "app", "db", 8080).as_deref(), Some("db"), "names are there again");
    serve(&at, "new", &["--network", "shop"]);
    assert_eq!(met(&at, "app", "new", 8080).as_deref(), Some("new"));
    at.docker(&["restart", "-t", "1", "app"]).ok("restart");
    assert_eq!(met(&at, "app", "db", 8080).as_deref(), Some("db"));
    at.kill_daemon();
    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}

const PROJECT: &str = "
services:
  web:
    image: monopod/kubia
    hostname: web
    networks: {front: {ipv4_address: 10.79.0.10, aliases: [www]}}
  worker:
    image: busybox:1
    command: sleep 3600
    networks: [front, back]
    scale: 2
  db:
    image: monopod/kubia
    hostname: db
    networks: [back]
  side:
    image: busybox:1
    command: sleep 3600
    network_mode: 'service:web'
networks:
  front: {ipam: {config: [{subnet: 10.79.0.0/24}]}}
  back: {internal: true}
";

#[test]
fn a_composes_services_are_found_in_their_networks() {
    let Ok(program) = std::env::var(COMPOSE) else {
        eprintln!("SKIPPED: {COMPOSE} says where compose is; `scripts/test` sets it");
        return;
    };
    let Some(at) = appliance("netcomp") else { return };
    at.load_busybox();
    let file = at.home().join("compose.yaml");
    std::fs::write(&file, PROJECT).unwrap();
    let compose = |arguments: &[&str]| {
        let mut command = at.command(&program);
        command.args(["-p", "shop", "-f", file.to_str().unwrap()]).args(arguments);
        Answer(at.of_docker(&mut command).output().unwrap())
    };
    compose(&["up", "-d"]).ok("up");
    for (from, to, want) in [
        ("shop-worker-1", "web", Some("web")),
        ("shop-worker-1", "www", Some("web")),
        ("shop-worker-2", "db", Some("db")),
        ("shop-worker-1", "10.79.0.10", Some("web")),
        ("shop-side-1", "127.0.0.1", Some("web")),
        ("shop-side-1", "db", None),
    ] {
        let answer = if want.is_some() { met(&at, from, to, 8080) } else { hit(&at, from, to) };
        assert_eq!(answer.as_deref(), want, "{from} to {to}");
    }
    let mut both = [address(&at, "shop-worker-1", "shop_front"), address(&at, "shop-worker-2", "shop_front")];
    both.sort();
    assert_eq!(looked_up(&at, "shop-side-1", "worker"), both, "a service is all of its containers");
    compose(&["down", "-t", "1"]).ok("down");
    assert_eq!(at.docker(&["network", "ls", "-q", "--filter", "type=custom"]).ok("ls"), "");
}
