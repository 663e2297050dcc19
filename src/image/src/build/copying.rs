//! WORKDIR, COPY and ADD: layers that need no container.

use super::cache::key;
use super::copy::{Files, Wanted, absolute};
use super::instruction::CopyFiles;
use super::plan::stage_named;
use super::stage::{Builder, Now, item};
use super::view::{Node, View};
use super::words::{Variables, expand, expand_text};
use super::{BuildError, BuildEvent};
use crate::Digest;
use crate::commit::Draft;
use crate::error::out_of_io;
use crate::load::Unpacking;
use crate::pull::in_background;
use std::path::{Component, Path, PathBuf};

impl Builder<'_> {
    pub(super) async fn workdir(&self, now: &mut Now, path: &str) -> Result<(), BuildError> {
        let path = absolute(&now.document.config.working_dir, path);
        let path = clean(&path);
        let (real, there) = self.view(now)?.resolve(Path::new(&path)).map_err(BuildError::Failed)?;
        if let Node::File(_) = there {
            return Err(BuildError::Failed(format!("cannot mkdir: {path} is not a directory")));
        }
        let working_dir = path.clone();
        if there != Node::Missing {
            return self
                .configure(now, &format!("WORKDIR {path}"), |d| d.config.working_dir = working_dir)
                .await;
        }
        let created_by = format!("/bin/sh -c #(nop) WORKDIR {path}");
        let key = key(now.parent(), &created_by, None);
        if self.reuse(now, &key) {
            return Ok(());
        }
        let mut draft = self.layer(now, Files::new_folder(real)).await?;
        draft.document.config.working_dir = working_dir;
        draft.step(item(created_by));
        self.keep(now, draft, key).await
    }

    pub(super) async fn copy(
        &self,
        now: &mut Now,
        copy: &CopyFiles,
        variables: &Variables,
    ) -> Result<(), BuildError> {
        let put_in = |text: &String| expand(text, self.plan.escape, variables);
        let word = if copy.is_add { "ADD" } else { "COPY" };
        let from = copy.from.as_ref().map(put_in).transpose()?;
        if let Some(name) =
            from.as_deref().filter(|name| stage_named(&self.plan.stages, now.number, name).is_none())
        {
            self.base_image(now.step, name).await?;
        }
        let source = self.source(now, from.as_deref()).await?;
        let target = self.view(now)?;
        let sources = copy.sources.iter().map(put_in).collect::<Result<Vec<_>, _>>()?;
        let (urls, sources): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|source| copy.is_add && is_url(source));
        let folder = self.store.inner.layers.temporary()?;
        let mut downloads = Vec::new();
        for url in &urls {
            downloads.push(self.download(now.step, url, folder.path()).await?);
        }
        let mut texts = Vec::new();
        for heredoc in &copy.heredocs {
            let content = heredoc.content.clone();
            let content =
                if heredoc.expand { expand_text(&content, self.plan.escape, variables)? } else { content };
            texts.push((heredoc.name.clone(), content));
        }
        let chown = copy.chown.as_ref().map(put_in).transpose()?;
        let owner = chown.as_deref().map_or(Ok((0, 0)), |chown| owner(&target, chown))?;
        let mode = copy.chmod.as_ref().map(put_in).transpose()?;
        let mode = mode.map(|mode| {
            u32::from_str_radix(&mode, 8).map_err(|_| {
                BuildError::Failed(format!(
                    "invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777"
                ))
            })
        });
        let mode = mode.transpose()?.filter(|mode| *mode <= 0o7777);
        let dest = put_in(&copy.dest)?;
        let wanted = Wanted {
            from: &source,
            sources: &sources,
            downloads,
            texts,
            dest: dest.clone(),
            workdir: &now.document.config.working_dir,
            target: &target,
            owner,
            mode,
            unpack: copy.is_add,
        };
        let files = Files::find(wanted).map_err(|why| BuildError::Failed(format!("{word} failed: {why}")))?;
        let digest = files.digest().map_err(|e| BuildError::Failed(format!("{word} failed: {e}")))?;
        let created_by = format!("/bin/sh -c #(nop) {word} multi:{} in {dest} ", digest.hex());
        let key = key(now.parent(), &created_by, Some(&digest));
        if self.reuse(now, &key) {
            return Ok(());
        }
        let mut draft = self.layer(now, files).await?;
        drop(folder);
        draft.step(item(created_by));
        self.keep(now, draft, key).await
    }

    /// The file's name and where it lies now. Docker gives it to root alone.
    async fn download(&self, step: usize, url: &str, folder: &Path) -> Result<(String, PathBuf), BuildError> {
        if url.starts_with("git@") || url.split(['?', '#']).next().is_some_and(|path| path.ends_with(".git"))
        {
            return Err(BuildError::Failed(format!("ADD {url}: git repositories are not supported")));
        }
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let name =
            path.split("://").nth(1).and_then(|rest| rest.split_once('/')).map_or("", |(_, path)| path);
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        if matches!(name.as_str(), "" | "." | "..") {
            return Err(BuildError::Failed(format!("cannot determine filename from url: {url}")));
        }
        let file = folder.join(Digest::of(url.as_bytes()).hex());
        self.tell(BuildEvent::Note { step: Some(step), text: &format!("Downloading {url}") });
        crate::registry::fetch(&self.store.inner.transport, url, &file).await?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).map_err(|e| BuildError::Failed(format!("{url}: {e}")))?;
        Ok((name, file))
    }

    async fn layer(&self, now: &Now, files: Files) -> Result<Draft, BuildError> {
        let mut draft = self.draft(now)?;
        let store = self.store.inner.clone();
        Ok(in_background(move || {
            let unpacking = Unpacking::start(&store)?;
            let unpacking =
                unpacking.write(|sink| files.write(sink)).map_err(|e| out_of_io("read files", e))?;
            draft.add_unpacked(&store, unpacking)?;
            Ok(draft)
        })
        .await?)
    }
}

fn is_url(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|prefix| source.starts_with(prefix))
}

/// Without `.` and `..`.
fn clean(path: &Path) -> String {
    let mut names: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => _ = names.pop(),
            _ => {}
        }
    }
    format!("/{}", names.join("/"))
}

/// `user:group` of --chown, as numbers or as the image's own files name them.
fn owner(view: &View, chown: &str) -> Result<(u64, u64), BuildError> {
    let (user, group) = chown.split_once(':').map_or((chown, None), |(user, group)| (user, Some(group)));
    let unknown = |what: &str, name: &str| {
        BuildError::Failed(format!("unable to convert {what} {name:?} to a number: no such {what}"))
    };
    let uid = number_of(view, "etc/passwd", user).ok_or_else(|| unknown("user", user))?;
    match group {
        // as the user's own number, where only that is given
        None => Ok((uid, uid)),
        Some(group) => Ok((uid, number_of(view, "etc/group", group).ok_or_else(|| unknown("group", group))?)),
    }
}

fn number_of(view: &View, file: &str, name: &str) -> Option<u64> {
    if let Ok(number) = name.parse::<u32>() {
        return Some(u64::from(number));
    }
    let Ok((_, Node::File(real))) = view.resolve(Path::new(file)) else { return None };
    let text = std::fs::read_to_string(real).ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&name)).and_then(|fields| fields.get(2)?.parse().ok())
}
