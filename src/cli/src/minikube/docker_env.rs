//! `minikube docker-env`: what points a shell's docker at the engine's socket. A socket has no certificates: the variables
//! of those are taken back where they were set by a minikube of before.

use super::reason::{self, Exit};
use super::{Outcome, Session, output};
use serde_json::json;
use std::process::ExitCode;

const HOST: &str = "DOCKER_HOST";
const PROFILE: &str = "MINIKUBE_ACTIVE_DOCKERD";
/// A docker client with these asks for TLS, which a socket has not.
const OF_TLS: [&str; 2] = ["DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"];

#[derive(clap::Args)]
pub(super) struct DockerEnv {
    /// Force environment to be configured for a specified shell: [fish, cmd, powershell, tcsh, bash, zsh], default is
    /// auto-detect
    #[arg(long, default_value = "")]
    shell: String,
    /// One of 'text', 'yaml' or 'json'.
    #[arg(short, long, default_value = "")]
    output: String,
    /// Unset variables instead of setting them
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    unset: Option<String>,
    /// Use SSH connection instead of HTTPS (port 2376).
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ssh_host: Option<String>,
    /// Add SSH identity key to SSH authentication agent.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ssh_add: Option<String>,
    /// Add machine IP to NO_PROXY environment variable
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_proxy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Posix,
    Fish,
    PowerShell,
    Cmd,
    Tcsh,
    Emacs,
    /// `NAME=VALUE`, for programs.
    None,
}

impl Syntax {
    fn named(name: &str) -> Option<Syntax> {
        Some(match name {
            "bash" | "sh" | "zsh" | "ksh" | "dash" => Syntax::Posix,
            "fish" => Syntax::Fish,
            "powershell" | "pwsh" => Syntax::PowerShell,
            "cmd" => Syntax::Cmd,
            "tcsh" | "csh" => Syntax::Tcsh,
            "emacs" => Syntax::Emacs,
            "none" => Syntax::None,
            _ => return None,
        })
    }

    fn set(self, name: &str, value: &str) -> String {
        match self {
            Syntax::Posix => format!("export {name}={}", double_quoted(value)),
            Syntax::Fish => format!("set -gx {name} {};", double_quoted(value)),
            Syntax::PowerShell => format!("$Env:{name} = \"{}\"", escaped(value, '`', &['"', '`', '$'])),
            Syntax::Cmd => format!("SET {name}={value}"),
            Syntax::Tcsh => format!("setenv {name} {};", double_quoted(value)),
            Syntax::Emacs => format!("(setenv {} {})", double_quoted(name), double_quoted(value)),
            Syntax::None => format!("{name}={value}"),
        }
    }

    fn unset(self, name: &str) -> String {
        match self {
            Syntax::Posix => format!("unset {name};"),
            Syntax::Fish => format!("set -e {name};"),
            Syntax::PowerShell => format!("Remove-Item -ErrorAction SilentlyContinue Env:\\\\{name}"),
            Syntax::Cmd => format!("SET {name}="),
            Syntax::Tcsh => format!("unsetenv {name};"),
            Syntax::Emacs => format!("(setenv {} nil)", double_quoted(name)),
            Syntax::None => name.to_owned(),
        }
    }

    fn hint(self, command: &str) -> Option<String> {
        let (comment, line) = match self {
            Syntax::Posix => ("#", format!("eval $({command})")),
            Syntax::Fish => ("#", format!("{command} | source")),
            Syntax::PowerShell => ("#", format!("& {command} --shell powershell | Invoke-Expression")),
            Syntax::Cmd => ("REM", format!("@FOR /f \"tokens=*\" %i IN ('{command} --shell cmd') DO @%i")),
            // its eval makes one line of all: what is a comment elsewhere is a quoted word of the command that does nothing
            Syntax::Tcsh => {
                let hint = "To point your shell to minikube's docker-daemon, run:";
                return Some(format!(": \"{hint}\";\n: 'eval `{command}`';"));
            }
            Syntax::Emacs => (
                ";;",
                format!(
                    "(with-temp-buffer (shell-command \"{command} --shell emacs\" (current-buffer)) (eval-buffer))"
                ),
            ),
            Syntax::None => return None,
        };
        Some(format!("{comment} To point your shell to minikube's docker-daemon, run:\n{comment} {line}"))
    }
}

/// Paths of sockets have no such letters; an odd one is still one word.
fn double_quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text, '\\', &['"', '\\', '$', '`']))
}

fn escaped(text: &str, by: char, which: &[char]) -> String {
    text.chars().flat_map(|c| which.contains(&c).then_some(by).into_iter().chain([c])).collect()
}

impl DockerEnv {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let shell = self.wanted_shell()?;
        let is = |flag: &Option<String>| flag.as_deref().is_some_and(|value| value != "false");
        if is(&self.unset) {
            for name in [OF_TLS[0], HOST, OF_TLS[1], PROFILE] {
                println!("{}", shell.unset(name));
            }
            return Ok(ExitCode::SUCCESS);
        }
        if is(&self.ssh_host) {
            return Err(reason::USAGE
                .because("--ssh-host: the engine's socket is on this machine, and needs no connection"));
        }
        // a shell evaluates what comes, and takes a line's mark for the names of all files
        let (setting, _) = session.running_or(output::problem)?;
        let host = format!("unix://{}", setting.paths.docker_socket().display());
        let profile = session.profile();
        match self.output.as_str() {
            "" | "text" => {
                for name in OF_TLS.iter().filter(|name| std::env::var_os(name).is_some()) {
                    println!("{}", shell.unset(name));
                }
                println!("{}", shell.set(HOST, &host));
                println!("{}", shell.set(PROFILE, profile));
                if let Some(hint) = shell.hint(&format!("minikube -p {profile} docker-env")) {
                    println!("\n{hint}");
                }
            }
            "json" => println!("{}", json!({HOST: host, PROFILE: profile})),
            "yaml" => println!("{HOST}: {host}\n{PROFILE}: {profile}"),
            other => {
                return Err(reason::USAGE.because(format!(
                    "error: invalid output format {other:?}: must be 'text', 'yaml' or 'json'"
                )));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn wanted_shell(&self) -> Result<Syntax, Exit> {
        let asked = match self.shell.as_str() {
            "" => {
                std::env::var("SHELL").unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
            }
            asked => asked.to_owned(),
        };
        match (Syntax::named(&asked), self.shell.is_empty()) {
            (Some(shell), _) => Ok(shell),
            (None, true) => Ok(Syntax::Posix),
            (None, false) => Err(reason::USAGE.because(format!("unknown shell {asked:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_sets_and_unsets_in_its_own_words() {
        let cases = [
            (Syntax::Posix, "export A=\"b\"", "unset A;"),
            (Syntax::Fish, "set -gx A \"b\";", "set -e A;"),
            (Syntax::PowerShell, "$Env:A = \"b\"", "Remove-Item -ErrorAction SilentlyContinue Env:\\\\A"),
            (Syntax::Cmd, "SET A=b", "SET A="),
            (Syntax::Tcsh, "setenv A \"b\";", "unsetenv A;"),
            (Syntax::None, "A=b", "A"),
        ];
        for (shell, set, unset) in cases {
            assert_eq!((shell.set("A", "b").as_str(), shell.unset("A").as_str()), (set, unset), "{shell:?}");
        }
        assert_eq!(Syntax::Posix.set("A", "$(x)\""), "export A=\"\\$(x)\\\"\"");
        assert_eq!(Syntax::PowerShell.set("A", "$(x)`\""), "$Env:A = \"`$(x)```\"\"");
    }
}
