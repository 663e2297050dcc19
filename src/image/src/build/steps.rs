//! What each instruction does to an image's configuration.

use super::BuildError;
use super::cache::key;
use super::instruction::{Command, Instruction, Step};
use super::stage::{Builder, Now, item};
use super::words::expand;
use crate::document::{Empty, HistoryItem, ImageDocument};

impl Builder<'_> {
    pub(super) async fn step(&self, now: &mut Now, step: &Step) -> Result<(), BuildError> {
        let escape = self.plan.escape;
        let variables = now.variables();
        let put_in = |text: &String| expand(text, escape, &variables);
        let all = |texts: &[String]| texts.iter().map(put_in).collect::<Result<Vec<_>, _>>();
        let pairs = |pairs: &[(String, String)]| {
            pairs
                .iter()
                .map(|(name, value)| Ok((put_in(name)?, put_in(value)?)))
                .collect::<Result<Vec<_>, BuildError>>()
        };
        match &step.instruction {
            Instruction::From { .. } => Err(BuildError::Failed("FROM inside of a stage".into())),
            Instruction::Run { command, mounts } => {
                let mounts = all(mounts)?;
                self.run(now, command, &mounts, step).await
            }
            Instruction::Copy(copy) => self.copy(now, copy, &variables).await,
            Instruction::Arg(named) => self.arg(now, named).await,
            Instruction::Workdir(path) => {
                let path = put_in(path)?;
                self.workdir(now, &path).await
            }
            Instruction::Env(given) => {
                let given = pairs(given)?;
                let shown: Vec<String> =
                    given.iter().map(|(name, value)| format!("{name}={value}")).collect();
                self.configure(now, &format!("ENV {}", shown.join(" ")), |document| {
                    given
                        .into_iter()
                        .for_each(|(name, value)| set_env(&mut document.config.env, &name, &value));
                })
                .await
            }
            Instruction::Label(given) => {
                let given = pairs(given)?;
                let shown: Vec<String> =
                    given.iter().map(|(name, value)| format!("{name}={value}")).collect();
                self.configure(now, &format!("LABEL {}", shown.join(" ")), |d| d.config.labels.extend(given))
                    .await
            }
            Instruction::Cmd(command) => {
                let argv = command.argv(&now.document.config.shell);
                now.has_cmd = true;
                self.configure(now, &format!("CMD {argv:?}"), |d| d.config.cmd = Some(argv)).await
            }
            Instruction::Entrypoint(command) => {
                let argv = command.argv(&now.document.config.shell);
                let inherits_cmd = !now.has_cmd;
                self.configure(now, &format!("ENTRYPOINT {argv:?}"), |d| {
                    d.config.entrypoint = Some(argv).filter(|argv| !argv.is_empty());
                    // a CMD of the base image was meant for the base image's entry point
                    if inherits_cmd {
                        d.config.cmd = None;
                    }
                })
                .await
            }
            Instruction::Shell(shell) => {
                let shell = shell.clone();
                self.configure(now, &format!("SHELL {shell:?}"), |d| d.config.shell = Some(shell)).await
            }
            Instruction::Expose(ports) => {
                let ports = all(ports)?.iter().map(|port| exposed(port)).collect::<Result<Vec<_>, _>>()?;
                self.configure(now, &format!("EXPOSE {}", ports.join(" ")), |d| {
                    d.config.exposed_ports.extend(ports.into_iter().map(|port| (port, Empty {})));
                })
                .await
            }
            Instruction::Volume(paths) => {
                let paths = all(paths)?;
                self.configure(now, &format!("VOLUME {paths:?}"), |d| {
                    d.config.volumes.extend(paths.into_iter().map(|path| (path, Empty {})));
                })
                .await
            }
            Instruction::User(user) => {
                let user = put_in(user)?;
                self.configure(now, &format!("USER {user}"), |d| d.config.user = user).await
            }
            Instruction::StopSignal(signal) => {
                let signal = put_in(signal)?;
                self.configure(now, &format!("STOPSIGNAL {signal}"), |d| d.config.stop_signal = Some(signal))
                    .await
            }
            Instruction::Healthcheck { check, command } => {
                let mut check = check.clone();
                check.test.extend(match command {
                    Some(Command::Exec(argv)) => [vec!["CMD".to_owned()], argv.clone()].concat(),
                    Some(Command::Shell(line)) => vec!["CMD-SHELL".to_owned(), line.clone()],
                    None => Vec::new(),
                });
                self.configure(now, &step.original, |d| d.config.healthcheck = Some(check)).await
            }
            Instruction::OnBuild(trigger) => {
                let trigger = trigger.clone();
                self.configure(now, &format!("ONBUILD {trigger}"), |d| d.config.on_build.push(trigger)).await
            }
            Instruction::Maintainer(name) => {
                let name = put_in(name)?;
                self.configure(now, &format!("MAINTAINER {name}"), |d| d.author = Some(name)).await
            }
        }
    }

    async fn arg(&self, now: &mut Now, named: &[(String, Option<String>)]) -> Result<(), BuildError> {
        for (name, default) in named {
            self.consume(name);
            let default =
                default.as_ref().map(|text| expand(text, self.plan.escape, &now.variables())).transpose()?;
            let given = self.options.args.get(name).cloned().flatten();
            let value =
                given.or(default).or_else(|| self.plan.global.get(name).cloned()).or_else(|| platform(name));
            now.args.extend(value.map(|value| (name.clone(), value)));
        }
        let shown: Vec<String> = named
            .iter()
            .map(|(name, value)| value.as_ref().map_or(name.clone(), |v| format!("{name}={v}")))
            .collect();
        self.configure(now, &format!("ARG {}", shown.join(" ")), |_| {}).await
    }

    /// A step that changes the configuration only.
    pub(super) async fn configure(
        &self,
        now: &mut Now,
        what: &str,
        change: impl FnOnce(&mut ImageDocument),
    ) -> Result<(), BuildError> {
        let created_by = format!("/bin/sh -c #(nop)  {what}");
        let key = key(now.parent(), &created_by, None);
        if self.reuse(now, &key) {
            return Ok(());
        }
        let mut draft = self.draft(now)?;
        change(&mut draft.document);
        draft.step(HistoryItem { empty_layer: true, ..item(created_by) });
        self.keep(now, draft, key).await
    }
}

/// What BuildKit knows of the machine; given where a stage asks for it.
fn platform(name: &str) -> Option<String> {
    let architecture = crate::manifest::architecture();
    match name {
        "TARGETPLATFORM" | "BUILDPLATFORM" => Some(format!("linux/{architecture}")),
        "TARGETOS" | "BUILDOS" => Some("linux".into()),
        "TARGETARCH" | "BUILDARCH" => Some(architecture.into()),
        "TARGETVARIANT" | "BUILDVARIANT" => Some(String::new()),
        _ => None,
    }
}

pub(super) fn name_of(variable: &str) -> &str {
    variable.split('=').next().unwrap_or(variable)
}

fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let variable = format!("{name}={value}");
    match env.iter_mut().find(|known| name_of(known) == name) {
        Some(known) => *known = variable,
        None => env.push(variable),
    }
}

/// `80` → `80/tcp`
fn exposed(port: &str) -> Result<String, BuildError> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let is_number = |text: &str| text.parse::<u16>().is_ok_and(|number| number > 0);
    let fine = number.split('-').all(is_number) && number.split('-').count() <= 2;
    match fine && matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        true => Ok(format!("{number}/{protocol}")),
        false => Err(BuildError::Failed(format!("invalid containerPort: {port}"))),
    }
}
