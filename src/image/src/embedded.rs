//! Which images the program itself carries.

use crate::ImageRef;
use parking_lot::Mutex;

/// Makes a docker-archive that holds the image under its name.
pub type Archive = fn() -> std::io::Result<Vec<u8>>;

#[derive(Default)]
pub(crate) struct Embedded(Mutex<Vec<(ImageRef, Archive)>>);

impl Embedded {
    pub(crate) fn add(&self, reference: ImageRef, archive: Archive) {
        self.0.lock().push((reference, archive));
    }

    pub(crate) fn find(&self, reference: &ImageRef) -> Option<Archive> {
        let known = self.0.lock();
        known.iter().find(|(name, _)| name == reference).map(|(_, archive)| *archive)
    }
}
