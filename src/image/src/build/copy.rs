//! COPY and ADD as a layer: which files go where, what they hash to, and the tar that they make.

mod find;

use super::archive;
use super::owner::{Mode, Owner};
use super::view::{Node, View};
use crate::Digest;
use crate::digest::Hasher;
pub(super) use find::{Fetched, Wanted};
use std::collections::{BTreeSet, HashSet};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Where files go in the new layer, in order.
#[derive(Debug)]
pub(super) struct Files {
    entries: Vec<(PathBuf, What)>,
    owner: Owner,
    /// Whose files out of archives are; as the archive has it where nobody said.
    owner_in_archives: Option<Owner>,
    mode: Option<Mode>,
    /// `file`, `dir`, or `multi` for several: so Docker's history has it.
    kind: &'static str,
}

#[derive(Debug)]
enum What {
    Folder(PathBuf),
    File(PathBuf),
    Symlink(PathBuf),
    Text(String),
    /// To be unpacked into this folder.
    Archive(PathBuf),
    /// Made because something is to be in it.
    NewFolder,
}

/// A path in the image, as an instruction has it: absolute or below the working directory.
pub(super) fn absolute(workdir: &str, path: &str) -> PathBuf {
    let workdir = if workdir.is_empty() { "/" } else { workdir };
    Path::new(workdir).join(path)
}

impl Files {
    /// A folder that is not there yet, and those above it.
    pub(super) fn new_folder(target: &View, path: PathBuf, owner: Owner) -> Files {
        let mut files = Files {
            entries: vec![(path, What::NewFolder)],
            owner,
            owner_in_archives: None,
            mode: None,
            kind: "dir",
        };
        files.add_missing_parents(target);
        files
    }

    /// Folders that nobody describes belong to whom the files belong to.
    fn add_missing_parents(&mut self, target: &View) {
        let named: Vec<PathBuf> = self.entries.iter().map(|(path, _)| path.clone()).collect();
        // an archive is unpacked into its folder
        let unpacked = self.entries.iter().filter(|(_, what)| matches!(what, What::Archive(_)));
        let folders: Vec<PathBuf> = unpacked.map(|(path, _)| path.join("x")).collect();
        let named: Vec<PathBuf> =
            named.into_iter().filter(|path| !folders.contains(&path.join("x"))).collect();
        // each is looked for once, however many files are below it: a look goes through all layers
        let described: HashSet<&Path> = named.iter().map(PathBuf::as_path).collect();
        let above: BTreeSet<&Path> = named
            .iter()
            .chain(&folders)
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|parent| !parent.as_os_str().is_empty() && !described.contains(parent))
            .collect();
        let missing: Vec<PathBuf> = above
            .into_iter()
            .filter(|parent| matches!(target.resolve(parent), Ok((_, Node::Missing))))
            .map(Path::to_owned)
            .collect();
        self.entries.splice(0..0, missing.into_iter().map(|path| (path, What::NewFolder)));
    }

    /// `file:<hash>`
    pub(super) fn shown(&self, digest: &Digest) -> String {
        format!("{}:{}", self.kind, digest.hex())
    }

    /// Of all that matters for the result; times do not.
    pub(super) fn digest(&self) -> io::Result<Digest> {
        let mut hasher = Hasher::new();
        for (path, what) in &self.entries {
            let text = match what {
                What::Folder(real) | What::File(real) => self.described(real)?,
                What::Symlink(real) => {
                    format!("-> {} {}", std::fs::read_link(real)?.display(), self.described(real)?)
                }
                What::Text(text) => text.clone(),
                What::Archive(_) => "archive".into(),
                What::NewFolder => String::new(),
            };
            hasher.update(
                format!("{path:?} {text} {:?} {:?} {:?}\0", self.owner, self.owner_in_archives, self.mode)
                    .as_bytes(),
            );
            if let What::File(real) | What::Archive(real) = what {
                let mut file = File::open(real)?;
                let mut block = vec![0; 128 << 10];
                loop {
                    let got = file.read(&mut block)?;
                    if got == 0 {
                        break;
                    }
                    hasher.update(&block[..got]);
                }
            }
        }
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
        for (path, what) in &self.entries {
            self.entry(&mut tar, path, what)?;
        }
        tar.into_inner()?.flush()
    }

    fn entry(&self, tar: &mut Builder<impl Write>, path: &Path, what: &What) -> io::Result<()> {
        match what {
            What::Folder(real) => {
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
            What::NewFolder => {
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
        header.set_mtime(0);
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
