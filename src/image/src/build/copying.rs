//! WORKDIR, COPY and ADD: layers that need no container.

use super::cache::key;
use super::configuration::working_dir;
use super::copy::{Files, Wanted};
use super::ignore::Ignore;
use super::instruction::CopyFiles;
use super::mounts::Source;
use super::owner::{Mode, Owner, ROOT, of_user, owner};
use super::stage::{Builder, Now, item};
use super::steps::shell_of;
use super::view::Node;
use super::words::Words;
use super::{BuildError, epoch};
use crate::commit::Draft;
use crate::error::out_of_io;
use crate::load::Unpacking;
use cri::blocking;
use std::path::Path;
use std::sync::Arc;

impl Builder<'_> {
    pub(super) async fn workdir(&self, now: &mut Now, path: &str) -> Result<(), BuildError> {
        let path = working_dir(&now.document.config, path);
        let view = self.view(now)?;
        let (real, there) = view.resolve(Path::new(&path)).map_err(BuildError::Failed)?;
        if let Node::File(_) = there {
            return Err(BuildError::Failed(format!("Cannot mkdir: {path} is not a directory")));
        }
        let shell = shell_of(&now.document).join(" ");
        let created_by = format!("{shell} #(nop) WORKDIR {path}");
        let working_dir = path.clone();
        if there != Node::Missing {
            return self
                .configure_as(now, &format!(" WORKDIR {path}"), |d| d.config.working_dir = working_dir);
        }
        self.flush(now).await?;
        let owner = of_user(&view, &now.document.config.user)?;
        let made_at = epoch::made_at(&self.options)?;
        let key = key(now.parent(), &created_by, None);
        if self.reuse(now, &key) {
            return Ok(());
        }
        let mut draft = self.layer(now, Arc::new(Files::new_directory(&view, real, owner, made_at))).await?;
        draft.document.config.working_dir = working_dir;
        let item = item(created_by, draft.document.author.as_deref());
        draft.step(item);
        self.keep(now, draft, key).await
    }

    pub(super) async fn copy(
        &self,
        now: &mut Now,
        copy: &CopyFiles,
        words: &Words,
    ) -> Result<(), BuildError> {
        let word = if copy.is_add { "ADD" } else { "COPY" };
        let failed = move |why: String| match why.starts_with("When using") {
            true => BuildError::Failed(why),
            false => BuildError::Failed(format!("{word} failed: {why}")),
        };
        // what is fetched lies in it
        let directory = self.store.inner.layers.temporary()?;
        let from = self.source(now, copy.from.as_deref()).await?;
        let copy = copy.clone();
        let (copy, exclude) = words.read(move |words| put_in(copy, words)).await?;
        let wanted = self.wanted(now, &copy, exclude, (&from, directory.path())).await?;
        let (dest, chown) = (wanted.dest.clone(), copy.chown);
        let found = blocking(move || {
            let files = Files::find(&wanted).map_err(failed)?;
            let digest = files.digest().map_err(|e| failed(e.to_string()))?;
            Ok::<_, BuildError>((files, digest))
        });
        let (files, digest) = found.await?;
        let chown = chown.map(|chown| format!("--chown={chown} ")).unwrap_or_default();
        let shell = shell_of(&now.document).join(" ");
        let created_by = format!("{shell} #(nop) {word} {chown}{} in {dest} ", files.shown(&digest));
        let key = key(now.parent(), &created_by, Some(&digest));
        if self.reuse(now, &key) {
            return Ok(());
        }
        let mut draft = self.layer(now, Arc::new(files)).await?;
        drop((directory, from));
        let item = item(created_by, draft.document.author.as_deref());
        draft.step(item);
        self.keep(now, draft, key).await
    }

    /// All that an instruction with its variables in names, at hand.
    async fn wanted(
        &self,
        now: &Now,
        copy: &CopyFiles,
        exclude: Ignore,
        (from, directory): (&Source, &Path),
    ) -> Result<Wanted, BuildError> {
        let (sources, fetched) = self.fetched(now, copy, directory).await?;
        let texts = copy.heredocs.iter().map(|heredoc| (heredoc.name.clone(), heredoc.content.clone()));
        let target = self.view(now)?;
        let owner = match &copy.chown {
            Some(chown) => owner(&target, chown)?,
            None if copy.from.is_some() => Owner::Kept,
            None => ROOT,
        };
        Ok(Wanted {
            word: if copy.is_add { "ADD" } else { "COPY" },
            from: from.view.clone(),
            is_context: copy.from.is_none(),
            sources,
            fetched,
            texts: texts.collect(),
            dest: copy.dest.clone(),
            workdir: now.document.config.working_dir.clone(),
            target,
            owner,
            has_chown: copy.chown.is_some(),
            mode: copy.chmod.as_deref().map(Mode::parse).transpose()?,
            made_at: epoch::made_at(&self.options)?,
            unpack: copy.is_add && copy.unpack.unwrap_or(true),
            parents: copy.parents,
            exclude,
            dialect: self.options.dialect,
            gone: self.gone.clone(),
        })
    }

    async fn layer(&self, now: &Now, files: Arc<Files>) -> Result<Draft, BuildError> {
        let mut draft = self.draft(now)?;
        let store = self.store.inner.clone();
        let _slot = self.slots.acquire().await;
        blocking(move || {
            let unpacking = Unpacking::start(&store)?;
            let unpacking =
                unpacking.write(|sink| files.write(sink)).map_err(|e| out_of_io("read files", e))?;
            draft.add_unpacked(&store, unpacking)?;
            Ok(draft)
        })
        .await
    }
}

/// The instruction with all variables in, and its `--exclude`s as they are understood.
fn put_in(mut copy: CopyFiles, words: &Words) -> Result<(CopyFiles, Ignore), BuildError> {
    copy.sources = words.expand_each(&copy.sources)?;
    copy.checksum = words.expand_some(copy.checksum.as_deref())?;
    for heredoc in copy.heredocs.iter_mut().filter(|heredoc| heredoc.expand) {
        heredoc.content = words.expand_text(&heredoc.content)?;
    }
    copy.chown = words.expand_some(copy.chown.as_deref())?;
    copy.chmod = words.expand_some(copy.chmod.as_deref())?;
    copy.dest = words.expand(&copy.dest)?;
    let exclude = words.expand_each(&copy.exclude)?;
    let exclude = Ignore::new(exclude.iter().map(String::as_str)).map_err(BuildError::Failed)?;
    Ok((copy, exclude))
}
