//! `monopod kubectl`: becomes the kubectl of the PATH, with this profile's context where the user names none.

use super::Setting;
use crate::failures;
use anyhow::Result;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub struct Kubectl {
    /// kubectl's own words.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Kubectl {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        Err(become_kubectl(setting.paths.profile.as_str(), &self.words))
    }
}

/// Becomes the kubectl of the PATH, with the profile's context; returns only where there is none.
///
/// # Errors
/// `NO_KUBECTL`.
pub fn become_kubectl(profile: &str, words: &[OsString]) -> anyhow::Error {
    let Some(program) = find() else {
        return failures::NO_KUBECTL.because("there is no kubectl on the PATH");
    };
    let error = Command::new(program).args(with_context(profile, words)).exec();
    failures::NO_KUBECTL.because(format!("run kubectl: {error}"))
}

/// An explicit choice of the user's wins.
fn with_context(profile: &str, words: &[OsString]) -> Vec<OsString> {
    let is_choice = |word: &OsString| {
        let word = word.to_string_lossy();
        let flags = ["--context", "--cluster", "--kubeconfig"];
        flags
            .iter()
            .any(|flag| word == *flag || word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
    };
    // what comes behind `--` is a command's, not kubectl's
    let own = words.iter().take_while(|word| *word != "--");
    let context = (!words.is_empty() && !own.into_iter().any(is_choice))
        .then(|| ["--context".into(), OsString::from(profile)]);
    context.into_iter().flatten().chain(words.iter().cloned()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_of_the_profile_and_an_explicit_one() {
        let cases = [
            ("get pods", "--context p get pods"),
            ("--context=x get pods", "--context=x get pods"),
            ("get pods --kubeconfig /k", "get pods --kubeconfig /k"),
            ("exec a -- env --context=x", "--context p exec a -- env --context=x"),
            ("--contextual", "--context p --contextual"),
            ("", ""),
        ];
        for (line, want) in cases {
            let words: Vec<OsString> =
                line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
            let got = with_context("p", &words);
            let got: Vec<&str> = got.iter().filter_map(|word| word.to_str()).collect();
            assert_eq!(got.join(" "), want, "{line}");
        }
    }
}
