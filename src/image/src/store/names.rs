//! How images get names and lose them, and go with the last one.

use super::{ImageStore, Inner, State};
use crate::error::{ImageError, Result};
use crate::store::ImageRecord;
use crate::{Digest, ImageRef};
use cri::ImageInfo;
use std::sync::Arc;

impl ImageStore {
    /// Gives the image one more name; an earlier image of that name loses it. Blocks.
    pub fn tag(&self, source: &str, target: &str) -> Result<()> {
        let target = ImageRef::parse(target)?;
        if target.tag().is_none() {
            return Err(ImageError::InvalidName("refusing to create a tag with a digest reference".into()));
        }
        check(&target)?;
        self.inner.change(|state| {
            let id = state.index.resolve(source)?;
            state.index.names.insert(target.to_string(), id);
            Ok(())
        })
    }

    /// Removes the name, and the image with its last tag. An id takes all names along. Gives what was removed: names, the
    /// id where the image went, and its layers. An image that is held is refused. Blocks.
    pub fn remove_image(&self, name_or_id: &str) -> Result<Vec<String>> {
        self.remove(|state| {
            let id = state.index.resolve(name_or_id)?;
            let name = ImageRef::parse(name_or_id).map(|name| name.to_string()).ok();
            let by_name = name.filter(|name| state.index.names.get(name) == Some(&id));
            let is_other_tag = |name: &String, other: &String| other != name && !other.contains('@');
            match by_name {
                Some(name) if state.index.names_of(&id).any(|other| is_other_tag(&name, other)) => {
                    state.index.names.remove(&name);
                    Ok(vec![name])
                }
                _ => take(state, &id, name_or_id),
            }
        })
    }

    /// Removes these names, full references; the image stays, perhaps without any. Blocks.
    pub fn untag(&self, names: &[String]) -> Result<Vec<String>> {
        self.remove(|state| {
            let known = names.iter().filter(|name| state.index.names.remove(*name).is_some());
            Ok(known.cloned().collect())
        })
    }

    fn remove(&self, change: impl FnOnce(&mut State) -> Result<Vec<String>>) -> Result<Vec<String>> {
        let mut removed = self.inner.change(change)?;
        let collected = self.inner.collect();
        removed.extend(collected.told());
        // outside of the lock: deleting a large layer takes a while
        drop(collected);
        Ok(removed)
    }
}

/// The image with all of its names.
fn take(state: &mut State, id: &Digest, asked: &str) -> Result<Vec<String>> {
    let users = state.leases.count(id);
    if users > 0 {
        let containers = if users == 1 { "a container".to_owned() } else { format!("{users} containers") };
        return Err(ImageError::InUse(format!("remove image {asked}: image is being used by {containers}")));
    }
    let mut removed: Vec<String> = state.index.names_of(id).cloned().collect();
    state.index.names.retain(|_, named| named != id);
    let gone = state.index.images.remove(id);
    removed.push(id.to_string());
    for step in gone.iter().flat_map(|gone| steps_to(state, gone)).collect::<Vec<_>>() {
        state.index.images.remove(&step);
        removed.push(step.to_string());
    }
    Ok(removed)
}

/// The hidden steps that led to this image and to no other that is shown: as in Docker, they go with it.
fn steps_to(state: &State, gone: &ImageRecord) -> Vec<Digest> {
    let leads_to = |step: &ImageRecord, image: &ImageRecord| {
        let (step, image) = (&step.layers, &image.layers);
        step.len() <= image.len() && step.iter().zip(image).all(|(a, b)| a.chain == b.chain)
    };
    let shown: Vec<&ImageRecord> = state.index.images.values().filter(|image| !image.hidden).collect();
    let is_free = |id: &Digest| state.leases.count(id) == 0 && state.index.names_of(id).next().is_none();
    let steps = state.index.images.iter().filter(|(id, image)| image.hidden && is_free(id));
    let only_here =
        steps.filter(|(_, step)| leads_to(step, gone) && !shown.iter().any(|image| leads_to(step, image)));
    only_here.map(|(id, _)| id.clone()).collect()
}

/// `sha256:…` is an id: a repository of that name would take it away.
fn check(name: &ImageRef) -> Result<()> {
    const ALGORITHMS: [&str; 3] = ["sha256", "sha384", "sha512"];
    match ALGORITHMS.contains(&name.familiar_name().as_str()) {
        true => Err(ImageError::InvalidName(
            "refusing to create an ambiguous tag using digest algorithm as name".into(),
        )),
        false => Ok(()),
    }
}

impl Inner {
    /// Makes an image visible under its names, whose earlier images lose them. Blocks.
    pub(crate) fn add_image(
        self: &Arc<Self>,
        id: &Digest,
        record: ImageRecord,
        names: &[ImageRef],
    ) -> Result<ImageInfo> {
        names.iter().filter(|name| name.tag().is_some()).try_for_each(check)?;
        let info = self.change(|state| {
            let record = match state.index.images.get(id) {
                Some(known) => record.after(known),
                None => record,
            };
            state.index.images.insert(id.clone(), record);
            state.index.names.extend(names.iter().map(|name| (name.to_string(), id.clone())));
            state.index.info(id).ok_or_else(|| ImageError::NotFound(id.to_string()))
        })?;
        self.sync_later();
        Ok(info)
    }
}

impl ImageRecord {
    /// The same image came again: nothing that was known of it is lost.
    fn after(self, known: &ImageRecord) -> ImageRecord {
        ImageRecord {
            added_at: known.added_at,
            manifest: self.manifest.or_else(|| known.manifest.clone()),
            step: self.step.or_else(|| known.step.clone()),
            hidden: self.hidden && known.hidden,
            ..self
        }
    }
}
