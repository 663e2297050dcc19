//! RUN: a command in a container of its own, whose changes become a layer.

use super::cache::key;
use super::instruction::{Command, Step};
use super::stage::{Builder, Now, item};
use super::steps::name_of;
use super::{BuildError, BuildEvent, BuildOutput, BuildProgress, Channel, RunSettings, RunSpec};
use crate::Digest;
use crate::pull::in_background;
use std::sync::Arc;

/// Arguments that need no ARG, and do not count for the cache.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];
/// What a container without a PATH of its own gets.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Builder<'_> {
    pub(super) async fn run(
        &self,
        now: &mut Now,
        command: &Command,
        mounts: &[String],
        step: &Step,
    ) -> Result<(), BuildError> {
        let argv = command.argv(&now.document.config.shell);
        let mut args: Vec<String> = now.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
        args.retain(|arg| !now.document.config.env.iter().any(|env| name_of(env) == name_of(arg)));
        let created_by = match args.len() {
            0 => argv.join(" "),
            n => format!("|{n} {} {}", args.join(" "), argv.join(" ")),
        };
        let key = key(now.parent(), &format!("{created_by}\n{}", mounts.join("\n")), None);
        if self.reuse(now, &key) {
            return Ok(());
        }
        let folder = self.store.inner.layers.temporary()?;
        let (upper, work) = (folder.path().join("upper"), folder.path().join("work"));
        for path in [&upper, &work] {
            std::fs::create_dir(path)
                .map_err(|e| BuildError::Failed(format!("make {}: {e}", path.display())))?;
        }
        let config = &now.document.config;
        let mut env = config.env.clone();
        if !env.iter().any(|variable| name_of(variable) == "PATH") {
            env.insert(0, format!("PATH={PATH}"));
        }
        let predefined = PREDEFINED
            .iter()
            .filter_map(|name| Some(format!("{name}={}", self.options.args.get(*name)?.as_ref()?)));
        env.extend(args.into_iter().chain(predefined));
        let prepared = self.mounts(now, mounts).await?;
        let unique = format!("{key}{}", folder.path().display());
        let spec = RunSpec {
            id: Digest::of(unique.as_bytes()).hex().to_owned(),
            layers: self.view(now)?.layers,
            upper: upper.clone(),
            work,
            env,
            user: config.user.clone(),
            cwd: if config.working_dir.is_empty() { "/".into() } else { config.working_dir.clone() },
            argv: argv.clone(),
            mounts: prepared.list.clone(),
            settings: self.settings(step),
        };
        let slot = self.slots.acquire().await;
        self.tell(BuildEvent::Running { step: now.step, container: &spec.id });
        let log = Log { step: now.step, progress: self.progress.clone() };
        let code = self.runner.run(spec, &log).await?;
        drop((prepared, slot));
        if code != 0 {
            return Err(BuildError::Run { command: argv.join(" "), code });
        }
        let mut draft = self.draft(now)?;
        let store = self.store.inner.clone();
        let mut draft = in_background(move || {
            draft.add_upper(&store, &upper)?;
            drop(folder);
            Ok(draft)
        })
        .await?;
        draft.step(item(created_by));
        self.keep(now, draft, key).await
    }
}

/// What the command writes.
struct Log {
    step: usize,
    progress: Arc<dyn BuildProgress>,
}

impl BuildOutput for Log {
    fn write(&self, channel: Channel, bytes: &[u8]) {
        self.progress.tell(BuildEvent::Log { step: self.step, channel, bytes });
    }
}

impl Builder<'_> {
    fn settings(&self, step: &Step) -> RunSettings {
        let mut settings = self.options.run.clone();
        settings.network = network(step).or(settings.network).filter(|network| network != "default");
        settings
    }
}

/// `--network=none`; `None` where the instruction says nothing.
fn network(step: &Step) -> Option<String> {
    let flags = step.original.split_whitespace().skip(1).take_while(|word| word.starts_with("--"));
    let networks = flags.filter_map(|flag| flag.strip_prefix("--network="));
    networks.last().map(str::to_owned)
}
