//! The calls themselves, and what passes through them.

use crate::LoopDevice;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const CONTROL: &str = "/dev/loop-control";

// linux/loop.h
const LOOP_SET_FD: libc::Ioctl = 0x4C00;
const LOOP_CLR_FD: libc::Ioctl = 0x4C01;
const LOOP_SET_STATUS64: libc::Ioctl = 0x4C04;
const LOOP_GET_STATUS64: libc::Ioctl = 0x4C05;
const LOOP_SET_CAPACITY: libc::Ioctl = 0x4C07;
const LOOP_SET_DIRECT_IO: libc::Ioctl = 0x4C08;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A; // since Linux 5.8
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const READ_ONLY: u32 = 1;
pub(crate) const AUTOCLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Info {
    /// That the file is on, as stat(2) has it.
    pub(crate) device: u64,
    inode: u64,
    rdevice: u64,
    pub(crate) offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    /// For whoever lists devices; the kernel reads it not.
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct Configuration {
    file: u32,
    /// Zero: as the kernel finds it.
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

// as the kernel has them: neither has a gap that would not be written
const _: () = assert!(size_of::<Info>() == 232 && size_of::<Configuration>() == 304);

impl Info {
    const NONE: Info = Info {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: 0,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };

    fn named(path: &Path, flags: u32) -> Self {
        let mut info = Info { flags, ..Info::NONE };
        // the last byte ends the name
        let room = info.file_name.len() - 1;
        let name = path.as_os_str().as_bytes();
        let length = name.len().min(room);
        info.file_name[..length].copy_from_slice(&name[..length]);
        info
    }

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.offset == 0 && self.size_limit == 0 && !self.has(READ_ONLY)
    }

    pub(crate) fn is_behind(&self, file: &Metadata) -> bool {
        (self.device, self.inode) == (file.dev(), file.ino())
    }
}

/// What gives devices out.
///
/// # Errors
/// That there are none on this host, and why.
pub(crate) fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(CONTROL).map_err(|error| {
        io::Error::new(error.kind(), format!("this host has no loop devices: open {CONTROL}: {error}"))
    })
}

/// The number of one that has no file. It is nobody's before it is configured.
pub(crate) fn free(control: &File) -> io::Result<u32> {
    let number = with_number(control, LOOP_CTL_GET_FREE, 0)?;
    u32::try_from(number).map_err(io::Error::other)
}

/// A device that is open. As long as it is, it keeps the file that it has.
#[derive(Debug)]
pub(crate) struct Opened(File);

impl Opened {
    /// To look at it, or to change what it is: nothing is written to what is only read.
    pub(crate) fn read_only(device: LoopDevice) -> io::Result<Self> {
        File::open(device.path()).map(Opened)
    }

    /// To configure it: what is not open for writing becomes read-only.
    pub(crate) fn read_write(device: LoopDevice) -> io::Result<Self> {
        let path = device.path();
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let opened = opened.map_err(|error| {
            io::Error::new(error.kind(), format!("open loop device {}: {error}", path.display()))
        });
        opened.map(Opened)
    }

    /// # Errors
    /// It has no file.
    pub(crate) fn info(&self) -> io::Result<Info> {
        let mut info = Info::NONE;
        // SAFETY: the descriptor is open, and the kernel writes one `loop_info64`, which `info` is and which lives through
        // the call.
        result(unsafe { libc::ioctl(self.0.as_raw_fd(), LOOP_GET_STATUS64, &raw mut info) })?;
        Ok(info)
    }

    pub(crate) fn configure(&self, file: &File, path: &Path) -> io::Result<()> {
        let descriptor = u32::try_from(file.as_raw_fd()).map_err(io::Error::other)?;
        let info = Info::named(path, DIRECT_IO);
        let wanted = Configuration { file: descriptor, block_size: 0, info, reserved: [0; 8] };
        // SAFETY: the descriptor is open, and the kernel reads one `loop_config`, which lives through the call.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), LOOP_CONFIGURE, &raw const wanted) };
        match result(done) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)) => {
                self.configure_in_steps(file, path)
            }
            done => done.map(drop),
        }
    }

    /// For a kernel that does not know all of it at once.
    fn configure_in_steps(&self, file: &File, path: &Path) -> io::Result<()> {
        let descriptor = libc::c_ulong::try_from(file.as_raw_fd()).map_err(io::Error::other)?;
        with_number(&self.0, LOOP_SET_FD, descriptor)?;
        if let Err(error) = self.set(&Info::named(path, 0)) {
            // it is ours, and of no use
            let _ = self.let_go();
            return Err(error);
        }
        // not every disk can
        let _ = with_number(&self.0, LOOP_SET_DIRECT_IO, 1);
        Ok(())
    }

    /// Undoes that it was let go while somebody had it open.
    pub(crate) fn keep(&self, info: &Info) -> io::Result<()> {
        self.set(&Info { flags: info.flags & !AUTOCLEAR, ..*info })
    }

    fn set(&self, info: &Info) -> io::Result<()> {
        // SAFETY: the descriptor is open, and the kernel reads one `loop_info64`, which lives through the call.
        result(unsafe { libc::ioctl(self.0.as_raw_fd(), LOOP_SET_STATUS64, std::ptr::from_ref(info)) })
            .map(drop)
    }

    /// Has it be as large as its file.
    pub(crate) fn fit(&self) -> io::Result<()> {
        with_number(&self.0, LOOP_SET_CAPACITY, 0).map(drop)
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// When nobody has it open any more.
    pub(crate) fn let_go(&self) -> io::Result<()> {
        match with_number(&self.0, LOOP_CLR_FD, 0) {
            // it has none
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(()),
            done => done.map(drop),
        }
    }
}

/// A call that takes a number, or nothing.
fn with_number(file: &File, call: libc::Ioctl, number: libc::c_ulong) -> io::Result<libc::c_int> {
    // SAFETY: the descriptor is open, and the kernel takes the argument for a number.
    result(unsafe { libc::ioctl(file.as_raw_fd(), call, number) })
}

fn result(done: libc::c_int) -> io::Result<libc::c_int> {
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}
