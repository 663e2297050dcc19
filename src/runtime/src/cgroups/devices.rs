//! The device rules of a container: lines in the files that v1 has for them, or, where there is only v2, a small BPF program at its
//! cgroup.

use super::{Hierarchies, named};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What every container may use: type, major, minor, access. Nodes of every kind may be made, as on v1: to open one is
/// another thing.
const ALWAYS: [(LinuxDeviceType, Option<i64>, Option<i64>, &str); 12] = [
    (LinuxDeviceType::C, None, None, "m"),
    (LinuxDeviceType::B, None, None, "m"),
    (LinuxDeviceType::C, Some(1), Some(3), "rwm"), // null
    (LinuxDeviceType::C, Some(1), Some(5), "rwm"), // zero
    (LinuxDeviceType::C, Some(1), Some(7), "rwm"), // full
    (LinuxDeviceType::C, Some(1), Some(8), "rwm"), // random
    (LinuxDeviceType::C, Some(1), Some(9), "rwm"), // urandom
    (LinuxDeviceType::C, Some(5), Some(0), "rwm"), // tty
    (LinuxDeviceType::C, Some(5), Some(1), "rwm"), // console
    (LinuxDeviceType::C, Some(5), Some(2), "rwm"), // ptmx
    (LinuxDeviceType::C, Some(136), None, "rwm"),  // pts
    // tun: pods of VPNs make it themselves, for Kubernetes has no field for devices; it is of use with NET_ADMIN only
    (LinuxDeviceType::C, Some(10), Some(200), "rwm"),
];

/// One instruction, as the kernel reads it; Documentation/bpf/standardization/instruction-set.rst.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

// what a program for devices is called with: `type | access << 16`, major, minor; struct bpf_cgroup_dev_ctx
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 0;

const fn load(to: u8, offset: i16) -> Instruction {
    Instruction { code: 0x61, registers: to | CONTEXT << 4, offset, immediate: 0 }
}

const fn copy(to: u8, from: u8) -> Instruction {
    Instruction { code: 0xbc, registers: to | from << 4, offset: 0, immediate: 0 }
}

const fn and(register: u8, immediate: i32) -> Instruction {
    Instruction { code: 0x54, registers: register, offset: 0, immediate }
}

const fn shift_right(register: u8, immediate: i32) -> Instruction {
    Instruction { code: 0x74, registers: register, offset: 0, immediate }
}

/// Jumps over `skip` instructions unless the two are equal.
const fn unless_equal(register: u8, immediate: i32, skip: i16) -> Instruction {
    Instruction { code: 0x55, registers: register, offset: skip, immediate }
}

const fn answer(allowed: bool) -> [Instruction; 2] {
    [
        Instruction { code: 0xb7, registers: SCRATCH, offset: 0, immediate: allowed as i32 },
        Instruction { code: 0x95, registers: 0, offset: 0, immediate: 0 },
    ]
}

/// Allows what one of `rules` or [`ALWAYS`] allows. A rule that denies has nothing to take away here: nothing else is
/// allowed.
fn program(rules: &[LinuxDeviceCgroup]) -> Vec<Instruction> {
    let mut all = vec![
        load(KIND, 0),
        copy(ACCESS, KIND),
        and(KIND, 0xffff),
        shift_right(ACCESS, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for (kind, major, minor, access) in ALWAYS {
        all.extend(allow(kind, major, minor, access));
    }
    for rule in rules.iter().filter(|r| r.allow()) {
        let access = rule.access().as_deref().unwrap_or("rwm");
        all.extend(allow(rule.typ().unwrap_or_default(), rule.major(), rule.minor(), access));
    }
    all.extend(answer(false));
    all
}

fn allow(kind: LinuxDeviceType, major: Option<i64>, minor: Option<i64>, access: &str) -> Vec<Instruction> {
    const BLOCK: i32 = 1;
    const CHARACTER: i32 = 2;
    let granted = access.chars().fold(0, |bits, letter| {
        bits | match letter {
            'm' => 1,
            'r' => 2,
            'w' => 4,
            _ => 0,
        }
    });
    let kind = match kind {
        LinuxDeviceType::B => Some(BLOCK),
        LinuxDeviceType::C | LinuxDeviceType::U => Some(CHARACTER),
        _ => None,
    };
    let number = |n: Option<i64>| n.and_then(|n| i32::try_from(n).ok());
    let tests = [(KIND, kind), (MAJOR, number(major)), (MINOR, number(minor))];
    let tests: Vec<(u8, i32)> = tests.into_iter().filter_map(|(r, value)| Some((r, value?))).collect();
    // from each test over the others, the test of the access, and the answer
    let mut left = tests.len() as i16 + 3 + 2;
    let mut all = Vec::new();
    for (register, value) in tests {
        left -= 1;
        all.push(unless_equal(register, value, left));
    }
    all.extend([copy(SCRATCH, ACCESS), and(SCRATCH, 7 & !granted), unless_equal(SCRATCH, 0, 2)]);
    all.extend(answer(true));
    all
}

impl Hierarchies {
    /// Lets the processes of the cgroup, which must be there, use these devices only, and [`ALWAYS`].
    ///
    /// # Errors
    /// The kernel takes no such rule or program: then nothing may run there.
    pub fn guard_devices(&self, path: &str, rules: &[LinuxDeviceCgroup]) -> io::Result<()> {
        let mount = match self {
            Hierarchies::V1(_) => return self.write_device_rules(path, rules),
            Hierarchies::V2(mount) => mount,
        };
        let everything =
            |r: &LinuxDeviceCgroup| r.allow() && r.typ() == Some(LinuxDeviceType::A) && r.major().is_none();
        if rules.iter().any(everything) {
            return Ok(());
        }
        let dir = mount.join(path);
        let guard = || attach(&File::open(&dir)?, &load_program(&program(rules))?);
        guard()
            .map_err(|e| io::Error::new(e.kind(), format!("device rules of cgroup {}: {e}", dir.display())))
    }

    /// One line a write; Documentation/admin-guide/cgroup-v1/devices.rst.
    fn write_device_rules(&self, path: &str, rules: &[LinuxDeviceCgroup]) -> io::Result<()> {
        let Some(mount) = self.of("devices") else { return Ok(()) };
        let dir = mount.join(path);
        let write = |file: &str, line: &str| {
            let file = dir.join(file);
            std::fs::write(&file, line).map_err(|e| named(&file, e))
        };
        for rule in rules {
            write(if rule.allow() { "devices.allow" } else { "devices.deny" }, &rule.to_string())?;
        }
        for (kind, major, minor, access) in ALWAYS {
            let number = |n: Option<i64>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
            write(
                "devices.allow",
                &format!("{} {}:{} {access}", kind.as_str(), number(major), number(minor)),
            )?;
        }
        Ok(())
    }
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const CGROUP_DEVICE_PROGRAM: u32 = 15;
const CGROUP_DEVICE_HOOK: u32 = 6;
/// Beside those of the cgroups above, each of which must allow as well.
const ALLOW_MULTI: u32 = 2;

/// The beginning of `union bpf_attr` for loading; what is not given is zero.
#[repr(C)]
struct LoadRequest {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
}

#[repr(C)]
struct AttachRequest {
    target: u32,
    program: u32,
    hook: u32,
    flags: u32,
}

fn load_program(program: &[Instruction]) -> io::Result<OwnedFd> {
    let request = LoadRequest {
        kind: CGROUP_DEVICE_PROGRAM,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
    };
    let fd = bpf(PROG_LOAD, &request)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach(cgroup: &File, program: &OwnedFd) -> io::Result<()> {
    let request = AttachRequest {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        hook: CGROUP_DEVICE_HOOK,
        flags: ALLOW_MULTI,
    };
    bpf(PROG_ATTACH, &request).map(drop)
}

fn bpf<T>(command: libc::c_int, request: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads as much of the request as we say; what it points to lives through the call, and for the
    // two commands used here it writes to none of it.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(request), size_of::<T>()) };
    Ok(nix::errno::Errno::result(done)? as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceCgroupBuilder;
    use std::path::Path;
    use std::process::Command;

    fn rule(allow: bool, minor: i64, access: &str) -> LinuxDeviceCgroup {
        let rule =
            LinuxDeviceCgroupBuilder::default().allow(allow).typ(LinuxDeviceType::C).major(10).minor(minor);
        rule.access(access.to_owned()).build().unwrap()
    }

    #[test]
    fn every_jump_lands_behind_its_rule() {
        let rules = [rule(true, 229, "rw"), rule(false, 1, "rwm")];
        let all = program(&rules);
        for (at, instruction) in all.iter().enumerate().filter(|(_, i)| i.code == 0x55) {
            let target = at + 1 + instruction.offset as usize;
            assert_eq!(all[target - 1].code, 0x95, "the jump at {at} lands after an answer");
        }
        let answers = all.iter().filter(|i| i.code == 0xb7 && i.immediate == 1).count();
        assert_eq!(answers, ALWAYS.len() + 1);
        assert_eq!(all[all.len() - 2..], answer(false));
    }

    /// The kernel itself says whether the program is one, and what it lets through. A v2 hierarchy is enough.
    #[test]
    fn the_kernel_obeys_it() {
        const TUN: &str = "/dev/net/tun";
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let mount = mounts.into_iter().find(|m| m.join("cgroup.controllers").exists());
        let Some(mount) = mount.filter(|_| nix::unistd::geteuid().is_root()) else {
            println!("SKIPPED: device rules of cgroup v2 need root and a v2 hierarchy");
            return;
        };
        let name = format!("monopod-test-devices-{}", std::process::id());
        let dir = mount.join(&name);
        std::fs::create_dir(&dir).unwrap();
        let hierarchy = Hierarchies::V2(mount.to_owned());
        let reads = |device: &str| {
            let script = format!("echo 0 > {}/cgroup.procs && head -c0 {device}", dir.display());
            Command::new("sh")
                .args(["-c", &script])
                .stderr(std::process::Stdio::null())
                .status()
                .unwrap()
                .success()
        };
        // kmsg is 1:11, and root may read it
        let (free, tun_before) = (reads("/dev/kmsg"), reads(TUN));
        let guarded = hierarchy.guard_devices(&name, &[rule(true, 229, "r")]);
        let (null, kmsg, tun) = (reads("/dev/null"), reads("/dev/kmsg"), reads(TUN));
        hierarchy.remove(&name).unwrap();
        guarded.unwrap();
        // a machine may have none
        assert_eq!(tun, tun_before);
        assert!(free && null && !kmsg, "before: {free}, then null: {null}, kmsg: {kmsg}");
    }
}
