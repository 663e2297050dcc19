//! Which files an instruction means, and where they go.

use super::{Below, Entry, Files, MOST_NAMED, What, absolute};
use crate::build::Dialect;
use crate::build::archive;
use crate::build::glob::{glob, is_pattern};
use crate::build::ignore::Ignore;
use crate::build::owner::{Mode, Owner};
use crate::build::view::{Node, View};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// What the instruction says, with all variables in.
pub(in crate::build) struct Wanted {
    /// COPY or ADD.
    pub(in crate::build) word: &'static str,
    pub(in crate::build) from: View,
    /// Of the context, from which `.dockerignore` may have taken something.
    pub(in crate::build) is_context: bool,
    pub(in crate::build) sources: Vec<String>,
    pub(in crate::build) fetched: Vec<Fetched>,
    /// Name and content of here-documents.
    pub(in crate::build) texts: Vec<(String, String)>,
    pub(in crate::build) dest: String,
    pub(in crate::build) workdir: String,
    /// What the layer goes on top of.
    pub(in crate::build) target: View,
    pub(in crate::build) owner: Owner,
    /// Somebody said whose the files are: those out of archives as well.
    pub(in crate::build) has_chown: bool,
    pub(in crate::build) mode: Option<Mode>,
    /// Of what comes from nowhere, in seconds since 1970.
    pub(in crate::build) made_at: u64,
    /// Archives among the sources.
    pub(in crate::build) unpack: bool,
    /// The directories above each source come along.
    pub(in crate::build) parents: bool,
    pub(in crate::build) exclude: Ignore,
    pub(in crate::build) dialect: Dialect,
    /// Nobody waits for the build any more.
    pub(in crate::build) gone: CancellationToken,
}

/// What ADD got from elsewhere.
#[derive(Debug)]
pub(in crate::build) enum Fetched {
    File {
        name: String,
        path: PathBuf,
        unpack: bool,
    },
    /// What is in it goes into the destination.
    Directory(PathBuf),
}

struct Place {
    dest: PathBuf,
    there: Node,
    into_directory: bool,
}

impl Place {
    fn of(&self, name: &Path) -> PathBuf {
        if self.into_directory { self.dest.join(name) } else { self.dest.clone() }
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
            let found = glob(&self.from, pattern, self.dialect, &self.gone)?;
            if found.is_empty() {
                // `yarn.lock*` beside `package.json`: a pattern says "where there is one"
                if is_pattern(pattern) && (self.dialect == Dialect::BuildKit || self.has_more_than(pattern)) {
                    continue;
                }
                return Err(self.nothing_at(pattern));
            }
            let before = pattern.split_once("/./").map_or("", |(before, _)| before);
            let pivot = before.split('/').filter(|name| !name.is_empty() && *name != ".").count();
            sources.extend(found.into_iter().map(|(path, node)| Source { path, node, pivot }));
        }
        if sources.is_empty() && self.dialect == Dialect::Classic && self.is_only_patterns() {
            return Err("no source files were specified".into());
        }
        Ok(sources)
    }

    /// Whether something else is copied as well.
    fn has_more_than(&self, pattern: &str) -> bool {
        self.sources.iter().any(|source| source != pattern)
            || !self.fetched.is_empty()
            || !self.texts.is_empty()
    }

    fn is_only_patterns(&self) -> bool {
        self.fetched.is_empty() && self.texts.is_empty()
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
    /// All files at a path, for what only wants to know whether they changed.
    pub(in crate::build) fn all_at(
        view: &View,
        path: &str,
        gone: &CancellationToken,
    ) -> Result<Files, String> {
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
            made_at: 0,
            unpack: false,
            parents: false,
            exclude: Ignore::default(),
            dialect: Dialect::Classic,
            gone: gone.clone(),
        })
    }

    pub(in crate::build) fn find(wanted: &Wanted) -> Result<Files, String> {
        let mut files = Files {
            entries: Vec::new(),
            left: MOST_NAMED,
            exclude: wanted.exclude.clone(),
            gone: wanted.gone.clone(),
            target: wanted.target.clone(),
            owner: wanted.owner,
            owner_in_archives: Some(wanted.owner).filter(|_| wanted.has_chown),
            mode: wanted.mode.clone(),
            made_at: wanted.made_at,
            kind: "multi",
        };
        let (dest, there) = wanted.target.resolve(&absolute(&wanted.workdir, &wanted.dest))?;
        let sources = wanted.matching_sources()?;
        let says_directory = wanted.dest.ends_with('/')
            || matches!(wanted.dest.as_str(), "." | "..")
            || wanted.dest.ends_with("/.");
        let count = sources.len() + wanted.fetched.len() + wanted.texts.len();
        // BuildKit looks at what there is in the image
        let is_directory =
            wanted.dialect == Dialect::BuildKit && matches!(there, Node::Directory(_) | Node::Missing);
        if count > 1 && !says_directory && !is_directory {
            return Err(format!(
                "When using {} with more than one source file, the destination must be a directory and end with a /",
                wanted.word
            ));
        }
        if let [only] = &sources[..]
            && count == 1
        {
            files.kind = if matches!(only.node, Node::Directory(_)) { "dir" } else { "file" };
        }
        let into_directory = says_directory || count > 1 || matches!(there, Node::Directory(_));
        let place = Place { into_directory, dest, there };
        for source in sources {
            files.add_source(wanted, &place, &source)?;
        }
        for fetched in &wanted.fetched {
            files.add_fetched(&place, fetched)?;
        }
        for (name, text) in &wanted.texts {
            files.add(place.of(Path::new(name)), Entry::One(What::Text(text.clone())))?;
        }
        files.add_missing_parents();
        Ok(files)
    }

    fn add_source(&mut self, wanted: &Wanted, place: &Place, source: &Source) -> Result<(), String> {
        if wanted.parents {
            return self.add_with_parents(wanted, place, source);
        }
        match &source.node {
            Node::Directory(_) => self.add_directory(wanted, place, source),
            Node::File(real) if wanted.unpack && archive::is_one(real)? => {
                self.add(place.dest.clone(), Entry::One(What::Archive(real.clone())))
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

    /// What is in it, and the directory itself only where nothing is there yet.
    fn add_directory(&mut self, wanted: &Wanted, place: &Place, source: &Source) -> Result<(), String> {
        match place.there {
            Node::File(_) => return Err(format!("cannot copy to non-directory: {}", wanted.dest)),
            // what it is in the source says nothing: Docker makes it first
            Node::Missing if !place.dest.as_os_str().is_empty() => {
                self.add(place.dest.clone(), Entry::One(What::NewDirectory))?;
            }
            _ => {}
        }
        self.add_below(place.dest.clone(), source)
    }

    fn add_with_parents(&mut self, wanted: &Wanted, place: &Place, source: &Source) -> Result<(), String> {
        let kept: PathBuf = source.path.components().skip(source.pivot).collect();
        let base: PathBuf = source.path.components().take(source.pivot).collect();
        for directory in kept.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if directory.as_os_str().is_empty() {
                continue;
            }
            let (_, node) = wanted.from.resolve(&base.join(directory))?;
            self.add_itself(place.dest.join(directory), &node)?;
        }
        if wanted.excludes(&source.path) {
            return Ok(());
        }
        let dest = place.dest.join(&kept);
        match &source.node {
            node @ Node::Directory(_) => {
                self.add_itself(dest.clone(), node)?;
                self.add_below(dest, source)
            }
            node => self.node(dest, node),
        }
    }

    /// A directory without what is in it.
    fn add_itself(&mut self, dest: PathBuf, node: &Node) -> Result<(), String> {
        match node {
            Node::Directory(parts) => match parts.first() {
                Some(part) => self.add(dest, Entry::One(What::Directory(part.clone()))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn add_below(&mut self, dest: PathBuf, source: &Source) -> Result<(), String> {
        let below = Below { directory: source.node.clone(), source: source.path.clone() };
        self.add(dest, Entry::Below(below))
    }

    fn add_fetched(&mut self, place: &Place, fetched: &Fetched) -> Result<(), String> {
        match fetched {
            Fetched::File { path, unpack: true, .. } if archive::is_one(path)? => {
                self.add(place.dest.clone(), Entry::One(What::Archive(path.clone())))
            }
            Fetched::File { name, path, .. } => {
                self.add(place.of(Path::new(name)), Entry::One(What::File(path.clone())))
            }
            Fetched::Directory(directory) => {
                let view = View { layers: vec![directory.clone()] };
                let below = Below { directory: view.root(), source: PathBuf::new() };
                self.add(place.dest.clone(), Entry::Below(below))
            }
        }
    }

    fn node(&mut self, dest: PathBuf, node: &Node) -> Result<(), String> {
        match What::of(node).map_err(|e| e.to_string())? {
            Some(what) => self.add(dest, Entry::One(what)),
            None => Ok(()),
        }
    }
}
