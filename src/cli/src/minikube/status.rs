//! `minikube status`: text, JSON or a template, and an exit code that is a mask.

use super::reason;
use super::template;
use super::{Outcome, Session};
use crate::control_client::{Presence, presence};
use crate::kubeconfig::Kubeconfig;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

const HOST_DOWN: u8 = 1;
const CLUSTER_DOWN: u8 = 2;
const KUBECONFIG_WRONG: u8 = 4;

#[derive(clap::Args)]
pub(super) struct Status {
    /// Go template format string for the status output
    #[arg(short, long)]
    format: Option<String>,
    /// minikube status --output OUTPUT. json, text
    #[arg(short, long, default_value = "text")]
    output: String,
    /// output layout (JSON only): 'nodes' or 'cluster'
    #[arg(short, long, default_value = "nodes")]
    layout: String,
    /// The node to check status for
    #[arg(short, long)]
    node: Option<String>,
    /// Continuously listing/getting the status with optional interval duration
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "1s")]
    watch: Option<String>,
}

/// minikube's own words for each part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    name: String,
    host: &'static str,
    kubelet: &'static str,
    apiserver: &'static str,
    kubeconfig: &'static str,
    docker_env: bool,
    time_to_stop: String,
}

impl Status {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let output = self.output.to_lowercase();
        if output != "text" && self.format.is_some() {
            return Err(reason::USAGE.because("Cannot use both --output and --format options"));
        }
        if !matches!(output.as_str(), "text" | "json") {
            return Err(reason::USAGE
                .because(format!("invalid output format: {output}. Valid values: 'text', 'json'")));
        }
        session.existing()?;
        session.own_node(self.node.as_deref())?;
        let every = self.watch.as_deref().map(|text| {
            let asked = durations::parse_unsigned(text).filter(|every| !every.is_zero());
            asked.unwrap_or(Duration::from_secs(1))
        });
        loop {
            let state = state_of(session)?;
            match output.as_str() {
                "json" if self.layout == "cluster" => print!("{}", state.cluster()),
                "json" => print!("{}", state.node()),
                _ => {
                    let text = state.text(self.format.as_deref());
                    let failed = |e: String| reason::STATUS_TEXT.because(format!("status text failure: {e}"));
                    print!("{}", text.map_err(failed)?)
                }
            }
            let Some(every) = every else { return Ok(ExitCode::from(state.mask())) };
            use std::io::Write;
            let _ = std::io::stdout().flush();
            std::thread::sleep(every);
        }
    }
}

fn state_of(session: &Session) -> Result<State, reason::Exit> {
    let setting = session.setting()?;
    let name = session.profile().to_owned();
    let docker_env = std::env::var("DOCKER_HOST").is_ok_and(|host| {
        host.trim_start_matches("unix://") == setting.paths.docker_socket().to_string_lossy()
    });
    let all = |word: &'static str, kubeconfig: &'static str| State {
        name: name.clone(),
        host: word,
        kubelet: word,
        apiserver: word,
        kubeconfig,
        docker_env,
        time_to_stop: String::new(),
    };
    Ok(match presence(&setting.paths) {
        Presence::Running(status) => {
            let mut state = all("Running", "Configured");
            state.time_to_stop = status.stops_at.map(crate::duration::until).unwrap_or_default();
            if status.without_kubernetes {
                (state.kubelet, state.apiserver) = ("Stopped", "Stopped");
                return Ok(state);
            }
            if !Kubeconfig::of_user().find(&name).is_ok_and(|entry| entry.server == status.api) {
                state.kubeconfig = "Misconfigured";
            }
            if !status.ready {
                state.kubelet = "Starting";
            }
            if let Some(paused) = &status.paused {
                state.kubelet = "Stopped";
                if pauses_cluster(paused) {
                    state.apiserver = "Paused";
                }
            }
            state
        }
        Presence::Stopped => all("Stopped", "Stopped"),
        Presence::Forbidden(why) => return Err(crate::failures::NOT_ROOT.because(why).into()),
        Presence::Broken(_) => State { host: "Running", ..all("Error", "Configured") },
    })
}

/// minikube freezes the API server together with the pods of its own namespace.
pub(super) fn pauses_cluster(paused: &appliance::Paused) -> bool {
    paused.holds("kube-system")
}

impl State {
    fn field(&self, name: &str) -> Option<String> {
        let text = match name {
            "Name" => &self.name,
            "Host" => self.host,
            "Kubelet" => self.kubelet,
            "APIServer" => self.apiserver,
            "Kubeconfig" => self.kubeconfig,
            "Worker" => "false",
            "TimeToStop" => &self.time_to_stop,
            "PodManEnv" => "",
            "DockerEnv" => self.docker_word(),
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn docker_word(&self) -> &'static str {
        if self.docker_env { "in-use" } else { "" }
    }

    fn text(&self, format: Option<&str>) -> Result<String, String> {
        if let Some(format) = format {
            return template::render(format, |name| self.field(name));
        }
        let mut text = format!(
            "{}\ntype: Control Plane\nhost: {}\nkubelet: {}\napiserver: {}\nkubeconfig: {}\n",
            self.name, self.host, self.kubelet, self.apiserver, self.kubeconfig
        );
        if !self.time_to_stop.is_empty() {
            text.push_str(&format!("timeToStop: {}\n", self.time_to_stop));
        }
        if self.docker_env {
            text.push_str("docker-env: in-use\n");
        }
        text.push('\n');
        if self.kubeconfig == "Misconfigured" {
            text.push_str(
                "\nWARNING: Your kubectl is pointing to stale minikube-vm.\nTo fix the kubectl context, run `minikube update-context`\n",
            );
        }
        Ok(text)
    }

    fn node(&self) -> Value {
        let mut node = json!({
            "Name": self.name, "Host": self.host, "Kubelet": self.kubelet, "APIServer": self.apiserver,
            "Kubeconfig": self.kubeconfig, "Worker": false,
        });
        if !self.time_to_stop.is_empty() {
            node["TimeToStop"] = self.time_to_stop.clone().into();
        }
        if self.docker_env {
            node["DockerEnv"] = self.docker_word().into();
        }
        node
    }

    /// The codes are those of `pkg/minikube/cluster`: as HTTP has them where it has one.
    fn cluster(&self) -> Value {
        let code = |word: &str| match word {
            "Running" | "Configured" => (200, "OK"),
            "Starting" => (100, "Starting"),
            "Stopped" => (405, "Stopped"),
            "Paused" => (418, "Paused"),
            "Misconfigured" => (400, "Misconfigured"),
            _ => (500, "Error"),
        };
        let component = |name: &str, word: &str| {
            let (code, said) = code(word);
            json!({"Name": name, "StatusCode": code, "StatusName": said})
        };
        let (whole, said) = match (self.host, self.apiserver) {
            ("Running", word) => code(word),
            (word, _) => code(word),
        };
        json!({
            "Name": self.name, "StatusCode": whole, "StatusName": said,
            "Step": "Done", "StepDetail": "", "BinaryVersion": super::MINIKUBE_VERSION,
            "Components": {"kubeconfig": component("kubeconfig", self.kubeconfig)},
            "Nodes": [{
                "Name": self.name, "StatusCode": code(self.host).0, "StatusName": code(self.host).1,
                "Components": {"apiserver": component("apiserver", self.apiserver), "kubelet": component("kubelet", self.kubelet)},
            }],
        })
    }

    fn mask(&self) -> u8 {
        let mut mask = 0;
        if self.host != "Running" {
            mask |= HOST_DOWN;
        }
        if self.apiserver != "Running" || self.kubelet != "Running" {
            mask |= CLUSTER_DOWN;
        }
        if self.kubeconfig != "Configured" {
            mask |= KUBECONFIG_WRONG;
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(word: &'static str, kubeconfig: &'static str) -> State {
        State {
            name: "minikube".into(),
            host: word,
            kubelet: word,
            apiserver: word,
            kubeconfig,
            docker_env: false,
            time_to_stop: String::new(),
        }
    }

    #[test]
    fn the_exit_code_is_a_mask() {
        for (state, want) in [
            (state("Running", "Configured"), 0),
            (state("Running", "Misconfigured"), 4),
            (state("Stopped", "Stopped"), 7),
            (State { apiserver: "Paused", ..state("Running", "Configured") }, 2),
        ] {
            assert_eq!(state.mask(), want, "{state:?}");
        }
    }

    #[test]
    fn as_scripts_read_it() {
        let running = state("Running", "Configured");
        assert_eq!(
            running.text(None).unwrap(),
            "minikube\ntype: Control Plane\nhost: Running\nkubelet: Running\napiserver: Running\nkubeconfig: Configured\n\n"
        );
        assert_eq!(running.text(Some("{{.Host}}")).unwrap(), "Running");
        assert_eq!(
            running.node(),
            json!({"Name": "minikube", "Host": "Running", "Kubelet": "Running", "APIServer": "Running", "Kubeconfig": "Configured", "Worker": false})
        );
        assert_eq!(running.cluster()["StatusCode"], 200);
        assert_eq!(state("Stopped", "Stopped").cluster()["StatusCode"], 405);
        assert_eq!(State { apiserver: "Paused", ..running }.cluster()["StatusCode"], 418);
    }
}
