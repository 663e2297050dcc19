//! What the headers of an archive may take of memory, and the holes of its files of the disk.

use super::decode::check_ratio;
use crate::error::{ImageError, through_io};
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use tar::{Entry, EntryType};

/// Bytes of headers (with pax records and long names) between two contents. The tar reader takes them into memory, so an
/// entry that says its name has 10 GiB must end here. Linux takes 4 KiB of path and 64 KiB of one xattr.
const MAX_HEADERS: u64 = 2 << 20;

/// Lies under a tar reader: the reader gets each entry's content as long as it is, and not more than 2 MiB of headers before
/// it.
pub struct BoundedHeaders<R> {
    inner: R,
    counts: Rc<Counts>,
}

/// Has to be told each entry as soon as the tar reader gives it.
pub struct HeaderBound(Rc<Counts>);

struct Counts {
    /// Bytes that may still be read before the next entry is there.
    left: Cell<u64>,
    /// Bytes of the archive.
    read: Cell<u64>,
    /// Bytes of what is in it, holes and all.
    given: Cell<u64>,
}

/// An entry's content. The holes of GNU's sparse files are no more than numbers in the archive, and zeros here: together they may not
/// be more than what an archive unpacks to that is packed.
pub struct Content<'b, R> {
    inner: R,
    counts: &'b Counts,
}

impl<R> BoundedHeaders<R> {
    /// The reader, and who lets contents through.
    pub fn new(inner: R) -> (BoundedHeaders<R>, HeaderBound) {
        let counts =
            Rc::new(Counts { left: Cell::new(MAX_HEADERS), read: Cell::new(0), given: Cell::new(0) });
        (BoundedHeaders { inner, counts: counts.clone() }, HeaderBound(counts))
    }
}

impl HeaderBound {
    /// Lets the content of `entry` through, and the headers of the one behind it.
    ///
    /// # Errors
    /// A size that is no number.
    pub fn entry<R: Read>(&self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let content = match entry.header().entry_type() {
            // who asks for their records gets them in memory
            EntryType::XGlobalHeader
            | EntryType::XHeader
            | EntryType::GNULongName
            | EntryType::GNULongLink => 0,
            EntryType::GNUSparse => stored(entry)?,
            _ => entry.size(),
        };
        self.0.left.set(MAX_HEADERS.saturating_add(content));
        Ok(())
    }

    /// Reads `entry`, for one who writes its holes out.
    pub fn content<R: Read>(&self, entry: R) -> Content<'_, R> {
        Content { inner: entry, counts: &self.0 }
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        let Counts { read, given, .. } = self.counts;
        given.set(given.get().saturating_add(got as u64));
        check_ratio("archive", given.get(), read.get()).map_err(through_io)?;
        Ok(got)
    }
}

/// The reader tells the size of a sparse file with its holes, which are not in the archive. Where a pax record says another
/// size than the header, which no tool writes for these, none is believed.
fn stored<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<u64> {
    let mut records = entry.pax_extensions()?.into_iter().flatten();
    let is_resized = records.any(|record| record.is_ok_and(|record| record.key_bytes() == b"size"));
    if is_resized { Ok(0) } else { entry.header().entry_size() }
}

impl<R: Read> Read for BoundedHeaders<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        let Counts { left, read, .. } = &*self.counts;
        left.set(left.get().checked_sub(got as u64).ok_or_else(|| too_many("archive"))?);
        read.set(read.get().saturating_add(got as u64));
        Ok(got)
    }
}

/// `passed`: bytes of headers since the last content.
pub(super) fn check(passed: u64) -> io::Result<()> {
    if passed > MAX_HEADERS { Err(too_many("layer")) } else { Ok(()) }
}

fn too_many(of: &str) -> io::Error {
    through_io(ImageError::Refused(format!(
        "{of}: more than {} MiB of headers for one entry",
        MAX_HEADERS >> 20
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tar;

    /// Names and lengths of what is in it.
    fn read(tar: &[u8]) -> io::Result<Vec<(String, u64)>> {
        let (tar, bound) = BoundedHeaders::new(tar);
        let mut found = Vec::new();
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            bound.entry(&mut entry)?;
            _ = entry.pax_extensions()?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            // every other one is skipped
            let length = if found.len() % 2 == 0 { io::copy(&mut entry, &mut io::sink())? } else { 0 };
            found.push((name, length));
        }
        Ok(found)
    }

    #[test]
    fn contents_pass_however_long_they_are() {
        let large = vec![1; 5 << 20];
        let tar = Tar::new()
            .file("a", &large)
            .file("skipped", &large)
            .entry(EntryType::GNULongName, "././@LongLink", "", &[b'n'; 1 << 20])
            .file("b", &large)
            .pax(&[("size", b"5242880"), ("path", b"pax")])
            .file("c", &large)
            .bytes();
        let lengths: Vec<u64> = read(&tar).unwrap().iter().map(|(_, length)| *length).collect();
        assert_eq!(lengths, [5 << 20, 0, 5 << 20, 0]);
    }

    /// A file that is nothing but a hole.
    fn hole(tar: Tar, real: u64, stored: u64) -> Tar {
        tar.with(EntryType::GNUSparse, "sparse", "", b"", |header| {
            header.set_size(stored);
            let gnu = header.as_gnu_mut().unwrap();
            gnu.realsize.copy_from_slice(format!("{real:011o}\0").as_bytes());
            gnu.sparse[0].offset.copy_from_slice(format!("{real:011o}\0").as_bytes());
            gnu.sparse[0].numbytes.copy_from_slice(b"00000000000\0");
        })
    }

    #[test]
    fn holes_are_not_written_out_without_end() {
        const MIB: u64 = 1 << 20;
        // as if so much had been read, and nearly all that is free had come of it
        let read = |before: u64, tar: Tar| -> io::Result<u64> {
            let tar = tar.bytes();
            let (tar, bound) = BoundedHeaders::new(&tar[..]);
            bound.0.read.set(before);
            bound.0.given.set((1 << 30) - MIB);
            let mut length = 0;
            for entry in tar::Archive::new(tar).entries()? {
                let mut entry = entry?;
                bound.entry(&mut entry)?;
                length += io::copy(&mut bound.content(entry), &mut io::sink())?;
            }
            Ok(length)
        };
        assert_eq!(read(0, hole(Tar::new(), MIB, 0)).unwrap(), MIB, "small ones may have holes as they like");
        assert_eq!(read(3 * MIB, hole(Tar::new(), 8 * MIB, 0)).unwrap(), 8 * MIB, "a large one with data");
        for (name, tar) in
            [("one", hole(Tar::new(), (1 << 33) - 1, 0)), ("several", hole(hole(Tar::new(), MIB, 0), MIB, 0))]
        {
            let why = read(0, tar).expect_err(name).to_string();
            assert!(why.contains("archive unpacks to more than 400 times its size"), "{name}: {why}");
        }
    }

    #[test]
    fn headers_do_not() {
        let large = vec![0; 3 << 20];
        let sparse = |tar: Tar| hole(tar, 1 << 20, 1 << 40);
        for (name, tar) in [
            ("pax", Tar::new().entry(EntryType::XHeader, "p", "", &large)),
            ("a global one", Tar::new().entry(EntryType::XGlobalHeader, "g", "", &large)),
            ("a long name", Tar::new().entry(EntryType::GNULongName, "l", "", &large)),
            ("a long link", Tar::new().entry(EntryType::GNULongLink, "l", "", &large)),
            ("behind a content", Tar::new().file("a", &large).entry(EntryType::XHeader, "p", "", &large)),
            (
                "behind a file that is nothing but a hole",
                sparse(Tar::new().pax(&[("size", b"0")])).entry(EntryType::XHeader, "p", "", &large),
            ),
        ] {
            let why = read(&tar.file("f", "").bytes()).expect_err(name).to_string();
            assert!(why.contains("more than 2 MiB of headers"), "{name}: {why}");
        }
    }
}
