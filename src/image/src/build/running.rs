//! RUN: a command in a container of its own, whose changes become a layer.

use super::cache::key;
use super::configuration::{PATH, name_of};
use super::instruction::Run;
use super::mounts::Mounts;
use super::runmount::{self, RunMountSpec};
use super::stage::{Builder, Now, item};
use super::{BuildError, BuildEvent, BuildOutput, BuildProgress, Channel, MountSource, RunSpec};
use crate::Digest;
use crate::document::HistoryItem;
use crate::error::doing;
use cri::blocking;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use trees::TempDir;

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
impl Builder<'_> {
    pub(super) async fn run(&self, now: &mut Now, run: &Run) -> Result<(), BuildError> {
        self.check_network(run)?;
        let argv = run.command.argv(&now.document.config.shell);
        let args = self.arguments(now);
        let created_by = match args.len() {
            0 => argv.join(" "),
            n => format!("|{n} {} {}", args.join(" "), argv.join(" ")),
        };
        let texts = run.mounts.clone();
        let texts = self.words(now).read(move |words| words.expand_each(&texts)).await?;
        let specs = texts.iter().map(|text| runmount::parse(text)).collect::<Result<Vec<_>, _>>();
        let specs = specs.map_err(BuildError::Failed)?;
        let script = run.script.as_ref().map_or("", |script| script.content.as_str());
        let network = run.network.as_deref().unwrap_or_default();
        let mounted = self.mounted(now, &specs).await?;
        let what = format!("{created_by}\n{}\n{network}\n{mounted}\n{script}", texts.join("\n"));
        let key = key(now.parent(), &what, None);
        if self.reuse(now, &key) {
            return Ok(());
        }
        let mut mounts = self.mounts(now, &specs).await?;
        if let Some(script) = &run.script {
            let file =
                self.file_for(&RunMountSpec::default(), script.content.as_bytes(), 0o755, &mut mounts)?;
            mounts.add(PathBuf::from("/dev/pipes").join(&script.name), true, MountSource::Host(file));
        }
        let directory = self.store.inner.layers.temporary()?;
        let spec = self.spec(now, run, (&key, &directory), (args, &mounts))?;
        let (upper, id) = (spec.upper.clone(), spec.id.clone());
        let slot = self.slots.acquire().await;
        self.tell(BuildEvent::Running { step: now.step, container: &id });
        let log = Log { step: now.step, progress: self.progress.clone() };
        let code = self.runner.run(spec, &log).await?;
        drop((mounts, slot));
        if code != 0 {
            return Err(BuildError::Run { command: argv.join(" "), code });
        }
        self.keep_changes(now, (directory, upper), created_by, key).await
    }

    /// BuildKit's entitlement `network.host`. Who asks for the whole build to have the machine's network has granted it.
    fn check_network(&self, run: &Run) -> Result<(), BuildError> {
        let granted =
            self.options.may_use_host_network || self.options.run.network.as_deref() == Some("host");
        match run.network.as_deref() {
            Some("host") if !granted => Err(BuildError::Failed("network.host is not allowed".into())),
            _ => Ok(()),
        }
    }

    /// `NAME=value` of all that ARG declared, in order; ENV counts more.
    fn arguments(&self, now: &Now) -> Vec<String> {
        let env = &now.document.config.env;
        let is_env = |name: &str| env.iter().any(|variable| name_of(variable) == name);
        let args = now.args.iter().filter(|(name, _)| !is_env(name));
        // proxies count for the cache only where they are declared with a value of their own
        args.map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn spec(
        &self,
        now: &Now,
        run: &Run,
        (key, directory): (&Digest, &TempDir),
        (args, mounts): (Vec<String>, &Mounts),
    ) -> Result<RunSpec, BuildError> {
        let (upper, work) = (directory.path().join("upper"), directory.path().join("work"));
        for path in [&upper, &work] {
            std::fs::create_dir(path)
                .map_err(|e| BuildError::Failed(format!("make {}: {e}", path.display())))?;
        }
        // the directory becomes the root's own
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&upper, open).map_err(|e| BuildError::Failed(e.to_string()))?;
        let config = &now.document.config;
        let mut env = config.env.clone();
        if !env.iter().any(|variable| name_of(variable) == "PATH") {
            env.insert(0, format!("PATH={PATH}"));
        }
        let predefined = PREDEFINED
            .iter()
            .filter_map(|name| Some(format!("{name}={}", self.options.args.get(*name)?.as_ref()?)));
        env.extend(args.into_iter().chain(predefined).chain(mounts.env.iter().cloned()));
        let unique = format!("{key}{}", directory.path().display());
        let mut settings = self.options.run.clone();
        settings.network = run.network.clone().or(settings.network).filter(|network| network != "default");
        Ok(RunSpec {
            id: Digest::of(unique.as_bytes()).hex().to_owned(),
            image: now.parent().map(Digest::to_string).unwrap_or_default(),
            layers: self.view(now)?.layers,
            upper,
            work,
            env,
            user: config.user.clone(),
            cwd: if config.working_dir.is_empty() { "/".into() } else { config.working_dir.clone() },
            argv: run.command.argv(&config.shell),
            mounts: mounts.list.clone(),
            settings,
        })
    }

    /// A command that changed no file makes no layer.
    async fn keep_changes(
        &self,
        now: &mut Now,
        (directory, upper): (TempDir, PathBuf),
        created_by: String,
        key: Digest,
    ) -> Result<(), BuildError> {
        let mut draft = self.draft(now)?;
        let store = self.store.inner.clone();
        let (mut draft, empty_layer) = blocking(move || -> Result<_, BuildError> {
            let mut entries =
                std::fs::read_dir(&upper).map_err(doing(format!("read {}", upper.display())))?;
            let empty = entries.next().is_none();
            if !empty {
                draft.add_upper(&store, &upper)?;
            }
            drop(directory);
            Ok((draft, empty))
        })
        .await?;
        let item = item(created_by, draft.document.author.as_deref());
        draft.step(HistoryItem { empty_layer, ..item });
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
