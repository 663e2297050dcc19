//! For `fuzz/fuzz_targets/archive.rs`.

use super::contents::Contents;
use super::images::describe;
use crate::error::{ImageError, Result};
use crate::manifest::{self, Document};
use crate::unpack::Unpacked;
use crate::{Digest, Platform};

/// The documents of an image's archive: the first is its list of images in one of the three forms, whatever that names is
/// the next one.
pub fn documents(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else { return };
    let all: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
    let list = ["manifest.json", "index.json", "repositories"][usize::from(*form) % 3];
    let mut contents = Documents { list, all: &all, next: 1 };
    let platform = Platform::of_this_machine();
    for image in describe(&mut contents, Some(&platform)).unwrap_or_default() {
        look(&image.config);
        assert!(
            image.layers.iter().all(|path| !path.split('/').any(|name| name == "..")),
            "a path that climbs"
        );
    }
    all.iter().for_each(|document| look(document));
}

/// As what a registry sends, too.
fn look(document: &[u8]) {
    if let Ok(Document::Index(index)) = manifest::parse(document, None) {
        let _ = index.serving(&Platform::of_this_machine());
    }
    if manifest::parse_config(document).is_ok() {
        let _ = crate::save::document(document);
    }
}

struct Documents<'b> {
    list: &'static str,
    all: &'b [&'b [u8]],
    next: usize,
}

impl Contents for Documents<'_> {
    fn small(&mut self, path: &str) -> Result<Vec<u8>> {
        if path == self.list {
            return Ok(self.all.first().copied().unwrap_or_default().to_vec());
        }
        let document = self.all.get(self.next).ok_or_else(|| ImageError::Refused("no more".into()))?;
        self.next += 1;
        Ok(document.to_vec())
    }

    fn has(&self, path: &str) -> bool {
        path == self.list
    }

    fn diff_id(&self, path: &str) -> Result<Digest> {
        Ok(Digest::of(path.as_bytes()))
    }

    fn layer(&mut self, path: &str) -> Result<Unpacked> {
        Err(ImageError::Refused(format!("no layer {path}")))
    }
}
