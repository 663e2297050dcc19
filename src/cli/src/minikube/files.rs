//! `minikube ssh`, `cp` and `mount`: the node is this machine, so that a shell, a copy and a directory are this machine's.

use super::output::{self, Mark};
use super::{Outcome, Session, reason};
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
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

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
            shell.arg("-c").arg(line.join(" "));
        }
        Err(reason::INTERNAL.because(format!("run a shell: {}", shell.exec())))
    }
}

#[derive(clap::Args)]
pub(super) struct Cp {
    source: String,
    target: String,
}

impl Cp {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        session.running()?;
        let source = self.on_node(session, &self.source)?;
        let target = self.on_node(session, &self.target)?;
        let failed = |e: std::io::Error| {
            reason::GUEST_CP.because(format!("copy {} to {}: {e}", source.display(), target.display()))
        };
        let target = if target.is_dir() {
            target.join(source.file_name().unwrap_or_default())
        } else {
            target.clone()
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
        std::fs::copy(&source, &target).map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }

    /// `NODE:/path`, or a path; the node is this machine.
    fn on_node(&self, session: &Session, text: &str) -> Result<PathBuf, reason::Exit> {
        match text.split_once(':') {
            Some((node, path)) if node == session.profile() && Path::new(path).is_absolute() => Ok(path.into()),
            Some((node, path)) if node == session.profile() => Err(reason::USAGE.because(format!(
                "Target <remote file path> must be an absolute Path. Relative Path is not allowed (example: \"{node}:/home/docker/copied.txt\"), got {path:?}"
            ))),
            Some((node, _)) if !node.contains('/') && !Path::new(text).exists() => {
                Err(reason::GUEST_CP.because(format!("there is no node {node}; this machine is node {}", session.profile())))
            }
            _ => Ok(text.into()),
        }
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
        let (source, target) =
            self.pair.as_deref().and_then(|pair| pair.split_once(':')).ok_or_else(usage)?;
        let (source, target) = (Path::new(source), Path::new(target));
        if !source.is_dir() {
            return Err(
                reason::GUEST_MOUNT.because(format!("Cannot find directory {} for mount", source.display()))
            );
        }
        if !target.is_absolute() {
            return Err(reason::USAGE.because("Target directory must be an absolute path"));
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
        nix::mount::mount(
            Some(source),
            target,
            None::<&str>,
            nix::mount::MsFlags::MS_BIND | nix::mount::MsFlags::MS_REC,
            None::<&str>,
        )
        .map_err(|e| failed(&e))?;
        output::step(
            Mark::Ready,
            &format!("Successfully mounted {} to {}", source.display(), target.display()),
        );
        output::step(Mark::Note, "NOTE: This process must stay alive for the mount to be accessible ...");
        let interrupted = super::tunnel::until_interrupted();
        nix::mount::umount2(target, nix::mount::MntFlags::MNT_DETACH).map_err(|e| failed(&e))?;
        if made {
            let _ = std::fs::remove_dir(target);
        }
        interrupted.map(|()| ExitCode::SUCCESS)
    }
}
