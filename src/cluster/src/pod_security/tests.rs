//! One pod for each thing that is forbidden, with upstream's words.

use super::*;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

fn under(level: &str, version: &str) -> LevelVersion {
    let labels = [
        ("pod-security.kubernetes.io/enforce".to_owned(), level.to_owned()),
        ("pod-security.kubernetes.io/enforce-version".to_owned(), version.to_owned()),
    ];
    let (policy, errors) = Policy::of(Some(&labels.into()));
    assert!(errors.is_empty());
    policy.enforce
}

fn details(policy: LevelVersion, annotations: &Value, spec: &Value) -> String {
    let pod: Pod =
        serde_json::from_value(json!({"metadata": {"annotations": annotations}, "spec": spec})).unwrap();
    evaluate(policy, &pod.metadata, &pod.spec.unwrap()).map(|found| found.details()).unwrap_or_default()
}

/// Of one container with this security context.
fn secured(context: &Value) -> Value {
    json!({"containers": [{"name": "c", "securityContext": context}]})
}

#[test]
fn baseline_forbids_what_reaches_out() {
    let named = |name: &str, context: Value| json!({"name": name, "securityContext": context});
    let of_pod = |context: Value| json!({"containers": [{"name": "c"}], "securityContext": context});
    let cases: &[(&str, Value, &str)] = &[
        ("a plain pod", json!({"containers": [{"name": "c"}]}), ""),
        (
            "privileged, in containers of every sort",
            json!({"initContainers": [named("i", json!({"privileged": true}))], "containers": [named("c", json!({"privileged": false}))],
                "ephemeralContainers": [named("e", json!({"privileged": true}))]}),
            r#"privileged (containers "i", "e" must not set securityContext.privileged=true)"#,
        ),
        (
            "host namespaces",
            json!({"containers": [{"name": "c"}], "hostNetwork": true, "hostPID": true, "hostIPC": false}),
            "host namespaces (hostNetwork=true, hostPID=true)",
        ),
        (
            "host ports",
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 443}]}]}),
            r#"hostPort (container "c" uses hostPorts 443, 80)"#,
        ),
        (
            "a host path",
            json!({"containers": [{"name": "c"}], "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
            r#"hostPath volumes (volume "v")"#,
        ),
        (
            "capabilities",
            secured(&json!({"capabilities": {"add": ["NET_RAW", "CHOWN", "SYS_ADMIN"]}})),
            r#"non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)"#,
        ),
        (
            "seccomp",
            json!({"containers": [named("c", json!({"seccompProfile": {"type": "Unconfined"}}))], "securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
            r#"seccompProfile (pod and container "c" must not set securityContext.seccompProfile.type to "Unconfined")"#,
        ),
        (
            "AppArmor",
            secured(&json!({"appArmorProfile": {"type": "Unconfined"}})),
            r#"forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")"#,
        ),
        (
            "proc",
            secured(&json!({"procMount": "Unmasked"})),
            r#"procMount (container "c" must not set securityContext.procMount to "Unmasked")"#,
        ),
        (
            "SELinux",
            secured(&json!({"seLinuxOptions": {"type": "spc_t", "user": "u"}})),
            r#"seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)"#,
        ),
        (
            "SELinux's role alone",
            of_pod(json!({"seLinuxOptions": {"type": "container_engine_t", "role": "r"}})),
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: role may not be set)",
        ),
        (
            "sysctls",
            of_pod(
                json!({"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}, {"name": "kernel.msgmax", "value": "1"}]}),
            ),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            "Windows host processes",
            of_pod(json!({"windowsOptions": {"hostProcess": true}})),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            "probes of others",
            json!({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 1}},
                "lifecycle": {"preStop": {"tcpSocket": {"host": "h", "port": 1}}}}]}),
            r#"probe or lifecycle host (container "c" uses probe or lifecycle hosts "10.0.0.1", "h")"#,
        ),
    ];
    for (name, spec, want) in cases {
        assert_eq!(details(under("baseline", "latest"), &json!({}), spec), *want, "{name}");
        assert_eq!(details(under("privileged", "latest"), &json!({}), spec), "", "{name}");
    }
    let annotations = json!({"container.apparmor.security.beta.kubernetes.io/c": "unconfined"});
    assert_eq!(
        details(under("baseline", "latest"), &annotations, &json!({"containers": [{"name": "c"}]})),
        r#"forbidden AppArmor profile (annotation must not set AppArmor profile type to "container.apparmor.security.beta.kubernetes.io/c="unconfined"")"#
    );
}

#[test]
fn restricted_wants_to_be_told() {
    let policy = under("restricted", "latest");
    let fine = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(details(policy, &json!({}), &secured(&fine)), "");
    let want = concat!(
        r#"allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), "#,
        r#"unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), "#,
        r#"runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), "#,
        r#"seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#
    );
    assert_eq!(details(policy, &json!({}), &json!({"containers": [{"name": "c"}]})), want);
    let with = |field: &str, value: Value| {
        let mut context = fine.clone();
        context[field] = value;
        secured(&context)
    };
    let cases: &[(&str, Value, &str)] = &[
        (
            "what baseline forbids too is told once, after what only baseline forbids",
            json!({"hostPID": true, "containers": [{"name": "c", "securityContext": fine}], "volumes": [
                {"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "nfs": {"server": "s", "path": "/"}}, {"name": "x", "image": {}}]}),
            r#"host namespaces (hostPID=true), restricted volume types (volumes "v", "w", "x" use restricted volume types "hostPath", "nfs", "unknown")"#,
        ),
        (
            "capabilities",
            with("capabilities", json!({"add": ["SYS_ADMIN"]})),
            r#"unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)"#,
        ),
        (
            "root is asked for",
            with("runAsNonRoot", json!(false)),
            r#"runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)"#,
        ),
        ("user 0", with("runAsUser", json!(0)), r#"runAsUser=0 (container "c" must not set runAsUser=0)"#),
        (
            "seccomp",
            with("seccompProfile", json!({"type": "Unconfined"})),
            r#"seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")"#,
        ),
    ];
    for (name, spec, want) in cases {
        assert_eq!(details(policy, &json!({}), spec), *want, "{name}");
    }
    let by_pod = json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "Localhost"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]});
    assert_eq!(details(policy, &json!({}), &by_pod), "", "the pod says it for all");
    let windows = json!({"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true}, "containers": [{"name": "c"}]});
    assert_eq!(details(policy, &json!({}), &windows), "");
}

#[test]
fn a_version_is_judged_by_what_was_known_then() {
    let sysctl = json!({"containers": [{"name": "c"}], "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}});
    let newer = json!({"containers": [{"name": "c"}], "securityContext": {"sysctls": [{"name": "net.ipv4.tcp_slow_start_after_idle", "value": "0"}]}});
    let probe =
        json!({"containers": [{"name": "c", "livenessProbe": {"tcpSocket": {"host": "h", "port": 1}}}]});
    let user =
        json!({"containers": [{"name": "c"}], "securityContext": {"runAsUser": 0, "runAsNonRoot": true}});
    let cases: &[(&str, &str, &Value, bool)] = &[
        ("baseline", "v1.31", &sysctl, false),
        ("baseline", "v1.32", &sysctl, true),
        ("baseline", "v1.36", &newer, false),
        ("baseline", "v1.37", &newer, true),
        ("baseline", "v1.33", &probe, true),
        ("baseline", "v1.34", &probe, false),
        ("baseline", "v1.99", &probe, false),
        ("restricted", "v1.7", &user, true),
        ("restricted", "v1.8", &user, false),
    ];
    for (level, version, spec, allowed) in cases {
        let found = details(under(level, version), &json!({}), spec);
        assert_eq!(found.is_empty(), *allowed, "{level}:{version}: {found}");
    }
    let annotations = json!({"seccomp.security.alpha.kubernetes.io/pod": "unconfined"});
    let plain = json!({"containers": [{"name": "c"}]});
    assert_eq!(
        details(under("baseline", "v1.18"), &annotations, &plain),
        r#"seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")"#
    );
    assert_eq!(details(under("baseline", "v1.19"), &annotations, &plain), "");
}
