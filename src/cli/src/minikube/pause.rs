//! `minikube pause` and `unpause`: pods are held by the freezer, a namespace at a time. The API server goes on answering.

use super::output::{self, Mark};
use super::stop::{json_asked, say};
use super::{Outcome, Session, reason};
use crate::control_client;
use std::process::ExitCode;

/// minikube's own parts, with those of its add-ons.
const OWN: [&str; 4] = ["kube-system", "kubernetes-dashboard", "storage-gluster", "istio-operator"];

#[derive(clap::Args)]
pub(super) struct Pause {
    /// namespaces to pause
    #[arg(short, long, value_delimiter = ',', default_values = OWN)]
    namespaces: Vec<String>,
    /// If set, pause all namespaces
    #[arg(short = 'A', long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    all_namespaces: Option<String>,
    /// Format to print stdout in. Options include: [text,json]
    #[arg(short, long, default_value = "text")]
    output: String,
}

impl Pause {
    pub(super) fn pause(&self, session: &Session) -> Outcome {
        self.change(session, true)
    }

    pub(super) fn unpause(&self, session: &Session) -> Outcome {
        self.change(session, false)
    }

    fn change(&self, session: &Session, paused: bool) -> Outcome {
        let as_json = json_asked(&self.output)?;
        let names: Vec<String> = self.namespaces.iter().filter(|name| !name.is_empty()).cloned().collect();
        let all = self.all_namespaces.as_deref().is_some_and(|value| value != "false");
        if !all && names.is_empty() {
            return Err(reason::USAGE.because("Use -A to specify all namespaces"));
        }
        let (setting, _) = session.running()?;
        let (begun, mark, step, done) = match paused {
            true => ("Pausing", Mark::Paused, "Pausing", "Paused"),
            false => ("Unpausing", Mark::Paused, "Unpausing", "Unpaused"),
        };
        say(as_json, step, mark, &format!("{begun} node {} ... ", session.profile()));
        let namespaces = (!all).then(|| names.clone());
        let count = match paused {
            true => control_client::pause(&setting.paths, namespaces),
            false => control_client::unpause(&setting.paths, namespaces),
        }
        .map_err(|error| reason::of_pause(error, paused))?;
        let within = if all { String::new() } else { format!(" in: {}", names.join(", ")) };
        say(as_json, "Done", Mark::Paused, &format!("{done} {count} containers{within}"));
        if count == 0 && paused && !all && !as_json {
            output::step(Mark::Tip, "`minikube pause -A` pauses the pods of all namespaces");
        }
        Ok(ExitCode::SUCCESS)
    }
}
