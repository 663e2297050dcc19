//! Calls that no crate wraps, each as small as it can be.

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::unistd::Pid;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

pub(crate) fn cstring(text: impl AsRef<[u8]>) -> Result<CString, Errno> {
    CString::new(text.as_ref()).map_err(|_| Errno::EINVAL)
}

fn path(path: &Path) -> Result<CString, Errno> {
    cstring(path.as_os_str().as_encoded_bytes())
}

/// From now on the C library looks up users and groups in files alone. Other than that it loads the modules that
/// `/etc/nsswitch.conf` names, which is the image's in a process that has changed its root for the container's.
pub(crate) fn look_up_users_in_files() -> Result<(), Errno> {
    unsafe extern "C" {
        fn __nss_configure_lookup(
            database: *const libc::c_char,
            services: *const libc::c_char,
        ) -> libc::c_int;
    }
    [c"passwd", c"group"].into_iter().try_for_each(|database| {
        // SAFETY: both texts live as long as the program, and nobody looks anything up at the same time.
        Errno::result(unsafe { __nss_configure_lookup(database.as_ptr(), c"files".as_ptr()) }).map(drop)
    })
}

/// Closes every descriptor from 3 on that is not in `keep`.
pub(crate) fn close_all_but(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut from = 3u32;
    for fd in keep.iter().map(|fd| *fd as u32).filter(|fd| *fd >= 3) {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = fd + 1;
    }
    close_from(from);
}

/// Closes `first` and every higher descriptor.
pub(crate) fn close_from(first: u32) {
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: only for a process that opened nothing yet, and forks that never use or drop what they close.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } != 0 {
        close_each(first, last);
    }
}

/// Before Linux 5.9 there is no call for them all, and a filter of system calls may not know it.
fn close_each(first: u32, last: u32) {
    let names = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<u32> = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // the directory's own is closed by then, and there is nobody who could have opened another one in its place
    open.into_iter().filter(|fd| (first..=last).contains(fd)).for_each(close);
}

pub(crate) fn close(fd: u32) {
    // SAFETY: as in `close_range`.
    unsafe { libc::close(fd as RawFd) };
}

/// Whether the working directory has a name in this process's root. Where the kernel says that it has none, the C library's getcwd(3)
/// looks for one on the way up, and takes for the root what is the same directory, though it be in mounts of the machine's.
pub(crate) fn is_inside_root() -> bool {
    let mut name = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the kernel writes as many bytes as are said at most, which live through the call.
    let said = unsafe { libc::syscall(libc::SYS_getcwd, name.as_mut_ptr(), name.len()) };
    match Errno::result(said) {
        Ok(_) => name[0] == b'/',
        // a filter of system calls that does not let it be asked
        Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => true,
        // it was taken away, or is deeper than any name
        Err(_) => false,
    }
}

/// A fork whose child is the caller's sibling: a child of the caller's parent. `None` in the child.
///
/// # Safety
/// As fork: the process must have a single thread.
pub(crate) unsafe fn fork_sibling() -> Result<Option<Pid>, Errno> {
    let flags = libc::CLONE_PARENT as libc::c_ulong | libc::SIGCHLD as libc::c_ulong;
    // SAFETY: no new stack and no shared memory, so this is fork(2) but for the parent.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    Ok(match Errno::result(pid)? {
        0 => None,
        pid => Some(Pid::from_raw(pid as i32)),
    })
}

/// One child that has ended, with its exit code (128 + n for signal n), if there is one. Not nix's: that takes a death
/// by a real-time signal for a failure of its own.
pub(crate) fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the kernel writes an int that lives through the call.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    let code = match libc::WIFSIGNALED(status) {
        true => 128 + libc::WTERMSIG(status),
        false => libc::WEXITSTATUS(status),
    };
    (pid > 0).then_some((pid, code))
}

/// Every signal's action becomes the default one. Not through libc: that refuses the two that its threads use, which
/// may have come ignored from whoever started the daemon.
pub(crate) fn default_signal_actions() {
    const SIGNALS: libc::c_long = 64;
    // the kernel's struct: handler (0 is the default), flags, restorer, a mask of 8 bytes
    let action = [0usize; 4];
    for signal in 1..=SIGNALS {
        let action = action.as_ptr();
        // SAFETY: the kernel reads an action that lives through the call and names no handler. SIGKILL and SIGSTOP
        // are refused, which is no harm.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action, std::ptr::null_mut::<usize>(), 8) };
    }
}

/// Waits for ever, or returns for no reason.
pub(crate) fn wait() {
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: no descriptors, no time, no mask: the kernel reads and writes nothing.
    unsafe { libc::syscall(libc::SYS_ppoll, nothing, 0usize, nothing, nothing, 0usize) };
}

/// From here on this process can do nothing but [`wait`]: every other call is refused, also one that a tracer puts into its
/// registers. The caller has set no_new_privs.
pub(crate) fn only_wait() -> Result<(), Errno> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IS: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const GIVE: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, skip: u8, k: u32| libc::sock_filter { code: code as u16, jt: skip, jf: 0, k };
    let mut steps = [
        // the call's number, the first word of seccomp_data. A 32-bit call of the same number does nothing that matters
        // to who has no files and no rights.
        step(LOAD, 0, 0),
        step(IS, 2, libc::SYS_ppoll as u32),
        // how the kernel goes on with a wait that a stop interrupted
        step(IS, 1, libc::SYS_restart_syscall as u32),
        step(GIVE, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(GIVE, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: steps.len() as libc::c_ushort, filter: steps.as_mut_ptr() };
    let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    // SAFETY: the kernel reads the filter and its steps, which live through the call.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &filter) }).map(drop)
}

pub(crate) fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers, returns a new descriptor that is ours.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

pub(crate) fn set_window_size(terminal: BorrowedFd, width: u16, height: u16) -> Result<(), Errno> {
    let size = libc::winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads a winsize that lives through the call.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) }).map(drop)
}

/// Brings the loopback device of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: an ifreq is plain data, for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the kernel reads an ifreq that lives through the call.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) })?;
    Ok(())
}

/// fsopen(2): a file system being configured.
pub(crate) struct FsContext(OwnedFd);

impl FsContext {
    pub(crate) fn open(name: &CStr) -> Result<FsContext, Errno> {
        // SAFETY: a NUL-terminated name; the descriptor that comes back is ours.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), 1) })?;
        // SAFETY: as above.
        Ok(FsContext(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    pub(crate) fn set(&self, key: &CStr, value: &Path) -> Result<(), Errno> {
        const SET_STRING: i32 = 1;
        let value = path(value)?;
        self.config(SET_STRING, key.as_ptr(), value.as_ptr())
    }

    fn config(
        &self,
        command: i32,
        key: *const libc::c_char,
        value: *const libc::c_char,
    ) -> Result<(), Errno> {
        // SAFETY: both are null or NUL-terminated and live through the call.
        let done = unsafe { libc::syscall(libc::SYS_fsconfig, self.0.as_raw_fd(), command, key, value, 0) };
        Errno::result(done).map(drop)
    }

    /// Creates the file system: a mount that is nowhere yet.
    pub(crate) fn mount(&self) -> Result<OwnedFd, Errno> {
        const CREATE: i32 = 6;
        self.config(CREATE, std::ptr::null(), std::ptr::null())?;
        // SAFETY: takes numbers; the descriptor that comes back is ours.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_fsmount, self.0.as_raw_fd(), 1, 0) })?;
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }

    /// What the kernel said about the last failure.
    pub(crate) fn complaint(&self) -> Option<String> {
        let mut text = [0; 1024];
        let length = nix::unistd::read(&self.0, &mut text).ok()?;
        let text = String::from_utf8_lossy(&text[..length]).trim().to_owned();
        Some(text.strip_prefix("e ").map(str::to_owned).unwrap_or(text))
    }
}

/// A copy of the mount at `source`, and of those below it where `recursive`, in the same peer groups, that is nowhere yet.
pub(crate) fn clone_mounts(source: &Path, recursive: bool) -> Result<OwnedFd, Errno> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let below = if recursive { libc::AT_RECURSIVE as libc::c_uint } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint | below;
    let source = path(source)?;
    // SAFETY: a NUL-terminated path that lives through the call; the descriptor that comes back is ours.
    let fd =
        Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags) })?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The same of a file or directory that was opened.
pub(crate) fn clone_opened(source: &OwnedFd) -> Result<OwnedFd, Errno> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let flags = OPEN_TREE_CLONE
        | libc::O_CLOEXEC as libc::c_uint
        | libc::AT_RECURSIVE as libc::c_uint
        | libc::AT_EMPTY_PATH as libc::c_uint;
    // SAFETY: an empty NUL-terminated path: the descriptor itself is meant; the one that comes back is ours.
    let fd = Errno::result(unsafe {
        libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags)
    })?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Makes a mount (and those below it, where `recursive`) read-only, or gives it a propagation (empty: as it is).
pub(crate) fn set_mount(
    mount: &OwnedFd,
    recursive: bool,
    read_only: bool,
    propagation: MsFlags,
) -> Result<(), Errno> {
    const READ_ONLY: u64 = 1; // MOUNT_ATTR_RDONLY
    set_attributes(mount, recursive, [if read_only { READ_ONLY } else { 0 }, 0, propagation.bits(), 0])
}

/// Whether links in a mount, and in those below it, are followed. Since Linux 5.14.
pub(crate) fn follow_links(mount: &OwnedFd, follow: bool) -> Result<(), Errno> {
    const NO_LINKS: u64 = 0x20_0000; // MOUNT_ATTR_NOSYMFOLLOW
    set_attributes(mount, true, if follow { [0, NO_LINKS, 0, 0] } else { [NO_LINKS, 0, 0, 0] })
}

/// Of a mount of the kernel's own files: none is a program, a device or anybody's; whether they are `writable`. Since Linux 5.12.
pub(crate) fn restrict(mount: &OwnedFd, writable: bool) -> Result<(), Errno> {
    const READ_ONLY: u64 = 1; // MOUNT_ATTR_RDONLY
    const OTHERS: u64 = 2 | 4 | 8; // MOUNT_ATTR_NOSUID, NODEV and NOEXEC
    let (set, clear) = if writable { (OTHERS, READ_ONLY) } else { (OTHERS | READ_ONLY, 0) };
    set_attributes(mount, false, [set, clear, 0, 0])
}

/// As linux/mount.h has them: attributes to set, to clear, propagation, a user namespace.
fn set_attributes(mount: &OwnedFd, recursive: bool, attributes: [u64; 4]) -> Result<(), Errno> {
    let below = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads a struct of this layout and size, and an empty path; both live through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | below,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    Errno::result(done).map(drop)
}

const FROM_EMPTY_PATH: libc::c_uint = 4;
const TO_EMPTY_PATH: libc::c_uint = 0x40;

pub(crate) fn attach_mount(mount: &OwnedFd, target: &Path) -> Result<(), Errno> {
    move_mount(mount, libc::AT_FDCWD, &path(target)?, FROM_EMPTY_PATH)
}

/// Onto what was opened.
pub(crate) fn attach_mount_at(mount: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    move_mount(mount, target.as_raw_fd(), c"", FROM_EMPTY_PATH | TO_EMPTY_PATH)
}

fn move_mount(mount: &OwnedFd, at: RawFd, target: &CStr, flags: libc::c_uint) -> Result<(), Errno> {
    let (from, empty) = (mount.as_raw_fd(), c"".as_ptr());
    // SAFETY: open descriptors, and NUL-terminated paths that live through the call.
    let done = unsafe { libc::syscall(libc::SYS_move_mount, from, empty, at, target.as_ptr(), flags) };
    Errno::result(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, fcntl};

    /// Numbers that no other test gets: the kernel gives the lowest that are free.
    const FIRST: RawFd = 900;

    #[test]
    fn the_c_library_takes_files_for_users_and_groups() {
        assert_eq!(look_up_users_in_files(), Ok(()));
        assert_eq!(nix::unistd::User::from_uid(0.into()).unwrap().unwrap().name, "root");
    }

    /// The attack: a working directory in other mounts than the container's, below the same directory as its root.
    #[test]
    fn a_directory_of_other_mounts_is_outside_of_the_root() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("tree/sub")).unwrap();
        std::fs::create_dir(at("root")).unwrap();
        let in_own_mounts = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            let bind = |source: Option<&Path>, target: &Path, flags: MsFlags| {
                nix::mount::mount(source, target, None::<&str>, flags, None::<&str>).unwrap();
            };
            bind(None, Path::new("/"), MsFlags::MS_PRIVATE | MsFlags::MS_REC);
            bind(Some(&at("tree")), &at("root"), MsFlags::MS_BIND);
            assert!(is_inside_root());
            nix::unistd::chdir(&at("tree/sub")).unwrap();
            nix::unistd::chroot(&at("root")).unwrap();
            assert!(!is_inside_root());
            nix::unistd::chdir("/sub").unwrap();
            assert!(is_inside_root());
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }

    #[test]
    fn descriptors_are_closed_where_no_call_closes_them_all() {
        let opened = std::fs::File::open("/").unwrap();
        let copies = [(); 3].map(|()| fcntl(&opened, FcntlArg::F_DUPFD_CLOEXEC(FIRST)).unwrap() as u32);
        let is_open = |fd: u32| std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok();
        close_each(copies[0], copies[1]);
        assert_eq!(copies.map(is_open), [false, false, true]);
        close_each(copies[2], u32::MAX);
        assert!(!is_open(copies[2]));
    }
}
