//! `minikube start`.

use super::extra_config::ExtraConfig;
use super::output::{self, Mark};
use super::reason::{self, Exit};
use super::start_flags::StartFlags;
use super::{MINIKUBE_VERSION, Outcome, Session, start_values};
use crate::kubeconfig::Kubeconfig;
use serde_json::json;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Start {
    #[command(flatten)]
    flags: StartFlags,
}

const STEPS: u8 = 3;

impl Start {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let as_json = match self.flags.text("output").unwrap_or("text") {
            "text" => false,
            "json" => true,
            other => {
                return Err(reason::USAGE.because(format!(
                    "Sorry, please set the --output flag to one of the following valid options: [text,json] (got {other})"
                )));
            }
        };
        let told = Told { as_json };
        match self.start(session, &told) {
            Ok(code) => Ok(code),
            Err(exit) if as_json => {
                told.error(&exit);
                Err(Exit::silent(exit.reason))
            }
            Err(exit) => Err(exit),
        }
    }

    fn start(&self, session: &Session, told: &Told) -> Outcome {
        let profile = session.profile();
        told.step(
            0,
            "Initial Minikube Setup",
            Mark::Happy,
            &format!("minikube {MINIKUBE_VERSION} on {}", machine()),
        );
        start_values::check_types(&self.flags)?;
        start_values::check_machine(&self.flags, |exit| {
            told.line(Mark::Warning, &format!("{}: {}", exit.reason.id, exit.what))
        })?;
        check_version(self.flags.text("kubernetes-version"))?;
        self.check_shape()?;
        let extra_config = ExtraConfig::parse(self.flags.all("extra-config"))?;
        for line in self.flags.meanings().into_iter().chain(extra_config.note()) {
            told.note(&line);
        }
        if let Some(line) = start_values::unmounted(&self.flags) {
            told.line(Mark::Warning, &line);
        }
        self.check_kubernetes()?;
        if self.flags.is_set("dry-run") {
            told.note("dry-run validation complete!");
            return Ok(ExitCode::SUCCESS);
        }
        if self.flags.is_set("download-only") {
            told.note("there is nothing to download: Kubernetes is this program");
            return Ok(ExitCode::SUCCESS);
        }
        told.step(
            1,
            "Starting Node",
            Mark::Ready,
            &match self.flags.is_set("no-kubernetes") {
                true => format!("Starting minikube without Kubernetes in cluster {profile}"),
                false => {
                    format!("Starting \"{profile}\" primary control-plane node in \"{profile}\" cluster")
                }
            },
        );
        let words = self.monopod_words(&extra_config);
        let has_context = crate::commands::start_quietly(session.setting()?, &words, |what| {
            told.note(&what.replace("monopod update-context", "minikube update-context"))
        })?;
        for addon in self.flags.all("addons").iter().filter(|addon| !addon.is_empty()) {
            // the cluster is there, and minikube ends no start for an add-on
            if let Err(exit) = super::addons::enable(session, addon, &|mark, line| told.line(mark, line)) {
                told.line(Mark::Warning, &format!("Enabling '{addon}' returned an error: {}", exit.what));
                if let Some(advice) = &exit.advice {
                    told.line(Mark::Tip, advice);
                }
            }
        }
        if crate::control_client::status(&session.setting()?.paths)?.without_kubernetes {
            told.step(2, "Done", Mark::Ready, "Done! minikube is ready without Kubernetes!");
            told.line(Mark::Tip, &format!("eval $({})", session.typed("docker-env")));
            return Ok(ExitCode::SUCCESS);
        }
        let user = Kubeconfig::of_user();
        if let Some(namespace) = self.namespace().filter(|_| has_context) {
            user.use_namespace(profile, namespace)?;
        }
        let context = if !has_context {
            "minikube is ready, and your kubeconfig has no context for it".to_owned()
        } else if self.flags.is_set("keep-context") {
            "the context is there beside yours".to_owned()
        } else {
            format!(
                "kubectl is now configured to use \"{profile}\" cluster and \"{}\" namespace by default",
                user.namespace(profile)
            )
        };
        told.step(2, "Done", Mark::Ready, &format!("Done! {context}"));
        Ok(ExitCode::SUCCESS)
    }

    /// What the context is to be about from now on; without a word of it that stays as it is.
    fn namespace(&self) -> Option<&str> {
        self.flags.text("namespace").map(|namespace| if namespace.is_empty() { "default" } else { namespace })
    }

    /// A version of what is not to be there is a mistake.
    fn check_kubernetes(&self) -> Result<(), Exit> {
        let version = self.flags.text("kubernetes-version").unwrap_or_default();
        match self.flags.is_set("no-kubernetes") && !version.is_empty() {
            true => Err(reason::USAGE
                .because("cannot specify --kubernetes-version with --no-kubernetes")
                .advise("to unset a global config run: minikube config unset kubernetes-version")),
            false => Ok(()),
        }
    }

    /// One node, and no device that can not be given.
    fn check_shape(&self) -> Result<(), Exit> {
        // none, or fewer, is one as well, as minikube counts
        if self.flags.text("nodes").and_then(|nodes| nodes.parse::<i64>().ok()).is_some_and(|nodes| nodes > 1)
        {
            return Err(reason::GUEST_NODE
                .because("there is one node: this machine")
                .advise("leave --nodes out, or say --nodes=1: all pods run on this one"));
        }
        if self.flags.is_set("ha") {
            return Err(
                reason::USAGE.because("--ha: there is one node, this machine, and one control plane on it")
            );
        }
        match self.flags.text("gpus").unwrap_or_default() {
            "" | "none" => Ok(()),
            _ => Err(reason::USAGE.because("The gpus flag can only be used where devices are given to pods, which this program does not do yet")),
        }
    }

    /// The same start as `monopod` is told of it.
    fn monopod_words(&self, extra_config: &ExtraConfig) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(port) = self.flags.text("apiserver-port") {
            words.extend(["--apiserver-port".to_owned(), port.to_owned()]);
        }
        for flag in ["apiserver-name", "apiserver-names", "apiserver-ips"] {
            for name in self.flags.all(flag).iter().filter(|name| !name.is_empty()) {
                words.extend(["--apiserver-name".to_owned(), name.clone()]);
            }
        }
        for host in self.flags.all("insecure-registry") {
            words.extend(["--insecure-registry".to_owned(), host.clone()]);
        }
        for url in self.flags.all("registry-mirror") {
            words.extend(["--registry-mirror".to_owned(), url.clone()]);
        }
        if let Some(most) = extra_config.max_pods {
            words.extend(["--max-pods".to_owned(), most.to_string()]);
        }
        match (self.flags.text("no-kubernetes"), self.flags.text("kubernetes-version")) {
            (Some(_), _) => words.push(format!("--no-kubernetes={}", self.flags.is_set("no-kubernetes"))),
            // as minikube brings it back
            (None, Some(_)) => words.push("--no-kubernetes=false".to_owned()),
            (None, None) => {}
        }
        if self.flags.is_set("keep-context") {
            words.push("--keep-context".to_owned());
        }
        words
    }
}

fn machine() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned()).unwrap_or_default()
    };
    match (of("NAME").split(' ').next().unwrap_or_default(), of("VERSION_ID")) {
        ("", _) => "Linux".to_owned(),
        (name, version) => format!("{name} {version}"),
    }
}

/// The version that is served, whatever its patch; `stable` and `latest` are it.
fn check_version(asked: Option<&str>) -> Result<(), Exit> {
    let Some(asked) = asked else { return Ok(()) };
    if matches!(asked.to_lowercase().as_str(), "stable" | "latest" | "newest" | "default" | "") {
        return Ok(());
    }
    let parse = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.trim_start_matches('v').split(['.', '-', '+']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let served = appliance::KUBERNETES;
    match (parse(asked), parse(served)) {
        (Some(wanted), Some(own)) if wanted == own => Ok(()),
        (Some(wanted), Some(own)) if wanted < own => Err(reason::KUBERNETES_OLD
            .because(format!("Kubernetes {asked} is not supported by this release; it serves {served}"))
            .advise(format!("leave --kubernetes-version out, or say --kubernetes-version={served}"))),
        (Some(_), _) => Err(reason::KUBERNETES_NEW
            .because(format!("Kubernetes {asked} is newer than what this release serves, {served}"))
            .advise(format!("leave --kubernetes-version out, or say --kubernetes-version={served}"))),
        (None, _) => Err(reason::USAGE
            .because(format!("Unable to parse \"{asked}\": No Major.Minor.Patch elements found"))
            .advise(format!("a version looks like {served}"))),
    }
}

/// How a start is told: lines, or a CloudEvent a line.
struct Told {
    as_json: bool,
}

impl Told {
    fn step(&self, current: u8, name: &str, mark: Mark, line: &str) {
        if self.as_json {
            self.event("step", &json!({"currentstep": current.to_string(), "totalsteps": STEPS.to_string(), "message": line, "name": name}));
        } else {
            output::step(mark, line);
        }
    }

    fn note(&self, line: &str) {
        self.line(Mark::Note, line);
    }

    /// A warning goes where warnings go: scripts that keep what a start says on standard output do not have it in there.
    fn line(&self, mark: Mark, line: &str) {
        match (self.as_json, mark) {
            (true, Mark::Warning) => self.event("warning", &json!({"message": line})),
            (true, _) => self.event("info", &json!({"message": line})),
            (false, Mark::Warning) => output::problem(mark, line),
            (false, _) => output::step(mark, line),
        }
    }

    fn error(&self, exit: &Exit) {
        self.event(
            "error",
            &json!({
                "exitcode": exit.reason.code.to_string(), "message": exit.what, "name": exit.reason.id,
                "advice": exit.advice.clone().unwrap_or_default(), "issues": "", "url": "",
            }),
        );
    }

    fn event(&self, kind: &str, data: &serde_json::Value) {
        super::cloud_events::cloud_event(kind, data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_served() {
        let own = appliance::KUBERNETES;
        let minor: u32 = own.trim_start_matches("v1.").split('.').next().unwrap().parse().unwrap();
        let cases = [
            ("stable".to_owned(), Ok(())),
            ("Latest".to_owned(), Ok(())),
            (own.to_owned(), Ok(())),
            (format!("1.{minor}.7"), Ok(())),
            ("v1.20.0".to_owned(), Err("K8S_OLD_UNSUPPORTED")),
            (format!("v1.{}.0", minor + 1), Err("K8S_NEW_UNSUPPORTED")),
            ("x".to_owned(), Err("MK_USAGE")),
        ];
        for (asked, want) in cases {
            assert_eq!(check_version(Some(&asked)).map_err(|exit| exit.reason.id), want, "{asked}");
        }
    }
}
