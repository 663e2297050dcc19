//! COPY and ADD: which files go where, what they hash to, and the layer's tar that they make.

use super::archive;
use super::view::{Node, View, glob, list};
use crate::Digest;
use crate::digest::Hasher;
use rustix::fs::FileType;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Where files go in the new layer, in order.
#[derive(Debug, Default)]
pub(super) struct Files {
    entries: Vec<(PathBuf, What)>,
    owner: (u64, u64),
    mode: Option<u32>,
}

#[derive(Debug)]
enum What {
    Folder(PathBuf),
    File(PathBuf),
    Symlink(PathBuf),
    Text(String),
    /// To be unpacked into this folder.
    Archive(PathBuf),
    /// Made because WORKDIR names it.
    NewFolder,
}

/// What the instruction says, with all variables in.
pub(super) struct Wanted<'w> {
    pub(super) from: &'w View,
    pub(super) sources: &'w [String],
    /// Name and place of what was downloaded.
    pub(super) downloads: Vec<(String, PathBuf)>,
    /// Name and content of here-documents.
    pub(super) texts: Vec<(String, String)>,
    pub(super) dest: String,
    pub(super) workdir: &'w str,
    /// What the layer goes on top of.
    pub(super) target: &'w View,
    pub(super) owner: (u64, u64),
    pub(super) mode: Option<u32>,
    pub(super) unpack: bool,
}

/// A path in the image, as an instruction has it: absolute or below the working directory.
pub(super) fn absolute(workdir: &str, path: &str) -> PathBuf {
    let workdir = if workdir.is_empty() { "/" } else { workdir };
    Path::new(workdir).join(path)
}

impl Files {
    pub(super) fn new_folder(path: PathBuf) -> Files {
        Files { entries: vec![(path, What::NewFolder)], ..Files::default() }
    }

    pub(super) fn find(wanted: Wanted<'_>) -> Result<Files, String> {
        let mut files = Files { entries: Vec::new(), owner: wanted.owner, mode: wanted.mode };
        let (dest, there) = wanted.target.resolve(&absolute(wanted.workdir, &wanted.dest))?;
        let mut sources = Vec::new();
        for pattern in wanted.sources {
            let found = glob(wanted.from, pattern)?;
            if found.is_empty() {
                return Err(format!("{pattern}: no such file or directory"));
            }
            sources.extend(found);
        }
        let says_folder = wanted.dest.ends_with('/')
            || matches!(wanted.dest.as_str(), "." | "..")
            || wanted.dest.ends_with("/.");
        let several = sources.len() + wanted.downloads.len() + wanted.texts.len() > 1;
        if several && !says_folder {
            return Err("When using COPY with more than one source file, the destination must be a directory and end with a /".into());
        }
        let into_folder = says_folder || matches!(there, Node::Folder(_));
        let place = |name: &Path| if into_folder { dest.join(name) } else { dest.clone() };
        for (path, node) in sources {
            match &node {
                Node::Folder(_) => files.folder(&dest, &node)?,
                Node::File(real) if wanted.unpack && archive::is_one(real)? => {
                    files.entries.push((dest.clone(), What::Archive(real.clone())))
                }
                _ => files.node(place(Path::new(path.file_name().unwrap_or_default())), &node)?,
            }
        }
        for (name, file) in wanted.downloads {
            files.entries.push((place(Path::new(&name)), What::File(file)));
        }
        for (name, text) in wanted.texts {
            files.entries.push((place(Path::new(&name)), What::Text(text)));
        }
        Ok(files)
    }

    /// What is in it, not the folder itself.
    fn folder(&mut self, dest: &Path, folder: &Node) -> Result<(), String> {
        if let (Node::Folder(parts), false) = (folder, dest.as_os_str().is_empty()) {
            self.entries.extend(parts.first().map(|part| (dest.to_owned(), What::Folder(part.clone()))));
        }
        for (name, node) in list(folder) {
            match &node {
                Node::Folder(_) => self.folder(&dest.join(name), &node)?,
                _ => self.node(dest.join(name), &node)?,
            }
        }
        Ok(())
    }

    fn node(&mut self, dest: PathBuf, node: &Node) -> Result<(), String> {
        match node {
            Node::File(real) => {
                let meta = std::fs::symlink_metadata(real).map_err(|e| e.to_string())?;
                // devices and pipes of a context are of no use in an image
                if FileType::from_raw_mode(meta.mode()) == FileType::RegularFile {
                    self.entries.push((dest, What::File(real.clone())));
                }
            }
            Node::Symlink(real) => self.entries.push((dest, What::Symlink(real.clone()))),
            Node::Folder(_) | Node::Missing => {}
        }
        Ok(())
    }

    /// Of all that matters for the result; times do not.
    pub(super) fn digest(&self) -> io::Result<Digest> {
        let mut hasher = Hasher::new();
        for (path, what) in &self.entries {
            let text = match what {
                What::Folder(real) | What::File(real) => {
                    format!("{:o}", std::fs::symlink_metadata(real)?.mode())
                }
                What::Symlink(real) => format!("-> {}", std::fs::read_link(real)?.display()),
                What::Text(text) => text.clone(),
                What::Archive(_) => "archive".into(),
                What::NewFolder => String::new(),
            };
            hasher.update(format!("{:?} {} {:?} {:?}\0", path, text, self.owner, self.mode).as_bytes());
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
                let mut header = self.made(EntryType::Regular, 0o644);
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, path, text.as_bytes())
            }
            What::NewFolder => {
                tar.append_data(&mut self.made(EntryType::Directory, 0o755), path.join(""), io::empty())
            }
            What::Archive(real) => archive::append(tar, path, real),
        }
    }

    fn header(&self, meta: &Metadata, kind: EntryType) -> Header {
        let mut header = crate::upper::header(meta, kind);
        self.own(&mut header);
        header
    }

    fn made(&self, kind: EntryType, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(mode);
        header.set_mtime(0);
        self.own(&mut header);
        header
    }

    fn own(&self, header: &mut Header) {
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        if let Some(mode) = self.mode {
            header.set_mode(mode);
        }
    }
}
