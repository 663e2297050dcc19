//! The mounts of one RUN, and what `--from` means.

use super::copy::{Files, absolute};
use super::options::SshAgent;
use super::runmount::{Kind, RunMountSpec};
use super::stage::{Builder, Now};
use super::view::{Node, View};
use super::{BuildError, MountSource, NamedContext, RunMount};
use crate::cache_mounts::{CacheDirectory, Sharing};
use crate::{Digest, Lease};
use cri::{blocking, subpath};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use trees::TempDir;

/// The mounts of one RUN, and what exists for it only.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) list: Vec<RunMount>,
    /// `NAME=value`
    pub(super) env: Vec<String>,
    directories: Vec<TempDir>,
    caches: Vec<CacheDirectory>,
    agents: Vec<Box<dyn SshAgent>>,
    leases: Vec<Source>,
}

/// What `--from` names.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) view: View,
    /// The image; `None` where it is a directory.
    id: Option<Digest>,
    _hold: Option<Lease>,
}

impl Builder<'_> {
    /// The files that `--from` means: a stage, an image, a context with a name, or the context.
    pub(super) async fn source(&self, now: &Now, from: Option<&str>) -> Result<Source, BuildError> {
        let Some(from) = from else {
            return Ok(Source { view: self.context.view(), id: None, _hold: None });
        };
        if let Some(NamedContext::Directory(directory)) = self.options.named_contexts.get(from) {
            return Ok(Source {
                view: View { layers: vec![directory.path().to_owned()] },
                id: None,
                _hold: None,
            });
        }
        let built = match self.plan.stage_named(now.number, from) {
            Some(number) => self.result_of(number).await?.built,
            None => self
                .base_image(now.step, from, None)
                .await
                .map_err(|e| BuildError::Failed(format!("invalid from flag value {from}: {e}")))?,
        };
        let view = self.view_of(&built.id)?;
        Ok(Source { view, id: Some(built.id), _hold: Some(built.hold) })
    }

    /// Of what is mounted, all that makes the step another one: a cache and a secret do not.
    pub(super) async fn mounted(&self, now: &Now, specs: &[RunMountSpec]) -> Result<String, BuildError> {
        let mut text = String::new();
        for spec in specs.iter().filter(|spec| spec.kind == Kind::Bind) {
            let source = self.source(now, spec.from.as_deref()).await?;
            let digest = match source.id {
                Some(id) => id,
                None => {
                    let path = spec.source.clone().unwrap_or_else(|| "/".into());
                    let gone = self.gone.clone();
                    let found = blocking(move || {
                        Files::all_at(&source.view, &path, &gone)
                            .and_then(|files| files.digest().map_err(|e| e.to_string()))
                            .map_err(BuildError::Failed)
                    });
                    found.await?
                }
            };
            text.push_str(&format!("{digest}\n"));
        }
        Ok(text)
    }

    /// Makes all of it ready. A cache that another step has for itself is waited for.
    pub(super) async fn mounts(&self, now: &Now, specs: &[RunMountSpec]) -> Result<Mounts, BuildError> {
        let mut mounts = Mounts::default();
        // always in the same order, so that two steps never wait for each other
        let mut order: Vec<&RunMountSpec> = specs.iter().filter(|spec| spec.kind == Kind::Cache).collect();
        order.sort_by_key(|spec| cache_id(now, spec));
        order.dedup_by_key(|spec| cache_id(now, spec));
        let mut directories = std::collections::BTreeMap::new();
        for spec in order {
            let directory = self.cache(now, spec, &mut mounts).await?;
            directories.insert(cache_id(now, spec), directory);
        }
        for spec in specs {
            match spec.kind {
                Kind::Cache => {
                    let directory = directories.get(&cache_id(now, spec)).cloned().unwrap_or_default();
                    mounts.add(target(now, spec)?, spec.read_only, part_of_cache(directory, spec)?);
                }
                Kind::Tmpfs => {
                    mounts.add(target(now, spec)?, false, MountSource::Tmpfs { size: spec.size });
                }
                Kind::Bind => self.bind(now, spec, &mut mounts).await?,
                Kind::Secret => self.secret(now, spec, &mut mounts).await?,
                Kind::Ssh => self.ssh(now, spec, &mut mounts).await?,
            }
        }
        Ok(mounts)
    }

    async fn cache(
        &self,
        now: &Now,
        spec: &RunMountSpec,
        mounts: &mut Mounts,
    ) -> Result<PathBuf, BuildError> {
        let store = &self.store.inner;
        let id = cache_id(now, spec);
        let (dir, sharing) = (store.cache_dir(), spec.sharing.unwrap_or(Sharing::Shared));
        let directory = store.cache_mounts.directory(&dir, &id, sharing).await;
        let path = directory.path.clone();
        if !path.exists() {
            let source = match &spec.from {
                Some(from) => Some(self.source(now, Some(from)).await?),
                None => None,
            };
            self.fill(spec, source, &path).await?;
        }
        mounts.caches.push(directory);
        Ok(path)
    }

    /// A new cache, with what its `from` has. It comes into sight when it is whole.
    async fn fill(&self, spec: &RunMountSpec, source: Option<Source>, path: &Path) -> Result<(), BuildError> {
        let directory = self.store.inner.layers.temporary()?;
        let (made_at, path) = (directory.path().join("cache"), path.to_owned());
        let owner = (spec.uid.unwrap_or(0), spec.gid.unwrap_or(0), spec.mode.unwrap_or(0o755));
        let from = source.as_ref().map(|source| (source.view.clone(), spec.source.clone()));
        let (store, gone) = (self.store.inner.clone(), self.gone.clone());
        blocking(move || {
            super::caches::make(&store, from, &made_at, owner, &gone)?;
            let parent = path.parent().map(Path::to_owned).unwrap_or_default();
            std::fs::create_dir_all(&parent)
                .and_then(|()| std::fs::rename(&made_at, &path))
                // another step was faster
                .or_else(|e| if path.exists() { Ok(()) } else { Err(e) })
                .map_err(crate::error::doing(format!("make cache {}", path.display())))
        })
        .await?;
        drop((directory, source));
        Ok(())
    }

    async fn bind(&self, now: &Now, spec: &RunMountSpec, mounts: &mut Mounts) -> Result<(), BuildError> {
        let source = self.source(now, spec.from.as_deref()).await?;
        let path = spec.source.as_deref().unwrap_or("/");
        let (real, there) = source.view.resolve(Path::new(path)).map_err(BuildError::Failed)?;
        let source_is_missing = || BuildError::Failed(format!("RUN --mount: {path:?}: not found"));
        let mount = match there {
            Node::Missing => return Err(source_is_missing()),
            // what is in one layer needs no mount of its own, but nobody may write to it
            Node::File(file) if spec.read_only => MountSource::Host(file),
            Node::Directory(parts) if spec.read_only && parts.len() == 1 => {
                MountSource::Host(parts[0].clone())
            }
            _ => MountSource::Layers { layers: source.view.layers.clone(), path: real },
        };
        mounts.add(target(now, spec)?, spec.read_only, mount);
        mounts.leases.push(source);
        Ok(())
    }

    async fn secret(&self, now: &Now, spec: &RunMountSpec, mounts: &mut Mounts) -> Result<(), BuildError> {
        let id = spec
            .id
            .as_deref()
            .or(spec.source.as_deref())
            .or_else(|| spec.target.as_deref().and_then(|target| target.rsplit('/').next()));
        let id = id.unwrap_or_default();
        let found = match &self.options.secrets {
            Some(secrets) => secrets.secret(id).await.map_err(BuildError::Failed)?,
            None => None,
        };
        let Some(content) = found else {
            return match spec.required {
                true => Err(BuildError::Failed(format!("secret {id}: not found"))),
                false => Ok(()),
            };
        };
        if let Some(name) = &spec.env {
            mounts.env.push(format!("{name}={}", String::from_utf8_lossy(&content)));
            if spec.target.is_none() {
                return Ok(());
            }
        }
        let target = match &spec.target {
            Some(_) => target(now, spec)?,
            None => PathBuf::from("/run/secrets").join(id.rsplit('/').next().unwrap_or(id)),
        };
        let file = self.file_for(spec, &content, 0o400, mounts)?;
        mounts.add(target, true, MountSource::Host(file));
        Ok(())
    }

    /// A file that goes with the step.
    pub(super) fn file_for(
        &self,
        spec: &RunMountSpec,
        content: &[u8],
        mode: u32,
        mounts: &mut Mounts,
    ) -> Result<PathBuf, BuildError> {
        let directory = self.store.inner.layers.temporary()?;
        let file = directory.path().join("file");
        let mode = std::fs::Permissions::from_mode(spec.mode.unwrap_or(mode));
        std::fs::write(&file, content)
            .and_then(|()| std::fs::set_permissions(&file, mode))
            .and_then(|()| std::os::unix::fs::chown(&file, spec.uid, spec.gid))
            .map_err(|e| made(&file, e))?;
        mounts.directories.push(directory);
        Ok(file)
    }

    async fn ssh(&self, now: &Now, spec: &RunMountSpec, mounts: &mut Mounts) -> Result<(), BuildError> {
        let id = spec.id.as_deref().or(spec.source.as_deref()).unwrap_or("default");
        let agent = match &self.options.ssh {
            Some(ssh) => ssh.agent(id).await.map_err(BuildError::Failed)?,
            None => None,
        };
        let Some(agent) = agent else {
            return match spec.required {
                true => Err(BuildError::Failed(format!("no SSH key {id:?} forwarded from the client"))),
                false => Ok(()),
            };
        };
        let number = mounts.agents.len();
        let target = match &spec.target {
            Some(_) => target(now, spec)?,
            None => PathBuf::from(format!("/run/buildkit/ssh_agent.{number}")),
        };
        if number == 0 {
            mounts.env.push(format!("SSH_AUTH_SOCK={}", target.display()));
        }
        mounts.add(target, true, MountSource::Host(agent.socket()));
        mounts.agents.push(agent);
        Ok(())
    }
}

impl Mounts {
    pub(super) fn add(&mut self, target: PathBuf, read_only: bool, source: MountSource) {
        self.list.push(RunMount { target, read_only, source });
    }
}

fn made(path: &Path, why: std::io::Error) -> BuildError {
    BuildError::Failed(format!("make {}: {why}", path.display()))
}

fn target(now: &Now, spec: &RunMountSpec) -> Result<PathBuf, BuildError> {
    let target = spec.target.as_deref().filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| BuildError::Failed("RUN --mount: target is required".into()))?;
    Ok(absolute(&now.document.config.working_dir, target))
}

/// As in BuildKit the target is the id where none is said.
fn cache_id(now: &Now, spec: &RunMountSpec) -> String {
    let target = spec.target.as_deref().unwrap_or_default();
    spec.id
        .clone()
        .unwrap_or_else(|| absolute(&now.document.config.working_dir, target).display().to_string())
}

/// Other steps write to the cache meanwhile: what they put in a directory's place leads nobody out of it.
fn part_of_cache(base: PathBuf, spec: &RunMountSpec) -> Result<MountSource, BuildError> {
    let part = source_in_cache(spec)?;
    if part.as_os_str().is_empty() {
        return Ok(MountSource::Host(base));
    }
    let made = subpath::open_base(&base).and_then(|base| subpath::ensure(base, &part));
    match made {
        Ok(()) => Ok(MountSource::Part { base, part }),
        Err(errno) if subpath::leads_out(errno) => Err(leads_out_of_cache(&part)),
        Err(errno) => Err(BuildError::Failed(format!("make {} in the cache: {errno}", part.display()))),
    }
}

fn leads_out_of_cache(source: &Path) -> BuildError {
    BuildError::Failed(format!("RUN --mount: source {source:?} leads out of the cache"))
}

/// Without a `from`, the source is a directory in the cache.
fn source_in_cache(spec: &RunMountSpec) -> Result<PathBuf, BuildError> {
    let source = spec.source.as_deref().filter(|_| spec.from.is_none()).unwrap_or("");
    let inside: PathBuf = Path::new(source)
        .components()
        .filter(|c| !matches!(c, std::path::Component::RootDir | std::path::Component::CurDir))
        .collect();
    let leads_out = inside.components().any(|c| matches!(c, std::path::Component::ParentDir));
    match leads_out {
        true => Err(leads_out_of_cache(Path::new(source))),
        false => Ok(inside),
    }
}
