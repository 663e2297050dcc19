//! NetworkPolicies: who reaches whom, seen from pods, from the node and from the LAN.

mod common;

use common::{Appliance, appliance, lab};

const CURL: &str = "/usr/bin/curl";

const WORLD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: team, labels: {team: a}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: kubia, image: monopod/kubia, ports: [{name: http, containerPort: 8080}]}
  - name: c
    image: busybox:1
    command: [sh, -c, 'cd /tmp; echo > index.html; for port in 9090 9095 9100; do httpd -p $port; done; exec nc -ll -p 7777 -e cat']
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: friend, labels: {role: friend}}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]}
---
apiVersion: v1
kind: Pod
metadata: {name: guest, namespace: team}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]}
";

const DENY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress]}
";

const FRIENDS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friends}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{podSelector: {matchLabels: {role: friend}}}]
    ports: [{port: http}]
";

const TEAM: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: team}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{namespaceSelector: {matchLabels: {team: a}}}]
    ports: [{port: 9090, endPort: 9095}]
";

fn lan(except: &str) -> String {
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: lan}}
spec:
  podSelector: {{matchLabels: {{app: web}}}}
  ingress:
  - from: [{{ipBlock: {{cidr: 203.0.113.0/24, except: [{except}]}}}}]
    ports: [{{protocol: TCP, port: 8080}}]
"
    )
}

const CLOSED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: names-only}
spec:
  podSelector: {matchLabels: {role: friend}}
  policyTypes: [Egress]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
    ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
";

const TO_WEB: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: to-web}
spec:
  podSelector: {matchLabels: {role: friend}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]
";

struct World {
    at: Appliance,
    /// What is asked for, and its name.
    targets: Vec<(&'static str, String)>,
}

impl World {
    fn start(profile: &str) -> Option<Self> {
        let at = appliance(profile)?;
        at.load_busybox_with(&[CURL]);
        at.kubectl_with(&["create"], WORLD).ok("create");
        at.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]).ok("wait");
        at.kubectl(&["wait", "--for=condition=Ready", "pod/guest", "-n", "team", "--timeout=60s"]).ok("wait");
        let ip = at.until_some(&["get", "pod", "web", "-o", "jsonpath={.status.podIP}"]);
        let service = at.until_some(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"]);
        let of_pod = [("http", 8080), ("first", 9090), ("last", 9095), ("beyond", 9100)];
        let of_pod = of_pod.map(|(name, port)| (name, format!("{ip}:{port}")));
        let targets = of_pod.into_iter().chain([("service", format!("{service}:80"))]).collect();
        Some(World { at, targets })
    }

    /// The names of what each of them reaches, all asked at once.
    fn reach(&self) -> String {
        let ask = |(name, target): &(&str, String)| {
            format!("(curl -s --max-time 2 -o /dev/null http://{target} && echo {name}) & ")
        };
        let line = format!("PATH=$PATH:/usr/bin; {}wait", self.targets.iter().map(ask).collect::<String>());
        let in_pod = |namespace: &str, pod: &str| {
            self.at.kubectl(&["exec", "-n", namespace, pod, "--", "sh", "-c", &line]).out()
        };
        let neighbour = || {
            let url = format!("http://{}:30080", lab::MACHINE);
            let asked = self.at.lab.neighbour(&["curl", "-s", "--max-time", "2", "-o", "/dev/null", &url]);
            if asked.status.success() { "port".to_owned() } else { String::new() }
        };
        let (friend, stranger, guest, node, lan) = std::thread::scope(|scope| {
            let friend = scope.spawn(|| in_pod("default", "friend"));
            let stranger = scope.spawn(|| in_pod("default", "stranger"));
            let guest = scope.spawn(|| in_pod("team", "guest"));
            let node = scope.spawn(|| self.at.shell(&line).out());
            let lan = scope.spawn(neighbour);
            let joined = [friend, stranger, guest, node].map(|asked| asked.join().unwrap());
            let [friend, stranger, guest, node] = joined;
            (friend, stranger, guest, node, lan.join().unwrap())
        });
        let list = |said: String| {
            let order = |name: &str| self.targets.iter().position(|(known, _)| *known == name);
            let mut names: Vec<&str> = said.lines().collect();
            names.sort_by_key(|name| order(name));
            names.join(" ")
        };
        [("friend", friend), ("stranger", stranger), ("guest", guest), ("node", node), ("lan", lan)]
            .map(|(who, said)| format!("{who}: {}", list(said)).trim_end().to_owned())
            .join("; ")
    }

    /// A policy is in force a moment after it was taken.
    fn until_reach(&self, name: &str, want: &str) {
        let began = std::time::Instant::now();
        loop {
            let seen = self.reach();
            if seen == want {
                break;
            }
            assert!(began.elapsed() < std::time::Duration::from_secs(120), "{name}: {seen}\nwanted: {want}");
        }
        self.at.shell("nft list ruleset").ok("what others list");
    }

    fn apply(&self, policy: &str) {
        self.at.kubectl_with(&["apply"], policy).ok("apply");
    }
}

const ALL: &str = "http first last beyond service";

#[test]
fn pods_are_reached_by_those_who_may() {
    let Some(world) = World::start("netpol") else { return };
    let at = &world.at;
    let open = format!("friend: {ALL}; stranger: {ALL}; guest: {ALL}; node: {ALL}; lan: port");
    world.until_reach("no policy", &open);

    // a conversation that goes on whatever comes
    let talk = format!(
        "(echo one; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo two; sleep 3600) 2>/dev/null | nc {} > /tmp/heard 2>/dev/null &",
        world.targets[0].1.replace(":8080", " 7777")
    );
    at.kubectl(&["exec", "stranger", "--", "sh", "-c", &talk]).ok("begin to talk");
    let heard = ["exec", "stranger", "--", "cat", "/tmp/heard"];
    at.until(&heard, "one");

    world.apply(DENY);
    world.until_reach("deny", &format!("friend:; stranger:; guest:; node: {ALL}; lan:"));
    at.kubectl(&["exec", "stranger", "--", "touch", "/tmp/go"]).ok("go on");
    at.until(&heard, "one\ntwo");

    world.apply(FRIENDS);
    world.until_reach("friends", &format!("friend: http service; stranger:; guest:; node: {ALL}; lan:"));
    world.apply(TEAM);
    world.until_reach(
        "team",
        &format!("friend: http service; stranger:; guest: first last; node: {ALL}; lan:"),
    );
    world.apply(&lan("203.0.113.128/25"));
    let all_three = format!("friend: http service; stranger:; guest: first last; node: {ALL}; lan: port");
    world.until_reach("lan", &all_three);
    let listed = at.kubectl(&["get", "netpol"]).ok("columns");
    assert!(listed.contains("POD-SELECTOR") && listed.contains("app=web"), "{listed}");
    let described = at.kubectl(&["describe", "netpol", "lan"]).ok("describe");
    assert!(described.contains("Except: 203.0.113.128/25") && described.contains("8080/TCP"), "{described}");

    // the daemon goes: what it has applied stays
    at.kill_daemon();
    let url = format!("http://{}:30080", lab::MACHINE);
    let curl = |url: &str| at.lab.neighbour(&["curl", "-s", "--max-time", "10", url]).status.success();
    assert!(curl(&url), "the node port while the daemon is away");
    at.monopod(&["start"]).ok("start again");
    world.until_reach("after a restart", &all_three);

    world.apply(&lan("203.0.113.0/30"));
    world.until_reach(
        "except",
        &format!("friend: http service; stranger:; guest: first last; node: {ALL}; lan:"),
    );
    // labels count as they are now
    at.kubectl(&["label", "pod", "stranger", "role=friend"]).ok("label");
    world.until_reach(
        "a new friend",
        &format!("friend: http service; stranger: http service; guest: first last; node: {ALL}; lan:"),
    );
    at.kubectl(&["label", "namespace", "team", "team-"]).ok("label");
    world.until_reach(
        "no team",
        &format!("friend: http service; stranger: http service; guest:; node: {ALL}; lan:"),
    );
    at.kubectl(&["label", "pod", "stranger", "role-"]).ok("label");
    at.kubectl(&["delete", "netpol", "--all"]).ok("delete");
    world.until_reach("open again", &open);
    assert!(!at.shell("nft list ruleset").ok("list").contains("isolation"), "no packet pays any more");

    // what a pod opens
    let by_name = |url: &str| at.kubectl(&["exec", "friend", "--", CURL, "-s", "--max-time", "10", url]);
    by_name("http://web").ok("by name");
    world.apply(CLOSED);
    world.until_reach("egress", &format!("friend:; stranger: {ALL}; guest: {ALL}; node: {ALL}; lan: port"));
    at.kubectl(&["exec", "friend", "--", "nslookup", "web.default.svc.cluster.local"])
        .ok("names are answered");
    assert_eq!(by_name("http://web").0.status.code(), Some(28), "its packets are dropped");
    world.apply(TO_WEB);
    world.until_reach(
        "to web",
        &format!("friend: http service; stranger: {ALL}; guest: {ALL}; node: {ALL}; lan: port"),
    );
    assert_eq!(by_name("http://web").ok("by name"), "You've hit web\n");

    at.monopod(&["delete"]).ok("delete");
    at.nothing_is_left();
}
