//! Why an entry of a layer is not unpacked.

use crate::error::ImageError;
use rustix::io::Errno;
use std::path::Path;

/// The kernel's refusal in words.
pub(super) fn refusal(path: &Path, errno: Errno) -> ImageError {
    let path = path.display();
    match errno {
        Errno::XDEV => ImageError::Refused(format!("layer: {path} leads out of the root")),
        Errno::LOOP => ImageError::Refused(format!("layer: {path} goes through a loop of symbolic links")),
        Errno::NOTDIR => {
            ImageError::Refused(format!("layer: {path} goes through something that is not a directory"))
        }
        Errno::NAMETOOLONG => ImageError::Refused(format!("layer: {path:.64}… is too long a name")),
        other => ImageError::io(format!("unpack {path}"), std::io::Error::from(other)),
    }
}
