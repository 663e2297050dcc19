//! A container's log as a row of files: `log` is written to, `log.1` was before it, and so on. They change their names
//! while they are read, so they are known by their inodes.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One that is open.
pub(crate) struct Piece {
    pub(crate) file: File,
    inode: u64,
}

impl io::Read for Piece {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into)
    }
}

/// More than anybody keeps.
const MOST: u32 = 10_000;

fn name(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<Piece> {
    let file = File::open(path)?;
    Ok(Piece { inode: file.metadata()?.ino(), file })
}

fn inode(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|meta| meta.ino())
}

/// All that there is, oldest first.
pub(crate) fn all(path: &Path) -> io::Result<Vec<Piece>> {
    loop {
        let newest = inode(path);
        let mut pieces = Vec::new();
        for number in 0..MOST {
            match open(&name(path, number)) {
                Ok(piece) => pieces.push(piece),
                // in the middle of a rotation nothing is written to
                Err(e) if e.kind() == io::ErrorKind::NotFound && number == 0 => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                Err(e) => return Err(e),
            }
        }
        // a rotation between the first and the last would have shifted them
        if newest == inode(path)
            && newest.is_none_or(|newest| pieces.first().is_some_and(|p| p.inode == newest))
        {
            pieces.reverse();
            return Ok(pieces);
        }
    }
}

/// The one that came after `piece`; `None` while that is written to itself.
pub(crate) fn after(path: &Path, piece: &Piece) -> io::Result<Option<Piece>> {
    if inode(path) == Some(piece.inode) {
        return Ok(None);
    }
    let later = all(path)?;
    // where it is gone, so is what came just after it
    let own = later.iter().position(|one| one.inode == piece.inode);
    Ok(later.into_iter().nth(own.map_or(0, |own| own + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{read_to_string, rename, write};
    use std::io::Read;

    fn text(piece: &mut Piece) -> String {
        let mut text = String::new();
        piece.file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn files_are_followed_through_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let rotate = |next: &str| {
            let _ = rename(name(&path, 1), name(&path, 2));
            rename(&path, name(&path, 1)).unwrap();
            write(&path, next).unwrap();
        };
        write(&path, "a").unwrap();
        rotate("b");
        let mut pieces = all(&path).unwrap();
        assert_eq!(pieces.iter_mut().map(text).collect::<String>(), "ab");
        let last = pieces.pop().unwrap();
        assert!(after(&path, &last).unwrap().is_none());
        rotate("c");
        rotate("d");
        let mut next = after(&path, &last).unwrap().unwrap();
        assert_eq!(text(&mut next), "c");
        assert_eq!(text(&mut after(&path, &next).unwrap().unwrap()), "d");
        // what was read last has been thrown away meanwhile
        rotate("e");
        rotate("f");
        assert_eq!(text(&mut after(&path, &last).unwrap().unwrap()), "d");
        assert_eq!(read_to_string(&path).unwrap(), "f");
    }
}
