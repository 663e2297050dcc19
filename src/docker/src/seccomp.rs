//! `--security-opt`: which calls a container may make, and what else it gives up. Docker's own form of a profile becomes
//! the OCI spec's. Pure.

use crate::capabilities;
use crate::model::HostConfig;
use crate::refusal::{Refusal, Result};
use cri::Seccomp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
    /// /proc and /sys as they are.
    pub(crate) unmasked: bool,
}

pub(crate) fn security(host: &HostConfig) -> Result<Security> {
    let seccomp = if host.privileged { Seccomp::Unconfined } else { Seccomp::RuntimeDefault };
    let mut security = Security { no_new_privileges: false, seccomp, unmasked: host.privileged };
    for option in &host.security_opt {
        if option == "no-new-privileges" {
            security.no_new_privileges = true;
            continue;
        }
        let Some((name, value)) = option.split_once(['=', ':']) else {
            // a label of SELinux without its name, as old clients send it
            if option == "disable" {
                continue;
            }
            return Err(Refusal::bad(format_args!("invalid --security-opt 1: {option:?}")));
        };
        match (name, value) {
            ("no-new-privileges", value) => {
                let bad = |_| Refusal::bad(format_args!("invalid --security-opt 2: {option:?}"));
                security.no_new_privileges = value.parse().map_err(bad)?;
            }
            ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => {}
            ("seccomp", profile) => security.seccomp = Seccomp::Profile(translate(profile, host)?),
            // where neither is, there is nothing to be confined by
            ("label" | "apparmor", _) => {}
            ("systempaths", "unconfined") => security.unmasked = true,
            ("writable-cgroups", _) => {}
            _ => return Err(Refusal::bad(format_args!("invalid --security-opt 2: {option:?}"))),
        }
    }
    // what the client sends for `systempaths=unconfined`
    security.unmasked |= host.masked_paths.as_ref().is_some_and(Vec::is_empty)
        && host.readonly_paths.as_ref().is_some_and(Vec::is_empty);
    Ok(security)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<Architectures>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Syscall>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architectures {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Syscall {
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<Value>>,
    #[serde(default)]
    includes: Option<Condition>,
    #[serde(default)]
    excludes: Option<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// Who the profile is for.
struct Around {
    capabilities: Vec<String>,
    /// As Go calls it, and as libseccomp does.
    architecture: (&'static str, &'static str),
    kernel: (u32, u32),
}

fn translate(text: &str, host: &HostConfig) -> Result<String> {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => ("arm64", "SCMP_ARCH_AARCH64"),
        _ => ("amd64", "SCMP_ARCH_X86_64"),
    };
    let release = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned());
    let around = Around {
        capabilities: capabilities::granted(host.privileged, &host.cap_add, &host.cap_drop),
        architecture,
        kernel: kernel(&release.unwrap_or_default()),
    };
    let bad = |e| Refusal::bad(format_args!("Decoding seccomp profile failed: {e}"));
    let profile: Profile = serde_json::from_str(text).map_err(bad)?;
    Ok(oci(profile, &around).to_string())
}

/// `6.1.0-x` → (6, 1)
fn kernel(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl Around {
    fn is_included(&self, condition: &Condition) -> bool {
        let min = condition.min_kernel.as_deref().map(kernel);
        (condition.arches.is_empty() || condition.arches.iter().any(|a| a == self.architecture.0))
            && condition.caps.iter().all(|cap| self.capabilities.contains(cap))
            && min.is_none_or(|min| self.kernel >= min)
    }

    fn is_excluded(&self, condition: &Condition) -> bool {
        let min = condition.min_kernel.as_deref().map(kernel);
        condition.arches.iter().any(|a| a == self.architecture.0)
            || condition.caps.iter().any(|cap| self.capabilities.contains(cap))
            || min.is_some_and(|min| self.kernel >= min)
    }
}

fn oci(profile: Profile, around: &Around) -> Value {
    let own = profile.arch_map.into_iter().find(|map| map.architecture == around.architecture.1);
    let architectures = match own {
        Some(map) => [vec![map.architecture], map.sub_architectures.unwrap_or_default()].concat(),
        None => profile.architectures,
    };
    let applies = |call: &Syscall| {
        call.includes.as_ref().is_none_or(|c| around.is_included(c))
            && !call.excludes.as_ref().is_some_and(|c| around.is_excluded(c))
    };
    let calls = profile.syscalls.into_iter().filter(applies).map(|call| {
        let names: Vec<String> = call.names.unwrap_or_default().into_iter().chain(call.name).collect();
        let mut shown =
            Map::from_iter([("names".to_owned(), json!(names)), ("action".to_owned(), json!(call.action))]);
        shown.extend(call.errno_ret.map(|errno| ("errnoRet".to_owned(), json!(errno))));
        let args = call.args.filter(|args| !args.is_empty());
        shown.extend(args.map(|args| ("args".to_owned(), Value::from(args))));
        Value::Object(shown)
    });
    let mut shown = Map::from_iter([
        ("defaultAction".to_owned(), json!(profile.default_action)),
        ("syscalls".to_owned(), calls.collect()),
    ]);
    shown.extend(profile.default_errno_ret.map(|errno| ("defaultErrnoRet".to_owned(), json!(errno))));
    for (name, list) in [("architectures", architectures), ("flags", profile.flags)] {
        if !list.is_empty() {
            shown.insert(name.to_owned(), json!(list));
        }
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
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
        assert!(of(&["label=disable", "apparmor=docker-default"]).is_ok());
        assert_eq!(of(&["what"]), Err("invalid --security-opt 1: \"what\"".into()));
        assert_eq!(of(&["what=1"]), Err("invalid --security-opt 2: \"what=1\"".into()));
        assert!(of(&["seccomp={"]).unwrap_err().starts_with("Decoding seccomp profile failed: "));
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
}
