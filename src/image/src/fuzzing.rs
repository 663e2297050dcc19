//! What the fuzzer feeds (`fuzz/fuzz_targets`): readers of bytes from outside that are nobody else's business.

pub use crate::build::fuzzing::dockerfile;
pub use crate::load::fuzzing::documents;
pub use crate::registry::fuzzing::answers;

use crate::Digest;
use crate::tar_split::TarSplitReader;
use crate::unpack::{self, Feed};
use bytes::Bytes;
use std::io::{self, Read};
use std::path::Path;

/// A layer as a registry sends it: refused in words, or a directory from which it comes back as it came. Nothing beside the
/// directory is touched.
///
/// # Panics
/// Where that does not hold.
pub fn layer(bytes: &[u8]) {
    let outside = tempfile::tempdir().expect("a directory can be made");
    let kept = outside.path().join("kept");
    std::fs::write(&kept, "as it was").expect("a file can be written");
    let directory = trees::TempDir::new_in(outside.path()).expect("a directory can be made");
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    for feed in [Feed::Data(Bytes::copy_from_slice(bytes)), Feed::End] {
        assert!(sender.try_send(feed).is_ok(), "there is room for both");
    }
    match unpack::unpack(directory, receiver, |_| {}) {
        Ok(unpacked) => {
            assert_eq!(unpacked.blob, Digest::of(bytes));
            let (diff_id, size) = hash(unpacked.directory.path());
            assert_eq!((diff_id, size), (unpacked.diff_id, unpacked.tar_size), "it does not come back");
            check_links(&unpacked.directory.path().join("diff"), outside.path());
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
    assert_eq!(std::fs::read(&kept).expect("it is there"), b"as it was");
    let left = std::fs::read_dir(outside.path()).expect("it is there").count();
    assert_eq!(left, 1, "something was made outside");
}

fn hash(layer: &Path) -> (Digest, u64) {
    let mut reader = TarSplitReader::open(layer).expect("what was unpacked can be opened");
    let mut hasher = crate::digest::Hasher::new();
    let mut block = vec![0; 128 << 10];
    loop {
        match reader.read(&mut block).expect("what was unpacked can be read") {
            0 => return (hasher.digest(), hasher.length),
            got => hasher.update(&block[..got]),
        }
    }
}

/// No file of the layer is one from outside under another name.
fn check_links(directory: &Path, outside: &Path) {
    use std::os::unix::fs::MetadataExt;
    let kept = std::fs::metadata(outside.join("kept")).expect("it is there").ino();
    let entries: io::Result<Vec<_>> = std::fs::read_dir(directory).and_then(Iterator::collect);
    for entry in entries.expect("a directory of the layer") {
        let meta = entry.metadata().expect("a file of the layer");
        assert_ne!(meta.ino(), kept, "a link to a file outside");
        if meta.is_dir() {
            check_links(&entry.path(), outside);
        }
    }
}
