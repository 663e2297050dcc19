//! Pods, and what the runtime is given for them.

use super::*;
use serde_json::json;

fn make(security: serde_json::Value, user: Option<&str>) -> Result<ContainerConfig, String> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}},
        "spec": {"securityContext": {"fsGroup": 2000, "supplementalGroups": [7]}, "containers": [{
            "name": "c", "image": "busybox", "command": ["echo", "$(A)"], "args": ["$(B)"], "securityContext": security}]}
    }))
    .unwrap();
    let image = ImageInfo {
        id: "sha256:1".into(),
        repo_tags: vec!["docker.io/library/other:1".into(), "docker.io/library/busybox:latest".into()],
        repo_digests: vec!["docker.io/library/busybox@sha256:2".into()],
        size: 1,
        user: user.map(str::to_owned),
    };
    let parts = Parts {
        attempt: 3,
        image: &image,
        env: vec![("A".into(), "1".into())],
        mounts: Vec::new(),
        devices: vec![Device {
            host_path: "/dev/loop1".into(),
            container_path: "/dev/xvda".into(),
            permissions: "rwm".into(),
        }],
        memory_capacity: 1 << 30,
        state_dir: Path::new("/state"),
    };
    container(&pod, &pod.spec.as_ref().unwrap().containers[0], parts)
}

#[test]
fn a_container_as_the_runtime_wants_it() {
    let security = json!({"capabilities": {"add": ["CAP_NET_ADMIN"], "drop": ["ALL"]}, "allowPrivilegeEscalation": false,
        "seccompProfile": {"type": "RuntimeDefault"}, "readOnlyRootFilesystem": true, "runAsUser": 5});
    let config = make(security, None).unwrap();
    assert_eq!(
        (config.command.as_slice(), config.args.as_slice()),
        (["echo".to_owned(), "1".to_owned()].as_slice(), ["$(B)".to_owned()].as_slice())
    );
    assert_eq!(
        (config.add_capabilities, config.drop_capabilities),
        (vec!["NET_ADMIN".to_owned()], vec!["ALL".to_owned()])
    );
    assert!(config.no_new_privileges && config.read_only_rootfs);
    assert_eq!(config.seccomp, Seccomp::RuntimeDefault);
    let of_container = [
        (labels::CONTAINER_NAME, "c"),
        (labels::POD_NAME, "web"),
        (labels::POD_NAMESPACE, "shop"),
        (labels::POD_UID, "u1"),
    ];
    let of_container = of_container.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(config.labels, BTreeMap::from(of_container));
    assert_eq!(config.supplemental_groups, [7, 2000]);
    assert_eq!(config.devices[0].container_path, Path::new("/dev/xvda"));
    assert_eq!(config.log_path, Path::new("c/3.log"));
    assert_eq!(config.annotations[labels::IMAGE], "docker.io/library/busybox:latest");
    assert_eq!(config.annotations[labels::IMAGE_ID], "docker.io/library/busybox@sha256:2");
}

#[test]
fn a_command_line_that_no_program_can_begin_with_is_refused() {
    let env = [("A".to_owned(), "x".repeat(100_000))];
    let args = |list: Vec<String>| {
        let container = Container { args: Some(list), ..Container::default() };
        command_line(&container, &env).map(|(_, args)| args.len())
    };
    assert_eq!(args(vec!["$(A)".to_owned(); 19]), Ok(19));
    let together = args(vec!["$(A)".to_owned(); 1_000_000]).unwrap_err();
    assert!(together.contains("more than 2 MiB together"), "{together}");
    let one = args(vec!["$(A)$(A)".to_owned()]).unwrap_err();
    assert!(one.starts_with("args has a part that is longer than 128 KiB"), "{one}");
}

#[test]
fn a_misspelt_seccomp_profile_is_no_reason_for_none() {
    let of = |kind: &str| make(json!({"seccompProfile": {"type": kind}}), None).map(|config| config.seccomp);
    assert_eq!(of("RuntimeDefault"), Ok(Seccomp::RuntimeDefault));
    assert_eq!(of("Unconfined"), Ok(Seccomp::Unconfined));
    assert_eq!(of("runtimeDefault"), Err("unknown seccomp profile type \"runtimeDefault\"".to_owned()));
}

#[test]
fn who_may_not_be_root() {
    let who = "(pod: \"web_shop(u1)\", container: c)";
    let cases = [
        (
            "image is root",
            json!({"runAsNonRoot": true}),
            None,
            Some(format!("container has runAsNonRoot and image will run as root {who}")),
        ),
        ("image has a number", json!({"runAsNonRoot": true}), Some("101:101"), None),
        (
            "image has a name",
            json!({"runAsNonRoot": true}),
            Some("nginx"),
            Some(format!(
                "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root {who}"
            )),
        ),
        (
            "image has the number that leaves root as it is",
            json!({"runAsNonRoot": true}),
            Some("4294967295"),
            Some(format!("uids and gids must be in range 0-2147483647 {who}")),
        ),
        (
            "image has a number that its passwd could name root",
            json!({"runAsNonRoot": true}),
            Some("4294967296:1"),
            Some(format!("uids and gids must be in range 0-2147483647 {who}")),
        ),
        (
            "image has another zero",
            json!({"runAsNonRoot": true}),
            Some("-0"),
            Some(format!("container has runAsNonRoot and image will run as root {who}")),
        ),
        (
            "told to be root",
            json!({"runAsNonRoot": true, "runAsUser": 0}),
            None,
            Some(format!("container's runAsUser breaks non-root policy {who}")),
        ),
        ("told to be another", json!({"runAsNonRoot": true, "runAsUser": 9}), None, None),
    ];
    for (name, security, user, want) in cases {
        assert_eq!(make(security, user).err(), want, "{name}");
    }
}

#[test]
fn a_pod_on_the_hosts_network_has_the_hosts_name() {
    let ip = "192.0.2.1".parse().unwrap();
    let config = KubeletConfig::new("n1", ip, "/nonexistent".into(), ip);
    for host in [true, false] {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u1"},
            "spec": {"hostNetwork": host, "containers": [{"name": "c", "image": "busybox"}]}
        }))
        .unwrap();
        let made = sandbox(&pod, 0, &config, String::new());
        assert_eq!((made.host_network, made.host_uts), (host, host));
    }
}
