//! The seccomp filter of a container: the default profile for its capabilities, or a profile of the machine.

use crate::capabilities::CapabilitySet;
use crate::host::Host;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompOperator as Operator, LinuxSyscall, LinuxSyscallBuilder,
};

const DEFAULT: &str = include_str!("seccomp_default.txt");

const EPERM: u32 = libc::EPERM as u32;
const ENOSYS: u32 = libc::ENOSYS as u32;
/// Families of sockets that are let through: all but AF_ALG (38), the kernel's ciphers, and AF_VSOCK (40), which reaches the
/// hypervisor past every network namespace. Named are those that are let through, as a filter compares 64 bits, of which the
/// kernel then takes 32: it could not tell these two by their number.
const FIRST_FAMILIES: u64 = 38;
const FURTHER_FAMILIES: [u64; 6] = [39, 41, 42, 43, 44, 45]; // AF_NFC, AF_KCM to AF_MCTP
/// CLONE_NEW{CGROUP,UTS,IPC,USER,PID,NET,NS}: namespaces, which need CAP_SYS_ADMIN anyway or would grant it.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// PER_LINUX, PER_LINUX32, each with UNAME26, and "tell me".
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// What containerd and Docker call the default profile, for a container that has `capabilities`.
pub fn runtime_default(capabilities: CapabilitySet, host: &Host) -> Result<LinuxSeccomp, OciSpecError> {
    let mut calls = vec![allow(allowed_names(capabilities, host.machine), vec![])?];
    calls.push(allow(vec!["socket".into()], vec![compare(0, Operator::ScmpCmpLt, FIRST_FAMILIES, None)?])?);
    for family in FURTHER_FAMILIES {
        calls.push(allow(vec!["socket".into()], vec![compare(0, Operator::ScmpCmpEq, family, None)?])?);
    }
    for value in PERSONALITIES {
        calls.push(allow(vec!["personality".into()], vec![compare(0, Operator::ScmpCmpEq, value, None)?])?);
    }
    if !capabilities.has("SYS_ADMIN") {
        let plain = compare(0, Operator::ScmpCmpMaskedEq, CLONE_NAMESPACES, Some(0))?;
        calls.push(allow(vec!["clone".into()], vec![plain])?);
        // its flags are behind a pointer, out of a filter's sight: C libraries fall back to clone
        calls.push(
            LinuxSyscallBuilder::default()
                .names(vec!["clone3".to_owned()])
                .action(Action::ScmpActErrno)
                .errno_ret(ENOSYS)
                .build()?,
        );
    }
    LinuxSeccompBuilder::default()
        .default_action(Action::ScmpActErrno)
        .default_errno_ret(EPERM)
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
    match host.machine {
        "x86_64" if host.x32 => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "x86_64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86],
        "aarch64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        _ => vec![Arch::ScmpArchNative],
    }
}

fn allowed_names(capabilities: CapabilitySet, machine: &str) -> Vec<String> {
    let mut names: Vec<String> = sections()
        .filter(|(section, _)| match section.strip_prefix("CAP_") {
            Some(capability) => capabilities.has(capability),
            None => *section == "always" || *section == machine,
        })
        .map(|(_, name)| name.to_owned())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Every name of the list, with the section it is in.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut section = "";
    DEFAULT.lines().filter(|l| !l.starts_with('#')).flat_map(move |line| {
        match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            Some(name) => {
                section = name;
                Vec::new()
            }
            None => line.split_whitespace().map(|name| (section, name)).collect(),
        }
    })
}

fn allow(names: Vec<String>, args: Vec<LinuxSeccompArg>) -> Result<LinuxSyscall, OciSpecError> {
    let call = LinuxSyscallBuilder::default().names(names).action(Action::ScmpActAllow);
    if args.is_empty() { call.build() } else { call.args(args).build() }
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
