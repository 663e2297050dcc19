//! What an instruction changes of an image's configuration: one of a Dockerfile, or of those that commit and import are given.
//! Pure, but that [`apply_changes`] works in the background.

use super::BuildError;
use super::copy::absolute;
use super::instruction::{Command, Instruction, instruction};
use super::lines;
use super::values::{check_signal, exposed, quoted, shown_check};
use super::words::Words;
use crate::document::{Empty, RunConfig};
use cri::blocking;
use std::collections::BTreeSet;
use std::path::Component;
use tokio_util::sync::CancellationToken;

/// What a container without a PATH of its own gets.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Moby's `validCommitCommands`.
const CHANGES: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The configuration with what `--change`s of commit and import say, one a line. Variables are those of the image's
/// environment.
///
/// # Errors
/// One is wrong, or is none that changes the configuration only.
pub async fn apply_changes(mut config: RunConfig, changes: String) -> Result<RunConfig, BuildError> {
    let gone = CancellationToken::new();
    let _left = gone.clone().drop_guard();
    blocking(move || apply_all(&mut config, &changes, &gone).map(|()| config)).await
}

fn apply_all(config: &mut RunConfig, changes: &str, gone: &CancellationToken) -> Result<(), BuildError> {
    let lines = lines::parse(changes)?;
    let mut has_cmd = false;
    for line in &lines.lines {
        if !CHANGES.iter().any(|known| known.eq_ignore_ascii_case(&line.keyword)) {
            return Err(BuildError::Failed(format!("{} is not a valid change command", line.keyword)));
        }
        let change = instruction(line, lines.escape).map_err(BuildError::Failed)?;
        let words = Words::new(lines.escape, environment(config).collect(), gone);
        apply(config, &change, has_cmd, &words)?;
        has_cmd |= matches!(change, Instruction::Cmd(_));
    }
    Ok(())
}

/// The variables of the environment that the image gives.
pub(super) fn environment(config: &RunConfig) -> impl Iterator<Item = (String, String)> {
    let named = config.env.iter().filter_map(|variable| variable.split_once('='));
    named.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// Says how Docker's history shows it. With `has_cmd` the image's CMD is one that stays with a new ENTRYPOINT.
///
/// # Errors
/// It is wrong, or changes more than the configuration.
pub(super) fn apply(
    config: &mut RunConfig,
    change: &Instruction,
    has_cmd: bool,
    words: &Words,
) -> Result<String, BuildError> {
    let put_in = |text: &String| words.expand(text);
    let pairs = |pairs: &[(String, String)]| {
        pairs
            .iter()
            .map(|(name, value)| Ok((put_in(name)?, put_in(value)?)))
            .collect::<Result<Vec<_>, BuildError>>()
    };
    Ok(match change {
        Instruction::Env(given) => {
            let given = pairs(given)?;
            given.iter().for_each(|(name, value)| set_env(&mut config.env, name, value));
            format!("ENV {}", shown_pairs(&given))
        }
        Instruction::Label(given) => {
            let given = pairs(given)?;
            let shown = format!("LABEL {}", shown_pairs(&given));
            config.labels.extend(given);
            shown
        }
        Instruction::Cmd(command) => {
            let argv = command.argv(&config.shell);
            let shown = format!("CMD {}", quoted(&argv));
            config.cmd = Some(argv);
            shown
        }
        Instruction::Entrypoint(command) => {
            let argv = command.argv(&config.shell);
            let shown = format!("ENTRYPOINT {}", quoted(&argv));
            config.entrypoint = Some(argv).filter(|argv| !argv.is_empty());
            // a CMD of the base image was meant for the base image's entry point
            if !has_cmd {
                config.cmd = None;
            }
            shown
        }
        Instruction::Shell(shell) => {
            config.shell = Some(shell.clone());
            format!("SHELL [{}]", shell.join(" "))
        }
        Instruction::Expose(ports) => {
            let ports = ports.iter().map(|port| words.expand_words(port));
            let ports = ports.collect::<Result<Vec<_>, _>>()?.concat();
            let numbers = ports.iter().map(|port| exposed(port)).collect::<Result<Vec<_>, _>>()?.concat();
            config.exposed_ports.extend(numbers.into_iter().map(|port| (port, Empty {})));
            let shown: BTreeSet<&str> = ports.iter().map(String::as_str).collect();
            format!("EXPOSE {}", shown.into_iter().collect::<Vec<_>>().join(" "))
        }
        Instruction::Volume(paths) => {
            let paths = words.expand_each(paths)?;
            let shown = format!("VOLUME [{}]", paths.join(" "));
            config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
            shown
        }
        Instruction::User(user) => {
            config.user = put_in(user)?;
            format!("USER {}", config.user)
        }
        Instruction::Workdir(path) => {
            config.working_dir = working_dir(config, &put_in(path)?);
            format!("WORKDIR {}", config.working_dir)
        }
        Instruction::StopSignal(signal) => {
            let signal = put_in(signal)?;
            check_signal(&signal)?;
            let shown = format!("STOPSIGNAL {signal}");
            config.stop_signal = Some(signal);
            shown
        }
        Instruction::Healthcheck { check, command } => {
            let mut check = check.clone();
            check.test.extend(match command {
                Some(Command::Exec(argv)) => [vec!["CMD".to_owned()], argv.clone()].concat(),
                Some(Command::Shell(line)) => vec!["CMD-SHELL".to_owned(), line.clone()],
                None => Vec::new(),
            });
            let shown = shown_check(&check);
            config.healthcheck = Some(check);
            shown
        }
        Instruction::OnBuild(trigger) => {
            config.on_build.push(trigger.clone());
            format!("ONBUILD {trigger}")
        }
        Instruction::From { .. }
        | Instruction::Run(_)
        | Instruction::Copy(_)
        | Instruction::Arg(_)
        | Instruction::Maintainer(_) => {
            return Err(BuildError::Failed("it changes more than the configuration".into()));
        }
    })
}

/// Where WORKDIR leads from where the image is.
pub(super) fn working_dir(config: &RunConfig, path: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    for component in absolute(&config.working_dir, path).components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => _ = names.pop(),
            _ => {}
        }
    }
    format!("/{}", names.join("/"))
}

pub(super) fn default_shell() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
}

pub(super) fn name_of(variable: &str) -> &str {
    variable.split('=').next().unwrap_or(variable)
}

fn shown_pairs(pairs: &[(String, String)]) -> String {
    let shown: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    shown.join(" ")
}

fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let variable = format!("{name}={value}");
    match env.iter_mut().find(|known| name_of(known) == name) {
        Some(known) => *known = variable,
        None => env.push(variable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(config: &mut RunConfig, changes: &str) -> Result<(), BuildError> {
        apply_all(config, changes, &CancellationToken::new())
    }

    #[test]
    fn variables_are_those_of_the_image() {
        let mut config = RunConfig {
            env: vec!["PATH=/bin".into(), "HOME=/root".into(), "N=7".into()],
            working_dir: "/srv".into(),
            ..RunConfig::default()
        };
        let changes = [
            "ENV PATH=/x:$PATH",
            "ENV GREETING=\"hello ${HOME}\" PLAIN='$HOME'",
            "LABEL at=$HOME number=${N:-0}",
            "WORKDIR app",
            "WORKDIR ../$N/./sub",
            "USER u$N",
            "EXPOSE 80$N",
            "VOLUME $HOME/data",
            "STOPSIGNAL SIGQUIT",
        ];
        changed(&mut config, &changes.join("\n")).unwrap();
        assert_eq!(config.env, ["PATH=/x:/bin", "HOME=/root", "N=7", "GREETING=hello /root", "PLAIN=$HOME"]);
        assert_eq!((config.labels["at"].as_str(), config.labels["number"].as_str()), ("/root", "7"));
        assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/srv/7/sub", "u7"));
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["807/tcp"]);
        assert_eq!(config.volumes.keys().collect::<Vec<_>>(), ["/root/data"]);
        assert_eq!(config.stop_signal.as_deref(), Some("SIGQUIT"));
    }

    #[test]
    fn each_change_is_what_the_instruction_is() {
        let mut config =
            RunConfig { env: vec!["A=0".into()], cmd: Some(vec!["old".into()]), ..RunConfig::default() };
        changed(&mut config, "ENTRYPOINT run it").unwrap();
        assert_eq!(config.cmd, None, "it was meant for another entry point");
        let changes = [
            "CMD [\"a\", \"b\"]",
            "ENTRYPOINT run it",
            "ENV A=1 B=\"x y\"",
            "env C see",
            "LABEL l=1",
            "EXPOSE 80 53/udp \\\n 90-91",
            "USER me",
            "WORKDIR /w",
            "ONBUILD RUN x",
            "HEALTHCHECK --interval=1m --retries=3 CMD check it",
        ];
        changed(&mut config, &changes.join("\n")).unwrap();
        assert_eq!(config.cmd.unwrap(), ["a", "b"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
        assert_eq!(config.env, ["A=1", "B=x y", "C=see"]);
        let ports: Vec<&String> = config.exposed_ports.keys().collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "90/tcp", "91/tcp"]);
        assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("me", "/w"));
        assert_eq!((config.labels["l"].as_str(), config.on_build), ("1", vec!["RUN x".to_owned()]));
        let check = config.healthcheck.unwrap();
        assert_eq!((check.interval, check.retries), (60_000_000_000, 3));
        assert_eq!(check.test, ["CMD-SHELL", "check it"]);
    }

    #[test]
    fn what_is_no_change_is_refused() {
        let cases = [
            ("RUN x", "RUN is not a valid change command"),
            ("what", "what is not a valid change command"),
            ("SHELL [\"sh\"]", "SHELL is not a valid change command"),
            ("ENV ALONE", "ENV must have two arguments"),
            ("LABEL a=b c", "Syntax error - can't find = in \"c\". Must be of the form: name=value"),
            ("STOPSIGNAL SIGWHAT", "invalid signal: SIGWHAT"),
            ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
            ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
            ("HEALTHCHECK --interval=x CMD y", "time: invalid duration \"x\""),
            ("HEALTHCHECK --interval=5 CMD y", "time: missing unit in duration \"5\""),
        ];
        for (text, why) in cases {
            let refused = changed(&mut RunConfig::default(), text).unwrap_err();
            assert_eq!(refused.to_string(), why, "{text}");
        }
        assert!(changed(&mut RunConfig::default(), "ENV A=${B").is_err());
    }
}
