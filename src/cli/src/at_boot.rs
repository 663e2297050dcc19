//! A systemd unit that starts a profile with the machine. The unit in its place is the record: nothing else remembers it.

use crate::{control_client, failures};
use anyhow::Result;
use appliance::{Paths, ProfileName};
use std::fs::Metadata;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;

/// There where systemd is the machine's init (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
const UNITS: &str = "/etc/systemd/system";
/// Groups below are the system's (`SYS_GID_MAX`, login.defs(5)).
const FIRST_OF_USERS: u32 = 1000;

/// `monopod.service`; other profiles have their name in it.
pub fn unit_name(profile: &ProfileName) -> String {
    match *profile == ProfileName::default() {
        true => "monopod.service".to_owned(),
        false => format!("monopod-{profile}.service"),
    }
}

fn unit_path(profile: &ProfileName) -> PathBuf {
    Path::new(UNITS).join(unit_name(profile))
}

/// The unit. Containers are children of their shims, in cgroups of their own: systemd ends the daemon alone (`KillMode`), leaves
/// alone what it or a shim makes in its own cgroup (`Delegate`), and has them end before the network does when the machine goes
/// down (`ExecStop`). An etcd of this machine, where there is one, is there before it and goes after it.
pub fn unit(program: &Path, profile: &ProfileName) -> String {
    let program = program.display().to_string();
    // a package that was removed leaves the unit, as the configuration that it is
    let condition = program.replace('%', "%%");
    let program = quoted(&program);
    format!(
        "[Unit]
Description=monopod, Kubernetes and a Docker engine for this machine (profile {profile})
Documentation=man:monopod(1)
Wants=network-online.target
After=network-online.target local-fs.target etcd.service
ConditionFileIsExecutable={condition}

[Service]
Type=notify
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart={program} -p {profile} start --foreground --report
ExecStop={program} -p {profile} stop --with-machine
StandardOutput=null
Delegate=yes
KillMode=process
TimeoutStartSec=300
TimeoutStopSec=45
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
"
    )
}

/// As systemd reads a command line (systemd.service(5)): specifiers and variables are doubled.
fn quoted(path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    match escaped.contains(|c: char| c.is_whitespace() || c == '\'' || c == ';') || escaped != path {
        true => format!("\"{escaped}\""),
        false => escaped,
    }
}

/// By our own unit, or by the package's, which is enabled by a link alone.
pub fn is_enabled(profile: &ProfileName) -> bool {
    unit_path(profile).exists() || wanted_path(profile).symlink_metadata().is_ok()
}

/// Where systemd keeps that the unit is enabled.
fn wanted_path(profile: &ProfileName) -> PathBuf {
    Path::new(UNITS).join("multi-user.target.wants").join(unit_name(profile))
}

/// Whether systemd started the daemon that runs, or is about to start it again.
pub fn is_active(profile: &ProfileName) -> bool {
    let state = || said_by_systemctl(&["show", "--value", "-p", "ActiveState", &unit_name(profile)]);
    Path::new(BOOTED).is_dir()
        && state().is_ok_and(|state| matches!(state.trim(), "active" | "activating" | "reloading"))
}

pub fn restart(profile: &ProfileName) -> Result<()> {
    systemctl(&["restart", &unit_name(profile)])
}

/// Ends the daemon, and whoever would start it again.
///
/// # Errors
/// As [`control_client::end`].
pub fn end(paths: &Paths) -> Result<()> {
    if is_active(&paths.profile) {
        systemctl(&["stop", &unit_name(&paths.profile)])?;
    }
    control_client::end(paths)
}

/// Gives a daemon that was started by hand to systemd where that starts it at boot as well: it is watched over, and nobody's
/// session takes it along. What runs in containers goes on.
///
/// # Errors
/// `AT_BOOT`; as [`control_client::end`].
pub fn hand_over(paths: &Paths) -> Result<()> {
    if !Path::new(BOOTED).is_dir() || !is_enabled(&paths.profile) || is_active(&paths.profile) {
        return Ok(());
    }
    control_client::end(paths)?;
    systemctl(&["start", &unit_name(&paths.profile)])
}

/// Whether systemd is ending the machine.
pub fn machine_ends() -> bool {
    // ends with another code than 0
    let said = Command::new("systemctl").arg("is-system-running").output();
    said.is_ok_and(|said| said.stdout.starts_with(b"stopping"))
}

/// Tells systemd, where it waits for that, that the cluster is there (sd_notify(3)).
pub fn tell_ready() {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = socket.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(Path::new(&socket)),
    };
    // where nobody hears it systemd says so itself, after a time
    let _ = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(b"READY=1", &to));
}

/// # Errors
/// `NO_SYSTEMD`, with a sentence on what the machine has instead; `AT_BOOT` where the unit can not be written or enabled.
pub fn enable(profile: &ProfileName) -> Result<()> {
    if !Path::new(BOOTED).is_dir() {
        return Err(failures::NO_SYSTEMD.because(format!("start {profile} at boot: {BOOTED} is not there")));
    }
    let program = std::env::current_exe()?.canonicalize()?;
    check_owner(&program)?;
    let path = unit_path(profile);
    let failed = |e: std::io::Error| failures::AT_BOOT.because(format!("{}: {e}", path.display()));
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, unit(&program, profile))
        .and_then(|()| std::fs::rename(&fresh, &path))
        .map_err(failed)?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--quiet", &unit_name(profile)])
}

/// Whether there was one.
///
/// # Errors
/// `AT_BOOT`.
pub fn disable(profile: &ProfileName) -> Result<bool> {
    if !is_enabled(profile) {
        return Ok(false);
    }
    // where systemd does not run now, the link that it made at `enable` is all there is
    for gone in [&wanted_path(profile), &unit_path(profile)] {
        match std::fs::remove_file(gone) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(failures::AT_BOOT.because(format!("{}: {e}", gone.display())));
            }
            _ => {}
        }
    }
    if Path::new(BOOTED).is_dir() {
        systemctl(&["daemon-reload"])?;
    }
    Ok(true)
}

/// Root runs it at each boot: nobody else may write it, or put something else in its place.
fn check_owner(program: &Path) -> Result<()> {
    let meta = program.metadata()?;
    if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Err(writable(&program.display().to_string()));
    }
    for above in program.ancestors().skip(1) {
        if is_swappable(&above.metadata()?) {
            return Err(writable(&format!("what is in {}, as {},", above.display(), program.display())));
        }
    }
    Ok(())
}

/// Whether others than root may take away what is in a directory. In a sticky one they may with what is their own only; a system
/// group is the distribution's to fill (`/usr/local/bin` is the group `staff`'s in Debian).
fn is_swappable(directory: &Metadata) -> bool {
    let (mode, is_sticky) = (directory.mode(), directory.mode() & 0o1000 != 0);
    let by_group = mode & 0o020 != 0 && directory.gid() >= FIRST_OF_USERS;
    directory.uid() != 0 || (!is_sticky && (by_group || mode & 0o002 != 0))
}

fn writable(what: &str) -> anyhow::Error {
    failures::AT_BOOT.because(format!(
        "{what} can be written by others than root, who would be root at the next boot: install the program with `install -m 755` first, into /usr/local/bin"
    ))
}

fn systemctl(words: &[&str]) -> Result<()> {
    said_by_systemctl(words).map(drop)
}

fn said_by_systemctl(words: &[&str]) -> Result<String> {
    let line = format!("systemctl {}", words.join(" "));
    let done = Command::new("systemctl").args(words).output();
    let done = done.map_err(|e| failures::AT_BOOT.because(format!("{line}: {e}")))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            Err(failures::AT_BOOT.because(format!("{line}: {said}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> ProfileName {
        name.parse().unwrap()
    }

    #[test]
    fn the_unit_is_the_golden_one() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/monopod-dev.service");
        let unit = unit(Path::new("/usr/local/bin/monopod"), &profile("dev"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &unit).unwrap();
        }
        assert_eq!(unit, std::fs::read_to_string(golden).unwrap());
    }

    /// Where systemd's own checker is there; it wants the program to exist.
    #[test]
    fn systemd_takes_the_unit() {
        let dir = tempfile::tempdir().unwrap();
        let name = unit_name(&profile("dev"));
        let path = dir.path().join(&name);
        std::fs::write(&path, unit(Path::new("/bin/true"), &profile("dev"))).unwrap();
        let Ok(said) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output()
        else {
            eprintln!("SKIPPED: there is no systemd-analyze");
            return;
        };
        let err = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && !err.contains(&name), "{err}");
        let broken = unit(Path::new("/bin/true"), &profile("dev")).replace("Type=notify", "Tipe=notify");
        std::fs::write(&path, broken).unwrap();
        let said = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        assert!(String::from_utf8_lossy(&said.stderr).contains("Tipe"), "the checker checks");
    }

    #[test]
    fn names_and_odd_paths() {
        assert_eq!(unit_name(&ProfileName::default()), "monopod.service");
        assert_eq!(unit_name(&profile("dev")), "monopod-dev.service");
        let cases = [
            ("/usr/bin/monopod", "/usr/bin/monopod"),
            ("/opt/my tools/monopod", "\"/opt/my tools/monopod\""),
            ("/opt/100%/$x", "\"/opt/100%%/$$x\""),
        ];
        for (path, want) in cases {
            assert_eq!(quoted(path), want);
        }
    }

    #[test]
    fn a_program_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode =
            |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        assert!(check_owner(file.path()).is_err());
        mode(0o755);
        assert_eq!(check_owner(file.path()).is_ok(), nix::unistd::geteuid().is_root());
    }

    #[test]
    fn a_program_where_others_could_put_another_is_refused() {
        use std::os::unix::fs::{PermissionsExt, chown};
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: directories of others need root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (outer, bin) = (dir.path().join("outer"), dir.path().join("outer/bin"));
        std::fs::create_dir_all(&bin).unwrap();
        let program = bin.join("monopod");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let cases = [
            ("root's", &bin, 0, 0, 0o755, true),
            ("a user's", &bin, 1000, 0, 0o755, false),
            ("a user's, further up", &outer, 1000, 0, 0o755, false),
            ("a user's, though sticky", &bin, 1000, 0, 0o1755, false),
            ("everybody's", &bin, 0, 0, 0o777, false),
            ("everybody's, and sticky", &bin, 0, 0, 0o1777, true),
            ("a system group's", &bin, 0, 50, 0o2775, true),
            ("a group's of users", &outer, 0, 1000, 0o775, false),
        ];
        for (name, place, user, group, mode, want) in cases {
            for (place, user, group, mode) in
                [(&outer, 0, 0, 0o755), (&bin, 0, 0, 0o755), (place, user, group, mode)]
            {
                chown(place, Some(user), Some(group)).unwrap();
                std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            let checked = check_owner(&program).map_err(|error| error.to_string());
            assert_eq!(checked.is_ok(), want, "{name}: {checked:?}");
            let names_it = checked.err().is_none_or(|why| why.contains(place.to_str().unwrap()));
            assert!(names_it, "{name}");
        }
    }
}
