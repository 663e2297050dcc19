//! `minikube kubectl -- …`: the kubectl of the PATH, with this cluster's context.

use super::{Outcome, Session, reason};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(clap::Args)]
pub(super) struct Kubectl {
    /// Use SSH for running kubernetes client on the node
    #[arg(long, hide = true)]
    ssh: bool,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Kubectl {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let Some(program) = find() else {
            return Err(reason::NOT_FOUND
                .because("there is no kubectl on the PATH")
                .advise("install one as https://kubernetes.io/docs/tasks/tools/#kubectl says, or from your distribution's packages"));
        };
        let mut command = Command::new(program);
        // an explicit choice of the user's wins
        let chosen = self.words.iter().any(|word| {
            let word = word.to_string_lossy();
            ["--context", "--cluster", "--kubeconfig"]
                .iter()
                .any(|flag| word == *flag || word.starts_with(&format!("{flag}=")))
        });
        // flags of plug-ins come after the plug-in's name
        if !chosen && self.words.first().is_some_and(|word| !word.to_string_lossy().starts_with("--context"))
        {
            command.args(["--context", session.profile()]);
        }
        let error = command.args(&self.words).exec();
        Err(reason::NOT_FOUND.because(format!("run kubectl: {error}")))
    }
}

/// The first on the PATH that is not this program under another name.
fn find() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?.canonicalize().ok()?;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join("kubectl"))
        .find(|candidate| is_program(candidate) && candidate.canonicalize().is_ok_and(|real| real != own))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
