//! What goes wrong, under the name `minikube`: its codes and words, and nothing of anybody's overwritten.

mod common;

use common::{Answer, Appliance, appliance};
use std::path::PathBuf;

fn link(cluster: &Appliance) -> PathBuf {
    let link = cluster.home().join("minikube");
    if !link.exists() {
        std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
    }
    link
}

fn says(answer: &Answer, code: i32, words: &[&str]) {
    assert_eq!(answer.0.status.code(), Some(code), "{}{}", answer.out(), answer.err());
    for word in words {
        assert!(answer.err().contains(word), "wanted {word:?} in {}", answer.err());
    }
}

#[test]
fn a_port_that_another_profile_has() {
    let Some(cluster) = appliance("bad-port") else { return };
    let call =
        |profile: &str, words: &[&str]| cluster.program(&link(&cluster), &[&["-p", profile], words].concat());
    let listed = call("e2e-bad-port", &["profile", "list", "-o", "json"]).ok("profiles");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let own =
        listed["valid"].as_array().unwrap().iter().find(|p| p["Name"] == "e2e-bad-port").unwrap().clone();
    let port = own["Config"]["Nodes"][0]["Port"].to_string();
    let answer = call("e2e-bad-port2", &["start", "--apiserver-port", &port]);
    says(&answer, 81, &["GUEST_PORT_CONFLICT", &format!("listen on port {port}"), "--apiserver-port"]);
    let events = call("e2e-bad-port2", &["start", "--apiserver-port", &port, "-o", "json"]);
    let last: serde_json::Value = serde_json::from_str(events.out().lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["type"], &last["data"]["exitcode"]),
        (&"io.k8s.sigs.minikube.error".into(), &"81".into())
    );
    call("e2e-bad-port2", &["delete"]).ok("delete");
    call("e2e-bad-port", &["status"]).ok("the first one goes on");
}

#[test]
fn a_kubeconfig_that_is_broken_or_anothers() {
    let Some(cluster) = appliance("bad-config") else { return };
    let call =
        |words: &[&str]| cluster.program(&link(&cluster), &[&["-p", "e2e-bad-config"], words].concat());
    let path = cluster.kubeconfig();
    let whole = std::fs::read_to_string(&path).unwrap();
    for broken in ["contexts: [", "- not\n- a\n- map\n", "\u{0}\u{1}"] {
        std::fs::write(&path, broken).unwrap();
        says(&call(&["start"]), 38, &["HOST_KUBECONFIG_UPDATE", path.to_str().unwrap()]);
        says(&call(&["update-context"]), 38, &["HOST_KUBECONFIG_UPDATE"]);
        assert_eq!(
            call(&["status"]).0.status.code(),
            Some(4),
            "the cluster runs, and the kubeconfig is wrong"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken, "it was overwritten");
    }
    // another cluster's entries and its current context stay with --keep-context
    let foreign = "apiVersion: v1\nkind: Config\ncurrent-context: theirs\nclusters:\n- name: theirs\n  cluster: {server: 'https://192.0.2.1'}\n\
        contexts:\n- name: theirs\n  context: {cluster: theirs, user: theirs}\nusers:\n- name: theirs\n  user: {token: x}\n";
    std::fs::write(&path, foreign).unwrap();
    assert_eq!(call(&["status"]).0.status.code(), Some(4));
    call(&["start", "--keep-context"]).ok("start");
    assert_eq!(call(&["status"]).0.status.code(), Some(0));
    assert_eq!(cluster.kubectl(&["config", "current-context"]).ok("context"), "theirs\n");
    call(&["delete"]).ok("delete");
    let left = cluster.kubectl(&["config", "get-contexts", "-o", "name"]).ok("contexts");
    assert_eq!(left, "theirs\n");
    std::fs::write(&path, whole).unwrap();
}

/// As `sudo kubectl` leaves it behind: the user's rights do not reach there.
#[test]
fn a_kubeconfig_that_is_roots_in_a_users_directory_stops_no_start() {
    let Some(cluster) = appliance("bad-owner") else { return };
    let theirs = cluster.home().join("theirs");
    let path = theirs.join("kube/config");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65_534), Some(65_534)).unwrap();
    std::fs::write(&path, "").unwrap();
    let monopod = PathBuf::from(std::env::var_os("MONOPOD_BIN").unwrap());
    let call = |program: &PathBuf, words: &[&str]| {
        let mut command = cluster.command(program.to_str().unwrap());
        command.env("SUDO_USER", "nobody").env("KUBECONFIG", &path).args(["-p", "e2e-bad-owner"]).args(words);
        Answer(command.output().unwrap())
    };
    for (program, code, cure) in
        [(&monopod, 61, "monopod update-context"), (&link(&cluster), 38, "minikube update-context")]
    {
        let answer = call(program, &["start"]);
        let said = answer.out() + &answer.err();
        assert_eq!(answer.0.status.code(), Some(0), "{said}");
        for word in [path.to_str().unwrap(), "with the rights of nobody, who typed sudo", cure] {
            assert!(said.contains(word), "wanted {word:?} in {said}");
        }
        says(&call(program, &["update-context"]), code, &["with the rights of nobody, who typed sudo"]);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    cluster.kubectl(&["get", "nodes"]).ok("the cluster runs");
    // a user whom /etc/passwd does not have
    let mut unknown = cluster.command(monopod.to_str().unwrap());
    unknown.env("SUDO_USER", "of-a-directory").env("SUDO_UID", "65534").env("SUDO_GID", "65534");
    unknown.env("KUBECONFIG", &path).args(["-p", "e2e-bad-owner", "update-context"]);
    says(&Answer(unknown.output().unwrap()), 61, &["with the rights of of-a-directory"]);
    // where nothing on the way is the user's, root's own file is root's to write, as in a shell of `sudo -i`
    let roots = cluster.home().join("roots");
    let mut of_root = cluster.command(monopod.to_str().unwrap());
    of_root.env("SUDO_USER", "nobody").env("KUBECONFIG", &roots);
    Answer(of_root.args(["-p", "e2e-bad-owner", "update-context"]).output().unwrap()).ok("update-context");
    assert!(std::fs::read_to_string(&roots).unwrap().contains("e2e-bad-owner"));
    // nobody's rights do not reach the file at all: whether it is there, nobody can say
    let answer = call(&monopod, &["delete"]);
    assert_eq!(answer.0.status.code(), Some(0), "{}{}", answer.out(), answer.err());
}

#[test]
fn a_home_of_another_minikube_or_one_that_can_not_be_written() {
    let Some(cluster) = appliance("bad-home") else { return };
    let call = |words: &[&str]| cluster.program(&link(&cluster), &[&["-p", "e2e-bad-home"], words].concat());
    let home = cluster.home().join(".minikube");
    std::fs::create_dir_all(home.join("machines/minikube")).unwrap();
    std::fs::create_dir_all(home.join("config")).unwrap();
    std::fs::create_dir_all(home.join("logs")).unwrap();
    std::fs::write(home.join("machines/minikube/config.json"), "{}").unwrap();
    std::fs::write(home.join("logs/audit.json"), "theirs\n").unwrap();
    let config = home.join("config/config.json");
    std::fs::write(&config, r#"{"WantUpdateNotification": false, "theirs": {"deep": 1}}"#).unwrap();
    call(&["config", "set", "cpus", "4"]).ok("set");
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    assert_eq!(kept, serde_json::json!({"WantUpdateNotification": false, "theirs": {"deep": 1}, "cpus": 4}));
    std::fs::write(&config, "{ broken").unwrap();
    says(&call(&["config", "set", "cpus", "5"]), 38, &["HOST_CONFIG_LOAD", config.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "{ broken", "it was overwritten");
    call(&["ip"]).ok("what does not need it goes on");
    assert_eq!(std::fs::read_to_string(home.join("logs/audit.json")).unwrap(), "theirs\n");

    // nobody can make a directory in /proc
    let link = link(&cluster).display().to_string();
    let read_only =
        |words: &str| cluster.shell(&format!("MINIKUBE_HOME=/proc {link} -p e2e-bad-home {words}"));
    says(&read_only("config set cpus 4"), 10, &["MK_CONFIG_SET", "/proc/.minikube"]);
    says(&read_only("profile e2e-bad-home"), 10, &["/proc/.minikube"]);
    assert!(read_only("ip").0.status.success() && read_only("start").0.status.success());
    assert!(home.join("machines/minikube/config.json").exists());
}

#[test]
fn a_full_disk() {
    let Some(cluster) = appliance("bad-disk") else { return };
    let call = |words: &[&str]| cluster.program(&link(&cluster), &[&["-p", "e2e-bad-disk"], words].concat());
    call(&["delete"]).ok("delete");
    let directory = cluster.places()[0].display().to_string();
    cluster
        .shell(&format!("mkdir -p {directory} && mount -t tmpfs -o size=64k none {directory}"))
        .ok("a tiny disk");
    says(&call(&["start"]), 26, &["RSRC_DOCKER_STORAGE", "no space left", "free some space"]);
    call(&["delete"]).ok("delete");
    cluster.shell(&format!("umount {directory} && rmdir {directory}")).ok("take the disk away");
}

/// As systemd sets a machine up, what is mounted is shared with every copy of it.
#[test]
fn a_mount_that_ends_leaves_the_disks_that_it_showed() {
    let Some(cluster) = appliance("bad-mount") else { return };
    let program = link(&cluster).display().to_string();
    let source = cluster.home().join("source").display().to_string();
    let target = cluster.home().join("target").display().to_string();
    let shared = format!("mount -t tmpfs -o size=64k shared {source} && mount --make-shared {source}");
    let disk = format!("mkdir {source}/disk && mount -t tmpfs -o size=64k disk {source}/disk");
    cluster
        .shell(&format!("mkdir {source} && {shared} && {disk} && touch {source}/disk/file"))
        .ok("a disk in a directory");
    let seen = format!("for n in $(seq 100); do [ -e {target}/disk/file ] && break; sleep 0.1; done");
    cluster
        .shell(&format!(
            "{program} -p e2e-bad-mount mount {source}:{target} > /dev/null & {seen}; \
             [ -e {target}/disk/file ] && kill $! && wait $!"
        ))
        .ok("mount, and end");
    cluster.shell(&format!("[ -e {source}/disk/file ] && ! [ -e {target} ]")).ok("the disk is where it was");
    cluster.shell(&format!("umount {source}/disk {source}")).ok("take the disk away");
}

#[test]
fn services_that_can_not_be_reached() {
    let Some(cluster) = appliance("bad-service") else { return };
    let call =
        |words: &[&str]| cluster.program(&link(&cluster), &[&["-p", "e2e-bad-service"], words].concat());
    cluster.kubectl(&["create", "service", "nodeport", "empty", "--tcp=80"]).ok("without endpoints");
    cluster.kubectl(&["create", "deployment", "web", "--image=monopod/kubia"]).ok("deployment");
    cluster.kubectl(&["expose", "deployment", "web", "--port=8080"]).ok("without a node port");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["service", "nobody", "--url"], 115, "SVC_NOT_FOUND"),
        (&["service", "empty", "--url", "--wait=1"], 119, "SVC_UNREACHABLE"),
        (&["service", "kubernetes", "-n", "nobody", "--url"], 115, "SVC_NOT_FOUND"),
        (&["service"], 14, "You must specify service name(s) or --all flag"),
        (&["service", "web", "--all"], 14, "cannot specify both"),
    ];
    for (words, code, text) in cases {
        says(&call(words), code, &[text]);
    }
}
