//! Small commands that only say something.

use super::output::{self, Mark};
use super::{MINIKUBE_VERSION, Outcome, Session, reason};
use crate::control_client::{Presence, presence};
use crate::kubeconfig::Kubeconfig;
use clap::{Command, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Whatever flags a command of minikube has that is refused whole.
#[derive(clap::Args)]
pub(super) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<OsString>,
}

#[derive(clap::Args)]
pub(super) struct Ip {
    /// The node to get IP. Defaults to the primary control plane.
    #[arg(short, long)]
    node: Option<String>,
}

impl Ip {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let (_, status) = session.running()?;
        session.own_node(self.node.as_deref())?;
        println!("{}", status.node_ip);
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(clap::Args)]
pub(super) struct Node {
    #[command(subcommand)]
    command: Option<NodeCommand>,
}

#[derive(Subcommand)]
enum NodeCommand {
    /// List nodes.
    List,
    /// Adds a node to the given cluster.
    Add(Anything),
    /// Deletes a node from a cluster.
    Delete(Anything),
    /// Starts a node.
    Start(Anything),
    /// Stops a node in a cluster.
    Stop(Anything),
}

impl Node {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let refused = match self.command {
            // what a stopped cluster is made of is known as well; its address is only while it runs
            None => {
                return Err(reason::USAGE.because("Usage: minikube node [add|start|stop|delete|list]"));
            }
            Some(NodeCommand::List) => {
                let address = match presence(&session.existing()?.paths) {
                    Presence::Stopped => String::new(),
                    _ => session.running()?.1.node_ip.to_string(),
                };
                println!("{}\t{address}", session.profile());
                return Ok(ExitCode::SUCCESS);
            }
            Some(NodeCommand::Add(_)) => reason::GUEST_NODE,
            Some(NodeCommand::Delete(_)) => reason::GUEST_NODE_DELETE,
            Some(NodeCommand::Start(_) | NodeCommand::Stop(_)) => reason::GUEST_NODE_START,
        };
        Err(refused
            .because("there is one node, this machine: it starts and stops with the cluster")
            .advise("use `minikube start` and `minikube stop`"))
    }
}

pub(super) fn podman_env() -> Outcome {
    Err(reason::USAGE.because("there is no Podman service: containers are reached by Docker's API").advise(
        "use `minikube docker-env`; podman-remote does not speak Docker's API, the docker command does",
    ))
}

pub(super) fn no_key() -> Outcome {
    Err(reason::UNIMPLEMENTED.because("the node is this machine: there is no ssh between you and it"))
}

pub(super) fn update_context(session: &Session) -> Outcome {
    let (setting, status) = session.running()?;
    let profile = session.profile();
    let was_right = Kubeconfig::of_user().find(profile).is_ok_and(|entry| entry.server == status.api);
    crate::commands::point_kubectl(&setting)?;
    match was_right {
        true => output::step(Mark::Note, &format!("No changes required for the \"{profile}\" context")),
        false => {
            let at = status.api.trim_start_matches("https://");
            output::step(Mark::Ready, &format!("\"{profile}\" context has been updated to point to {at}"));
        }
    }
    output::step(Mark::Ready, &format!("Current context is \"{profile}\""));
    Ok(ExitCode::SUCCESS)
}

/// No other host is asked.
pub(super) fn update_check() -> Outcome {
    println!("CurrentVersion: {MINIKUBE_VERSION}");
    println!("LatestVersion: {MINIKUBE_VERSION}");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn license() -> Outcome {
    println!(
        "monopod is under the Apache License 2.0; the licences of what it is made of are in its sources, docs/DEPENDENCIES.md"
    );
    Ok(ExitCode::SUCCESS)
}

pub(super) fn options(mut command: Command) -> Outcome {
    println!("The following options can be passed to any command:\n");
    command.build();
    for arg in command.get_arguments().filter(|arg| arg.is_global_set()) {
        let long = arg.get_long().unwrap_or_default();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default = match (arg.get_default_values().first(), arg.get_num_args()) {
            (Some(default), _) => default.to_string_lossy().into_owned(),
            (None, Some(count)) if count.min_values() == 0 => "false".to_owned(),
            (None, _) => "''".to_owned(),
        };
        match arg.get_short() {
            Some(short) => println!("    -{short}, --{long}={default}: {help}"),
            None => println!("        --{long}={default}: {help}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}
