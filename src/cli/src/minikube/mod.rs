//! The program under the name `minikube`: minikube's commands, flags, variables, texts, JSON and exit codes, over the same
//! daemon.
//!
//! What a command does is done where `monopod` does it; here stands how it is asked for and told. [`arguments`] is the
//! language, [`reason`] how a refusal is told, and each command has a file. What minikube needs a machine for is accepted
//! with a line that says what it means here, or refused with minikube's own code, and never unknown.

mod addons;
mod arguments;
mod audit;
mod cache;
mod cloud_events;
mod completion;
mod config;
mod docker_env;
mod extra_config;
mod files;
mod global;
mod image;
mod image_list;
mod informative;
mod kubectl;
mod logs;
mod output;
mod pause;
mod profile;
mod reason;
mod service;
mod start;
mod start_flags;
mod start_values;
mod status;
mod stop;
mod template;
mod tunnel;
mod version;

use crate::commands::Setting;
use crate::failures;
use appliance::{Paths, ProfileName};
use arguments::{CommandLine, MinikubeCommand};
use clap::FromArgMatches;
use global::Global;
use reason::Exit;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// The release whose command line this one speaks (3 September 2026, the newest).
pub const MINIKUBE_VERSION: &str = "v1.39.0";
pub const DEFAULT_PROFILE: &str = "minikube";

/// Under which name the program was called; `kubectl` is short for `minikube kubectl --`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Minikube,
    Kubectl,
}

impl Name {
    pub fn of(program: &OsStr) -> Option<Name> {
        match Path::new(program).file_name()?.to_str()? {
            "minikube" => Some(Name::Minikube),
            "kubectl" => Some(Name::Kubectl),
            _ => None,
        }
    }
}

/// How a command ends: with its own code, or refused.
type Outcome = Result<ExitCode, Exit>;

/// Where a line for people goes: [`output::step`] or [`output::problem`].
type Tell = fn(output::Mark, &str);

/// What every command is given.
struct Session {
    global: Global,
    settings: config::Settings,
}

impl Session {
    fn profile(&self) -> &str {
        &self.global.profile
    }

    fn setting(&self) -> Result<Setting, Exit> {
        setting_of(self.profile())
    }

    /// The command with this profile, as minikube tells one to type it.
    fn typed(&self, command: &str) -> String {
        match self.profile() {
            DEFAULT_PROFILE => format!("minikube {command}"),
            profile => format!("minikube {command} -p {profile}"),
        }
    }

    /// Refuses where the profile was never started.
    fn existing(&self) -> Result<Setting, Exit> {
        self.existing_or(output::step)
    }

    fn existing_or(&self, tell: Tell) -> Result<Setting, Exit> {
        let setting = self.setting()?;
        match setting.paths.settings().try_exists() {
            Ok(true) => return Ok(setting),
            Ok(false) => {}
            // whether there is one only root may see
            Err(e) => {
                return Err(failures::NOT_ROOT.because(format!("profile {}: {e}", self.profile())).into());
            }
        }
        tell(
            output::Mark::Shrug,
            &format!(
                "Profile \"{}\" not found. Run \"minikube profile list\" to view all profiles.",
                self.profile()
            ),
        );
        self.how_to_start(tell);
        Err(Exit::silent(reason::GUEST_NOT_FOUND))
    }

    /// Refuses where it does not run.
    fn running(&self) -> Result<(Setting, appliance::ControlStatus), Exit> {
        self.running_or(output::step)
    }

    /// As [`Session::running`]; for those whose standard output is read as something else than lines for people.
    fn running_or(&self, tell: Tell) -> Result<(Setting, appliance::ControlStatus), Exit> {
        use crate::control_client::{Presence, presence};
        let setting = self.existing_or(tell)?;
        match presence(&setting.paths) {
            Presence::Running(status) => Ok((setting, *status)),
            Presence::Stopped => {
                let profile = self.profile();
                tell(
                    output::Mark::Shrug,
                    &format!("The control-plane node {profile} host is not running: state=Stopped"),
                );
                self.how_to_start(tell);
                Err(Exit::silent(reason::GUEST_NOT_RUNNING))
            }
            Presence::Broken(why) => Err(reason::CONTROL_PLANE_NOT_RUNNING.because(why)),
            Presence::Forbidden(why) => Err(failures::NOT_ROOT.because(why).into()),
        }
    }

    /// Refuses where another node is meant than the one that there is.
    fn own_node(&self, node: Option<&str>) -> Result<(), Exit> {
        match node.filter(|node| ![self.profile(), "m01", ""].contains(node)) {
            Some(node) => {
                Err(reason::GUEST_NODE_RETRIEVE
                    .because(format!("retrieving node: Could not find node {node}")))
            }
            None => Ok(()),
        }
    }

    fn how_to_start(&self, tell: Tell) {
        tell(output::Mark::Tip, &format!("To start a cluster, run: \"{}\"", self.typed("start")));
    }
}

fn setting_of(profile: &str) -> Result<Setting, Exit> {
    let name: ProfileName = profile.parse().map_err(|e| reason::USAGE.because(e))?;
    Ok(Setting { paths: Paths::in_use(&name) })
}

/// Every profile that was started, in the order of their names.
///
/// # Errors
/// `DRV_NEEDS_ROOT`: to who may not see them it is no answer that there are none.
fn profiles() -> Result<Vec<String>, Exit> {
    let found = appliance::profiles().map_err(|e| unseen("which profiles there are", &e))?;
    Ok(found.iter().map(ToString::to_string).collect())
}

/// What could not be read of the state, which only root may see.
fn unseen(what: &str, error: &std::io::Error) -> Exit {
    let why = format!("{what}: {error}");
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => failures::NOT_ROOT.because(why).into(),
        _ => reason::HOST_CONFIG.because(why),
    }
}

/// For the completions in `assets`.
#[cfg(test)]
pub fn command() -> clap::Command {
    arguments::command()
}

pub fn run(name: Name, words: Vec<OsString>) -> ExitCode {
    let words = match name {
        Name::Minikube => words,
        Name::Kubectl => {
            let kubectl = ["minikube", "kubectl", "--"].map(OsString::from);
            kubectl.into_iter().chain(words.into_iter().skip(1)).collect()
        }
    };
    let settings = config::Settings::read();
    let command = arguments::with_defaults(arguments::command(), &settings);
    let words = arguments::command_first(&words, &command).unwrap_or(words);
    let line = match command.try_get_matches_from(&words).and_then(|m| CommandLine::from_arg_matches(&m)) {
        Ok(line) => line,
        Err(error) => return arguments::report_usage(&error, &words),
    };
    let session = Session { global: line.global, settings };
    let entry = audit::Entry::begin(&session.global, &session.settings, &words);
    let outcome = dispatch(&session, line.command);
    entry.end();
    outcome.unwrap_or_else(Exit::report)
}

fn dispatch(session: &Session, command: MinikubeCommand) -> Outcome {
    if !command.stays() {
        crate::output::end_with_the_reader();
    }
    match command {
        MinikubeCommand::Start(command) => command.run(session),
        MinikubeCommand::Status(command) => command.run(session),
        MinikubeCommand::Stop(command) => command.run(session),
        MinikubeCommand::Delete(command) => command.run(session),
        MinikubeCommand::Dashboard(command) => command.run(session),
        MinikubeCommand::Service(command) => command.run(session),
        MinikubeCommand::Tunnel(command) => command.run(session),
        MinikubeCommand::Profile(command) => command.run(session),
        MinikubeCommand::Config(command) => command.run(session),
        MinikubeCommand::Addons(command) => command.run(session),
        MinikubeCommand::DockerEnv(command) => command.run(session),
        MinikubeCommand::PodmanEnv(_) => informative::podman_env(),
        MinikubeCommand::Image(command) => command.run(session),
        MinikubeCommand::Cache(command) => command.run(session),
        MinikubeCommand::Kubectl(command) => command.run(session),
        MinikubeCommand::Ssh(command) => command.run(session),
        MinikubeCommand::SshKey => informative::no_key(),
        MinikubeCommand::SshHost(_) => informative::no_key(),
        MinikubeCommand::Cp(command) => command.run(session),
        MinikubeCommand::Mount(command) => command.run(session),
        MinikubeCommand::Ip(command) => command.run(session),
        MinikubeCommand::Node(command) => command.run(session),
        MinikubeCommand::Logs(command) => command.run(session),
        MinikubeCommand::Pause(command) => command.pause(session),
        MinikubeCommand::Unpause(command) => command.unpause(session),
        MinikubeCommand::UpdateContext => informative::update_context(session),
        MinikubeCommand::UpdateCheck => informative::update_check(),
        MinikubeCommand::Version(command) => command.run(),
        MinikubeCommand::License(_) => informative::license(),
        MinikubeCommand::Options => informative::options(arguments::command()),
        MinikubeCommand::Completion(command) => command.run(arguments::command()),
    }
}

/// Runs one of `monopod`'s own commands.
fn monopod(setting: Setting, words: &[&str]) -> Outcome {
    crate::commands::run_words(setting, words).map_err(Exit::from)
}

#[cfg(test)]
mod tests {
    use super::unseen;
    use std::io::ErrorKind;

    #[test]
    fn what_only_root_may_see_is_not_taken_for_nothing() {
        for (kind, id, code) in [
            (ErrorKind::PermissionDenied, "DRV_NEEDS_ROOT", 57),
            (ErrorKind::InvalidData, "HOST_CONFIG_LOAD", 38),
        ] {
            let exit = unseen("which profiles there are", &kind.into());
            assert_eq!((exit.reason.id, exit.reason.code), (id, code));
            assert!(exit.what.contains("which profiles there are"), "{}", exit.what);
        }
    }
}
