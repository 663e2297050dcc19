//! COPY and ADD: which files go where, what they hash to, and the layer's tar that they make.

use super::archive;
use super::ignore::Ignore;
use super::owner::{Mode, Owner};
use super::view::{Node, View, glob, is_pattern, list};
use crate::Digest;
use crate::digest::Hasher;
use rustix::fs::FileType;
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

/// What the instruction says, with all variables in.
pub(super) struct Wanted {
    /// COPY or ADD.
    pub(super) word: &'static str,
    pub(super) from: View,
    /// Of the context, from which `.dockerignore` may have taken something.
    pub(super) is_context: bool,
    pub(super) sources: Vec<String>,
    pub(super) fetched: Vec<Fetched>,
    /// Name and content of here-documents.
    pub(super) texts: Vec<(String, String)>,
    pub(super) dest: String,
    pub(super) workdir: String,
    /// What the layer goes on top of.
    pub(super) target: View,
    pub(super) owner: Owner,
    /// Somebody said whose the files are: those out of archives as well.
    pub(super) has_chown: bool,
    pub(super) mode: Option<Mode>,
    /// Archives among the sources.
    pub(super) unpack: bool,
    /// The folders above each source come along.
    pub(super) parents: bool,
    pub(super) exclude: Ignore,
}

/// What ADD got from elsewhere.
#[derive(Debug)]
pub(super) enum Fetched {
    File {
        name: String,
        path: PathBuf,
        unpack: bool,
    },
    /// What is in it goes into the destination.
    Folder(PathBuf),
}

/// A path in the image, as an instruction has it: absolute or below the working directory.
pub(super) fn absolute(workdir: &str, path: &str) -> PathBuf {
    let workdir = if workdir.is_empty() { "/" } else { workdir };
    Path::new(workdir).join(path)
}

struct Place {
    dest: PathBuf,
    there: Node,
    into_folder: bool,
}

impl Place {
    fn of(&self, name: &Path) -> PathBuf {
        if self.into_folder { self.dest.join(name) } else { self.dest.clone() }
    }
}

struct Source {
    path: PathBuf,
    node: Node,
    /// Names at the beginning of the path that `--parents` leaves out.
    pivot: usize,
}

impl Wanted {
    fn matching_sources(&self) -> Result<Vec<Source>, String> {
        let mut sources = Vec::new();
        for pattern in &self.sources {
            let found = glob(&self.from, pattern)?;
            if found.is_empty() {
                return Err(self.nothing_at(pattern));
            }
            let before = pattern.split_once("/./").map_or("", |(before, _)| before);
            let pivot = before.split('/').filter(|name| !name.is_empty() && *name != ".").count();
            sources.extend(found.into_iter().map(|(path, node)| Source { path, node, pivot }));
        }
        Ok(sources)
    }

    fn nothing_at(&self, pattern: &str) -> String {
        let path = pattern.trim_start_matches("./").trim_start_matches('/');
        match (is_pattern(pattern), self.is_context) {
            (true, _) => "no source files were specified".into(),
            (false, true) => format!(
                "file not found in build context or excluded by .dockerignore: stat {path}: file does not exist"
            ),
            (false, false) => format!("stat {path}: file does not exist"),
        }
    }

    fn excludes(&self, path: &Path) -> bool {
        !self.exclude.is_empty() && self.exclude.ignores(&path.to_string_lossy())
    }
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

    /// All files at a path, for what only wants to know whether they changed.
    pub(super) fn all_at(view: &View, path: &str) -> Result<Files, String> {
        Files::find(&Wanted {
            word: "RUN",
            from: view.clone(),
            is_context: false,
            sources: vec![path.to_owned()],
            fetched: Vec::new(),
            texts: Vec::new(),
            dest: "/".into(),
            workdir: String::new(),
            target: View { layers: Vec::new() },
            owner: Owner::Kept,
            has_chown: false,
            mode: None,
            unpack: false,
            parents: false,
            exclude: Ignore::default(),
        })
    }

    pub(super) fn find(wanted: &Wanted) -> Result<Files, String> {
        let mut files = Files {
            entries: Vec::new(),
            owner: wanted.owner,
            owner_in_archives: Some(wanted.owner).filter(|_| wanted.has_chown),
            mode: wanted.mode.clone(),
            kind: "multi",
        };
        let (dest, there) = wanted.target.resolve(&absolute(&wanted.workdir, &wanted.dest))?;
        let sources = wanted.matching_sources()?;
        let says_folder = wanted.dest.ends_with('/')
            || matches!(wanted.dest.as_str(), "." | "..")
            || wanted.dest.ends_with("/.");
        let count = sources.len() + wanted.fetched.len() + wanted.texts.len();
        if count > 1 && !says_folder {
            return Err(format!(
                "When using {} with more than one source file, the destination must be a directory and end with a /",
                wanted.word
            ));
        }
        if let [only] = &sources[..]
            && count == 1
        {
            files.kind = if matches!(only.node, Node::Folder(_)) { "dir" } else { "file" };
        }
        let place = Place { into_folder: says_folder || matches!(there, Node::Folder(_)), dest, there };
        for source in sources {
            files.add_source(wanted, &place, &source)?;
        }
        for fetched in &wanted.fetched {
            files.add_fetched(wanted, &place, fetched)?;
        }
        for (name, text) in &wanted.texts {
            files.entries.push((place.of(Path::new(name)), What::Text(text.clone())));
        }
        files.add_missing_parents(&wanted.target);
        Ok(files)
    }

    fn add_source(&mut self, wanted: &Wanted, place: &Place, source: &Source) -> Result<(), String> {
        if wanted.parents {
            return self.add_with_parents(wanted, place, source);
        }
        match &source.node {
            Node::Folder(_) => self.add_folder(wanted, place, source),
            Node::File(real) if wanted.unpack && archive::is_one(real)? => {
                self.entries.push((place.dest.clone(), What::Archive(real.clone())));
                Ok(())
            }
            node => {
                let name = source.path.file_name().unwrap_or_default();
                if wanted.excludes(Path::new(name)) || wanted.excludes(&source.path) {
                    return Ok(());
                }
                self.node(place.of(Path::new(name)), node)
            }
        }
    }

    /// What is in it, and the folder itself only where nothing is there yet.
    fn add_folder(&mut self, wanted: &Wanted, place: &Place, source: &Source) -> Result<(), String> {
        match place.there {
            Node::File(_) => return Err(format!("cannot copy to non-directory: {}", wanted.dest)),
            // what it is in the source says nothing: Docker makes it first
            Node::Missing if !place.dest.as_os_str().is_empty() => {
                self.entries.push((place.dest.clone(), What::NewFolder));
            }
            _ => {}
        }
        self.below(wanted, &place.dest, &source.node, &source.path, Path::new(""))
    }

    fn add_with_parents(&mut self, wanted: &Wanted, place: &Place, source: &Source) -> Result<(), String> {
        let kept: PathBuf = source.path.components().skip(source.pivot).collect();
        let base: PathBuf = source.path.components().take(source.pivot).collect();
        for folder in kept.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if folder.as_os_str().is_empty() {
                continue;
            }
            if let (_, Node::Folder(parts)) = wanted.from.resolve(&base.join(folder))? {
                self.entries
                    .extend(parts.first().map(|part| (place.dest.join(folder), What::Folder(part.clone()))));
            }
        }
        if wanted.excludes(&source.path) {
            return Ok(());
        }
        let dest = place.dest.join(&kept);
        match &source.node {
            Node::Folder(parts) => {
                self.entries.extend(parts.first().map(|part| (dest.clone(), What::Folder(part.clone()))));
                self.below(wanted, &dest, &source.node, &source.path, Path::new(""))
            }
            node => self.node(dest, node),
        }
    }

    fn add_fetched(&mut self, wanted: &Wanted, place: &Place, fetched: &Fetched) -> Result<(), String> {
        match fetched {
            Fetched::File { path, unpack: true, .. } if archive::is_one(path)? => {
                self.entries.push((place.dest.clone(), What::Archive(path.clone())));
            }
            Fetched::File { name, path, .. } => {
                self.entries.push((place.of(Path::new(name)), What::File(path.clone())));
            }
            Fetched::Folder(folder) => {
                let view = View { layers: vec![folder.clone()] };
                self.below(wanted, &place.dest, &view.root(), Path::new(""), Path::new(""))?;
            }
        }
        Ok(())
    }

    /// `inside` is the path within the source that was named.
    fn below(
        &mut self,
        wanted: &Wanted,
        dest: &Path,
        folder: &Node,
        source: &Path,
        inside: &Path,
    ) -> Result<(), String> {
        for (name, node) in list(folder) {
            let inside = inside.join(&name);
            let kept = !wanted.excludes(&inside) && !wanted.excludes(&source.join(&inside));
            let dest = dest.join(&name);
            match &node {
                Node::Folder(parts) => {
                    let part = parts.first().filter(|_| kept);
                    self.entries.extend(part.map(|part| (dest.clone(), What::Folder(part.clone()))));
                    // something in it may be brought back
                    self.below(wanted, &dest, &node, source, &inside)?;
                }
                node if kept => self.node(dest, node)?,
                _ => {}
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

    /// Folders that nobody describes belong to whom the files belong to.
    fn add_missing_parents(&mut self, target: &View) {
        let named: Vec<PathBuf> = self.entries.iter().map(|(path, _)| path.clone()).collect();
        // an archive is unpacked into its folder
        let unpacked = self.entries.iter().filter(|(_, what)| matches!(what, What::Archive(_)));
        let folders: Vec<PathBuf> = unpacked.map(|(path, _)| path.join("x")).collect();
        let named: Vec<PathBuf> =
            named.into_iter().filter(|path| !folders.contains(&path.join("x"))).collect();
        let mut missing: Vec<PathBuf> = named
            .iter()
            .chain(&folders)
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|parent| !parent.as_os_str().is_empty() && !named.iter().any(|path| path == parent))
            .filter(|parent| matches!(target.resolve(parent), Ok((_, Node::Missing))))
            .map(Path::to_owned)
            .collect();
        missing.sort();
        missing.dedup();
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
