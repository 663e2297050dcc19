//! The commands. To add one: its file, one `mod` line, one variant and one arm.

mod addons;
mod check;
mod completion;
mod daemon_process;
mod dashboard;
mod datastore;
mod delete;
mod demo;
mod docker_env;
mod image;
mod ip;
mod kubectl;
mod logs;
#[cfg(test)]
mod pages;
mod pause;
pub(crate) mod service;
mod shim;
mod start;
mod status;
mod stop;
mod update_context;
mod upgrade;
mod version;

use crate::output::{self, Format};
use anyhow::Result;
use appliance::{Paths, ProfileName};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Kubernetes and a Docker engine for this machine, in one process.
#[derive(Parser)]
#[command(name = "monopod", version, disable_help_subcommand = false, max_term_width = 100)]
pub struct CommandLine {
    /// Which cluster: everything on disk and in the kernel is named by it.
    #[arg(short, long, global = true, default_value = "monopod", env = "MONOPOD_PROFILE")]
    profile: ProfileName,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the cluster, and point kubectl at it.
    Start(Box<start::Start>),
    /// Stop the cluster; everything is there again after the next start.
    Stop(stop::Stop),
    /// Hold pods where they are, by the freezer, until `unpause` or the next `start`.
    Pause(pause::Pause),
    /// Let them go on.
    Unpause(pause::Unpause),
    /// Say whether the cluster runs (exit code 0), is stopped (3), broken (4) or paused (5).
    Status(status::Status),
    /// Remove the cluster and everything that it made.
    Delete(delete::Delete),
    /// Print where a service can be reached, and open it.
    Service(service::Service),
    /// Open the dashboard.
    Dashboard(dashboard::Dashboard),
    /// Take the tour: a ReplicationController, a service with an address, three pods, one replaced.
    Demo(demo::Demo),
    /// Print what points the docker command at this cluster: `eval $(monopod docker-env)`.
    DockerEnv(docker_env::DockerEnv),
    /// Manage the images that pods and containers are made of.
    Image(image::Image),
    /// Apply, remember and remove manifests of your own.
    Addons(addons::Addons),
    /// Move the cluster's state into an etcd cluster, or back into a file.
    Datastore(datastore::Datastore),
    /// Run the kubectl of the PATH with this cluster's context: `monopod kubectl get pods`.
    Kubectl(kubectl::Kubectl),
    /// Print the node's address.
    Ip(ip::Ip),
    /// Print what the daemon said.
    Logs(logs::Logs),
    /// Put the cluster's context into the kubeconfig again.
    UpdateContext(update_context::UpdateContext),
    /// Look at this machine, and say what is missing and how to get it; ends with 0 where a cluster can be started.
    Check(check::Check),
    /// Put a new program into the place of this one, under running pods.
    Upgrade(upgrade::Upgrade),
    /// Print the version.
    Version(version::Version),
    /// Print a completion script for a shell.
    Completion(completion::Completion),
    /// The process beside each pod; the daemon starts it.
    #[command(hide = true)]
    Shim(shim::Shim),
}

impl Command {
    /// Whether it stays, and talks to others that may break off.
    fn serves(&self) -> bool {
        match self {
            Command::Start(start) => start.foreground,
            Command::Shim(_) | Command::Kubectl(_) => true,
            _ => false,
        }
    }
}

/// What every command is given.
pub struct Setting {
    pub paths: Paths,
}

impl Setting {
    /// The program as it is typed for this profile: `monopod`, `monopod -p other`.
    pub fn typed(&self) -> String {
        typed(&self.paths.profile)
    }
}

fn typed(profile: &ProfileName) -> String {
    match *profile == ProfileName::default() {
        true => "monopod".to_owned(),
        false => format!("monopod -p {profile}"),
    }
}

impl CommandLine {
    /// As [`Setting::typed`].
    pub fn typed(&self) -> String {
        typed(&self.profile)
    }
}

/// # Errors
/// A row of [`crate::failures`], or what nobody foresaw.
pub fn run(line: CommandLine) -> Result<ExitCode> {
    let setting = Setting { paths: Paths::in_use(&line.profile) };
    if !line.command.serves() {
        output::end_with_the_reader();
    }
    match line.command {
        Command::Start(command) => command.run(&setting),
        Command::Stop(command) => command.run(&setting),
        Command::Pause(command) => command.run(&setting),
        Command::Unpause(command) => command.run(&setting),
        Command::Status(command) => command.run(&setting),
        Command::Delete(command) => command.run(&setting),
        Command::Service(command) => command.run(&setting),
        Command::Dashboard(command) => command.run(&setting),
        Command::Demo(command) => command.run(&setting),
        Command::DockerEnv(command) => command.run(&setting),
        Command::Image(command) => command.run(&setting),
        Command::Addons(command) => command.run(&setting),
        Command::Datastore(command) => command.run(&setting),
        Command::Kubectl(command) => command.run(&setting),
        Command::Ip(command) => command.run(&setting),
        Command::Logs(command) => command.run(&setting),
        Command::UpdateContext(command) => command.run(&setting),
        Command::Check(command) => command.run(&setting),
        Command::Upgrade(command) => command.run(&setting),
        Command::Version(command) => command.run(&setting),
        Command::Completion(command) => command.run(),
        Command::Shim(command) => command.run(),
    }
}

/// Runs a command as if it had been typed after `monopod -p PROFILE`.
///
/// # Errors
/// As [`run`].
pub fn run_words(setting: Setting, words: &[&str]) -> Result<ExitCode> {
    let profile = setting.paths.profile.to_string();
    let line = ["monopod", "-p", &profile].into_iter().chain(words.iter().copied());
    run(CommandLine::try_parse_from(line)?)
}

pub use addons::{disable as disable_addon, enable as enable_addon, is_place, name_of as addon_name};
pub use delete::delete_quietly;
pub use kubectl::become_kubectl;
pub use start::start_quietly;
pub use update_context::point_kubectl;

/// `-o json`, for commands that a machine may read.
#[derive(clap::Args)]
pub struct OutputArgument {
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}
