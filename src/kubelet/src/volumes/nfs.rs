//! NFS: each pod has the export mounted for itself, by the host's `mount` and its helper, as upstream's kubelet does it.
//! Unmounted it is with all else that a pod has (`tear_down`), also by a daemon that has come after a crash.

use cri::blocking;
use k8s_openapi::api::core::v1::NFSVolumeSource;
use nix::mount::{MntFlags, MsFlags, mount as mount_at, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::net::Ipv6Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(super) const PLUGIN: &str = "kubernetes.io~nfs";
const PROGRAM: &str = "mount";
/// A server that does not answer would hold the helper for ever; what it has not done by then it is asked for again. Where it is
/// refused, `mount.nfs` tries for two minutes, and then says why.
const PATIENCE: Duration = Duration::from_secs(150);
/// For who was killed to be gone, or for the kernel to have aborted: it does both at once, unless it is busy with a disk.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// For a pod whose grace is over, until what it waits for is aborted: upstream's unMountTimeout.
const ABORT_AFTER: Duration = Duration::from_secs(60);
/// The next request may be under way by then.
const ABORT_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NfsVolume {
    /// The pod's own, or that of the PersistentVolume.
    pub(super) name: String,
    server: String,
    source: String,
    /// Of a PersistentVolume.
    options: Vec<String>,
    pub read_only: bool,
}

impl NfsVolume {
    /// `read_only` where the claim is used so, whatever the export says.
    pub fn new(name: &str, of: &NFSVolumeSource, options: &[String], read_only: bool) -> Self {
        // an address with colons would end at the first
        let server = match of.server.parse::<Ipv6Addr>() {
            Ok(_) => format!("[{}]", of.server),
            Err(_) => of.server.clone(),
        };
        NfsVolume {
            name: name.to_owned(),
            server: of.server.clone(),
            source: format!("{server}:{}", of.path),
            options: options.to_vec(),
            read_only: read_only || of.read_only == Some(true),
        }
    }

    pub(super) fn arguments(&self, target: &Path) -> Vec<String> {
        let mut options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        if self.read_only && !options.contains(&"ro") {
            options.push("ro");
        }
        let mut all = vec!["-t".to_owned(), "nfs".to_owned()];
        if !options.is_empty() {
            all.extend(["-o".to_owned(), options.join(",")]);
        }
        // what follows is no option, whatever it begins with
        all.extend(["--".to_owned(), self.source.clone(), target.display().to_string()]);
        all
    }
}

/// Mounts it there, where it is not mounted yet. Once the pod is to end, nobody works on it any more when this returns: what came
/// to be mounted later would stay.
///
/// # Errors
/// What `mount` said, in upstream's words. A server that is none: one that was stored before it was looked at, too.
pub async fn mount(volume: &NfsVolume, target: &Path, living: &CancellationToken) -> Result<(), String> {
    if !kinds::volume::is_nfs_server(&volume.server) {
        return Err(format!("mount failed: {:?} is no name and no address of a server", volume.server));
    }
    mount_by(Path::new(PROGRAM), volume, target, PATIENCE, living).await
}

async fn mount_by(
    program: &Path,
    volume: &NfsVolume,
    target: &Path,
    patience: Duration,
    living: &CancellationToken,
) -> Result<(), String> {
    let place = target.to_owned();
    let made = blocking(move || made(&place)).await;
    if made.map_err(|e| format!("mkdir {}: {e}", target.display()))? {
        return Ok(());
    }
    let arguments = volume.arguments(target);
    let mut command = Command::new(program);
    command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let failed = |why: &str, output: &str| {
        format!(
            "mount failed: {why}\nMounting command: {}\nMounting arguments: {}\nOutput: {output}",
            program.display(),
            arguments.join(" ")
        )
    };
    let child = match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = format!("exec: \"{}\": executable file not found in $PATH", program.display());
            return Err(failed(&why, ""));
        }
        Err(error) => return Err(failed(&error.to_string(), "")),
        Ok(child) => child,
    };
    let given_up = async {
        tokio::select! {
            () = sleep(patience) => {}
            () = living.cancelled() => {}
        }
    };
    let (output, in_time) = ended(child, given_up).await.map_err(|why| failed(&why, ""))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match in_time {
        true if output.status.success() => Ok(()),
        true => Err(failed(&told(output.status), &said)),
        false => Err(failed(&format!("no answer within {}s", patience.as_secs()), &said)),
    }
}

/// What became of it and of all that it has started, and whether it was before they were given up and killed.
async fn ended(child: Child, given_up: impl Future<Output = ()>) -> Result<(Output, bool), String> {
    let mut group = Group(child.id());
    let output = child.wait_with_output();
    tokio::pin!(output);
    let (output, in_time) = tokio::select! {
        biased;
        output = &mut output => (output, true),
        () = given_up => {
            group.kill();
            // the last of them to end closes its pipes
            let output = timeout(KILL_PATIENCE, output).await;
            (output.map_err(|_| format!("not to be killed within {}s", KILL_PATIENCE.as_secs()))?, false)
        }
    };
    group.0 = None;
    output.map(|output| (output, in_time)).map_err(|e| e.to_string())
}

/// The processes of a `mount`: its helper would outlive it, and mount for a pod that is gone.
struct Group(Option<u32>);

impl Group {
    fn kill(&self) {
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // who has ended needs none
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// The daemon ends.
impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// When what holds up an end is to be aborted: the grace is over, or nobody waits for it any more, and a time after it.
pub async fn abort_due(grace: Duration, grace_override: CancellationToken) {
    grace_override.run_until_cancelled(sleep(grace)).await;
    sleep(ABORT_AFTER).await;
}

/// What `ending` says, which processes may hold up that wait for a server: they can not be killed. When it is `due`, what they wait for
/// is aborted by `abort`, and so is what they ask for then: a file that is closed is written, committed and given back.
pub async fn end_or_abort<T, A: Future<Output = ()>>(
    ending: impl Future<Output = T>,
    due: impl Future<Output = ()>,
    abort: impl Fn() -> A,
) -> T {
    tokio::pin!(ending);
    tokio::select! {
        biased;
        done = &mut ending => return done,
        () = due => {}
    }
    loop {
        abort().await;
        if let Ok(done) = timeout(ABORT_AGAIN, &mut ending).await {
            return done;
        }
    }
}

/// Ends all requests to the servers of a pod's exports, as `umount -f` does it. What was not written yet is lost.
pub async fn abort(pod_dir: &Path) {
    let pod_dir = pod_dir.to_owned();
    let (done, aborted) = tokio::sync::oneshot::channel();
    // of its own: what it does to its mounts is nobody else's business, and it ends with them
    let spawned = std::thread::Builder::new().name("nfs-abort".to_owned()).spawn(move || {
        let _ = done.send(abort_apart(&pod_dir));
    });
    let outcome = match spawned {
        // the kernel may wait for something else
        Ok(_) => timeout(KILL_PATIENCE, aborted).await,
        Err(error) => Ok(Ok(Err(error))),
    };
    if let Ok(Ok(Err(error))) = outcome {
        tracing::warn!(%error, "requests to an NFS server that does not answer are not aborted");
    }
}

/// In mounts of this thread alone: an export that is unmounted along is still where the next one is aborted from.
fn abort_apart(pod_dir: &Path) -> io::Result<()> {
    let Ok(below) = pod_dir.join("volumes").join(PLUGIN).canonicalize() else { return Ok(()) };
    let mut targets = trees::mountinfo::targets()?;
    targets.retain(|target| target.starts_with(&below));
    if targets.is_empty() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount_at(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    for target in targets.iter().rev() {
        let aborted = umount2(target, MntFlags::MNT_FORCE | MntFlags::UMOUNT_NOFOLLOW);
        tracing::debug!(at = %target.display(), ?aborted, "an NFS server holds up the end of a pod");
    }
    Ok(())
}

/// Makes the directory, and says whether it is mounted already.
fn made(target: &Path) -> io::Result<bool> {
    // not looked at where it is a mount: its server may be gone
    if super::is_mount_target(target)? {
        return Ok(true);
    }
    std::fs::create_dir_all(target).map(|()| false)
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn volume(server: &str, options: &[&str], read_only: bool) -> NfsVolume {
        let of =
            NFSVolumeSource { server: server.to_owned(), path: "/x".to_owned(), read_only: Some(read_only) };
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        NfsVolume::new("v", &of, &options, false)
    }

    #[test]
    fn what_mount_is_told() {
        let cases = [
            ("plain", volume("files", &[], false), "-t nfs -- files:/x /t"),
            ("read-only", volume("files", &[], true), "-t nfs -o ro -- files:/x /t"),
            (
                "with options",
                volume("10.0.0.1", &["nfsvers=4.1", "hard"], true),
                "-t nfs -o nfsvers=4.1,hard,ro -- 10.0.0.1:/x /t",
            ),
            ("read-only twice", volume("files", &["ro"], true), "-t nfs -o ro -- files:/x /t"),
            ("an IPv6 address", volume("fd00::1", &[], false), "-t nfs -- [fd00::1]:/x /t"),
        ];
        for (name, of, want) in cases {
            assert_eq!(of.arguments(Path::new("/t")).join(" "), want, "{name}");
        }
    }

    #[tokio::test]
    async fn the_hosts_mount_is_run_and_what_it_says_is_told() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("mount");
        let target = root.path().join("volumes/kubernetes.io~nfs/v");
        let of = volume("files", &["soft"], false);
        let script = async |text: &str, patience: Duration| {
            fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
            mount_by(&program, &of, &target, patience, &CancellationToken::new()).await
        };
        let patience = Duration::from_secs(20);
        let log = root.path().join("log");
        script(&format!("echo \"$@\" > {}", log.display()), patience).await.unwrap();
        assert!(target.is_dir());
        let line = format!("-t nfs -o soft -- files:/x {}", target.display());
        assert_eq!(fs::read_to_string(&log).unwrap().trim_end(), line);
        let error = script("echo 'mount.nfs: No such device' >&2; exit 32", patience).await.unwrap_err();
        let want = format!(
            "mount failed: exit status 32\nMounting command: {}\nMounting arguments: {line}\nOutput: mount.nfs: No such device\n",
            program.display()
        );
        assert_eq!(error, want);
        let error = script("exec sleep 60", Duration::from_millis(200)).await.unwrap_err();
        assert!(error.starts_with("mount failed: no answer within 0s"), "{error}");
        let living = CancellationToken::new();
        let error = mount_by(Path::new("no-such-mount"), &of, &target, patience, &living).await.unwrap_err();
        assert!(
            error.starts_with("mount failed: exec: \"no-such-mount\": executable file not found in $PATH"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_pod_that_is_to_end_leaves_nobody_who_mounts_for_it() {
        let root = tempfile::tempdir().unwrap();
        let (program, target) = (root.path().join("mount"), root.path().join("v"));
        // as the real one, with a helper that it waits for
        fs::write(&program, "#!/bin/sh\nsleep 600 &\necho $! > $0.new\nmv $0.new $0.helper\nwait\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let (of, living) = (volume("files", &[], false), CancellationToken::new());
        let patience = Duration::from_secs(60);
        let helper = root.path().join("mount.helper");
        let ending = async {
            while !helper.exists() {
                sleep(Duration::from_millis(10)).await;
            }
            living.cancel();
        };
        let (outcome, ()) = tokio::join!(mount_by(&program, &of, &target, patience, &living), ending);
        assert!(outcome.unwrap_err().starts_with("mount failed: "));
        let stat = format!("/proc/{}/stat", fs::read_to_string(&helper).unwrap().trim_end());
        let lives = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        for _ in 0..1000 {
            if !lives() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("its helper goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_up_an_end_is_aborted() {
        for (name, takes, requests, seconds) in [
            ("ends in time", 59, 0, 59),
            ("waits for a server that is gone", 0, 1, 60),
            ("asks it for more", 0, 3, 62),
        ] {
            let began = tokio::time::Instant::now();
            let aborted = tokio::sync::Semaphore::new(0);
            let ending = async {
                sleep(Duration::from_secs(takes)).await;
                for _ in 0..requests {
                    aborted.acquire().await.unwrap().forget();
                }
            };
            let due = sleep(Duration::from_secs(60));
            end_or_abort(ending, due, || async { aborted.add_permits(1) }).await;
            assert_eq!(began.elapsed().as_secs(), seconds, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_aborted_before_the_grace_is_over() {
        for (name, is_over, seconds) in [("all of it", false, 90), ("nobody waits for it", true, 60)] {
            let (began, grace_override) = (tokio::time::Instant::now(), CancellationToken::new());
            if is_over {
                grace_override.cancel();
            }
            abort_due(Duration::from_secs(30), grace_override).await;
            assert_eq!(began.elapsed().as_secs(), seconds, "{name}");
        }
    }

    #[tokio::test]
    async fn a_server_is_no_option_of_mount() {
        for server in ["--fstab=/x", "-o", "LABEL=root", "a/b", "a b", ""] {
            let living = CancellationToken::new();
            let error = mount(&volume(server, &[], false), Path::new("/nowhere"), &living).await.unwrap_err();
            assert_eq!(error, format!("mount failed: {server:?} is no name and no address of a server"));
        }
    }

    #[tokio::test]
    async fn what_is_mounted_stays() {
        let of = volume("files", &[], false);
        // whatever it is: it is there
        let (program, patience) = (Path::new("/nowhere"), Duration::from_secs(1));
        mount_by(program, &of, Path::new("/proc"), patience, &CancellationToken::new()).await.unwrap();
    }
}
