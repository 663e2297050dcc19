//! What each entry of a layer's archive becomes on disk, in overlayfs' form.

use super::attributes::{Attributes, or_blank, set_opaque, times};
use super::refusal::refusal;
use super::sparse::Sparse;
use super::tee::{Mode as TapMode, Tee, TeeState};
use super::tree::{Displaced, Tree, clean, split};
use crate::error::{ImageError, Result, out_of_io};
use crate::tar_split::TarSplitWriter;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tar::EntryType;
use trees::DirectoryTimes;

/// More than any image has; each costs an inode.
const MAX_ENTRIES: u64 = 8_000_000;
/// The largest file at all, also when it is mostly holes; and what all files have together whose holes are read as zeros: they cost
/// no disk, but time.
const MAX_FILE: u64 = super::decode::MAX_LAYER;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What AUFS kept for itself.
const AUFS: &[u8] = b".wh..wh.";
const COPY_BLOCK: usize = 128 << 10;

pub(super) struct Applied {
    pub(super) size: u64,
    pub(super) implied: Vec<PathBuf>,
}

/// Unpacks the archive into `layer/diff`, and writes `layer/recipe`.
pub(super) fn untar(layer: &Path, input: impl Read) -> Result<Applied> {
    untar_with(layer, input, DirectoryTimes::default())
}

pub(super) fn untar_with(layer: &Path, input: impl Read, times: DirectoryTimes<Timespec>) -> Result<Applied> {
    let recipe =
        TarSplitWriter::create(&layer.join("recipe")).map_err(|e| ImageError::io("write recipe", e))?;
    let state = TeeState::new(recipe);
    let mut archive = tar::Archive::new(Tee::new(input, state.clone()));
    let mut applier = Applier {
        tree: Tree::create(layer)?,
        tap: state.clone(),
        times,
        size: 0,
        zeros: 0,
        buffer: vec![0; COPY_BLOCK],
    };
    let failed = |e| out_of_io("read layer", e);
    for (count, entry) in archive.entries().map_err(failed)?.enumerate() {
        if count as u64 >= MAX_ENTRIES {
            return Err(ImageError::Refused(format!("layer: more than {MAX_ENTRIES} entries")));
        }
        applier.entry(&mut entry.map_err(failed)?)?;
        applier.set_times_if_many()?;
        state.borrow_mut().next_entry();
    }
    state.borrow_mut().set(TapMode::Verbatim);
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(failed)?;
    drop(rest);
    let applied = applier.finish()?;
    let state = Rc::into_inner(state).ok_or_else(|| ImageError::io("write recipe", "still in use"))?;
    state.into_inner().finish().map_err(|e| ImageError::io("write recipe", e))?;
    Ok(applied)
}

/// How an archive says where a file has nothing.
enum Holes {
    None,
    /// Its reader makes zeros of them.
    AsZeros,
    Mapped(Sparse),
}

struct Applier {
    tree: Tree,
    tap: Rc<std::cell::RefCell<TeeState>>,
    times: DirectoryTimes<Timespec>,
    size: u64,
    /// Bytes of files with [`Holes::AsZeros`].
    zeros: u64,
    buffer: Vec<u8>,
}

impl Applier {
    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let failed = |e| out_of_io("read layer", e);
        let mut sparse = Sparse::of(entry).map_err(failed)?;
        let own_name = sparse.as_mut().and_then(|sparse| sparse.name.take());
        let raw = own_name.unwrap_or_else(|| entry.path_bytes().into_owned());
        let path = self.tree.real(clean("path", &raw)?)?;
        let attributes = Attributes::of(entry).map_err(failed)?;
        if let Some(parent) = path.parent() {
            self.times.before(parent, |directory| self.tree.time(directory));
        }
        if let Some(name) = path.file_name().filter(|name| name.as_bytes().starts_with(WHITEOUT)) {
            return self.whiteout(&path, name);
        }
        match kind {
            EntryType::Directory => self.directory(&path, &attributes),
            // archives from before 1988 have no other way to say it
            EntryType::Regular if raw.ends_with(b"/") => self.directory(&path, &attributes),
            EntryType::Regular | EntryType::Continuous => {
                self.file(&path, &attributes, entry, sparse.map_or(Holes::None, Holes::Mapped))
            }
            EntryType::GNUSparse => self.file(&path, &attributes, entry, Holes::AsZeros),
            EntryType::Link => self.hard_link(&path, entry),
            EntryType::Symlink => self.symlink(&path, &attributes, entry),
            EntryType::Char => self.node(&path, &attributes, entry, FileType::CharacterDevice),
            EntryType::Block => self.node(&path, &attributes, entry, FileType::BlockDevice),
            EntryType::Fifo => self.node(&path, &attributes, entry, FileType::Fifo),
            other => Err(ImageError::Refused(format!(
                "layer: {} is of unknown type {:?}",
                path.display(),
                char::from(other.as_byte())
            ))),
        }
    }

    /// The directory that `path` goes into, with room made for it.
    fn room_for<'p>(&mut self, path: &'p Path) -> Result<(Rc<OwnedFd>, &'p OsStr, Displaced)> {
        let (parent, name) = split(path)?;
        let above = self.tree.directory(parent)?;
        let displaced = self.tree.displace(path, &above, name)?;
        Ok((above, name, displaced))
    }

    fn directory(&mut self, path: &Path, attributes: &Attributes) -> Result<()> {
        let mut opaque = false;
        if !path.as_os_str().is_empty() {
            let (parent, name) = split(path)?;
            let above = self.tree.directory(parent)?;
            let there = self.tree.kind(&above, name).map(|(kind, _)| kind);
            if there != Some(FileType::Directory) {
                opaque = self.tree.displace(path, &above, name)? == Displaced::Whiteout;
                rustix::fs::mkdirat(&*above, name, Mode::RWXU).map_err(|e| refusal(path, e))?;
            }
        }
        self.tree.described(path);
        let fd = self.open_directory(path)?;
        attributes.apply(&fd, path)?;
        if opaque {
            set_opaque(&fd, path)?;
        }
        if let Some(mtime) = attributes.mtime() {
            self.times.tell(path.to_owned(), mtime);
        }
        Ok(())
    }

    /// After each entry, whatever it is: a file makes one more directory to be kept, if that had its time already.
    fn set_times_if_many(&mut self) -> Result<()> {
        self.times.take_if_many().map_or(Ok(()), |times| self.set_times(times))
    }

    fn set_times(&self, directories: BTreeMap<PathBuf, Timespec>) -> Result<()> {
        for (path, mtime) in directories {
            // a directory may have been replaced by something else since
            if let Ok(fd) = self.open_directory(&path) {
                rustix::fs::futimens(&fd, &times(mtime)).map_err(|e| refusal(&path, e))?;
            }
        }
        Ok(())
    }

    fn open_directory(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        self.tree.open(path, flags).map_err(|e| refusal(path, e))
    }

    fn file<R: Read>(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        entry: &mut tar::Entry<'_, R>,
        holes: Holes,
    ) -> Result<()> {
        let stored = entry.size();
        let length = if let Holes::Mapped(sparse) = &holes { sparse.size.max(stored) } else { stored };
        if matches!(holes, Holes::AsZeros) {
            self.zeros = self.zeros.saturating_add(length);
        }
        if length > MAX_FILE || self.zeros > MAX_FILE {
            return Err(ImageError::Refused(format!("layer: {} says it has {length} bytes", path.display())));
        }
        let mut file = self.create(path)?;
        match holes {
            Holes::None if length == 0 => {}
            Holes::None => {
                self.tree.recorded(path);
                let recorded = self.tap.borrow_mut().file_follows(path.as_os_str().as_bytes(), length);
                recorded.map_err(|e| ImageError::io("write recipe", e))?;
                self.copy(path, entry, length, &mut file)?;
            }
            Holes::AsZeros => {
                self.tap.borrow_mut().set(TapMode::Verbatim);
                self.copy_with_holes(path, entry, &mut file)?;
            }
            Holes::Mapped(sparse) => {
                self.tap.borrow_mut().set(TapMode::Verbatim);
                self.copy_pieces(path, sparse, entry, stored, &mut file)?;
            }
        }
        self.tap.borrow_mut().set(TapMode::Headers);
        self.size += length;
        attributes.apply_with_time(&file, path)
    }

    /// A new file. Most names are free, so whether one is is found out by taking it.
    fn create(&mut self, path: &Path) -> Result<File> {
        let (parent, name) = split(path)?;
        let above = self.tree.directory(parent)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&*above, name, flags, Mode::RUSR | Mode::WUSR);
        let fd = match open() {
            Err(rustix::io::Errno::EXIST) => {
                self.tree.displace(path, &above, name)?;
                open()
            }
            other => other,
        };
        fd.map(File::from).map_err(|e| refusal(path, e))
    }

    /// Blocks of zeros are left out. What a container or a build step has made of a few bytes, by a hole, comes here as its zeros, and
    /// would take the disk; to whoever reads them they are the same.
    fn copy<R: Read>(&mut self, path: &Path, entry: &mut R, length: u64, file: &mut File) -> Result<()> {
        let failed = |e| out_of_io(&format!("unpack {}", path.display()), e);
        let mut left = length;
        while left > 0 {
            let got = entry.read(&mut self.buffer).map_err(|e| out_of_io("read layer", e))?;
            if got == 0 {
                return Err(ImageError::Refused(format!("layer ends in the middle of {}", path.display())));
            }
            left = left.saturating_sub(got as u64);
            let block = &self.buffer[..got];
            // the last one is written, so that the file is as long as it should be
            match left > 0 && block.iter().all(|byte| *byte == 0) {
                true => _ = file.seek(SeekFrom::Current(got as i64)).map_err(failed)?,
                false => file.write_all(block).map_err(failed)?,
            }
        }
        Ok(())
    }

    fn copy_pieces<R: Read>(
        &mut self,
        path: &Path,
        sparse: Sparse,
        entry: &mut R,
        stored: u64,
        file: &mut File,
    ) -> Result<()> {
        let failed = |e| out_of_io(&format!("unpack {}", path.display()), e);
        let size = sparse.size;
        for piece in sparse.pieces(path, entry, stored)? {
            file.seek(SeekFrom::Start(piece.offset)).map_err(failed)?;
            self.copy(path, &mut entry.by_ref().take(piece.length), piece.length, file)?;
        }
        file.set_len(size).map_err(failed)
    }

    /// Blocks of zeros are left out: a sparse file's size costs nothing.
    fn copy_with_holes<R: Read>(&mut self, path: &Path, entry: &mut R, file: &mut File) -> Result<()> {
        let failed = |e| out_of_io(&format!("unpack {}", path.display()), e);
        let mut length = 0;
        loop {
            let got = entry.read(&mut self.buffer).map_err(|e| out_of_io("read layer", e))?;
            let block = &self.buffer[..got];
            match block.iter().all(|byte| *byte == 0) {
                _ if got == 0 => return file.set_len(length).map_err(failed),
                true => _ = file.seek(SeekFrom::Current(got as i64)).map_err(failed)?,
                false => file.write_all(block).map_err(failed)?,
            }
            length += got as u64;
        }
    }

    fn hard_link<R: Read>(&mut self, path: &Path, entry: &mut tar::Entry<'_, R>) -> Result<()> {
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let target = self.tree.real(clean("hard link to", &target)?)?;
        let missing = |e| match e {
            rustix::io::Errno::NOENT => ImageError::Refused(format!(
                "layer: {} is a hard link to {}, which is not in this layer",
                path.display(),
                target.display()
            )),
            other => refusal(path, other),
        };
        if target == path {
            return Ok(());
        }
        let (target_parent, target_name) = split(&target)?;
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        let target_above = self.tree.open(target_parent, directory).map_err(missing)?;
        if self.tree.kind(&target_above, target_name).is_none() {
            return Err(missing(rustix::io::Errno::NOENT));
        }
        let (above, name, _) = self.room_for(path)?;
        rustix::fs::linkat(&target_above, target_name, &*above, name, AtFlags::empty()).map_err(missing)
    }

    fn symlink<R: Read>(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        entry: &tar::Entry<'_, R>,
    ) -> Result<()> {
        let target = entry.link_name_bytes().unwrap_or_default();
        let (above, name, _) = self.room_for(path)?;
        // where it points is the container's business: nothing here follows it out of the root
        rustix::fs::symlinkat(OsStr::from_bytes(&target), &*above, name).map_err(|e| refusal(path, e))?;
        attributes.apply_at(&*above, name, path, true)
    }

    fn node<R: Read>(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        entry: &tar::Entry<'_, R>,
        kind: FileType,
    ) -> Result<()> {
        let device = if kind == FileType::Fifo { 0 } else { device(entry.header())? };
        let (above, name, _) = self.room_for(path)?;
        rustix::fs::mknodat(&*above, name, kind, Mode::from_raw_mode(attributes.mode()), device)
            .map_err(|e| refusal(path, e))?;
        attributes.apply_at(&*above, name, path, false)
    }

    /// OCI image-spec, "Whiteouts", in overlayfs' words: a device 0:0 hides a name, an attribute hides a directory's content.
    fn whiteout(&mut self, path: &Path, name: &OsStr) -> Result<()> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if name.as_bytes() == OPAQUE {
            self.tree.directory(parent)?;
            return set_opaque(self.open_directory(parent)?, parent);
        }
        if name.as_bytes().starts_with(AUFS) {
            return Ok(());
        }
        let hidden = OsStr::from_bytes(&name.as_bytes()[WHITEOUT.len()..]);
        if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
            return Err(ImageError::Refused(format!(
                "layer: whiteout {} hides nothing that can be named",
                path.display()
            )));
        }
        let above = self.tree.directory(parent)?;
        match self.tree.kind(&above, hidden) {
            // a whiteout is about the layers below; what this layer brings itself stays
            Some((FileType::Directory, _)) => {
                let directory = parent.join(hidden);
                set_opaque(self.open_directory(&directory)?, &directory)
            }
            Some(_) => Ok(()),
            None => rustix::fs::mknodat(&*above, hidden, FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(|e| refusal(path, e)),
        }
    }

    fn finish(mut self) -> Result<Applied> {
        let left = self.times.take();
        self.set_times(left)?;
        Ok(Applied { size: self.size, implied: self.tree.implied() })
    }
}

fn device(header: &tar::Header) -> Result<u64> {
    let blank = [0; 8];
    let fields = header.as_ustar().map(|ustar| (&ustar.dev_major, &ustar.dev_minor));
    let fields = fields.or_else(|| header.as_gnu().map(|gnu| (&gnu.dev_major, &gnu.dev_minor)));
    let (major, minor) = fields.unwrap_or((&blank, &blank));
    let number = |field: &[u8; 8], number: io::Result<Option<u32>>| {
        or_blank(field, number.map(Option::unwrap_or_default)).map_err(|e| out_of_io("read layer", e))
    };
    Ok(rustix::fs::makedev(number(major, header.device_major())?, number(minor, header.device_minor())?))
}
