//! The seccomp filter of a container: the default profile for its capabilities, or a profile of the machine.
//!
//! The default profile is data, `assets/seccomp/default.json`: the list that containerd and Docker agree on, in the form of Docker's
//! profiles (`docker run --security-opt seccomp=` takes the file), with a reason beside each rule that looks at arguments.

use crate::capabilities::CapabilitySet;
use crate::host::Host;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompOperator as Operator, LinuxSyscall, LinuxSyscallBuilder,
};
use serde::Deserialize;
use std::sync::LazyLock;

static DEFAULT: LazyLock<Profile> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../assets/seccomp/default.json"))
        .expect("the profile that comes with the program is one")
});

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: Action,
    default_errno_ret: u32,
    arch_map: Vec<Architectures>,
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architectures {
    architecture: Arch,
    sub_architectures: Vec<Arch>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(flatten)]
    call: LinuxSyscall,
    /// All of them must hold.
    #[serde(default)]
    includes: Condition,
    /// None of them may.
    #[serde(default)]
    excludes: Condition,
}

/// No more of Docker's conditions than the profile has: one that is not heeded must not get into it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Condition {
    caps: Vec<String>,
    /// As Go calls them.
    arches: Vec<String>,
}

impl Rule {
    fn is_for(&self, capabilities: CapabilitySet, machine: &str) -> bool {
        let has = |name: &String| name.strip_prefix("CAP_").is_some_and(|name| capabilities.has(name));
        let machine = match machine {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let is_machine = |name: &String| name == machine;
        let Rule { includes, excludes, .. } = self;
        includes.caps.iter().all(has)
            && (includes.arches.is_empty() || includes.arches.iter().any(is_machine))
            && !excludes.caps.iter().any(has)
            && !excludes.arches.iter().any(is_machine)
    }

    /// Whether its calls are allowed whatever their arguments are.
    fn is_plain(&self) -> bool {
        self.call.action() == Action::ScmpActAllow && self.call.args().is_none()
    }
}

fn rules(capabilities: CapabilitySet, machine: &str) -> impl Iterator<Item = &'static Rule> {
    DEFAULT.syscalls.iter().filter(move |rule| rule.is_for(capabilities, machine))
}

/// What containerd and Docker call the default profile, for a container that has `capabilities`.
pub fn runtime_default(capabilities: CapabilitySet, host: &Host) -> Result<LinuxSeccomp, OciSpecError> {
    let allowed = LinuxSyscallBuilder::default()
        .names(allowed_names(capabilities, host.machine))
        .action(Action::ScmpActAllow)
        .build()?;
    let others = rules(capabilities, host.machine).filter(|rule| !rule.is_plain());
    let calls: Vec<LinuxSyscall> =
        std::iter::once(allowed).chain(others.map(|rule| rule.call.clone())).collect();
    LinuxSeccompBuilder::default()
        .default_action(DEFAULT.default_action)
        .default_errno_ret(DEFAULT.default_errno_ret)
        .architectures(architectures(host))
        .syscalls(calls)
        .build()
}

/// As libcontainer reads a profile: it takes the mask of a masked comparison for the value, and the value for the mask,
/// the other way round than the runtime spec says.
pub fn for_libcontainer(profile: LinuxSeccomp) -> Result<LinuxSeccomp, OciSpecError> {
    let mut profile = profile;
    let calls = profile.syscalls().iter().flatten().map(swapped).collect::<Result<Vec<_>, _>>()?;
    profile.set_syscalls(Some(calls));
    Ok(profile)
}

fn swapped(call: &LinuxSyscall) -> Result<LinuxSyscall, OciSpecError> {
    let mut call = call.clone();
    let args = call.args().as_ref().map(|args| args.iter().map(swapped_arg).collect::<Result<Vec<_>, _>>());
    call.set_args(args.transpose()?);
    Ok(call)
}

fn swapped_arg(arg: &LinuxSeccompArg) -> Result<LinuxSeccompArg, OciSpecError> {
    match arg.op() {
        Operator::ScmpCmpMaskedEq => {
            compare(arg.index(), arg.op(), arg.value_two().unwrap_or(0), Some(arg.value()))
        }
        _ => Ok(*arg),
    }
}

/// A 32-bit program in a 64-bit image is filtered by the same list, not killed at its first call. Each architecture takes
/// some 4 ms to compile, so none is among them that the kernel can not run.
fn architectures(host: &Host) -> Vec<Arch> {
    let own = match host.machine {
        "x86_64" => Arch::ScmpArchX86_64,
        "aarch64" => Arch::ScmpArchAarch64,
        _ => Arch::ScmpArchNative,
    };
    let known = DEFAULT.arch_map.iter().filter(|known| known.architecture == own);
    let further = known.flat_map(|known| known.sub_architectures.iter().copied());
    std::iter::once(own).chain(further).filter(|arch| host.x32 || *arch != Arch::ScmpArchX32).collect()
}

fn allowed_names(capabilities: CapabilitySet, machine: &str) -> Vec<String> {
    let plain = rules(capabilities, machine).filter(|rule| rule.is_plain());
    let mut names: Vec<String> = plain.flat_map(|rule| rule.call.names().iter().cloned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn compare(
    index: usize,
    op: Operator,
    value: u64,
    two: Option<u64>,
) -> Result<LinuxSeccompArg, OciSpecError> {
    let arg = LinuxSeccompArgBuilder::default().index(index).op(op).value(value);
    match two {
        Some(two) => arg.value_two(two).build(),
        None => arg.build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CLONE_NEW{CGROUP,UTS,IPC,USER,PID,NET,NS}
    const CLONE_NAMESPACES: u64 = 0x7e02_0000;

    fn host(x32: bool) -> Host {
        Host { machine: "x86_64", x32, ..Host::inspect(false, false) }
    }

    #[test]
    fn only_architectures_that_the_kernel_runs_are_compiled() {
        let of = |x32| {
            runtime_default(CapabilitySet(0), &host(x32)).unwrap().architectures().clone().unwrap().len()
        };
        assert_eq!((of(true), of(false)), (3, 2));
    }

    fn names(capabilities: &[&str]) -> Vec<String> {
        let add: Vec<String> = capabilities.iter().map(|n| (*n).to_owned()).collect();
        let set = CapabilitySet::of_container(&add, &["ALL".to_owned()]).unwrap();
        allowed_names(set, "x86_64")
    }

    #[test]
    fn what_the_default_profile_lets_through() {
        let plain = names(&[]);
        for (name, allowed) in [
            ("read", true),
            ("execve", true),
            ("arch_prctl", true),
            ("ptrace", true),
            ("mount", false),
            ("reboot", false),
            ("keyctl", false),
            ("io_uring_setup", false),
            ("userfaultfd", false),
            ("kexec_load", false),
            ("set_tls", false),
            ("socket", false),
            ("clone", false),
            ("chroot", false),
            ("bpf", false),
        ] {
            assert_eq!(plain.iter().any(|n| n == name), allowed, "{name}");
        }
        assert!(names(&["SYS_ADMIN"]).contains(&"mount".to_owned()));
        assert!(names(&["SYS_CHROOT"]).contains(&"chroot".to_owned()));
    }

    #[test]
    fn masks_are_turned_round_for_libcontainer_and_nothing_else_is() {
        let profile = runtime_default(CapabilitySet(0), &host(false)).unwrap();
        let turned = for_libcontainer(profile.clone()).unwrap();
        for (was, is) in profile.syscalls().iter().flatten().zip(turned.syscalls().iter().flatten()) {
            if was.names()[0] != "clone" {
                assert_eq!(was, is);
                continue;
            }
            let arg = is.args().as_ref().unwrap()[0];
            assert_eq!((arg.value(), arg.value_two()), (0, Some(CLONE_NAMESPACES)));
        }
        assert_eq!(for_libcontainer(turned).unwrap(), profile);
    }

    #[test]
    fn calls_are_allowed_by_their_arguments() {
        let rules = |admin: bool| {
            let set = CapabilitySet(if admin { u64::MAX } else { 0 });
            let profile = runtime_default(set, &host(false)).unwrap();
            let calls = profile.syscalls().clone().unwrap();
            let of = |name: &str| {
                calls.iter().filter(|c| c.names().iter().any(|n| n == name)).cloned().collect::<Vec<_>>()
            };
            (of("clone"), of("clone3"), of("personality"), of("socket"))
        };
        let (clone, clone3, personality, socket) = rules(false);
        let mask = &clone[0].args().as_ref().unwrap()[0];
        assert_eq!((clone.len(), mask.value(), mask.value_two()), (1, CLONE_NAMESPACES, Some(0)));
        assert_eq!((clone3[0].action(), clone3[0].errno_ret()), (Action::ScmpActErrno, Some(38)));
        assert_eq!(personality.len(), 5);
        let lets_through = |family: u64| {
            socket.iter().flat_map(|call| call.args().as_ref().unwrap()).any(|arg| match arg.op() {
                Operator::ScmpCmpLt => family < arg.value(),
                Operator::ScmpCmpEq => family == arg.value(),
                other => panic!("{other:?}"),
            })
        };
        for (family, allowed) in [
            // AF_UNIX, AF_INET6, AF_NETLINK, AF_NFC, AF_XDP
            (1, true),
            (10, true),
            (16, true),
            (39, true),
            (44, true),
            // AF_ALG, AF_VSOCK; and with what the kernel does not look at
            (38, false),
            (40, false),
            ((1 << 32) + 38, false),
            ((1 << 32) + 40, false),
        ] {
            assert_eq!(lets_through(family), allowed, "{family:#x}");
        }
        let (clone, clone3, ..) = rules(true);
        assert!(clone[0].args().is_none() && clone3[0].action() == Action::ScmpActAllow);
    }
}
