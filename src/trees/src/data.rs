//! What is in a file, and not what is missing in it.

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};

/// Copies a file's content into one that is empty. Where the first has holes the other one has them too: a file of terabytes
/// takes a few bytes of whoever makes an image or writes to a volume, and must not take terabytes of who copies it.
///
/// # Errors
/// What could not be read or written.
pub fn copy_data(from: &File, to: &File) -> io::Result<()> {
    let size = from.metadata()?.len();
    let mut at = 0;
    while at < size {
        let (start, end) = match seek(from, SeekFrom::Data(at)) {
            Ok(start) => (start, seek(from, SeekFrom::Hole(start))?.min(size)),
            // nothing but a hole is left
            Err(Errno::NXIO) => break,
            // the file system knows of no holes
            Err(Errno::INVAL | Errno::OPNOTSUPP) => (at, size),
            Err(error) => return Err(error.into()),
        };
        seek(from, SeekFrom::Start(start))?;
        seek(to, SeekFrom::Start(start))?;
        let (mut from, mut to) = (from, to);
        io::copy(&mut from.by_ref().take(end.saturating_sub(start)), &mut to)?;
        // also where it was cut meanwhile
        at = end.max(at + 1);
    }
    to.set_len(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    const TIB: u64 = 1 << 40;

    #[test]
    fn holes_are_copied_as_holes() {
        let dir = tempfile::tempdir().unwrap();
        for (name, pieces, size) in [
            ("empty", &[][..], 0),
            ("no hole", &[(0, 100_000)][..], 100_000),
            ("nothing but a hole", &[], TIB),
            ("data between holes", &[(1 << 30, 5), (TIB - 1, 1)], TIB + (1 << 20)),
            ("a hole first", &[(1 << 20, 10)], (1 << 20) + 10),
        ] {
            let file = |side: &str| {
                let path = dir.path().join(format!("{name} {side}"));
                File::options().create(true).read(true).write(true).truncate(true).open(path).unwrap()
            };
            let (from, to) = (file("from"), file("to"));
            for (offset, length) in pieces {
                from.write_all_at(&vec![b'x'; *length], *offset).unwrap();
            }
            from.set_len(size).unwrap();
            copy_data(&from, &to).unwrap();
            let meta = to.metadata().unwrap();
            assert_eq!(meta.len(), size, "{name}");
            assert!(meta.blocks() * 512 < 1 << 20, "{name} takes {} blocks", meta.blocks());
            for (offset, length) in pieces {
                let mut found = vec![0; *length];
                to.read_exact_at(&mut found, *offset).unwrap();
                assert!(found.iter().all(|byte| *byte == b'x'), "{name} at {offset}");
            }
        }
    }
}
