//! New directories for `RUN --mount=type=cache`.

use super::view::{Node, View};
use crate::error::{ImageError, Result, doing};
use crate::load::Unpacking;
use crate::store::Inner;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Makes a new cache at `at`, with the files of `from`.
pub(super) fn make(
    store: &Inner,
    from: Option<(View, Option<String>)>,
    at: &Path,
    (uid, gid, mode): (u32, u32, u32),
    gone: &CancellationToken,
) -> Result<()> {
    match from {
        None => std::fs::create_dir(at).map_err(doing("make a cache"))?,
        Some((view, path)) => {
            let path = path.unwrap_or_else(|| "/".into());
            let (_, there) = view.resolve(Path::new(&path)).map_err(ImageError::Refused)?;
            if !matches!(there, Node::Directory(_)) {
                return Err(ImageError::Refused(format!("RUN --mount: {path:?}: not found")));
            }
            let files = super::copy::Files::all_at(&view, &path, gone).map_err(ImageError::Refused)?;
            let unpacking = Unpacking::start(store)?;
            let unpacking = unpacking
                .write(|sink| files.write(sink))
                .map_err(|e| crate::error::out_of_io("fill a cache", e))?;
            let unpacked = unpacking.wait()?;
            std::fs::rename(unpacked.directory.path().join("diff"), at).map_err(doing("fill a cache"))?;
        }
    }
    std::os::unix::fs::chown(at, Some(uid), Some(gid))
        .and_then(|()| std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode)))
        .map_err(doing("make a cache"))
}
