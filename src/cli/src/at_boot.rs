//! A systemd unit that starts a profile with the machine. The unit in its place is the record: nothing else remembers it.

use crate::failures;
use anyhow::Result;
use appliance::ProfileName;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// There where systemd is the machine's init (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
const UNITS: &str = "/etc/systemd/system";

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

/// The unit. Containers are children of their shims: systemd ends the daemon alone.
pub fn unit(program: &Path, profile: &ProfileName) -> String {
    let program = quoted(&program.display().to_string());
    format!(
        "[Unit]
Description=monopod, Kubernetes and a Docker engine for this machine (profile {profile})
Documentation=man:monopod(1)
Wants=network-online.target
After=network-online.target local-fs.target

[Service]
Type=exec
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart={program} -p {profile} start --foreground --report
StandardOutput=null
KillMode=process
TimeoutStopSec=30
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

pub fn is_enabled(profile: &ProfileName) -> bool {
    unit_path(profile).exists()
}

/// Whether systemd started the daemon that runs.
pub fn is_active(profile: &ProfileName) -> bool {
    is_enabled(profile) && systemctl(&["is-active", "--quiet", &unit_name(profile)]).is_ok()
}

pub fn restart(profile: &ProfileName) -> Result<()> {
    systemctl(&["restart", &unit_name(profile)])
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
    let path = unit_path(profile);
    if !path.exists() {
        return Ok(false);
    }
    // where systemd does not run now, the link that it made at `enable` is all there is
    let wants = Path::new(UNITS).join("multi-user.target.wants").join(unit_name(profile));
    for gone in [&wants, &path] {
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

/// Root runs it at each boot: nobody else may write it.
fn check_owner(program: &Path) -> Result<()> {
    let meta = program.metadata()?;
    match meta.uid() == 0 && meta.mode() & 0o022 == 0 {
        true => Ok(()),
        false => Err(failures::AT_BOOT.because(format!(
            "{} can be written by others than root, who would be root at the next boot: install it with `install -m 755` first",
            program.display()
        ))),
    }
}

fn systemctl(words: &[&str]) -> Result<()> {
    let line = format!("systemctl {}", words.join(" "));
    let done = Command::new("systemctl").args(words).output();
    let done = done.map_err(|e| failures::AT_BOOT.because(format!("{line}: {e}")))?;
    match done.status.success() {
        true => Ok(()),
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
        let broken = unit(Path::new("/bin/true"), &profile("dev")).replace("Type=exec", "Tipe=exec");
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
}
