//! `minikube ssh`, `cp` and `mount`: the node is this machine, so that a shell, a copy and a directory are this machine's.

use super::output::{self, Mark};
use super::{Outcome, Session, reason};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(super) struct Ssh {
    /// The node to ssh into
    #[arg(short, long)]
    node: Option<String>,
    /// Use native Golang SSH client
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    native_ssh: Option<String>,
    // flags among them are ours: those of what is run stand behind `--`, as minikube has it
    words: Vec<OsString>,
}

/// Who types `sudo` in a node is root already, here too. The program of that name, where there is one, would take the
/// engine's address out of the environment, and `docker` behind it would ask another engine.
const SUDO: &str = r#"sudo() { case "$1" in -*|*=*|'') command sudo "$@";; *) "$@";; esac; }"#;

impl Ssh {
    /// A command runs as a shell's line, as over ssh; `docker` in it finds this cluster's engine.
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let (setting, _) = session.running()?;
        session.own_node(self.node.as_deref())?;
        let mut shell = Command::new("/bin/sh");
        shell.env("DOCKER_HOST", format!("unix://{}", setting.paths.docker_socket().display()));
        if self.words.is_empty() {
            let login = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
            shell.arg("-c").arg("exec \"$0\" -l").arg(login.unwrap_or_else(|| "/bin/sh".into()));
        } else {
            let line: Vec<String> =
                self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            shell.arg("-c").arg(format!("{SUDO}\n{}", line.join(" ")));
        }
        Err(reason::INTERNAL.because(format!("run a shell: {}", shell.exec())))
    }
}

#[derive(clap::Args)]
pub(super) struct Cp {
    source: String,
    target: String,
}

/// What is copied, or where it goes: a path on a node, which is this machine, or one of where the command was typed.
#[derive(Debug, PartialEq, Eq)]
struct CpPath<'a> {
    node: Option<&'a str>,
    path: &'a Path,
}

impl<'a> CpPath<'a> {
    /// `NODE:/path`; all else is a path, colons and all.
    fn parse(text: &'a str) -> CpPath<'a> {
        match text.split_once(':') {
            Some((node, path)) if !node.is_empty() && !node.contains('/') && path.starts_with('/') => {
                CpPath { node: Some(node), path: Path::new(path) }
            }
            _ => CpPath { node: None, path: Path::new(text) },
        }
    }
}

/// Both sides of a copy. Where no node is named the target is on the control plane's, which has no working directory.
///
/// # Errors
/// `MK_USAGE`.
fn sides<'a>(source: &'a str, target: &'a str) -> Result<(CpPath<'a>, CpPath<'a>), reason::Exit> {
    for (what, text) in [("Source", source), ("Target", target)] {
        if text.is_empty() {
            return Err(reason::USAGE.because(format!("{what} {text} can not be empty")));
        }
    }
    let (source, target) = (CpPath::parse(source), CpPath::parse(target));
    if source.node.is_none() && target.node.is_none() && !target.path.is_absolute() {
        return Err(reason::USAGE.because(
            "Target <remote file path> must be an absolute Path. Relative Path is not allowed (example: \"minikube:/home/docker/copied.txt\")",
        ));
    }
    Ok((source, target))
}

/// A target that ends with a slash, or is a directory, takes the file under the name that it has.
fn named_target(source: &Path, target: &Path) -> PathBuf {
    match target.to_string_lossy().ends_with('/') || target.is_dir() {
        true => target.join(source.file_name().unwrap_or_default()),
        false => target.to_owned(),
    }
}

impl Cp {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let (source, target) = sides(&self.source, &self.target)?;
        session.running()?;
        session.own_node(source.node)?;
        session.own_node(target.node)?;
        if source.node.is_none() && !source.path.exists() {
            return Err(reason::HOST_PATH_MISSING
                .because(format!("Cannot find directory {} for copy", source.path.display())));
        }
        let (source, target) = (source.path, named_target(source.path, target.path));
        let failed = |e: std::io::Error| {
            reason::GUEST_CP.because(format!("copy {} to {}: {e}", source.display(), target.display()))
        };
        if source
            .canonicalize()
            .ok()
            .is_some_and(|real| target.canonicalize().is_ok_and(|other| other == real))
        {
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(parent) = target.parent().filter(|parent| !parent.exists()) {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::copy(source, &target).map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(clap::Args)]
pub(super) struct Mount {
    /// SOURCE:TARGET
    pair: Option<String>,
    /// Specify the ip that the mount should be setup on
    #[arg(long, hide = true)]
    ip: Option<String>,
    #[arg(long, hide = true)]
    port: Option<u16>,
    #[arg(long, hide = true)]
    r#type: Option<String>,
    #[arg(long = "9p-version", hide = true)]
    version: Option<String>,
    #[arg(long, hide = true)]
    uid: Option<String>,
    #[arg(long, hide = true)]
    gid: Option<String>,
    #[arg(long, hide = true)]
    msize: Option<u32>,
    #[arg(long, hide = true)]
    options: Vec<String>,
    #[arg(long, hide = true)]
    kill: bool,
}

/// What is mounted, which is there, and where. Parted at the last colon, as minikube does it.
///
/// # Errors
/// `MK_USAGE`, `HOST_PATH_MISSING`.
fn mount_pair(pair: &str) -> Result<(&Path, &Path), reason::Exit> {
    let (source, target) = pair.rsplit_once(':').ok_or_else(|| {
        reason::USAGE.because(format!(
            "mount argument {pair:?} must be in form: <source directory>:<target directory>"
        ))
    })?;
    let (source, target) = (Path::new(source), Path::new(target));
    if !source.exists() {
        return Err(reason::HOST_PATH_MISSING
            .because(format!("Cannot find directory {} for mount", source.display())));
    }
    if !target.is_absolute() {
        return Err(reason::USAGE.because(format!("Target directory {target:?} must be an absolute path")));
    }
    Ok((source, target))
}

/// `source` at `target` as well, with all that is mounted in it, now or later. What becomes of it at `target` does not become of
/// `source`: mounts are shared as systemd sets them up, and the end of the one at `target` would unmount the disks in both.
fn bind(source: &Path, target: &Path) -> nix::Result<()> {
    let none = None::<&str>;
    mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    mount(none, target, none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)
}

impl Mount {
    /// The target appears at its place for as long as the command runs: a bind mount of this machine.
    pub(super) fn run(&self, session: &Session) -> Outcome {
        if self.kill {
            return Ok(ExitCode::SUCCESS);
        }
        let usage = || {
            reason::USAGE.because(
                "Please specify the directory to be mounted: \n\tminikube mount <source directory>:<target directory>   (example: \"/host-home:/vm-home\")",
            )
        };
        let (source, target) = mount_pair(self.pair.as_deref().ok_or_else(usage)?)?;
        if !source.is_dir() {
            return Err(reason::GUEST_MOUNT.because(format!("{} is no directory", source.display())));
        }
        session.running()?;
        let is_same = source.canonicalize().ok() == target.canonicalize().ok() && target.exists();
        if is_same {
            output::step(Mark::Note, "the node is this machine: the directory is there already");
            super::tunnel::until_interrupted()?;
            return Ok(ExitCode::SUCCESS);
        }
        let made = !target.exists();
        let failed = |e: &dyn std::fmt::Display| {
            reason::GUEST_MOUNT.because(format!("mount {} at {}: {e}", source.display(), target.display()))
        };
        std::fs::create_dir_all(target).map_err(|e| failed(&e))?;
        bind(source, target).map_err(|e| failed(&e))?;
        output::step(
            Mark::Ready,
            &format!("Successfully mounted {} to {}", source.display(), target.display()),
        );
        output::step(Mark::Note, "NOTE: This process must stay alive for the mount to be accessible ...");
        let interrupted = super::tunnel::until_interrupted();
        umount2(target, MntFlags::MNT_DETACH).map_err(|e| failed(&e))?;
        if made {
            let _ = std::fs::remove_dir(target);
        }
        interrupted.map(|()| ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on<'a>(node: Option<&'a str>, path: &'a str) -> CpPath<'a> {
        CpPath { node, path: Path::new(path) }
    }

    #[test]
    fn both_sides_of_a_copy() {
        let cases = [
            ("a.txt", "/home/docker/b.txt", Ok((on(None, "a.txt"), on(None, "/home/docker/b.txt")))),
            ("a:b.txt", "m02:/c", Ok((on(None, "a:b.txt"), on(Some("m02"), "/c")))),
            // from a node a relative target is one of this machine
            ("minikube:/etc/hosts", "hosts", Ok((on(Some("minikube"), "/etc/hosts"), on(None, "hosts")))),
            ("./x:/y", "/z", Ok((on(None, "./x:/y"), on(None, "/z")))),
            ("a.txt", "b.txt", Err("must be an absolute Path")),
            ("a.txt", "minikube:b.txt", Err("must be an absolute Path")),
            ("", "/b", Err("Source  can not be empty")),
            ("a", "", Err("Target  can not be empty")),
        ];
        for (source, target, want) in cases {
            match (sides(source, target), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{source} {target}"),
                (Err(exit), Err(said)) => {
                    assert_eq!(exit.reason, reason::USAGE, "{source} {target}");
                    assert!(exit.what.contains(said), "{source} {target}: {}", exit.what);
                }
                (got, _) => panic!("{source} {target}: {got:?}"),
            }
        }
    }

    #[test]
    fn sudo_keeps_the_engines_address() {
        let said = |line: &str| {
            let mut shell = Command::new("/bin/sh");
            shell.env("DOCKER_HOST", "unix:///x").arg("-c").arg(format!("{SUDO}\n{line}"));
            let done = shell.output().unwrap();
            (String::from_utf8(done.stdout).unwrap(), done.status.code())
        };
        assert_eq!(said("sudo printenv DOCKER_HOST"), ("unix:///x\n".to_owned(), Some(0)));
        assert_eq!(said("sudo sh -c 'exit 7'"), (String::new(), Some(7)));
        assert_eq!(said("echo a; sudo echo \"b  c\""), ("a\nb  c\n".to_owned(), Some(0)));
    }

    #[test]
    fn a_copy_keeps_its_name_in_a_directory() {
        let there = tempfile::tempdir().unwrap();
        let inside = there.path().join("a.txt");
        let source = Path::new("/x/a.txt");
        assert_eq!(named_target(source, there.path()), inside);
        assert_eq!(named_target(source, Path::new("/none/new/")), Path::new("/none/new/a.txt"));
        assert_eq!(named_target(source, Path::new("/none/b")), Path::new("/none/b"));
    }

    #[test]
    fn what_can_not_be_mounted_is_told_with_minikubes_code() {
        let there = tempfile::tempdir().unwrap();
        let source = there.path().to_str().unwrap();
        let odd = there.path().join("a:b");
        std::fs::create_dir(&odd).unwrap();
        let odd = odd.to_str().unwrap();
        assert_eq!(mount_pair(&format!("{odd}:/c")).unwrap(), (Path::new(odd), Path::new("/c")));
        let cases = [
            ("nonsense".to_owned(), 14, "must be in form: <source directory>:<target directory>"),
            ("/none/at/all:/c".to_owned(), 35, "Cannot find directory /none/at/all for mount"),
            (format!("{source}:c"), 14, "Target directory \"c\" must be an absolute path"),
            (format!("{source}:"), 14, "must be an absolute path"),
        ];
        for (pair, code, said) in cases {
            let exit = mount_pair(&pair).unwrap_err();
            assert_eq!(exit.reason.code, code, "{pair}");
            assert!(exit.what.contains(said), "{pair}: {}", exit.what);
        }
    }
}
