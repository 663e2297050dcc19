//! NFS: each pod has the export mounted for itself, by the host's `mount` and its helper, as upstream's kubelet does it.
//! Unmounted it is with all else that a pod has (`tear_down`), also by a daemon that has come after a crash.

use k8s_openapi::api::core::v1::NFSVolumeSource;
use std::io;
use std::net::Ipv6Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::Command;

pub(super) const PLUGIN: &str = "kubernetes.io~nfs";
const PROGRAM: &str = "mount";
/// A server that does not answer would hold the helper for ever; what it has not done by then it is asked for again.
const PATIENCE: Duration = Duration::from_secs(120); // about upstream's podAttachAndMountTimeout

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

/// Mounts it there, where it is not mounted yet.
///
/// # Errors
/// What `mount` said, in upstream's words. A server that is none: one that was stored before it was looked at, too.
pub async fn mount(volume: &NfsVolume, target: &Path) -> Result<(), String> {
    if !kinds::volume::is_nfs_server(&volume.server) {
        return Err(format!("mount failed: {:?} is no name and no address of a server", volume.server));
    }
    mount_by(Path::new(PROGRAM), volume, target, PATIENCE).await
}

async fn mount_by(
    program: &Path,
    volume: &NfsVolume,
    target: &Path,
    patience: Duration,
) -> Result<(), String> {
    let place = target.to_owned();
    let made = tokio::task::spawn_blocking(move || made(&place)).await.map_err(|e| e.to_string())?;
    if made.map_err(|e| format!("mkdir {}: {e}", target.display()))? {
        return Ok(());
    }
    let arguments = volume.arguments(target);
    let mut command = Command::new(program);
    command.args(&arguments).stdin(Stdio::null()).kill_on_drop(true);
    let failed = |why: &str, output: &str| {
        format!(
            "mount failed: {why}\nMounting command: {}\nMounting arguments: {}\nOutput: {output}",
            program.display(),
            arguments.join(" ")
        )
    };
    let output = match tokio::time::timeout(patience, command.output()).await {
        Err(_) => return Err(failed(&format!("no answer within {}s", patience.as_secs()), "")),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            let why = format!("exec: \"{}\": executable file not found in $PATH", program.display());
            return Err(failed(&why, ""));
        }
        Ok(Err(error)) => return Err(failed(&error.to_string(), "")),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failed(&told(output.status), &String::from_utf8_lossy(&said)))
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
            mount_by(&program, &of, &target, patience).await
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
        let error = mount_by(Path::new("no-such-mount"), &of, &target, patience).await.unwrap_err();
        assert!(
            error.starts_with("mount failed: exec: \"no-such-mount\": executable file not found in $PATH"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_is_no_option_of_mount() {
        for server in ["--fstab=/x", "-o", "LABEL=root", "a/b", "a b", ""] {
            let error = mount(&volume(server, &[], false), Path::new("/nowhere")).await.unwrap_err();
            assert_eq!(error, format!("mount failed: {server:?} is no name and no address of a server"));
        }
    }

    #[tokio::test]
    async fn what_is_mounted_stays() {
        let of = volume("files", &[], false);
        // whatever it is: it is there
        mount_by(Path::new("/nowhere"), &of, Path::new("/proc"), Duration::from_secs(1)).await.unwrap();
    }
}
