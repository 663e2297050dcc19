//! minikube's command line: its commands and global flags. Variables (`MINIKUBE_<FLAG>`) and what `minikube config` keeps
//! are defaults of the flags.

use super::config::Settings;
use super::global::Global;
use super::{
    addons, cache, completion, config, docker_env, files, image, informative, kubectl, logs, pause, profile,
    service, start, start_values, status, stop, tunnel, version,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "minikube",
    about = "minikube provisions and manages local Kubernetes clusters optimized for development workflows.",
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 100
)]
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: MinikubeCommand,
}

#[derive(Subcommand)]
pub(super) enum MinikubeCommand {
    /// Starts a local Kubernetes cluster
    Start(Box<start::Start>),
    /// Gets the status of a local Kubernetes cluster
    Status(status::Status),
    /// Stops a running local Kubernetes cluster
    Stop(stop::Stop),
    /// Deletes a local Kubernetes cluster
    Delete(stop::Delete),
    /// Access the Kubernetes dashboard running within the minikube cluster
    Dashboard(service::Dashboard),
    /// Returns a URL to connect to a service
    #[command(alias = "svc")]
    Service(service::Service),
    /// Connect to LoadBalancer services
    Tunnel(tunnel::Tunnel),
    /// Get or list the current profiles (clusters)
    Profile(profile::Profile),
    /// Modify persistent configuration values
    Config(config::Config),
    /// Enable or disable a minikube addon
    Addons(addons::Addons),
    /// Provides instructions to point your terminal's docker-cli to the Docker Engine inside minikube
    DockerEnv(docker_env::DockerEnv),
    /// Configure environment to use minikube's Podman service
    PodmanEnv(informative::Anything),
    /// Manage images
    Image(image::Image),
    /// Manage cache for images
    Cache(cache::Cache),
    /// Run a kubectl binary matching the cluster version
    Kubectl(kubectl::Kubectl),
    /// Log into the minikube environment
    Ssh(files::Ssh),
    /// Retrieve the ssh identity key path of the specified node
    SshKey,
    /// Retrieve the ssh host key of the specified node
    SshHost(informative::Anything),
    /// Copy the specified file into minikube
    Cp(files::Cp),
    /// Mounts the specified directory into minikube
    Mount(files::Mount),
    /// Retrieves the IP address of the specified node
    Ip(informative::Ip),
    /// Add, remove, or list additional nodes
    Node(informative::Node),
    /// Returns logs to debug a local Kubernetes cluster
    Logs(logs::Logs),
    /// pause Kubernetes
    Pause(pause::Pause),
    /// unpause Kubernetes
    Unpause(pause::Pause),
    /// Update kubeconfig in case of an IP or port change
    UpdateContext,
    /// Print current and latest version number
    UpdateCheck,
    /// Print the version of minikube
    Version(version::Version),
    /// Outputs the licenses of dependencies to a directory
    License(informative::Anything),
    /// Show a list of global command-line options (applies to all commands)
    Options,
    /// Generate command completion for a shell
    Completion(completion::Completion),
}

impl MinikubeCommand {
    /// Whether it runs until somebody ends it.
    pub(super) fn stays(&self) -> bool {
        matches!(self, MinikubeCommand::Tunnel(_) | MinikubeCommand::Mount(_) | MinikubeCommand::Kubectl(_))
    }
}

pub(super) fn command() -> Command {
    CommandLine::command()
}

/// What the environment and the configuration say becomes each flag's default, in this order.
pub(super) fn with_defaults(command: Command, settings: &Settings) -> Command {
    let command = command.mut_args(|arg| {
        let arg = with_word(arg);
        let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
        let variable = format!("MINIKUBE_{}", long.to_uppercase().replace('-', "_"));
        let given = std::env::var(variable).ok().or_else(|| settings.text(&long));
        match given.filter(|text| !text.is_empty()) {
            Some(value) => arg.default_value(clap::builder::OsStr::from(leaked(value))),
            None => arg,
        }
    });
    command.mut_subcommands(|subcommand| with_defaults(subcommand, settings))
}

/// A switch may be told what it is, as cobra has it: `--all=true`, `--follow=false`.
fn with_word(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    let arg = arg.action(ArgAction::Set).num_args(0..=1).require_equals(true).value_parser(switch);
    arg.default_missing_value("true").default_value("false").hide_default_value(true)
}

fn switch(text: &str) -> Result<bool, String> {
    start_values::switch(text).ok_or_else(|| format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))
}

/// clap keeps its texts for the life of the process, which is that of one command.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// The words with the flags that stand before a command put behind it, as cobra reads them: `minikube --driver=docker start`. Those
/// that every command has may stand anywhere. `None` where there is nothing to move.
pub(super) fn command_first(words: &[OsString], root: &Command) -> Option<Vec<OsString>> {
    let (mut kept, mut moved) = (vec![words.first()?.clone()], Vec::new());
    let mut rest = words[1..].iter();
    let mut command = loop {
        let word = rest.next()?;
        let text = word.to_str()?;
        let known = match (text.strip_prefix("--"), text.strip_prefix('-')) {
            (Some("" | "help"), _) | (_, Some("" | "h")) => return None,
            (Some(long), _) => {
                let name = long.split('=').next();
                root.get_arguments().find(|arg| arg.get_long() == name)
            }
            (None, Some(short)) => root.get_arguments().find(|arg| arg.get_short() == short.chars().next()),
            (None, None) => {
                kept.push(word.clone());
                break root.find_subcommand(text)?;
            }
        };
        // `--nodes=2` and `-n2` bring their value along; of what only its command knows cobra takes the next word for it
        let has_value = text.contains('=') || !text.starts_with("--") && text.len() > 2;
        let takes_next =
            known.is_none_or(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set());
        let part = if known.is_some() { &mut kept } else { &mut moved };
        part.push(word.clone());
        if takes_next && !has_value {
            part.push(rest.next()?.clone());
        }
    };
    if moved.is_empty() {
        return None;
    }
    let mut rest = rest.peekable();
    while let Some(inner) = rest.peek().and_then(|word| command.find_subcommand(word.as_os_str())) {
        command = inner;
        kept.extend(rest.next().cloned());
    }
    kept.append(&mut moved);
    kept.extend(rest.cloned());
    Some(kept)
}

/// Says what is wrong in cobra's words; help is no fault.
pub(super) fn report_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        crate::output::end_with_the_reader();
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    eprint!("{}", usage_fault(error, words));
    ExitCode::from(super::reason::USAGE.code)
}

/// The lines of a fault, and where the usage is shown.
fn usage_fault(error: &clap::Error, words: &[OsString]) -> String {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        // the likeliest comes last
        Some(ContextValue::Strings(all)) => all.last().cloned(),
        _ => None,
    };
    let which = words.get(1).and_then(|w| w.to_str()).filter(|w| !w.starts_with('-'));
    let see =
        format!("See 'minikube {}--help' for usage.\n", which.map(|w| format!("{w} ")).unwrap_or_default());
    let parent = |given: &str| match which {
        Some(which) if which != given => format!("minikube {which}"),
        _ => "minikube".to_owned(),
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let given = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let parent = parent(&given);
            let nearest = text(ContextKind::SuggestedSubcommand);
            let meant = nearest.map(|nearest| format!("\nDid you mean this?\n\t{nearest}\n\n"));
            format!(
                "Error: unknown command {given:?} for {parent:?}\n{}Run '{parent} --help' for usage.\n",
                meant.unwrap_or_default()
            )
        }
        ErrorKind::UnknownArgument => {
            let given = text(ContextKind::InvalidArg).unwrap_or_default();
            // one word more than the command takes
            if !given.starts_with('-') {
                return format!("Error: unknown command {given:?} for {:?}\n{see}", parent(&given));
            }
            let what = match given.strip_prefix('-').filter(|short| !short.starts_with('-')) {
                Some(short) => format!("unknown shorthand flag: '{short}' in -{short}"),
                None => format!("unknown flag: {given}"),
            };
            let nearest = text(ContextKind::SuggestedArg);
            let meant = nearest.map(|nearest| format!("Did you mean {nearest}?\n")).unwrap_or_default();
            format!("Error: {what}\n{meant}{see}")
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(all)) => all.join(" "),
                _ => text(ContextKind::InvalidArg).unwrap_or_default(),
            };
            format!("Error: not enough arguments, missing: {missing}\n{see}")
        }
        _ => {
            let whole = error.to_string();
            let first = whole.lines().next().unwrap_or_default();
            let flag = text(ContextKind::InvalidArg)
                .filter(|_| text(ContextKind::InvalidValue).is_some_and(|v| v.is_empty()));
            match flag.as_deref().and_then(|flag| flag.split(' ').next()) {
                Some(flag) => format!("Error: flag needs an argument: {flag}\n{see}"),
                None => format!("Error: {}\n{see}", first.strip_prefix("error: ").unwrap_or(first)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_before_a_command_are_the_commands() {
        let words = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
        for (given, want) in [
            ("minikube --vm-driver=kvm start -n 1", Some("minikube start --vm-driver=kvm -n 1")),
            ("minikube --memory 4g --cpus 2 start", Some("minikube start --memory 4g --cpus 2")),
            ("minikube -p a --driver none start", Some("minikube -p a start --driver none")),
            ("minikube -pa -n1 start", Some("minikube -pa start -n1")),
            ("minikube --alsologtostderr -o json status", Some("minikube --alsologtostderr status -o json")),
            ("minikube -o json addons list", Some("minikube addons list -o json")),
            ("minikube -n shop service web --url", Some("minikube service -n shop web --url")),
            ("minikube -p a start --driver none", None),
            ("minikube start --driver none", None),
            // cobra takes the command for its value
            ("minikube --force start", None),
            ("minikube --driver=none nonsense", None),
            ("minikube --help start", None),
            ("minikube -- start", None),
            ("minikube - start", None),
            ("minikube --driver", None),
            ("minikube", None),
        ] {
            assert_eq!(command_first(&words(given), &command()), want.map(words), "{given}");
        }
    }

    #[test]
    fn a_switch_may_be_told_what_it_is() {
        let command = || with_defaults(command(), &Settings::default());
        for (words, want) in [
            (&["delete"][..], Ok((false, false))),
            (&["delete", "--all"], Ok((true, false))),
            (&["delete", "--all=true", "--purge=f"], Ok((true, false))),
            (&["delete", "--all=false", "--purge=1"], Ok((false, true))),
            (&["delete", "--all=maybe"], Err(ErrorKind::ValueValidation)),
            // it takes no word that stands apart
            (&["delete", "--all", "true"], Err(ErrorKind::UnknownArgument)),
        ] {
            let matches = command().try_get_matches_from([&["minikube"], words].concat());
            let found = matches.map_err(|e| e.kind()).map(|matches| {
                let (_, delete) = matches.subcommand().unwrap();
                let is_set = |name: &str| *delete.get_one::<bool>(name).unwrap();
                (is_set("all"), is_set("purge"))
            });
            assert_eq!(found, want, "{words:?}");
        }
    }

    #[test]
    fn flags_behind_what_ssh_runs_are_its_own() {
        let profile = |words: &[&str]| -> Result<String, ErrorKind> {
            let matches = command().try_get_matches_from(words).map_err(|e| e.kind())?;
            Ok(<CommandLine as clap::FromArgMatches>::from_arg_matches(&matches).unwrap().global.profile)
        };
        let own = super::super::DEFAULT_PROFILE;
        for (name, words, want) in [
            ("behind it", &["ssh", "echo connected", "--profile=a"][..], Ok("a")),
            ("between", &["ssh", "echo", "-p", "a", "connected"], Ok("a")),
            ("of what is run", &["ssh", "--", "ls", "-p", "a"], Ok(own)),
            ("of what is run, unmarked", &["ssh", "ls", "-l"], Err(ErrorKind::UnknownArgument)),
        ] {
            let all = [&["minikube"], words].concat();
            assert_eq!(profile(&all), want.map(str::to_owned), "{name}");
        }
    }

    #[test]
    fn faults_are_told_in_cobras_words() {
        let cases: [(&[&str], &str); 9] = [
            (
                &["statsu"],
                "Error: unknown command \"statsu\" for \"minikube\"\n\nDid you mean this?\n\tstatus\n\n\
                 Run 'minikube --help' for usage.\n",
            ),
            (
                &["ip", "more"],
                "Error: unknown command \"more\" for \"minikube ip\"\nSee 'minikube ip --help' for usage.\n",
            ),
            (
                &["start", "--nonsense"],
                "Error: unknown flag: --nonsense\nSee 'minikube start --help' for usage.\n",
            ),
            (
                &["ip", "-z"],
                "Error: unknown shorthand flag: 'z' in -z\nSee 'minikube ip --help' for usage.\n",
            ),
            (
                &["start", "--cpus"],
                "Error: flag needs an argument: --cpus\nSee 'minikube start --help' for usage.\n",
            ),
            (
                &["config", "set"],
                "Error: not enough arguments, missing: <PROPERTY> <VALUE>\nSee 'minikube config --help' for usage.\n",
            ),
            (
                &["config", "set", "cpus"],
                "Error: not enough arguments, missing: <VALUE>\nSee 'minikube config --help' for usage.\n",
            ),
            (
                &["image", "load"],
                "Error: not enough arguments, missing: <IMAGES>...\nSee 'minikube image --help' for usage.\n",
            ),
            (
                &["cp", "a"],
                "Error: not enough arguments, missing: <TARGET>\nSee 'minikube cp --help' for usage.\n",
            ),
        ];
        for (words, want) in cases {
            let words: Vec<OsString> =
                ["minikube"].iter().chain(words).map(|word| OsString::from(*word)).collect();
            let error = command().try_get_matches_from(&words).unwrap_err();
            assert_eq!(usage_fault(&error, &words), want, "{words:?}");
        }
    }
}
