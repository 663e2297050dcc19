//! COPY and ADD as a layer: which files go where, what they hash to, and the tar that they make.

mod find;
mod walk;

use super::archive;
use super::ignore::Ignore;
use super::owner::{Mode, Owner};
use super::view::{Node, View};
use crate::Digest;
use crate::digest::Hasher;
pub(super) use find::{Fetched, Wanted};
use rustix::fs::FileType;
use std::collections::{BTreeSet, HashSet};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};
use tokio_util::sync::CancellationToken;
use walk::Below;

/// Of what is kept of the files that an instruction names; what is in its directories is not kept.
const MOST_NAMED: usize = 256 << 20;
/// What one takes beside its paths.
const ENTRY: usize = 128;

/// Where files go in the new layer, in order.
#[derive(Debug)]
pub(super) struct Files {
    entries: Vec<(PathBuf, Entry)>,
    /// Bytes that may still be added to them.
    left: usize,
    exclude: Ignore,
    /// Nobody waits for the build any more.
    gone: CancellationToken,
    /// What the layer goes on top of.
    target: View,
    owner: Owner,
    /// Whose files out of archives are; as the archive has it where nobody said.
    owner_in_archives: Option<Owner>,
    mode: Option<Mode>,
    /// Of what comes from nowhere: new directories, here-documents. Seconds since 1970.
    made_at: u64,
    /// `file`, `dir`, or `multi` for several: so Docker's history has it.
    kind: &'static str,
}

#[derive(Debug)]
enum Entry {
    One(What),
    Below(Below),
}

#[derive(Debug)]
enum What {
    Directory(PathBuf),
    File(PathBuf),
    Symlink(PathBuf),
    Text(String),
    /// To be unpacked into this directory.
    Archive(PathBuf),
    /// Made because something is to be in it.
    NewDirectory,
}

impl What {
    /// A file or a link; devices and pipes of a context are of no use in an image.
    fn of(node: &Node) -> io::Result<Option<What>> {
        Ok(match node {
            Node::File(real) => {
                let meta = std::fs::symlink_metadata(real)?;
                let is_file = FileType::from_raw_mode(meta.mode()) == FileType::RegularFile;
                is_file.then(|| What::File(real.clone()))
            }
            Node::Symlink(real) => Some(What::Symlink(real.clone())),
            Node::Directory(_) | Node::Missing => None,
        })
    }
}

/// A path in the image, as an instruction has it: absolute or below the working directory.
pub(super) fn absolute(workdir: &str, path: &str) -> PathBuf {
    let workdir = if workdir.is_empty() { "/" } else { workdir };
    Path::new(workdir).join(path)
}

impl Files {
    /// A directory that is not there yet, and those above it.
    pub(super) fn new_directory(target: &View, path: PathBuf, owner: Owner, made_at: u64) -> Files {
        let mut files = Files {
            entries: vec![(path, Entry::One(What::NewDirectory))],
            left: MOST_NAMED,
            exclude: Ignore::default(),
            gone: CancellationToken::new(),
            target: target.clone(),
            owner,
            owner_in_archives: None,
            mode: None,
            made_at,
            kind: "dir",
        };
        files.add_missing_parents();
        files
    }

    fn add(&mut self, path: PathBuf, entry: Entry) -> Result<(), String> {
        let bytes = match &entry {
            Entry::One(
                What::Directory(real) | What::File(real) | What::Symlink(real) | What::Archive(real),
            ) => real.as_os_str().len(),
            Entry::One(What::Text(text)) => text.len(),
            Entry::One(What::NewDirectory) => 0,
            Entry::Below(below) => below.directory.bytes() + below.source.as_os_str().len(),
        };
        let left = self.left.checked_sub(ENTRY + path.as_os_str().len() + bytes);
        self.left = left.ok_or("more files are named than can be copied at once")?;
        self.entries.push((path, entry));
        Ok(())
    }

    /// Directories that nobody describes belong to whom the files belong to.
    fn add_missing_parents(&mut self) {
        let missing = self.missing_parents().into_iter();
        self.entries.splice(0..0, missing.map(|path| (path, Entry::One(What::NewDirectory))));
    }

    fn missing_parents(&self) -> Vec<PathBuf> {
        // an archive is unpacked into its directory, and a directory's content goes into one
        let is_into = |entry: &Entry| matches!(entry, Entry::Below(_) | Entry::One(What::Archive(_)));
        let into = self.entries.iter().filter(|(_, entry)| is_into(entry));
        let inner: Vec<PathBuf> = into.map(|(path, _)| path.join("x")).collect();
        let archives = self.entries.iter().filter(|(_, entry)| matches!(entry, Entry::One(What::Archive(_))));
        let unpacked: HashSet<&Path> = archives.map(|(path, _)| path.as_path()).collect();
        let named = self.entries.iter().filter(|(_, entry)| !is_into(entry));
        // each is looked for once, however many files are below it: a look goes through all layers
        let described: HashSet<&Path> =
            named.map(|(path, _)| path.as_path()).filter(|path| !unpacked.contains(path)).collect();
        let above: BTreeSet<&Path> = described
            .iter()
            .copied()
            .chain(inner.iter().map(PathBuf::as_path))
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|parent| !parent.as_os_str().is_empty() && !described.contains(parent))
            .collect();
        let is_missing = |path: &&Path| matches!(self.target.resolve(path), Ok((_, Node::Missing)));
        above.into_iter().filter(is_missing).map(Path::to_owned).collect()
    }

    /// `file:<hash>`
    pub(super) fn shown(&self, digest: &Digest) -> String {
        format!("{}:{}", self.kind, digest.hex())
    }

    /// Of all that matters for the result; times do not.
    pub(super) fn digest(&self) -> io::Result<Digest> {
        let mut hasher = Hasher::new();
        let mut block = vec![0; 128 << 10];
        self.each(&mut |path, what| {
            let text = match what {
                What::Directory(real) | What::File(real) => self.described(real)?,
                What::Symlink(real) => {
                    format!("-> {} {}", std::fs::read_link(real)?.display(), self.described(real)?)
                }
                What::Text(text) => text.clone(),
                What::Archive(_) => "archive".into(),
                What::NewDirectory => String::new(),
            };
            hasher.update(
                format!("{path:?} {text} {:?} {:?} {:?}\0", self.owner, self.owner_in_archives, self.mode)
                    .as_bytes(),
            );
            if let What::File(real) | What::Archive(real) = what {
                let mut file = File::open(real)?;
                loop {
                    let got = file.read(&mut block)?;
                    if got == 0 {
                        break;
                    }
                    hasher.update(&block[..got]);
                }
            }
            Ok(())
        })?;
        Ok(hasher.digest())
    }

    /// Mode, owner where it is kept, and attributes.
    fn described(&self, real: &Path) -> io::Result<String> {
        let meta = std::fs::symlink_metadata(real)?;
        let owner = match self.owner {
            Owner::Kept => format!("{}:{}", meta.uid(), meta.gid()),
            Owner::Given { .. } => String::new(),
        };
        Ok(format!("{:o} {owner} {:?}", meta.mode(), crate::upper::attributes(real)?))
    }

    pub(super) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut tar = Builder::new(io::BufWriter::with_capacity(128 << 10, out));
        self.each(&mut |path, what| self.entry(&mut tar, path, what))?;
        tar.into_inner()?.flush()
    }

    fn entry(&self, tar: &mut Builder<impl Write>, path: &Path, what: &What) -> io::Result<()> {
        match what {
            What::Directory(real) => {
                let mut header = self.header(&std::fs::symlink_metadata(real)?, EntryType::Directory);
                tar.append_data(&mut header, path.join(""), io::empty())
            }
            What::File(real) => {
                let meta = std::fs::symlink_metadata(real)?;
                let kept = crate::upper::attributes(real)?;
                let kept: Vec<(String, Vec<u8>)> =
                    kept.into_iter().map(|(n, v)| (format!("SCHILY.xattr.{n}"), v)).collect();
                if !kept.is_empty() {
                    tar.append_pax_extensions(
                        kept.iter().map(|(name, value)| (name.as_str(), value.as_slice())),
                    )?;
                }
                let mut header = self.header(&meta, EntryType::Regular);
                header.set_size(meta.len());
                tar.append_data(&mut header, path, File::open(real)?.take(meta.len()))
            }
            What::Symlink(real) => {
                let mut header = self.header(&std::fs::symlink_metadata(real)?, EntryType::Symlink);
                tar.append_link(&mut header, path, std::fs::read_link(real)?)
            }
            What::Text(text) => {
                let mode = self.mode.as_ref().map_or(0o644, |mode| mode.applied(0o644, false));
                let mut header = self.made(EntryType::Regular, mode);
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, path, text.as_bytes())
            }
            What::NewDirectory => {
                tar.append_data(&mut self.made(EntryType::Directory, 0o755), path.join(""), io::empty())
            }
            What::Archive(real) => {
                let owner = self.owner_in_archives.and_then(|owner| match owner {
                    Owner::Given { uid, gid } => Some((uid, gid)),
                    Owner::Kept => None,
                });
                archive::append(tar, path, real, owner)
            }
        }
    }

    fn header(&self, meta: &Metadata, kind: EntryType) -> Header {
        let mut header = crate::upper::header(meta, kind);
        self.own(&mut header);
        if let (Some(mode), false) = (&self.mode, kind == EntryType::Symlink) {
            header.set_mode(mode.applied(meta.mode(), kind == EntryType::Directory));
        }
        header
    }

    fn made(&self, kind: EntryType, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(mode);
        header.set_mtime(self.made_at);
        header.set_uid(0);
        header.set_gid(0);
        self.own(&mut header);
        header
    }

    fn own(&self, header: &mut Header) {
        if let Owner::Given { uid, gid } = self.owner {
            header.set_uid(uid);
            header.set_gid(gid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, View) {
        let dir = tempfile::tempdir().unwrap();
        for directory in ["b/c", "a"] {
            std::fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        for number in 0..100 {
            std::fs::write(dir.path().join(format!("b/c/{number:02}")), "x").unwrap();
        }
        let view = View { layers: vec![dir.path().to_owned()] };
        (dir, view)
    }

    #[test]
    fn what_is_in_a_directory_is_gone_through_and_not_kept() {
        let (_dir, view) = tree();
        let files = Files::all_at(&view, "/", &CancellationToken::new()).unwrap();
        assert_eq!(files.entries.len(), 1);
        let mut paths = Vec::new();
        let mut take = |path: &Path, _: &What| {
            paths.push(path.display().to_string());
            Ok(())
        };
        files.each(&mut take).unwrap();
        assert_eq!((paths.len(), &paths[..4]), (103, &["a", "b", "b/c", "b/c/00"].map(String::from)[..]));
        assert_eq!(files.digest().unwrap(), files.digest().unwrap());
    }

    #[test]
    fn what_an_instruction_names_is_bounded() {
        let (_dir, view) = tree();
        let mut files = Files::all_at(&view, "/b/c/*", &CancellationToken::new()).unwrap();
        assert_eq!(files.entries.len(), 100);
        files.left = 300;
        let mut add = || files.add("x".repeat(20).into(), Entry::One(What::NewDirectory));
        assert_eq!((add(), add()), (Ok(()), Ok(())));
        assert_eq!(add(), Err("more files are named than can be copied at once".to_owned()));
    }
}
