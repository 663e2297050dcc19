//! What a process may do: user, groups and capabilities of an exec.

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

/// linux/capability.h: two 32-bit words each.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Becomes the user, with `capabilities` (bit n is capability n) as far as this process has them: as effective ones for
/// root, as bounding set only for anybody else.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32], capabilities: u64) -> Result<(), Errno> {
    let mine = permitted()?;
    for capability in (0..64).filter(|n| capabilities & (1 << n) == 0) {
        // SAFETY: takes numbers only. A capability that this kernel does not know is refused, which is no harm.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    setgroups(&groups.iter().map(|gid| Gid::from_raw(*gid)).collect::<Vec<_>>())?;
    setgid(Gid::from_raw(gid))?;
    // leaving root clears the effective and permitted sets; capabilities(7)
    setuid(Uid::from_raw(uid))?;
    set(if uid == 0 { capabilities & mine } else { 0 })
}

fn permitted() -> Result<u64, Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut words = [Words::default(); 2];
    // SAFETY: the kernel reads the header and writes two words of this layout; both live through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &mut header, words.as_mut_ptr()) })?;
    Ok(u64::from(words[0].permitted) | u64::from(words[1].permitted) << 32)
}

/// Effective and permitted alike; nothing inheritable, and so nothing ambient.
fn set(capabilities: u64) -> Result<(), Errno> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let word = |bits: u32| Words { effective: bits, permitted: bits, inheritable: 0 };
    let words = [word(capabilities as u32), word((capabilities >> 32) as u32)];
    // SAFETY: the kernel reads a header and two words of this layout; both live through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &mut header, words.as_ptr()) }).map(drop)
}
