use super::attributes::{is_root, times};
use crate::error::{Result, doing};
use rustix::fs::{Gid, Mode, Timespec, Uid};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Gives the folders that an archive used without describing them the owner, mode and time that they have in the layers
/// below (`lower`: their `diff` folders, topmost first). Without this a layer that only brings `tmp/x` would take the
/// sticky bit from `/tmp`, because in an overlay the uppermost folder's attributes count.
pub(crate) fn inherit(diff: &Path, implied: &[PathBuf], lower: &[PathBuf]) -> Result<()> {
    for path in implied {
        let Some(model) = lower.iter().find_map(|below| folder_at(&below.join(path))) else { continue };
        let target = diff.join(path);
        let what = || format!("inherit the attributes of {}", path.display());
        let fd = std::fs::File::open(&target).map_err(doing(what()))?;
        if is_root() {
            let (uid, gid) = (Uid::from_raw(model.uid()), Gid::from_raw(model.gid()));
            rustix::fs::fchown(&fd, Some(uid), Some(gid)).map_err(doing(what()))?;
        }
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(model.mode() & 0o7777)).map_err(doing(what()))?;
        let mtime = Timespec { tv_sec: model.mtime(), tv_nsec: model.mtime_nsec() };
        rustix::fs::futimens(&fd, &times(mtime)).map_err(doing(what()))?;
    }
    Ok(())
}

fn folder_at(path: &Path) -> Option<std::fs::Metadata> {
    std::fs::symlink_metadata(path).ok().filter(|m| m.is_dir())
}
