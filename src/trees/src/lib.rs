//! Directories that others have filled: containers, archives, whoever may write to a volume. Nothing holds them back from
//! tens of thousands of directories in each other, and what walks there with a frame of the stack and a descriptor for each
//! level ends the whole program. So a tree is removed with as many of both as a few levels need ([`remove`]), and who copies
//! or lists one goes down [`MAX_DEPTH`] levels and says so beyond.
//!
//! Nor does anything hold them back from millions of names in one directory, or of files that have several: what a walk has in mind
//! of them is bounded by [`Listings`] and [`LinkNames`], and what unpacking has in mind of directories by [`DirectoryTimes`]. Files
//! may be larger than any disk, by their holes: [`copy_data`] makes no zeros of them.
//!
//! What stands in a file's place there may be a device, which does something when it is opened: [`read_regular`] looks first. Who has
//! opened a file may keep others waiting at it: neither it nor [`overwrite`] waits. What a link in it may lead to is opened by
//! [`open_in_root`] or [`open_beneath`].
//!
//! All is done by descriptors; no link is followed, and nothing is done beyond a mount: what is mounted in a tree is
//! somebody else's. What is mounted where, all who must know it read in [`mountinfo`], and what is mounted in a directory of ours
//! goes by [`unmount_each`].

#![forbid(unsafe_code)]

mod data;
mod inside;
mod links;
pub mod mountinfo;
mod names;
mod regular;
mod removal;
mod size;
mod temporary;
mod times;
mod unmounting;

pub use data::copy_data;
pub use inside::{open_beneath, open_in_root};
pub use links::{FileId, LinkNames};
pub use names::{Listings, Names, each_name, is_empty, try_each_name};
pub use regular::{open_regular, overwrite, read_regular, read_text};
pub use removal::{remove, remove_at};
pub use size::{disk_usage, size};
use std::io;
pub use temporary::TempDir;
pub use times::DirectoryTimes;
pub use unmounting::unmount_each;

/// Levels of directories that are copied, listed or given to a group: more than any real tree has, and few enough for a
/// descriptor each.
pub const MAX_DEPTH: usize = 256;

/// Why a tree is not gone through to its end: `depth` levels lie above what is to come.
///
/// # Errors
/// The next level would be beyond [`MAX_DEPTH`].
pub fn check_depth(depth: usize) -> io::Result<()> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(io::Error::other(format!("more than {MAX_DEPTH} directories in each other")))
}

#[cfg(test)]
mod tests;
