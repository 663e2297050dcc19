//! A state from one back end to another: all objects with their revisions, and the number that is given out next.
//!
//! Nothing of the source is changed. What is written is read again and compared before it is called a copy; until then it is none,
//! and says so to whoever opens it.

use crate::copy_error::{CopyError, compare};
use crate::log::{EtcdLog, SqliteLog, file_is_there, replace_file};
use crate::root::Root;
use crate::{Backend, Options};
use api::ResourceVersion;
use encryption::Encryption;
use std::path::Path;
use std::sync::Arc;

const BESIDE: &str = "copy";

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub objects: usize,
    pub revision: ResourceVersion,
}

/// Copies what `from` holds to `to`. `dir` is the directory of the store: its file is there, and what it knows of an etcd. No store
/// may be open on it. `encryption` is that of both.
///
/// # Errors
/// [`CopyError`].
pub fn copy(
    dir: &Path,
    from: &Backend,
    to: &Backend,
    overwrite: bool,
    encryption: &Arc<Encryption>,
) -> Result<Copied, CopyError> {
    let root = read(dir, from, encryption)?;
    match to {
        Backend::File => to_file(dir, &root, overwrite, encryption)?,
        Backend::Etcd(etcd) => EtcdLog::fill(dir, etcd, &root, overwrite, encryption)?,
    }
    Ok(Copied { objects: root.count(), revision: root.revision })
}

fn read(dir: &Path, from: &Backend, encryption: &Arc<Encryption>) -> Result<Root, CopyError> {
    match from {
        Backend::Etcd(etcd) => EtcdLog::read(dir, etcd, encryption),
        Backend::File if !file_is_there(dir) => Err(CopyError::Nothing { place: dir.display().to_string() }),
        Backend::File => Ok(SqliteLog::open(dir, &of_copy(encryption))?.1),
    }
}

fn of_copy(encryption: &Arc<Encryption>) -> Options {
    Options { must_exist: true, encryption: encryption.clone(), ..Options::default() }
}

/// What a copy that was cut short has left beside the file: it is no state, and may hold in plain text what is encrypted since. No copy
/// may be under way.
pub(crate) fn sweep(dir: &Path) {
    let _ = std::fs::remove_dir_all(dir.join(BESIDE));
}

/// Beside the file that is there, and then in its place.
fn to_file(dir: &Path, root: &Root, overwrite: bool, encryption: &Arc<Encryption>) -> Result<(), CopyError> {
    let place = || dir.display().to_string();
    if !overwrite && file_is_there(dir) {
        let what = "a state, which an earlier copy may have left".to_owned();
        return Err(CopyError::Occupied { place: place(), what });
    }
    let failed = |why: std::io::Error| CopyError::Write { place: place(), why: why.to_string() };
    let beside = dir.join(BESIDE);
    match std::fs::remove_dir_all(&beside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let filled = SqliteLog::fill(&beside, root, encryption).and_then(|()| {
        let (_, again, _) = SqliteLog::open(&beside, &of_copy(encryption))?;
        compare(&place(), root, &again)
    });
    let moved = filled.and_then(|()| replace_file(dir, &beside).map_err(failed));
    let _ = std::fs::remove_dir_all(&beside);
    moved
}
