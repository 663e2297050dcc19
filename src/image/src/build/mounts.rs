use super::plan::stage_named;
use super::stage::{Builder, Now};
use super::view::View;
use super::{BuildError, MountSource, RunMount};
use crate::Digest;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// The mounts of one RUN, and the folders that exist for it only.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) list: Vec<RunMount>,
    pub(super) folders: Vec<TempDir>,
}

impl Builder<'_> {
    /// `--mount=type=cache,target=/root/.cache` and the like.
    pub(super) async fn mounts(&self, now: &Now, texts: &[String]) -> Result<Mounts, BuildError> {
        let mut mounts = Mounts::default();
        for text in texts {
            self.mount(now, text, &mut mounts).await?;
        }
        Ok(mounts)
    }

    async fn mount(&self, now: &Now, text: &str, mounts: &mut Mounts) -> Result<(), BuildError> {
        let options: BTreeMap<&str, &str> =
            text.split(',').map(|option| option.split_once('=').unwrap_or((option, "true"))).collect();
        let get = |names: &[&str]| names.iter().find_map(|name| options.get(name)).copied();
        let target = get(&["target", "dst", "destination"]);
        let read_only = get(&["readonly", "ro"]).is_some_and(|value| value != "false");
        let missing = || BuildError::Failed(format!("RUN --mount={text}: target is required"));
        let at = |target: &str| super::copy::absolute(&now.document.config.working_dir, target);
        match get(&["type"]).unwrap_or("bind") {
            "tmpfs" => {
                let size = get(&["size"]).and_then(|size| size.parse().ok());
                let target = at(target.ok_or_else(missing)?);
                mounts.list.push(RunMount { target, read_only: false, source: MountSource::Tmpfs { size } });
            }
            "cache" => {
                let target = at(target.ok_or_else(missing)?);
                let id = get(&["id"]).map_or_else(|| target.display().to_string(), str::to_owned);
                let folder = self.cache_folder(&id)?;
                mounts.list.push(RunMount { target, read_only, source: MountSource::Host(folder) });
            }
            "bind" => {
                let target = at(target.ok_or_else(missing)?);
                let path = PathBuf::from(get(&["source", "src"]).unwrap_or("/"));
                let view = self.source(now, get(&["from"])).await?;
                let read_only = get(&["rw", "readwrite"]).is_none_or(|value| value == "false");
                mounts.list.push(RunMount {
                    target,
                    read_only,
                    source: MountSource::Layers { layers: view.layers, path },
                });
            }
            "secret" => {
                let id = get(&["id"]).or(target).ok_or_else(missing)?;
                let target = target.map_or_else(|| PathBuf::from("/run/secrets").join(id), at);
                let found = match &self.options.secrets {
                    Some(secrets) => secrets.secret(id).await.map_err(BuildError::Failed)?,
                    None => None,
                };
                match found {
                    Some(content) => {
                        let folder = self.store.inner.layers.temporary()?;
                        let file = folder.path().join("secret");
                        std::fs::write(&file, content)
                            .map_err(|e| BuildError::Failed(format!("secret {id}: {e}")))?;
                        mounts.folders.push(folder);
                        mounts.list.push(RunMount {
                            target,
                            read_only: true,
                            source: MountSource::Host(file),
                        });
                    }
                    None if get(&["required"]).is_some_and(|value| value != "false") => {
                        return Err(BuildError::Failed(format!("secret {id}: not found")));
                    }
                    None => {}
                }
            }
            other => return Err(BuildError::Failed(format!("RUN --mount: type {other:?} is not supported"))),
        }
        Ok(())
    }

    /// Kept over builds; goes with the store.
    fn cache_folder(&self, id: &str) -> Result<PathBuf, BuildError> {
        let folder = self.store.inner.cache_dir().join(Digest::of(id.as_bytes()).hex());
        std::fs::create_dir_all(&folder).map_err(|e| BuildError::Failed(format!("cache mount {id}: {e}")))?;
        Ok(folder)
    }

    /// The files that `--from` means: a stage, an image that is here, or the context.
    pub(super) async fn source(&self, now: &Now, from: Option<&str>) -> Result<View, BuildError> {
        let Some(from) = from else { return Ok(self.context.view()) };
        if let Some(number) = stage_named(&self.plan.stages, now.number, from) {
            return self.view_of(&self.result_of(number).await?.id);
        }
        let rootfs = self.store.rootfs(from)?;
        Ok(View { layers: rootfs.layers })
    }
}
