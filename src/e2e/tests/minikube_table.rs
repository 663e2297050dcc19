//! Each command of minikube: its text or JSON and its code, in the states that a profile can be in, beside golden files; and
//! the calls of Skaffold and Tilt with what their code reads of the answers. `UPDATE_GOLDEN=1` writes the files.

mod common;

use common::{Appliance, appliance};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const PROFILE: &str = "e2e-table";
/// Of the tools, whose test runs beside the other.
const TOOLS: &str = "e2e-tools";

/// Whatever the profile is.
const ALWAYS: &str = "
version
version --short
version -o json
version --short -o json
version -o yaml
version -o xml
profile
profile list -o json
profile list -l -o json
profile list -o xml
profile nobody
config set cpus 4
config set nonsense 1
config set cpus many
config set driver nosuch
config get cpus
config get nonsense
config view
config view --format {{.ConfigKey}}={{.ConfigValue}}
config unset cpus
config unset nonsense
config defaults driver
config defaults kubernetes-version --output json
config defaults nonsense
options
license
update-check
podman-env
ssh-key
ssh-host
node
completion nonsense
nonsense
statsu
start --nonsense
start --cpus
-p no/name status
status -p nobody
ip -p nobody
stop -p nobody
service web -p nobody
tunnel -p nobody
pause -p nobody
addons enable ingress -p nobody
addons disable ingress -p nobody
image ls -p nobody
node list -p nobody
docker-env -p nobody
dashboard --url -p nobody
";

const STATES: &str = "
status
status -o json
status -o json -l cluster
status -f {{.Host}}:{{.Kubelet}}:{{.APIServer}}:{{.Kubeconfig}}
status -f {{.Nonsense}}
status -o xml
status -o json -f {{.Host}}
status -n m02
ip
ip -n m02
node list
node add
node delete m02
profile list -o json
profile list
addons list -o xml
addons enable dashboard
addons enable ingress
addons enable olm
addons enable nonsense
addons disable ingress
addons disable default-storageclass
addons disable olm
addons disable nonsense
addons images ingress
addons images nonsense
addons open ingress
addons configure registry-creds
docker-env --shell bash
docker-env --shell fish
docker-env --shell powershell
docker-env --shell cmd
docker-env --shell tcsh
docker-env --shell emacs
docker-env --shell none
docker-env --shell none -u
docker-env -o json
docker-env -o yaml
docker-env -o xml
docker-env --ssh-host
service list -o json
service list
service list -o xml
service
service nobody
service kubernetes
service --all --url -n nobody
service web --all
image ls --format short
image ls --format nonsense
image load /none
image save nobody /tmp/none.tar
image rm nobody
image tag nobody other
cache list
ssh -- echo hello
ssh -- exit 7
ssh -n m02 -- true
cp /none /tmp
cp /none m02:/tmp
cp /none tmp
mount nonsense
mount /none:/tmp/none
mount
update-context
start --dry-run --cpus 2 --driver docker
start --kubernetes-version v1.20.0
start --kubernetes-version v9.99.0
start --kubernetes-version nonsense
start --nodes 3
start --nodes many
start --driver nosuch
start --memory abc
start --memory 250MB --dry-run
start --cpus x
start --apiserver-names no_name
start --insecure-registry x/y
start --ha
start --gpus all
start --no-kubernetes --kubernetes-version stable
start -o xml
start --download-only
start -o json --dry-run
stop --schedule nonsense
stop --cancel-scheduled
stop -o xml
delete -o xml
pause -n ,
pause -o xml
unpause -n kube-system
logs --node m02
";

const PAUSED: &str = "
status
status -o json
status -o json -l cluster
profile list -o json
unpause -A
status -o json
";

/// Only what is the same on every machine and at every time.
fn normalised(text: &str, cluster: &Appliance, address: &str) -> String {
    let home = cluster.home().display().to_string();
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of = |key: &str| {
        let line = os.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned()).unwrap_or_default()
    };
    let system = format!("{} {}", of("NAME").split(' ').next().unwrap_or_default(), of("VERSION_ID"));
    let text = text.replace(&home, "HOME").replace(&system, "SYSTEM");
    let kubernetes = cluster.monopod(&["version", "-o", "json"]).ok("version");
    let kubernetes: Value = serde_json::from_str(&kubernetes).unwrap();
    let text = text.replace(kubernetes["kubernetes"].as_str().unwrap(), "KUBERNETES");
    let text = match address.is_empty() {
        true => text,
        false => text.replace(address, "ADDRESS"),
    };
    let text = without_slot(text, cluster);
    text.lines().map(|line| format!("{}\n", narrowed(&without_ids(line)).trim_end())).collect()
}

/// Which port and addresses a profile has depends on those that were made before it.
fn without_slot(text: String, cluster: &Appliance) -> String {
    let Ok(settings) = std::fs::read_to_string(cluster.places()[0].join("settings.json")) else {
        return text;
    };
    let settings: Value = serde_json::from_str(&settings).unwrap();
    let port = |key: &str, value: &str| format!("\"{key}\":{value}");
    let own = settings["api_port"].to_string();
    let (services, _) = settings["service_cidr"].as_str().unwrap().rsplit_once('.').unwrap();
    let text = text.replace(services, "SERVICES");
    let of_keys = |text: String, key: &str| text.replace(&port(key, &own), &port(key, "\"PORT\""));
    ["APIServerPort", "Port"].into_iter().fold(text, of_keys)
}

/// A row of the table of profiles is as wide as the widest of the machine's.
fn narrowed(line: &str) -> String {
    match line.starts_with("| ") {
        true => line.split_whitespace().collect::<Vec<_>>().join(" "),
        false => line.to_owned(),
    }
}

/// Ids of events, and other profiles of the machine.
fn without_ids(line: &str) -> String {
    if let Ok(mut event) = serde_json::from_str::<Value>(line) {
        if event["specversion"].is_string() {
            event["id"] = "ID".into();
        }
        if let Some(valid) = event.get_mut("valid").and_then(Value::as_array_mut) {
            valid.retain(|profile| profile["Name"] == PROFILE);
        }
        return event.to_string();
    }
    line.to_owned()
}

struct Table<'a> {
    cluster: &'a Appliance,
    link: PathBuf,
    address: String,
}

impl Table<'_> {
    fn transcript(&self, lines: &str) -> String {
        let mut text = String::new();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split(' ').collect();
            let profile = ["-p", PROFILE];
            let all: Vec<&str> = match line.contains("-p ") {
                true => words,
                false => profile.into_iter().chain(words).collect(),
            };
            let answer = self.cluster.program(&self.link, &all);
            let code = answer.0.status.code().map_or("signal".to_owned(), |code| code.to_string());
            let _ = writeln!(text, "$ minikube {line}  → {code}");
            let show = |stream: &str| normalised(stream, self.cluster, &self.address);
            text.push_str(&show(&answer.out()));
            for line in show(&answer.err()).lines() {
                let _ = writeln!(text, "2> {line}");
            }
        }
        // other profiles make the table wider
        text.lines().filter(|line| !is_other_profile(line)).map(|line| format!("{line}\n")).collect()
    }
}

fn is_other_profile(line: &str) -> bool {
    line.starts_with('|')
        && (line.contains(" none ") && !line.contains(PROFILE)
            || line.contains("ACTIVE PROFILE")
            || line.starts_with("|--"))
}

fn compare(name: &str, text: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        return std::fs::write(golden, text).unwrap();
    }
    let want = std::fs::read_to_string(&golden).unwrap_or_default();
    for (number, (got, want)) in text.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "{name}, line {}", number + 1);
    }
    assert_eq!(text.lines().count(), want.lines().count(), "{name}");
}

#[test]
fn every_command_in_every_state_says_what_the_golden_files_say() {
    let Some(cluster) = appliance("table") else { return };
    let link = cluster.home().join("minikube");
    std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
    let address = cluster.program(&link, &["-p", PROFILE, "ip"]).ok("ip").trim().to_owned();
    let table = Table { cluster: &cluster, link, address };
    // commands that start or end things come last
    compare("minikube-always.txt", &table.transcript(ALWAYS));
    compare("minikube-running.txt", &table.transcript(STATES));
    cluster.program(&table.link, &["-p", PROFILE, "pause", "-A"]).ok("pause");
    compare("minikube-paused.txt", &table.transcript(PAUSED));
    cluster.program(&table.link, &["-p", PROFILE, "stop"]).ok("stop");
    compare("minikube-stopped.txt", &table.transcript(STATES));
}

/// A tool's call, and whether the answer is what its code needs.
type Call = (&'static str, &'static [&'static str], fn(&str) -> bool);

const SKAFFOLD: &[Call] = &[
    // pkg/skaffold/cluster/minikube.go: the version is parsed
    ("version", &["version", "--output=json", "--user=skaffold"], |out| {
        json(out)["minikubeVersion"].as_str().is_some_and(|version| version.starts_with("v1."))
    }),
    // matched with the server's URL of the current context
    ("profiles", &["profile", "list", "-o", "json", "--user=skaffold"], |out| {
        json(out)["valid"].as_array().is_some_and(|all| {
            all.iter().any(|profile| {
                let config = &profile["Config"];
                let node = &config["Nodes"][0];
                config["Name"] == TOOLS
                    && config["Driver"].is_string()
                    && node["IP"].is_string()
                    && node["Port"].is_u64()
            })
        })
    }),
    // pkg/skaffold/docker/client.go: lines of NAME=VALUE
    ("docker-env", &["docker-env", "--shell", "none", "-p", TOOLS, "--user=skaffold"], |out| {
        !out.is_empty()
            && out.lines().all(|line| {
                line.split_once('=')
                    .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            })
            && out.contains("DOCKER_HOST=unix:///")
    }),
    ("status", &["status", "-o", "json", "--user=skaffold"], |out| json(out)["Host"] == "Running"),
];

const TILT: &[Call] = &[
    // internal/k8s/minikube.go: `^minikube version: v([0-9.]+)$`, on a line
    ("version", &["-p", TOOLS, "version"], |out| {
        out.lines().any(|line| {
            let version = line.strip_prefix("minikube version: v");
            version.is_some_and(|version| {
                !version.is_empty() && version.chars().all(|c| c.is_ascii_digit() || c == '.')
            })
        })
    }),
    // `export (\w+)="([^"]+)"`
    ("docker-env", &["-p", TOOLS, "docker-env", "--shell", "sh"], |out| {
        let exported = |name: &str| {
            out.lines().any(|line| {
                let value =
                    line.strip_prefix(&format!("export {name}=\"")).and_then(|rest| rest.strip_suffix('"'));
                value.is_some_and(|value| !value.is_empty() && !value.contains('"'))
            })
        };
        exported("DOCKER_HOST") && exported("MINIKUBE_ACTIVE_DOCKERD")
    }),
    ("ip", &["-p", TOOLS, "ip"], |out| out.trim().parse::<std::net::IpAddr>().is_ok()),
];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn skaffold_and_tilt_read_what_they_need() {
    let Some(cluster) = appliance("tools") else { return };
    let link = cluster.home().join("minikube");
    std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
    for (tool, calls) in [("skaffold", SKAFFOLD), ("tilt", TILT)] {
        for (name, words, is_right) in calls {
            // Skaffold believes the profile that is current
            let all: Vec<&str> = match words.contains(&"-p") {
                true => words.to_vec(),
                false => [&["-p", TOOLS], *words].concat(),
            };
            let out = cluster.program(&link, &all).ok(name);
            assert!(is_right(&out), "{tool}, {name}: {out}");
        }
    }
}
