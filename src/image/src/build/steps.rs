//! What each instruction does to an image's configuration.

use super::BuildError;
use super::cache::key;
use super::instruction::{Command, Instruction, Step};
use super::stage::{Builder, Now, item};
use super::values::{check_signal, exposed, quoted, shown_check};
use super::words::{expand, expand_words};
use crate::document::{Empty, HistoryItem, ImageDocument};
use std::collections::BTreeSet;

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
            Instruction::Run(run) => self.run(now, run).await,
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
                self.configure(now, &format!("CMD {}", quoted(&argv)), |d| d.config.cmd = Some(argv)).await
            }
            Instruction::Entrypoint(command) => {
                let argv = command.argv(&now.document.config.shell);
                let inherits_cmd = !now.has_cmd;
                self.configure(now, &format!("ENTRYPOINT {}", quoted(&argv)), |d| {
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
                self.configure(now, &format!("SHELL [{}]", shell.join(" ")), |d| d.config.shell = Some(shell))
                    .await
            }
            Instruction::Expose(ports) => {
                let ports = ports.iter().map(|port| expand_words(port, escape, &variables));
                let ports = ports.collect::<Result<Vec<_>, _>>()?.concat();
                let shown: BTreeSet<&str> = ports.iter().map(String::as_str).collect();
                let shown: Vec<&str> = shown.into_iter().collect();
                let ports = ports.iter().map(|port| exposed(port)).collect::<Result<Vec<_>, _>>()?.concat();
                self.configure(now, &format!("EXPOSE {}", shown.join(" ")), |d| {
                    d.config.exposed_ports.extend(ports.iter().map(|port| (port.clone(), Empty {})));
                })
                .await
            }
            Instruction::Volume(paths) => {
                let paths = all(paths)?;
                self.configure(now, &format!("VOLUME [{}]", paths.join(" ")), |d| {
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
                check_signal(&signal)?;
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
                let shown = shown_check(&check);
                self.configure(now, &shown, |d| d.config.healthcheck = Some(check)).await
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
        let mut shown = Vec::new();
        for (name, default) in named {
            self.consume(name);

            let default =
                default.as_ref().map(|text| expand(text, self.plan.escape, &now.variables())).transpose()?;
            shown.push(default.as_ref().map_or(name.clone(), |value| format!("{name}={value}")));
            let given = self.options.args.get(name).cloned().flatten();
            let value = given
                .or(default)
                .or_else(|| self.plan.global.get(name).cloned())
                .or_else(|| self.platform_args.get(name).cloned());
            now.args.extend(value.map(|value| (name.clone(), value)));
        }
        self.configure(now, &format!("ARG {}", shown.join(" ")), |_| {}).await
    }

    /// A step that changes the configuration only.
    pub(super) async fn configure(
        &self,
        now: &mut Now,
        what: &str,
        change: impl FnOnce(&mut ImageDocument),
    ) -> Result<(), BuildError> {
        self.configure_as(now, &format!("  {what}"), change).await
    }

    /// The same with the blanks of its own that the line of history has.
    pub(super) async fn configure_as(
        &self,
        now: &mut Now,
        what: &str,
        change: impl FnOnce(&mut ImageDocument),
    ) -> Result<(), BuildError> {
        let mut document = now.document.clone();
        change(&mut document);
        let created_by = format!("{} #(nop){what}", shell_of(&document).join(" "));
        // the text alone would not tell `A="1 B=2"` from `A=1 B=2`
        let result = serde_json::to_string(&document.config).unwrap_or_default();
        let key = key(now.parent(), &format!("{created_by}\n{result}"), None);
        if self.reuse(now, &key) {
            return Ok(());
        }
        let mut draft = self.draft(now)?;
        draft.document = document;
        let author = draft.document.author.as_deref();
        let item = HistoryItem { empty_layer: true, ..item(created_by, author) };
        draft.step(item);
        self.keep(now, draft, key).await
    }
}

/// What a line of the history begins with.
pub(super) fn shell_of(document: &ImageDocument) -> Vec<String> {
    document.config.shell.clone().unwrap_or_else(default_shell)
}

pub(super) fn default_shell() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
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
