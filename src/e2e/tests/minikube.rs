//! The program under the name `minikube`: what scripts and tools type, and what they read of the answers.

mod common;

use common::{Answer, Appliance, appliance};
use serde_json::Value;

const PROFILE: &str = "e2e-minikube";

fn link(cluster: &Appliance) -> std::path::PathBuf {
    let link = cluster.home().join("minikube");
    if !link.exists() {
        std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
    }
    link
}

fn minikube(cluster: &Appliance, words: &[&str]) -> Answer {
    cluster.program(&link(cluster), &[&["-p", PROFILE], words].concat())
}

fn code(answer: &Answer) -> Option<i32> {
    answer.0.status.code()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn scripts_and_tools_find_minikube() {
    let Some(cluster) = appliance("minikube") else { return };
    let call = |words: &[&str]| minikube(&cluster, words);

    // Tilt and Skaffold
    let version = call(&["version"]).ok("version");
    assert!(version.starts_with("minikube version: v1."), "{version}");
    assert!(
        json(&call(&["version", "--output=json", "--user=skaffold"]).ok("json"))["minikubeVersion"]
            .is_string()
    );
    let profiles = json(&call(&["profile", "list", "-o", "json"]).ok("profiles"));
    let own = profiles["valid"].as_array().unwrap().iter().find(|p| p["Name"] == PROFILE).unwrap().clone();
    assert_eq!((&own["Status"], &own["ActiveKubeContext"]), (&"OK".into(), &true.into()), "{own}");
    assert!(own["Config"]["Nodes"][0]["IP"].is_string() && own["Config"]["Nodes"][0]["Port"].is_u64());
    let env = call(&["docker-env", "--shell", "none"]).ok("docker-env");
    assert!(
        env.lines().any(|line| line.starts_with("DOCKER_HOST=unix:///run/monopod/e2e-minikube/")),
        "{env}"
    );

    // a shell that evaluates it talks to this engine
    let line = format!(
        "eval $({} -p {PROFILE} docker-env --shell bash) && docker version -f '{{{{.Server.Version}}}}'",
        link(&cluster).display()
    );
    let evaluated = cluster.program(std::path::Path::new("bash"), &["-c", &line]).ok("eval");
    assert!(!evaluated.trim().is_empty());

    // setup actions: flags of a machine, each said and none unknown
    let started = call(&[
        "start",
        "--driver",
        "docker",
        "--container-runtime=docker",
        "--cpus",
        "2",
        "--memory",
        "4g",
        "--addons",
        "ingress",
        "--kubernetes-version",
        "stable",
        // as minikube's own pages have it
        "--insecure-registry=10.0.0.0/24",
        "--wait=all",
        "--wait-timeout=6m",
        "-v=5",
        "--alsologtostderr",
    ])
    .ok("start");
    assert!(
        started.contains("* minikube v1.") && started.contains("Done! kubectl is now configured to use"),
        "{started}"
    );
    assert!(
        started.contains("--cpus, --driver, --memory have no effect: pods run on this machine itself"),
        "{started}"
    );
    let events = call(&["start", "-o", "json"]).ok("start as events");
    let last = json(events.lines().last().unwrap());
    assert_eq!((&last["type"], &last["specversion"]), (&"io.k8s.sigs.minikube.step".into(), &"1.0".into()));

    let status = json(&call(&["status", "-o", "json"]).ok("status"));
    assert_eq!(
        (&status["Host"], &status["APIServer"], &status["Kubeconfig"]),
        (&"Running".into(), &"Running".into(), &"Configured".into())
    );
    assert_eq!(call(&["status", "-f", "{{.Host}}/{{.Kubelet}}"]).ok("format"), "Running/Running");
    assert_eq!(json(&call(&["status", "-o", "json", "-l", "cluster"]).ok("layout"))["StatusCode"], 200);
    assert!(call(&["ip"]).ok("ip").trim().parse::<std::net::Ipv4Addr>().is_ok());
    let addons = json(&call(&["addons", "list", "-o", "json"]).ok("addons"));
    assert_eq!(addons["ingress"], serde_json::json!({"Profile": PROFILE, "Status": "enabled"}));

    // a service's address, by its node port
    cluster.kubectl(&["create", "deployment", "web", "--image=monopod/kubia"]).ok("deployment");
    cluster.kubectl(&["expose", "deployment", "web", "--type=NodePort", "--port=8080"]).ok("expose");
    let url = call(&["service", "web", "--url", "--wait=60"]).ok("service");
    let answer = cluster
        .program(std::path::Path::new("curl"), &["-sS", "--retry", "9", "--retry-connrefused", url.trim()])
        .ok("curl");
    assert!(answer.contains("You've hit web-"), "{answer}");
    let listed = json(&call(&["service", "list", "-o", "json"]).ok("service list"));
    let web = listed.as_array().unwrap().iter().find(|s| s["Name"] == "web").unwrap();
    assert_eq!(web["URLs"][0], url.trim());
    let images = json(&call(&["image", "ls", "--format", "json"]).ok("images"));
    assert!(
        images
            .as_array()
            .unwrap()
            .iter()
            .any(|i| i["repoTags"][0].as_str().is_some_and(|tag| tag.contains("kubia")))
    );
    // what is there, as this engine has built it, is loaded: no registry is asked for its name
    call(&["image", "load", "monopod/kubia"]).ok("image load");
    call(&["image", "load", "--daemon", "monopod/kubia:latest"]).ok("image load from this engine");
    call(&["cache", "add", "monopod/kubia"]).ok("cache add");
    assert_eq!(code(&call(&["image", "load", "--daemon", "monopod/nobody"])), Some(80));
    let inside = call(&["ssh", "--", "docker", "version", "-f", "{{.Server.Os}}"]).ok("ssh");
    assert_eq!(inside.trim(), "linux");
    let images = call(&["ssh", "sudo docker images"]).ok("ssh with sudo");
    assert!(images.contains("monopod/kubia"), "it is this engine that is asked: {images}");

    let help = cluster.shell(&format!("{{ sleep 0.2; {} --help; }} | true", link(&cluster).display()));
    assert_eq!((help.out(), help.err()), (String::new(), String::new()), "nobody reads on");

    // exit codes
    let codes: [(&[&str], i32, &str); 9] = [
        (&["start", "--no-such-flag"], 14, "unknown flag: --no-such-flag"),
        (&["strat"], 14, "unknown command \"strat\" for \"minikube\""),
        (&["status", "-p", "nobody"], 85, ""),
        (&["addons", "enable", "nonsense"], 10, "MK_ADDON_ENABLE"),
        (&["start", "--kubernetes-version=v1.20.0"], 106, "K8S_OLD_UNSUPPORTED"),
        (&["service", "nobody"], 115, "SVC_NOT_FOUND"),
        (&["podman-env"], 14, "MK_USAGE"),
        (&["config", "get", "driver"], 14, "Error: specified key could not be found in config"),
        (&["node", "add"], 80, "there is one node"),
    ];
    for (words, want, text) in codes {
        let answer = call(words);
        assert_eq!(code(&answer), Some(want), "{words:?}: {}{}", answer.out(), answer.err());
        assert!(answer.err().contains(text), "{words:?}: {}", answer.err());
    }

    // what is configured is a default
    call(&["config", "set", "kubernetes-version", "v1.20.0"]).ok("config set");
    assert_eq!(code(&call(&["start"])), Some(106));
    assert_eq!(call(&["config", "get", "kubernetes-version"]).ok("config get"), "v1.20.0\n");
    call(&["config", "unset", "kubernetes-version"]).ok("config unset");

    // kubectl goes along with the profile that is made the current one
    let current = || cluster.kubectl(&["config", "current-context"]).ok("context");
    cluster.kubectl(&["config", "set-context", "theirs", "--cluster=theirs"]).ok("another context");
    cluster.kubectl(&["config", "use-context", "theirs"]).ok("use it");
    let set = call(&["profile", PROFILE]).ok("profile");
    assert!(set.contains("minikube profile was successfully set to e2e-minikube"), "{set}");
    assert_eq!(current(), "e2e-minikube\n");
    // and with who says that it was led astray
    cluster.kubectl(&["config", "use-context", "theirs"]).ok("use it");
    let updated = call(&["update-context"]).ok("update-context");
    assert!(updated.contains("No changes required for the \"e2e-minikube\" context"), "{updated}");
    assert_eq!(current(), "e2e-minikube\n");
    cluster.kubectl(&["config", "delete-context", "theirs"]).ok("as it was");
    call(&["config", "unset", "profile"]).ok("config unset");

    call(&["stop"]).ok("stop");
    let stopped = call(&["status", "--format={{.Host}}"]);
    assert_eq!((stopped.out().as_str(), code(&stopped)), ("Stopped", Some(7)));
    assert_eq!(code(&call(&["ip"])), Some(83));
    call(&["profile", PROFILE]).ok("profile");
    call(&["delete"]).ok("delete");
    assert_eq!(code(&call(&["config", "get", "profile"])), Some(14), "it is chosen still");
    assert_eq!(code(&call(&["status"])), Some(85));
}
