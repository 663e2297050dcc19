//! Images that the program itself carries: pulled like others, but from nowhere.

use crate::ImageRef;
use crate::embedded::Archive;
use crate::error::{ImageError, Result};
use crate::progress::{Progress, PullEvent};
use crate::store::ImageStore;
use cri::ImageInfo;
use std::sync::Arc;

impl ImageStore {
    /// From now on a pull of this name reads the archive and asks no registry.
    ///
    /// # Errors
    /// A name that is none.
    pub fn embed(&self, name: &str, archive: Archive) -> Result<()> {
        let reference = ImageRef::parse(name)?;
        self.inner.embedded.add(reference, archive);
        Ok(())
    }

    /// `None` where no embedded image has this name.
    pub(crate) async fn pull_embedded(
        &self,
        reference: &ImageRef,
        progress: &Arc<dyn Progress>,
    ) -> Option<Result<ImageInfo>> {
        let archive = self.inner.embedded.find(reference)?;
        let name = reference.familiar();
        if let Ok(Some(known)) = self.image(&name) {
            progress.event(PullEvent::Done { name, newer: false });
            return Some(Ok(known));
        }
        let loaded = match archive() {
            Ok(bytes) => self.load(std::io::Cursor::new(bytes)).await,
            Err(error) => Err(ImageError::io(format!("read the embedded image {name}"), error)),
        };
        let loaded = loaded.and_then(|images| {
            let first = images.into_iter().next();
            first.ok_or_else(|| ImageError::Refused(format!("the embedded archive of {name} holds no image")))
        });
        progress.event(PullEvent::Done { name, newer: true });
        Some(loaded)
    }
}
