//! Loop devices: files that are block devices, by the kernel's own interface (`linux/loop.h`).
//!
//! A device is known by the file behind it and by nothing else: its device and inode, as the kernel tells them. A name may be
//! given to another file meanwhile, and a number to another device. So nothing need be remembered, and what a crash leaves
//! attached is found again. Devices are made to stay until they are let go (no `autoclear`), and write past the cache of
//! their file's disk where that can be (direct I/O).
//!
//! Whoever can open a device can let it go, without any privilege (`LOOP_CLR_FD`), and say that it is a part of its file
//! (`LOOP_SET_STATUS64`). So who gives one to others has it open meanwhile ([`Held`]):
//! the kernel takes the file from none that is open.
//!
//! It knows neither pods nor volumes. Two who attach one file at the same time may get a device each: the caller has one of
//! them wait. Read [`attach`] first.

mod control;

use control::{AUTOCLEAR, Info, Opened};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the kernel shows its block devices.
const DEVICES: &str = "/sys/block";
/// What it writes behind the name of a file that has none any more.
const DELETED: &str = " (deleted)";
/// Others may take the device that was just free.
const TRIES: usize = 64;

/// `/dev/loop<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoopDevice {
    number: u32,
}

impl LoopDevice {
    pub fn path(self) -> PathBuf {
        PathBuf::from(format!("/dev/loop{}", self.number))
    }

    fn of_name(name: &str) -> Option<Self> {
        name.strip_prefix("loop")?.parse().ok().map(|number| LoopDevice { number })
    }

    /// `None` where it has no file, or no node.
    fn open_attached(self) -> Option<(Opened, Info)> {
        let opened = Opened::read_only(self).ok()?;
        let info = opened.info().ok()?;
        Some((opened, info))
    }
}

/// Whether this host has loop devices.
///
/// # Errors
/// Why not, in words for who asked for one.
pub fn check() -> io::Result<()> {
    control::open().map(drop)
}

/// A device that is open: as long as this is there, it is its file's, whoever lets it go. Afterwards it stays until somebody does.
#[derive(Debug)]
pub struct Held {
    device: LoopDevice,
    _opened: Opened,
}

impl Held {
    pub fn path(&self) -> PathBuf {
        self.device.path()
    }
}

/// The device that the file is, or becomes. As often as it is called, it is one device; one that was about to be let go stays.
/// It is as large as the file is now, in whole sectors of 512 bytes.
///
/// # Errors
/// There is no such file, or it is none; this host has no loop devices; the kernel refuses.
pub fn attach(path: &Path) -> io::Result<Held> {
    let file = open_file(path)?;
    let metadata = file.metadata()?;
    if let Some((device, opened, info)) = of_file(&metadata)? {
        if info.has(AUTOCLEAR) {
            opened.keep(&info)?;
        }
        // whoever has made the file larger meanwhile may not have seen the device
        opened.fit()?;
        return Ok(Held { device, _opened: opened });
    }
    let control = control::open()?;
    for _ in 0..TRIES {
        let device = LoopDevice { number: control::free(&control)? };
        let configuring = Opened::read_write(device)?;
        match configuring.configure(&file, path) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            // one that is open for writing some kernels let nobody mount
            done => return done.and_then(|()| Ok(Held { device, _opened: Opened::read_only(device)? })),
        }
    }
    Err(io::Error::other("others take every loop device that is free"))
}

/// For reading and writing. Who may write to a volume may put a device or a pipe in the file's place, and to open a device alone
/// sets it to work: so it is looked at by its place (`O_PATH`) first.
fn open_file(path: &Path) -> io::Result<File> {
    let mut place = OpenOptions::new();
    let found = place.read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)?;
    if !found.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no file", path.display())));
    }
    // the same file, whatever has its name by now; and who has a lease on it must not stop us
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(itself)
}

/// The device that the file is, where it is one: none that was let go, and that somebody still has open.
///
/// # Errors
/// The file can not be looked at.
pub fn find(path: &Path) -> io::Result<Option<LoopDevice>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        metadata => {
            let found = of_file(&metadata?)?.filter(|(.., info)| !info.has(AUTOCLEAR));
            Ok(found.map(|(device, ..)| device))
        }
    }
}

/// Has the device, where the file is one, be as large as its file is by now.
///
/// # Errors
/// The file can not be looked at; the kernel refuses.
pub fn fit(path: &Path) -> io::Result<()> {
    of_file(&fs::symlink_metadata(path)?)?.map_or(Ok(()), |(_, opened, _)| opened.fit())
}

/// Has what was written to the device, where the file is one, be in the file.
///
/// # Errors
/// The file can not be looked at; the disk refuses.
pub fn flush(path: &Path) -> io::Result<()> {
    of_file(&fs::symlink_metadata(path)?)?.map_or(Ok(()), |(_, opened, _)| opened.flush())
}

/// Lets the file's devices go, also where the file has no name any more, and where a device is a part of it by now. One that
/// somebody has open goes when he closes it. May be repeated.
///
/// # Errors
/// The kernel refuses.
pub fn detach(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path).ok();
    let (parent, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let disk = fs::metadata(parent).ok().map(|parent| parent.dev());
    let name = parent.canonicalize().map(|parent| parent.join(name)).ok();
    let is_its = |behind: &Behind, info: &Info| match &metadata {
        Some(metadata) if info.is_behind(metadata) => true,
        _ => behind.is_deleted && Some(&behind.path) == name.as_ref() && disk == Some(info.device),
    };
    let may_be_its = |behind: &Behind| match &metadata {
        Some(metadata) => behind.may_be(metadata),
        None => behind.is_deleted,
    };
    let mut all = attached()?.into_iter().filter(|(_, behind)| may_be_its(behind));
    all.try_for_each(|(device, behind)| match device.open_attached() {
        Some((opened, info)) if is_its(&behind, &info) => opened.let_go(),
        _ => Ok(()),
    })
}

/// Lets all devices go whose files are below the directory. What could not be let go, and why.
pub fn detach_below(directory: &Path) -> Vec<String> {
    let Ok(directory) = directory.canonicalize() else { return Vec::new() };
    let Ok(disk) = fs::metadata(&directory).map(|metadata| metadata.dev()) else { return Vec::new() };
    let all = match attached() {
        Ok(all) => all,
        Err(error) => return vec![format!("look for loop devices: {error}")],
    };
    let mut failures = Vec::new();
    for (device, behind) in all.into_iter().filter(|(_, behind)| behind.path.starts_with(&directory)) {
        let Some((opened, info)) = device.open_attached() else { continue };
        // the name is the one that it has for whoever attached it: for others it may be another file's
        let is_there = fs::symlink_metadata(&behind.path).is_ok_and(|metadata| info.is_behind(&metadata));
        let is_its = is_there || (behind.is_deleted && info.device == disk);
        if let Some(error) = is_its.then(|| opened.let_go()).and_then(Result::err) {
            failures.push(format!("let {} go: {error}", device.path().display()));
        }
    }
    failures
}

/// The file behind a device, as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Behind {
    path: PathBuf,
    is_deleted: bool,
}

impl Behind {
    fn read(shown: &[u8]) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        let shown = shown.strip_suffix(b"\n").unwrap_or(shown);
        match shown.strip_suffix(DELETED.as_bytes()) {
            Some(name) => Behind { path: path(name), is_deleted: true },
            None => Behind { path: path(shown), is_deleted: false },
        }
    }

    /// Whether the device is to be looked at: while it is, it stays, whoever lets it go. Where the name tells nothing it must be.
    fn may_be(&self, file: &Metadata) -> bool {
        let is_another = |found: &Metadata| (found.dev(), found.ino()) != (file.dev(), file.ino());
        self.is_deleted || !fs::symlink_metadata(&self.path).is_ok_and(|found| is_another(&found))
    }
}

/// All that have a file, in the order of their numbers.
fn attached() -> io::Result<Vec<(LoopDevice, Behind)>> {
    let entries = match fs::read_dir(DEVICES) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(device) = entry.file_name().to_str().and_then(LoopDevice::of_name) else { continue };
        // only what has a file has this one
        let Ok(shown) = fs::read(entry.path().join("loop/backing_file")) else { continue };
        all.push((device, Behind::read(&shown)));
    }
    all.sort_by_key(|(device, _)| *device);
    Ok(all)
}

/// The device is open, so that it stays this file's as long as that is held.
fn of_file(file: &Metadata) -> io::Result<Option<(LoopDevice, Opened, Info)>> {
    let mut all = attached()?.into_iter().filter(|(_, behind)| behind.may_be(file));
    Ok(all.find_map(|(device, _)| {
        let (opened, info) = device.open_attached()?;
        is_of(&info, file).then_some((device, opened, info))
    }))
}

/// Whether it is the whole file, and can be written to: others may have made devices of parts of it.
fn is_of(info: &Info, file: &Metadata) -> bool {
    info.is_whole() && info.is_behind(file)
}

#[cfg(test)]
mod tests;
