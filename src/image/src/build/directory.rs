//! A directory of this machine, copied once, so that all steps see the same files whatever happens to it meanwhile.

use super::GIVEN_UP;
use super::ignore::Ignore;
use crate::error::{Result, doing, out_of_io};
use crate::load::Unpacking;
use crate::store::Inner;
use crate::upper;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use tar::{Builder, EntryType};
use tokio_util::sync::CancellationToken;
use trees::{Listings, TempDir, each_name};

/// What is ignored is not read; `needed` comes along by all means.
pub(super) fn copy(
    store: &Inner,
    directory: &Path,
    ignore: &Ignore,
    needed: &[String],
    gone: &CancellationToken,
) -> Result<TempDir> {
    let unpacking = Unpacking::start(store)?;
    let what = format!("read {}", directory.display());
    let written = unpacking.write(|sink| {
        let tar = Builder::new(io::BufWriter::new(sink));
        let mut walk = Walk { tar, ignore, needed, gone, listings: Listings::default() };
        walk.directory(directory, "")?;
        walk.tar.into_inner()?.flush()
    });
    let unpacked = written.map_err(|e| out_of_io(&what, e))?.wait().map_err(|e| e.within("build context"))?;
    let copied = store.layers.temporary()?;
    std::fs::rename(unpacked.directory.path().join("diff"), copied.path()).map_err(doing(what))?;
    Ok(copied)
}

struct Walk<'w, W: Write> {
    tar: Builder<W>,
    ignore: &'w Ignore,
    needed: &'w [String],
    gone: &'w CancellationToken,
    listings: Listings,
}

impl<W: Write> Walk<'_, W> {
    fn directory(&mut self, directory: &Path, inside: &str) -> io::Result<()> {
        trees::check_depth(inside.matches('/').count())?;
        let mut names = self.listings.names();
        // opened anew for each batch: a descriptor for each level would be too many
        while let Some(name) = names.next_of(|take| each_name(File::open(directory)?, take))? {
            let real = directory.join(&name);
            let name = name.to_string_lossy();
            let path = if inside.is_empty() { name.into_owned() } else { format!("{inside}/{name}") };
            self.entry(&real, &path)?;
        }
        Ok(())
    }

    fn entry(&mut self, real: &Path, path: &str) -> io::Result<()> {
        if self.gone.is_cancelled() {
            return Err(io::Error::other(GIVEN_UP));
        }
        let meta = std::fs::symlink_metadata(real)?;
        let is_needed =
            self.needed.iter().any(|needed| needed == path || needed.starts_with(&format!("{path}/")));
        let is_ignored = self.ignore.ignores(path) && !is_needed;
        let kind = meta.file_type();
        if kind.is_dir() {
            // something in it may be brought back
            if is_ignored && !self.ignore.brings_back() {
                return Ok(());
            }
            if !is_ignored {
                let mut header = upper::header(&meta, EntryType::Directory);
                self.tar.append_data(&mut header, Path::new(path).join(""), io::empty())?;
            }
            return self.directory(real, path);
        }
        if is_ignored {
            return Ok(());
        }
        if kind.is_symlink() {
            let mut header = upper::header(&meta, EntryType::Symlink);
            return self.tar.append_link(&mut header, path, std::fs::read_link(real)?);
        }
        // pipes, sockets and devices are of no use in an image
        if !kind.is_file() {
            return Ok(());
        }
        let mut header = upper::header(&meta, EntryType::Regular);
        header.set_size(meta.len());
        // a file that shrinks while it is read would tear the archive
        let padded = File::open(real)?.chain(io::repeat(0)).take(meta.len());
        self.tar.append_data(&mut header, path, padded)
    }
}
