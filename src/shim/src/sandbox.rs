//! The sandbox's own namespaces: what the shim enters before it serves anybody.

use crate::cgroup;
use crate::fault::{Because, Fault, Result, fault};
use crate::{privileges, sys};
use cri::wire::{PID_NAMESPACE, SHM, SharedIpc, ShimConfig};
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stdin, fork, pipe2, pivot_root, sethostname, write};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Better than any container, worse than init: what a kubelet gives to its pods' infrastructure.
const OOM_SCORE: &str = "-998";
/// User and group of the first process of a shared PID namespace: upstream's pause has the same.
const NOBODY: u32 = 65535;
/// What that process says when it has given everything up; anything else is why it could not.
const HAS_NOTHING: &str = "ready";

/// What the shim keeps of its way into the sandbox.
pub(crate) struct Sandbox {
    /// The machine's own mount namespace.
    pub(crate) machine_mounts: File,
    /// This process's oom score before it became a shim: what a container without one of its own gets.
    pub(crate) oom_score: String,
    /// The first process of the shared PID namespace, until it has ended.
    pub(crate) pause: Option<Pid>,
    /// That namespace. The link for containers leads to this descriptor: the number of a process that has ended is another's.
    _pid_namespace: Option<File>,
}

impl Sandbox {
    /// Moves this process into new namespaces and sets them up.
    pub(crate) fn enter(config: &ShimConfig) -> Result<Sandbox> {
        let _ = prctl::set_name(c"monopod-shim");
        let oom_score = fs::read_to_string("/proc/self/oom_score_adj").because("read oom_score_adj")?;
        // without CAP_SYS_RESOURCE the shim is as killable as the daemon
        let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
        prctl::set_child_subreaper(true).because("become the containers' reaper")?;

        let machine_mounts = File::open("/proc/self/ns/mnt").because("open /proc/self/ns/mnt")?;
        // of the machine still: our own view of its files is to be left
        let shm = config.shared_ipc.as_ref().map(join_ipc).transpose()?;
        config.shared_network.as_deref().map(join_network).transpose()?;
        unshare(namespaces(config)).because("unshare the sandbox's namespaces")?;
        // mounts that the machine makes later appear here, and none of ours appears there
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
            .because("make the mounts slaves of the machine's")?;
        setup_namespaces(config)?;
        if let Some(shm) = shm {
            let target = config.dir.join(SHM);
            let what = format!("mount another sandbox's /dev/shm on {}", target.display());
            make_shm(&target).because(&what)?;
            sys::attach_mount(&shm, &target).because(what)?;
        }
        let shared = config.share_pid.then(|| share_pid(&config.dir)).transpose()?;
        let (pause, pid_namespace) = shared.unzip();
        chdir("/").because("chdir /")?;
        let oom_score = oom_score.trim().to_owned();
        Ok(Sandbox { machine_mounts, oom_score, pause, _pid_namespace: pid_namespace })
    }
}

fn namespaces(config: &ShimConfig) -> CloneFlags {
    let mut flags = CloneFlags::CLONE_NEWNS;
    flags.set(CloneFlags::CLONE_NEWNET, !config.host_network && config.shared_network.is_none());
    flags.set(CloneFlags::CLONE_NEWUTS, !config.host_uts);
    flags.set(CloneFlags::CLONE_NEWIPC, !config.host_ipc && config.shared_ipc.is_none());
    flags
}

fn join_network(namespace: &Path) -> Result<()> {
    let what = format!("join the network namespace {}", namespace.display());
    setns(File::open(namespace).because(&what)?, CloneFlags::CLONE_NEWNET).because(&what)
}

/// Enters the IPC namespace of another sandbox; gives its /dev/shm, which is nowhere yet.
fn join_ipc(other: &SharedIpc) -> Result<OwnedFd> {
    let what = format!("join the IPC namespace {}", other.namespace.display());
    let open = |path: &Path| File::open(path).because(&what);
    let (namespace, mounts, own) =
        (open(&other.namespace)?, open(&other.mounts)?, open(Path::new("/proc/self/ns/mnt"))?);
    setns(mounts, CloneFlags::CLONE_NEWNS).because(&what)?;
    let shm = sys::clone_mounts(&other.shm, true).because(&what);
    // a shim that could not come back would see another sandbox's mounts as the machine's
    setns(own, CloneFlags::CLONE_NEWNS).because(&what)?;
    setns(namespace, CloneFlags::CLONE_NEWIPC).because(&what)?;
    shm
}

/// Moves this process, and the one that holds the PID namespace, to the shim's cgroups. For the latter the kernel may
/// take its time, which is why it comes after the rest.
pub(crate) fn join_cgroups(procs: &[PathBuf], pause: Option<Pid>) -> Result<()> {
    procs.iter().try_for_each(|file| {
        cgroup::join(file.parent().unwrap_or(Path::new("/")))
            .and_then(|()| pause.map_or(Ok(()), |pid| fs::write(file, pid.to_string())))
            .because(format_args!("join cgroup {}", file.display()))
    })
}

fn setup_namespaces(config: &ShimConfig) -> Result<()> {
    if !config.host_uts {
        if !config.hostname.is_empty() {
            sethostname(&config.hostname).because(format_args!("set hostname {}", config.hostname))?;
        }
        if !config.domainname.is_empty() {
            fs::write("/proc/sys/kernel/domainname", &config.domainname)
                .because(format_args!("set domain name {}", config.domainname))?;
        }
    }
    if !config.host_network {
        sys::loopback_up().because("bring lo up")?;
    }
    for (name, value) in &config.sysctls {
        let file = sysctl_file(name, config)?;
        fs::write(&file, value).because(format_args!("sysctl {name}={value}"))?;
    }
    match config.shm_size {
        Some(size) => mount_shm(&config.dir.join(SHM), size),
        None => Ok(()),
    }
}

/// The sysctl's file, if a namespace of this sandbox's own holds its value: any other is the whole machine's.
fn sysctl_file(name: &str, config: &ShimConfig) -> Result<PathBuf> {
    let path = slashed(name);
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return fault(format_args!("sysctl {name:?} is no name of a sysctl"));
    }
    let of_ipc = ["kernel/shm", "kernel/msg", "fs/mqueue/"].iter().any(|prefix| path.starts_with(prefix))
        || path == "kernel/sem";
    let of_net = path.starts_with("net/");
    match (of_ipc && !config.host_ipc, of_net && !config.host_network) {
        (false, false) if of_ipc => {
            fault(format_args!("sysctl {name} is not allowed with the host's IPC namespace"))
        }
        (false, false) if of_net => {
            fault(format_args!("sysctl {name} is not allowed with the host's network"))
        }
        (false, false) => fault(format_args!("sysctl {name} is not in a separate kernel namespace")),
        _ => Ok(Path::new("/proc/sys").join(path)),
    }
}

/// sysctl(8): the first separator says whether dots or slashes part the name; the other one is then part of a word, as in
/// `net/ipv4/conf/eth0.1/forwarding`, which is also `net.ipv4.conf.eth0/1.forwarding`.
fn slashed(name: &str) -> String {
    if name.find(['.', '/']).is_some_and(|at| name[at..].starts_with('/')) {
        return name.to_owned();
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

/// In the directory that the daemon has made. Where it is gone, so is whoever wanted this sandbox, and it does not come back.
fn make_shm(target: &Path) -> io::Result<()> {
    match fs::create_dir(target) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn mount_shm(target: &Path, size: u64) -> Result<()> {
    make_shm(target).because(format_args!("create {}", target.display()))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let options = format!("mode=1777,size={size}");
    mount(Some("shm"), target, Some("tmpfs"), flags, Some(options.as_str()))
        .because(format_args!("mount a tmpfs of {size} bytes on {}", target.display()))
}

/// Starts the first process of a new PID namespace, which does nothing but reap, and leaves a link to the namespace, which
/// holds as long as that is open.
fn share_pid(dir: &Path) -> Result<(Pid, File)> {
    let own = File::open("/proc/self/ns/pid").because("open /proc/self/ns/pid")?;
    let (told, tell) = pipe2(OFlag::O_CLOEXEC).because("make a pipe")?;
    unshare(CloneFlags::CLONE_NEWPID).because("unshare a PID namespace")?;
    // SAFETY: there is one thread, so the child may go on as any process does.
    let pid = match unsafe { fork() }.because("fork")? {
        ForkResult::Child => be_pause(&tell, dir),
        ForkResult::Parent { child } => child,
    };
    drop(tell);
    // the shim's other children are not of that namespace, unless they say so
    setns(own, CloneFlags::CLONE_NEWPID).because("keep the PID namespace")?;
    let mut said = String::new();
    File::from(told).read_to_string(&mut said).because("hear of the PID namespace's first process")?;
    if said != HAS_NOTHING {
        return fault(format_args!("start the first process of a PID namespace: {said}"));
    }
    let link = dir.join(PID_NAMESPACE);
    let _ = fs::remove_file(&link);
    let namespace = File::open(format!("/proc/{pid}/ns/pid")).because("open the PID namespace")?;
    symlink(format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()), &link)
        .map_err(|e| Fault(format!("link {}: {e}", link.display())))?;
    Ok((pid, namespace))
}

/// Containers see this process, and one with CAP_SYS_PTRACE gets at all that it has: its root, its descriptors, and by its
/// registers whatever it may do. So it has nothing, and may do nothing.
fn be_pause(tell: &OwnedFd, dir: &Path) -> ! {
    // also standard output: who started the shim waits for that to close
    let _ = dup2_stdin(tell);
    sys::close_from(1);
    let _ = prctl::set_name(c"pause");
    // SAFETY: no handler is installed; ignored, the kernel reaps orphans by itself.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    let given_up = give_everything_up(dir);
    let said = match &given_up {
        Ok(()) => HAS_NOTHING.to_owned(),
        Err(why) => why.to_string(),
    };
    // a shim that ended before its end would have been ours hears nothing any more
    let heard = write(io::stdin(), said.as_bytes());
    if given_up.is_err() || heard.is_err() {
        // SAFETY: ends the process, without what the shim wanted to be done at its own end.
        unsafe { libc::_exit(1) }
    }
    // the last one; without /proc nobody could look for others any more
    sys::close(0);
    // on top of all that: a kernel without filters has none for containers either
    let _ = sys::only_wait();
    loop {
        sys::wait();
    }
}

fn give_everything_up(dir: &Path) -> Result<()> {
    leave_files(dir)?;
    privileges::become_user(NOBODY, NOBODY, &[], 0).because("give up all rights")?;
    prctl::set_no_new_privs().because("set no_new_privs")?;
    prctl::set_dumpable(false).because("hide the process from others of its user")?;
    // now: a change of the user takes it away
    prctl::set_pdeathsig(Signal::SIGKILL).because("end with the shim")
}

/// Changes the root for an empty file system that nobody can write to, in a mount namespace that has nothing else. It is
/// mounted on `dir`, as it must be somewhere for a moment.
fn leave_files(dir: &Path) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).because("unshare a mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
        .because("make the mounts private")?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("empty"), dir, Some("tmpfs"), flags, Some("size=4k,mode=555"))
        .because(format_args!("mount an empty file system on {}", dir.display()))?;
    chdir(dir).because(format_args!("chdir {}", dir.display()))?;
    // the old root lies on the new one then, and goes first; pivot_root(2)
    pivot_root(".", ".").because("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).because("let go of the old root")?;
    chdir("/").because("chdir /")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::SandboxId;

    fn config(host: bool) -> ShimConfig {
        let own = ShimConfig::new(SandboxId("a".into()), "/nowhere".into());
        ShimConfig { host_network: host, host_pid: host, host_ipc: host, ..own }
    }

    #[test]
    fn who_has_the_host_s_network_may_have_a_name_of_its_own() {
        let (own, uts) = (config(true), CloneFlags::CLONE_NEWUTS);
        assert_eq!(namespaces(&own) & (uts | CloneFlags::CLONE_NEWNET), uts);
        let host = ShimConfig { host_uts: true, ..own };
        assert!(!namespaces(&host).contains(uts));
    }

    #[test]
    fn only_sysctls_of_the_sandbox_s_own_namespaces_can_be_set() {
        for (name, host, want) in [
            ("net.ipv4.ip_local_port_range", false, Ok("/proc/sys/net/ipv4/ip_local_port_range")),
            ("net/core/somaxconn", false, Ok("/proc/sys/net/core/somaxconn")),
            ("net/ipv4/conf/eth0.1/forwarding", false, Ok("/proc/sys/net/ipv4/conf/eth0.1/forwarding")),
            ("net.ipv4.conf.eth0/1.forwarding", false, Ok("/proc/sys/net/ipv4/conf/eth0.1/forwarding")),
            ("kernel.shmmax", false, Ok("/proc/sys/kernel/shmmax")),
            ("kernel.sem", false, Ok("/proc/sys/kernel/sem")),
            (
                "net.core.somaxconn",
                true,
                Err("sysctl net.core.somaxconn is not allowed with the host's network"),
            ),
            ("kernel.shmmax", true, Err("sysctl kernel.shmmax is not allowed with the host's IPC namespace")),
            ("kernel.panic", false, Err("sysctl kernel.panic is not in a separate kernel namespace")),
            ("net...kernel.panic", false, Err("sysctl \"net...kernel.panic\" is no name of a sysctl")),
            ("net/../kernel/panic", false, Err("sysctl \"net/../kernel/panic\" is no name of a sysctl")),
            ("net.//.kernel.panic", false, Err("sysctl \"net.//.kernel.panic\" is no name of a sysctl")),
        ] {
            let got = sysctl_file(name, &config(host)).map_err(|e| e.to_string());
            assert_eq!(got, want.map(PathBuf::from).map_err(str::to_owned), "{name}");
        }
    }
}
