//! `--security-opt`: which calls a container may make, and what else it gives up. Docker's own form of a profile becomes
//! the OCI spec's. Pure.

use crate::capabilities;
use crate::error::{ApiError, Result};
use crate::model::HostConfig;
use cri::Seccomp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
    /// /proc and /sys as they are.
    pub(crate) unmasked: bool,
    /// Whether /sys/fs/cgroup can be written to, where somebody says so.
    pub(crate) writable_cgroups: Option<bool>,
}

/// # Errors
/// An option that there is not, and one that this engine can not fulfil: who asks to be confined is never left unconfined.
pub(crate) fn security(host: &HostConfig) -> Result<Security> {
    let seccomp = if host.privileged { Seccomp::Unconfined } else { Seccomp::RuntimeDefault };
    let mut security =
        Security { no_new_privileges: false, seccomp, unmasked: host.privileged, writable_cgroups: None };
    for option in &host.security_opt {
        match option.as_str() {
            "no-new-privileges" => {
                security.no_new_privileges = true;
                continue;
            }
            "writable-cgroups" => {
                security.writable_cgroups = Some(true);
                continue;
            }
            // a label of SELinux without its name, as old clients send it
            "disable" => continue,
            _ => {}
        }
        let pair = option.split_once('=').or_else(|| option.split_once(':'));
        let Some((name, value)) = pair else {
            return Err(ApiError::bad(format_args!("invalid --security-opt 1: {option:?}")));
        };
        let bad = || ApiError::bad(format_args!("invalid --security-opt 2: {option:?}"));
        match (name, value) {
            ("no-new-privileges", value) => security.no_new_privileges = truth(value).ok_or_else(bad)?,
            ("writable-cgroups", value) => security.writable_cgroups = Some(truth(value).ok_or_else(bad)?),
            ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => security.seccomp = Seccomp::RuntimeDefault,
            ("seccomp", profile) => security.seccomp = Seccomp::Profile(translate(profile, host)?),
            // no profile is ever set, so only the wish for none can be met; in runc's words
            ("apparmor", "" | "unconfined") => {}
            ("apparmor", _) => {
                return Err(ApiError::bad(format_args!(
                    "invalid --security-opt: {option:?}: apparmor: config provided but apparmor not supported"
                )));
            }
            ("label", value) => label(value)?,
            ("systempaths", "unconfined") => security.unmasked = true,
            _ => return Err(bad()),
        }
    }
    // what the client sends for `systempaths=unconfined`
    security.unmasked |= host.masked_paths.as_ref().is_some_and(Vec::is_empty)
        && host.readonly_paths.as_ref().is_some_and(Vec::is_empty);
    Ok(security)
}

/// As Go reads one.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// # Errors
/// What is no label at all. Others have no effect where SELinux is not, as with Docker's engine: see [`warnings`].
fn label(value: &str) -> Result<()> {
    let known = ["user", "role", "level", "type", "filetype"];
    let is_one = value == "disable" || value.split_once(':').is_some_and(|(name, _)| known.contains(&name));
    match is_one {
        true => Ok(()),
        false => Err(ApiError::bad(format_args!(
            "bad label option {value:?}, valid options 'disable' or \n'user, role, level, type, filetype' followed by ':' and \
             a value"
        ))),
    }
}

/// What is taken and can have no effect.
pub(crate) fn warnings(host: &HostConfig) -> Vec<String> {
    let label = |option: &&String| {
        let value = option.strip_prefix("label=").or_else(|| option.strip_prefix("label:"));
        value.is_some_and(|value| value != "disable")
    };
    let warn = |option: &String| format!("SELinux is not enabled: --security-opt {option:?} is discarded.");
    host.security_opt.iter().filter(label).map(warn).collect()
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
        "x86_64" => (image::architecture(), "SCMP_ARCH_X86_64"),
        "aarch64" => (image::architecture(), "SCMP_ARCH_AARCH64"),
        // a profile's parts for named architectures are not for this one
        _ => (image::architecture(), "SCMP_ARCH_NATIVE"),
    };
    let release = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned());
    let around = Around {
        capabilities: capabilities::granted(host.privileged, &host.cap_add, &host.cap_drop),
        architecture,
        kernel: kernel(&release.unwrap_or_default()),
    };
    let bad = |e| ApiError::bad(format_args!("Decoding seccomp profile failed: {e}"));
    let profile: Profile = serde_json::from_str(text).map_err(bad)?;
    check(&profile)?;
    Ok(oci(profile, &around).to_string())
}

/// What Docker finds wrong with a profile, and runc after it.
fn check(profile: &Profile) -> Result<()> {
    const ACTIONS: [&str; 9] =
        ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY"];
    const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    const FLAGS: [&str; 3] =
        ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
    let no = |text: &str, what: &str| {
        Err(ApiError::bad(format_args!(
            "Decoding seccomp profile failed: string {text} is not a valid {what} for seccomp"
        )))
    };
    let both = |one: &str, other: &str| {
        Err(ApiError::bad(format_args!(
            "both '{one}' and '{other}' are specified in the seccomp profile, use either '{one}' or '{other}'"
        )))
    };
    let is_one = |text: &str, prefix: &str, known: &[&str]| {
        text.strip_prefix(prefix).is_some_and(|rest| known.contains(&rest))
    };
    if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
        return both("architectures", "archMap");
    }
    let actions = profile.syscalls.iter().map(|call| &call.action);
    if let Some(bad) =
        std::iter::once(&profile.default_action).chain(actions).find(|a| !is_one(a, "SCMP_ACT_", &ACTIONS))
    {
        return no(bad, "action");
    }
    if let Some(bad) = profile.flags.iter().find(|flag| !FLAGS.contains(&flag.as_str())) {
        return Err(ApiError::bad(format_args!(
            "Decoding seccomp profile failed: seccomp flag {bad:?} not supported"
        )));
    }
    for call in &profile.syscalls {
        let names = call.names.as_deref().unwrap_or_default();
        if call.name.is_some() && !names.is_empty() {
            return both("name", "names");
        }
        let operators = call.args.iter().flatten().map(|arg| arg["op"].as_str().unwrap_or_default());
        if let Some(bad) = operators.into_iter().find(|op| !is_one(op, "SCMP_CMP_", &OPERATORS)) {
            return no(bad, "operator");
        }
    }
    Ok(())
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
mod tests;
