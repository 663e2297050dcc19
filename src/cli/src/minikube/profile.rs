//! `minikube profile`: which cluster the other commands mean, and kubectl with them.

use super::output::{self, Mark};
use super::{Outcome, Session, profiles, reason, setting_of};
use crate::control_client::{Presence, presence};
use crate::kubeconfig::Kubeconfig;
use clap::Subcommand;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What minikube says where there is none.
const NO_KUBERNETES: &str = "v0.0.0";
/// The status of a profile that was not asked how it is: `--light`.
const NOT_ASKED: &str = "Skipped";

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Profile {
    #[command(subcommand)]
    command: Option<ProfileCommand>,
    /// The profile to make current.
    name: Option<String>,
}

#[derive(Subcommand)]
enum ProfileCommand {
    /// Lists all minikube profiles.
    List {
        /// The output format. One of 'json', 'table'
        #[arg(short, long, default_value = "table")]
        output: String,
        /// If true, returns list of profiles faster by skipping validating the status of the cluster.
        #[arg(short, long)]
        light: bool,
        /// If true, returns a detailed list of profiles.
        #[arg(short, long)]
        detailed: bool,
    },
}

impl Profile {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        if let Some(ProfileCommand::List { output, light, .. }) = &self.command {
            return list(session, output, *light);
        }
        let Some(name) = self.name.as_deref() else {
            println!("{}", session.profile());
            return Ok(ExitCode::SUCCESS);
        };
        let name = if name == "default" { super::DEFAULT_PROFILE } else { name };
        setting_of(name)?;
        if !profiles()?.iter().any(|known| known == name) {
            output::problem(
                Mark::Tip,
                &format!("if you want to create a profile you can by this command: minikube start -p {name}"),
            );
            return Ok(ExitCode::SUCCESS);
        }
        session.settings.clone().set("profile", name.into())?;
        let user = Kubeconfig::of_user();
        if let Err(error) = user.find(name).and_then(|_| user.use_context(name)) {
            output::problem(
                Mark::Warning,
                &format!("Error while setting kubectl current context :  {error:#}"),
            );
        }
        output::step(Mark::Ready, &format!("minikube profile was successfully set to {name}"));
        Ok(ExitCode::SUCCESS)
    }
}

fn list(session: &Session, output: &str, light: bool) -> Outcome {
    let valid: Vec<Value> = profiles()?.iter().map(|name| described(session, name, light)).collect();
    match output.to_lowercase().as_str() {
        "json" => println!("{}", json!({"invalid": [], "valid": valid})),
        "table" => {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let mark =
                |value: &Value| if value == &Value::Bool(true) { "*".to_owned() } else { String::new() };
            let rows: Vec<Vec<String>> = valid
                .iter()
                .map(|profile| {
                    let node = &profile["Config"]["Nodes"][0];
                    vec![
                        text(&profile["Name"]),
                        text(&profile["Config"]["Driver"]),
                        text(&profile["Config"]["KubernetesConfig"]["ContainerRuntime"]),
                        text(&node["IP"]),
                        text(&node["KubernetesVersion"]),
                        text(&profile["Status"]),
                        "1".to_owned(),
                        mark(&profile["Active"]),
                        mark(&profile["ActiveKubeContext"]),
                    ]
                })
                .collect();
            if rows.is_empty() {
                return Err(reason::USAGE_NO_PROFILE
                    .because("No minikube profile was found.")
                    .advise("You can create one using 'minikube start'."));
            }
            output::boxed_table(
                &[
                    "PROFILE",
                    "DRIVER",
                    "RUNTIME",
                    "IP",
                    "VERSION",
                    "STATUS",
                    "NODES",
                    "ACTIVE PROFILE",
                    "ACTIVE KUBECONTEXT",
                ],
                &rows,
            );
        }
        other => {
            return Err(reason::USAGE
                .because(format!("invalid output format: {other}. Valid values: 'table', 'json'")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What Skaffold and others compare a kubeconfig's server with.
fn described(session: &Session, name: &str, light: bool) -> Value {
    let setting = setting_of(name).ok();
    let presence = setting.as_ref().map(|setting| presence(&setting.paths));
    let word = if light { NOT_ASKED } else { status_word(presence.as_ref()) };
    let ip = match &presence {
        Some(Presence::Running(status)) => status.node_ip.to_string(),
        _ => String::new(),
    };
    let stored: Value = setting
        .as_ref()
        .and_then(|setting| std::fs::read(setting.paths.settings()).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let port = stored["api_port"].as_u64().unwrap_or(8443);
    let kubernetes = match stored["kubernetes"].as_bool() {
        Some(false) => NO_KUBERNETES,
        _ => appliance::KUBERNETES,
    };
    let current = Kubeconfig::of_user().current_context();
    json!({
        "Name": name,
        "Status": word,
        "Config": {
            "Name": name,
            "Driver": "none",
            "APIServerPort": port,
            "KubernetesConfig": {
                "KubernetesVersion": kubernetes, "ClusterName": name, "ContainerRuntime": "docker",
                "APIServerName": "minikubeCA", "NetworkPlugin": "cni", "ServiceCIDR": stored["service_cidr"],
            },
            "Nodes": [{
                "Name": "", "IP": ip, "Port": port, "KubernetesVersion": kubernetes,
                "ContainerRuntime": "docker", "ControlPlane": true, "Worker": true,
            }],
        },
        "Active": session.profile() == name,
        "ActiveKubeContext": current.as_deref() == Some(name),
    })
}

/// As `minikube status` has it for the whole cluster.
fn status_word(presence: Option<&Presence>) -> &'static str {
    match presence {
        Some(Presence::Running(status)) => match &status.paused {
            Some(paused) if super::status::pauses_cluster(paused) => "Paused",
            _ => "OK",
        },
        Some(Presence::Stopped) => "Stopped",
        Some(Presence::Broken(_)) => "Error",
        Some(Presence::Forbidden(_)) | None => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_asked_is_neither_stopped_nor_well() {
        let cases = [
            (Some(Presence::Stopped), "Stopped"),
            (Some(Presence::Broken("it hangs".to_owned())), "Error"),
            (Some(Presence::Forbidden("only root".to_owned())), "Unknown"),
            (None, "Unknown"),
        ];
        for (presence, want) in cases {
            assert_eq!(status_word(presence.as_ref()), want);
        }
    }
}
