//! Docker's default profile, profiles of users, and what they become.

use super::*;

fn of(options: &[&str]) -> Result<Security, String> {
    let security_opt = options.iter().map(|o| (*o).to_owned()).collect();
    security(&HostConfig { security_opt, ..Default::default() }).map_err(|e| e.message)
}

#[test]
fn options() {
    assert!(of(&["no-new-privileges"]).unwrap().no_new_privileges);
    assert!(of(&["no-new-privileges:true"]).unwrap().no_new_privileges);
    assert!(!of(&["no-new-privileges=false"]).unwrap().no_new_privileges);
    assert_eq!(of(&["seccomp=unconfined"]).unwrap().seccomp, Seccomp::Unconfined);
    assert!(of(&["label=disable", "label:type:spc_t", "apparmor=unconfined", "disable"]).is_ok());
    assert!(of(&["writable-cgroups"]).unwrap().writable_cgroups == Some(true));
    assert!(of(&["writable-cgroups=false"]).unwrap().writable_cgroups == Some(false));
    assert_eq!(of(&["what"]), Err("invalid --security-opt 1: \"what\"".into()));
    assert_eq!(of(&["what=1"]), Err("invalid --security-opt 2: \"what=1\"".into()));
}

/// Each of these left its container less confined than it asked for, or said so only when it started.
#[test]
fn who_asks_to_be_confined_is_never_left_unconfined() {
    const APPARMOR: &str = "apparmor: config provided but apparmor not supported";
    let profile = |text: &str| format!("seccomp={text}");
    let rule = |rule: &str| profile(&format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#));
    for (option, want) in [
        ("apparmor=docker-default".to_owned(), APPARMOR),
        ("apparmor:mine".to_owned(), APPARMOR),
        ("apparmor=runtime/default".to_owned(), APPARMOR),
        ("label=what".to_owned(), "bad label option \"what\", valid options 'disable' or"),
        ("no-new-privileges=yes".to_owned(), "invalid --security-opt 2: \"no-new-privileges=yes\""),
        ("writable-cgroups=no".to_owned(), "invalid --security-opt 2: \"writable-cgroups=no\""),
        ("systempaths=confined".to_owned(), "invalid --security-opt 2: \"systempaths=confined\""),
        ("seccomp".to_owned(), "invalid --security-opt 1: \"seccomp\""),
        (profile("{"), "Decoding seccomp profile failed: "),
        (profile(""), "Decoding seccomp profile failed: "),
        (profile("/etc/profile.json"), "Decoding seccomp profile failed: "),
        (profile("{}"), "Decoding seccomp profile failed: missing field `defaultAction`"),
        (
            profile(r#"{"defaultAction":"SCMP_ACT_DENY"}"#),
            "Decoding seccomp profile failed: string SCMP_ACT_DENY is not a valid action for seccomp",
        ),
        (
            rule(r#"{"names":["read"],"action":"ERRNO"}"#),
            "Decoding seccomp profile failed: string ERRNO is not a valid action for seccomp",
        ),
        (
            rule(
                r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_IS"}]}"#,
            ),
            "Decoding seccomp profile failed: string SCMP_CMP_IS is not a valid operator for seccomp",
        ),
        (
            rule(r#"{"name":"read","names":["write"],"action":"SCMP_ACT_ERRNO"}"#),
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
        ),
        (
            profile(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["FLAG"]}"#),
            "Decoding seccomp profile failed: seccomp flag \"FLAG\" not supported",
        ),
        (
            profile(
                r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}"#,
            ),
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
        ),
    ] {
        let said = of(&[&option]).unwrap_err();
        assert!(said.contains(want), "{option}: {said}");
    }
    let labels = HostConfig {
        security_opt: vec!["label=disable".into(), "label:type:spc_t".into(), "no-new-privileges".into()],
        ..Default::default()
    };
    assert_eq!(
        warnings(&labels),
        ["SELinux is not enabled: --security-opt \"label:type:spc_t\" is discarded."]
    );
}

#[test]
fn a_profile_is_for_one_machine_and_one_container() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {}, "excludes": {}},
            {"name": "old", "action": "SCMP_ACT_ALLOW"},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
            {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390x"]}},
            {"names": ["arm"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["future"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.1"}},
        ],
    });
    let around = Around {
        capabilities: vec!["CAP_SYS_CHROOT".into()],
        architecture: ("amd64", "SCMP_ARCH_X86_64"),
        kernel: kernel("6.1.0-18-amd64"),
    };
    let made = oci(serde_json::from_value(profile).unwrap(), &around);
    let names: Vec<&str> =
        made["syscalls"].as_array().unwrap().iter().map(|c| c["names"][0].as_str().unwrap()).collect();
    assert_eq!(names, ["read", "old", "chroot", "clone", "ptrace"]);
    assert_eq!(made["architectures"], json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]));
    assert_eq!((&made["defaultErrnoRet"], &made["syscalls"][0].get("args")), (&json!(1), &None));
}

/// So that `docker run --security-opt seccomp=` takes the file, changed or not.
#[test]
fn the_default_profile_of_the_runtime_is_of_docker_s_form() {
    let text = include_str!("../../../../assets/seccomp/default.json");
    let profile: Profile = serde_json::from_str(text).unwrap();
    assert!(check(&profile).is_ok());
    let around = Around {
        capabilities: vec!["CAP_SYS_CHROOT".into()],
        architecture: ("amd64", "SCMP_ARCH_X86_64"),
        kernel: kernel("6.1.0-18-amd64"),
    };
    let made = oci(profile, &around);
    let calls = made["syscalls"].as_array().unwrap();
    let is_named = |name: &str| calls.iter().any(|c| c["names"].as_array().unwrap().contains(&json!(name)));
    for (name, wanted) in
        [("read", true), ("arch_prctl", true), ("chroot", true), ("cacheflush", false), ("mount", false)]
    {
        assert_eq!(is_named(name), wanted, "{name}");
    }
    assert_eq!(made["architectures"], json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]));
}
