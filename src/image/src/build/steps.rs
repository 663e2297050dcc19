//! Carries out an instruction.

use super::BuildError;
use super::configuration::{apply, default_shell, name_of};
use super::instruction::{Instruction, Step};
use super::stage::{Builder, Now};
use crate::document::ImageDocument;

impl Builder<'_> {
    pub(super) async fn step(&self, now: &mut Now, step: &Step) -> Result<(), BuildError> {
        let words = self.words(now);
        match &step.instruction {
            Instruction::From { .. } => Err(BuildError::Failed("FROM inside of a stage".into())),
            Instruction::Run(run) => {
                self.flush(now).await?;
                self.run(now, run).await
            }
            Instruction::Copy(copy) => {
                self.flush(now).await?;
                self.copy(now, copy, &words).await
            }
            Instruction::Arg(named) => self.arg(now, named).await,
            Instruction::Workdir(path) => {
                let path = path.clone();
                let path = words.read(move |words| words.expand(&path)).await?;
                self.workdir(now, &path).await
            }
            Instruction::Maintainer(name) => {
                let name = name.clone();
                let name = words.read(move |words| words.expand(&name)).await?;
                self.configure(now, &format!("MAINTAINER {name}"), |d| d.author = Some(name))
            }
            change => {
                // taken and given back: a copy for each of many steps would cost the square of them
                let (mut config, has_cmd) = (std::mem::take(&mut now.document.config), now.has_cmd);
                now.has_cmd |= matches!(change, Instruction::Cmd(_));
                let change = change.clone();
                let changed = words.read(move |words| {
                    let shown = apply(&mut config, &change, has_cmd, words);
                    Ok((config, shown))
                });
                let (config, shown) = changed.await?;
                now.document.config = config;
                self.configure(now, &shown?, |_| {})
            }
        }
    }

    async fn arg(&self, now: &mut Now, named: &[(String, Option<String>)]) -> Result<(), BuildError> {
        let (mut shown, mut words) = (Vec::new(), self.words(now));
        for (name, default) in named {
            self.consume(name);
            let default = default.clone();
            let default = words.read(move |words| words.expand_some(default.as_deref())).await?;
            shown.push(default.as_ref().map_or(name.clone(), |value| format!("{name}={value}")));
            let given = self.options.args.get(name).cloned().flatten();
            let value = given
                .or(default)
                .or_else(|| self.plan.global.get(name).cloned())
                .or_else(|| self.platform_args.get(name).cloned());
            let Some(value) = value else { continue };
            // the environment counts more
            if !now.document.config.env.iter().any(|variable| name_of(variable) == name) {
                words.know(name, &value)?;
            }
            now.args.insert(name.clone(), value);
        }
        self.configure(now, &format!("ARG {}", shown.join(" ")), |_| {})
    }
}

/// What a line of the history begins with.
pub(super) fn shell_of(document: &ImageDocument) -> Vec<String> {
    document.config.shell.clone().unwrap_or_else(default_shell)
}
