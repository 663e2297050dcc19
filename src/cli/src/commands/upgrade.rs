//! `monopod upgrade`: a new program is checked, renamed into the place of this one, and every daemon that runs from it is
//! started anew; where one does not come up, the old program is put back.

use super::Setting;
use super::daemon_process::{spawn_daemon, wait_for};
use crate::control_client::{self, Presence, end, presence};
use crate::{at_boot, failures};
use anyhow::Result;
use appliance::{Paths, Step};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// As long as the systemd unit gives a start.
const START_PATIENCE: Duration = Duration::from_secs(300);
/// For a program that is asked for its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);
/// `ELF`, 64 bits or 32, the order of bytes, and at 18 the machine (elf(5)).
const ELF_HEADER: usize = 20;

#[derive(clap::Args)]
pub struct Upgrade {
    /// The new program.
    file: PathBuf,
    /// Take it where it is older as well.
    #[arg(long)]
    force: bool,
}

impl Upgrade {
    /// Puts the new program into the place of this one and starts the daemons that run from it anew; pods go on meanwhile.
    /// Where a daemon does not come up, the old one is put back.
    pub fn run(&self, _setting: &Setting) -> Result<ExitCode> {
        let target = own_path()?;
        if !nix::unistd::geteuid().is_root() {
            return Err(failures::NOT_ROOT.because(format!("replace {}", target.display())));
        }
        let staged = Staged::copy(&self.file, &target)?;
        let new = version_of(&staged.0, &self.file)?;
        let own = env!("CARGO_PKG_VERSION");
        match parts(&new).cmp(&parts(own)) {
            std::cmp::Ordering::Less if !self.force => {
                return Err(refused(
                    &self.file,
                    &format!("it is version {new}, older than this one, {own}; --force takes it"),
                ));
            }
            std::cmp::Ordering::Equal => println!("{} has the same version, {own}", self.file.display()),
            _ => println!("{own} → {new}"),
        }
        let running = profiles_running_from(&target);
        // from here to the end there is a program that no daemon runs from, or a daemon that does not run
        appliance::outlast_signals()?;
        let kept = beside(&target, "previous");
        let _ = fs::remove_file(&kept);
        let failed = |e: std::io::Error| failures::UPGRADE.because(format!("{}: {e}", target.display()));
        fs::hard_link(&target, &kept).map_err(failed)?;
        fs::rename(&staged.0, &target).map_err(|e| {
            let _ = fs::remove_file(&kept);
            failed(e)
        })?;
        for (index, paths) in running.iter().enumerate() {
            let Err(error) = restart(paths, &target) else {
                say(&format!("{} goes on with it", paths.profile));
                continue;
            };
            fs::rename(&kept, &target).map_err(failed)?;
            let again: Vec<String> = running[..=index]
                .iter()
                .filter_map(|paths| Some(format!("{}: {:#}", paths.profile, restart(paths, &target).err()?)))
                .collect();
            let then = match again.is_empty() {
                true => "the old program is back, and runs".to_owned(),
                false => format!("the old program is back, but does not run: {}", again.join("; ")),
            };
            return Err(failures::UPGRADE.because(format!("{}: {error:#}; {then}", paths.profile)));
        }
        let _ = fs::remove_file(&kept);
        say(&format!("{} is version {new} now", target.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// To whoever still listens: a terminal that has gone away is no reason to stop half-way.
fn say(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

fn refused(file: &Path, why: &str) -> anyhow::Error {
    failures::UPGRADE.because(format!("{}: {why}", file.display()))
}

fn own_path() -> Result<PathBuf> {
    let path = std::env::current_exe()?;
    path.canonicalize().map_err(|e| failures::UPGRADE.because(format!("{}: {e}", path.display())))
}

/// `.monopod.new` beside `monopod`: on the same file system, so that a rename is whole or not at all.
fn beside(target: &Path, end: &str) -> PathBuf {
    let name = target.file_name().map(OsString::from).unwrap_or_default();
    target.with_file_name(format!(".{}.{end}", name.to_string_lossy()))
}

/// The new program, checked and copied; gone again where it is not taken.
struct Staged(PathBuf);

impl Staged {
    fn copy(file: &Path, target: &Path) -> Result<Staged> {
        let refuse = |e: std::io::Error| refused(file, &e.to_string());
        let meta = fs::metadata(file).map_err(refuse)?;
        if !meta.is_file() {
            return Err(refused(file, "it is no file"));
        }
        let is_same =
            fs::metadata(target).is_ok_and(|own| (own.dev(), own.ino()) == (meta.dev(), meta.ino()));
        if is_same {
            return Err(refused(file, "it is the program that is installed"));
        }
        let (new, own) = (header(file).map_err(refuse)?, header(target).map_err(refuse)?);
        check_machine(&new, &own).map_err(|why| refused(file, &why))?;
        let staged = Staged(beside(target, "new"));
        let _ = fs::remove_file(&staged.0);
        let copied = copy(file, &staged.0);
        copied.map_err(|e| failures::UPGRADE.because(format!("{}: {e}", staged.0.display())))?;
        Ok(staged)
    }
}

/// Never with the rights that `file` has: a download that all may write would be a copy that all may write, for as long as it is
/// made, and who has opened it then writes to root's program ever after.
fn copy(file: &Path, to: &Path) -> std::io::Result<()> {
    let mut made = fs::File::options().write(true).create_new(true).mode(0o600).open(to)?;
    std::io::copy(&mut fs::File::open(file)?, &mut made)?;
    made.set_permissions(fs::Permissions::from_mode(0o755))?;
    made.sync_all()
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn header(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut header = Vec::new();
    fs::File::open(file)?.take(ELF_HEADER as u64).read_to_end(&mut header)?;
    Ok(header)
}

fn check_machine(new: &[u8], own: &[u8]) -> Result<(), String> {
    if new.len() < ELF_HEADER || !new.starts_with(b"\x7fELF") {
        return Err("it is no program (no ELF file)".to_owned());
    }
    // class and order of bytes, then the machine
    match (&new[4..6], &new[18..20]) == (&own[4..6], &own[18..20]) {
        true => Ok(()),
        false => {
            Err(format!("it is for another architecture than this machine's, {}", std::env::consts::ARCH))
        }
    }
}

/// What a copy of `file` says of itself.
fn version_of(copy: &Path, file: &Path) -> Result<String> {
    let failed = |why: String| refused(file, &why);
    let child = Command::new(copy)
        .args(["version", "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|e| failed(format!("it does not run: {e}")))?;
    let began = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if began.elapsed() > VERSION_PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("it does not say its version".to_owned()));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        out.take(64 << 10).read_to_string(&mut said)?;
    }
    let version = serde_json::from_str::<serde_json::Value>(&said).ok().filter(|_| status.success());
    let version = version.filter(|said| said["kubernetes"].is_string());
    let version = version.and_then(|said| Some(said["version"].as_str()?.to_owned()));
    version.ok_or_else(|| failed("it is no monopod: `version -o json` does not say one".to_owned()))
}

/// Numbers in order; what is behind them (`-rc.1`) does not count.
fn parts(version: &str) -> Vec<u64> {
    let numbers = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    numbers.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// Another profile's daemon may run from another program: that is left alone.
fn profiles_running_from(target: &Path) -> Vec<Paths> {
    let all = appliance::profiles().unwrap_or_default().into_iter().map(|profile| Paths::in_use(&profile));
    all.filter(|paths| match presence(paths) {
        Presence::Running(status) => runs_from(status.pid, target),
        _ => false,
    })
    .collect()
}

fn runs_from(pid: u32, target: &Path) -> bool {
    let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe")) else { return false };
    // a program that was replaced by hand before
    exe == target || exe.to_string_lossy().strip_suffix(" (deleted)") == target.to_str()
}

fn restart(paths: &Paths, program: &Path) -> Result<()> {
    if at_boot::is_active(&paths.profile) {
        at_boot::restart(&paths.profile)?;
    } else {
        end(paths)?;
        let words = ["start", "--foreground", "--report"].map(OsString::from);
        wait_at_most(START_PATIENCE, &mut spawn_daemon(program, paths, words)?, paths)?;
    }
    let began = Instant::now();
    while !control_client::status(paths)?.ready {
        if began.elapsed() > VERSION_PATIENCE {
            return Err(failures::START_FAILED.because(format!("{} does not become ready", paths.profile)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Waits for a daemon that was just begun. One that is not ready in this time is ended: nobody may be there who would do it, and
/// without a control plane the cluster waits with us.
fn wait_at_most(patience: Duration, daemon: &mut Child, paths: &Paths) -> Result<()> {
    let pid = Pid::from_raw(daemon.id().cast_signed());
    let (ready, is_ready) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let is_late = is_ready.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
        is_late && kill(pid, Signal::SIGKILL).is_ok()
    });
    let waited = wait_for(daemon, paths, &mut |_: &Step| {});
    drop(ready);
    match watch.join() {
        Ok(true) => Err(failures::START_FAILED.because(format!("{} does not become ready", paths.profile))),
        _ => waited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_hangs_is_not_waited_for() {
        let paths = Paths::in_use(&"upgrade-test".parse().unwrap());
        for (line, want) in
            [("exec sleep 60", "upgrade-test does not become ready"), ("exit 3", "exit status: 3")]
        {
            let began = Instant::now();
            let mut daemon = Command::new("sh").args(["-c", line]).stdout(Stdio::piped()).spawn().unwrap();
            let why = wait_at_most(Duration::from_millis(500), &mut daemon, &paths).unwrap_err();
            assert!(format!("{why:#}").contains(want), "{line}: {why:#}");
            assert!(daemon.try_wait().unwrap().is_some(), "{line}: it lives");
            assert!(began.elapsed() < Duration::from_secs(30), "{line}");
        }
    }

    #[test]
    fn programs_of_this_machine() {
        let own = header(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(check_machine(&own, &own), Ok(()));
        let mut other = own.clone();
        other[18] ^= 0x55;
        assert!(check_machine(&other, &own).unwrap_err().contains("another architecture"));
        for none in [&b""[..], b"#!/bin/sh\n", b"\x7fELF"] {
            assert!(check_machine(none, &own).unwrap_err().contains("no program"));
        }
    }

    #[test]
    fn a_copy_is_made_anew_and_nobodys_to_write() {
        let dir = std::env::temp_dir().join(format!("monopod-upgrade-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let (given, to) = (dir.join("given"), dir.join("to"));
        fs::write(&given, "program").unwrap();
        fs::set_permissions(&given, fs::Permissions::from_mode(0o666)).unwrap();
        copy(&given, &to).unwrap();
        let made = fs::metadata(&to).unwrap().permissions().mode() & 0o7777;
        let (held, again) = (fs::read_to_string(&to).unwrap(), copy(&given, &to).is_err());
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!((held.as_str(), made, again), ("program", 0o755, true), "what is there is not written to");
    }

    #[test]
    fn versions_are_numbers() {
        assert!(
            parts("0.10.0") > parts("0.9.9")
                && parts("v1.2") == parts("1.2-rc.1")
                && parts("x") < parts("0.1")
        );
    }

    #[test]
    fn who_is_no_monopod_is_refused() {
        let error = version_of(Path::new("/bin/true"), Path::new("given")).unwrap_err();
        assert!(error.to_string().starts_with("given: it is no monopod"), "{error}");
    }
}
