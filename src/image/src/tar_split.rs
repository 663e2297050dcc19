//! How a layer's tar comes back byte for byte from its unpacked directory: everything of the archive that is not the content
//! of a regular file (headers, padding), and in between which file's content follows. A few bytes a file once compressed;
//! the alternative is to keep every layer twice.

use crate::error::Result;
use crate::error::doing;
use rustix::fs::{Mode, OFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const RAW: u8 = 0;
const FILE: u8 = 1;
/// Raw bytes gathered into one record: large enough that the records' heads do not count.
const RAW_BLOCK: usize = 64 << 10;
/// Longer than any path that Linux takes; a guard against a broken recipe.
const MAX_PATH: usize = 64 << 10;

pub(crate) struct TarSplitWriter {
    out: zstd::Encoder<'static, BufWriter<File>>,
    raw: Vec<u8>,
}

impl TarSplitWriter {
    pub(crate) fn create(path: &Path) -> io::Result<TarSplitWriter> {
        let out = zstd::Encoder::new(BufWriter::new(File::create_new(path)?), 1)?;
        Ok(TarSplitWriter { out, raw: Vec::with_capacity(RAW_BLOCK) })
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.raw.extend_from_slice(bytes);
        if self.raw.len() >= RAW_BLOCK { self.flush_raw() } else { Ok(()) }
    }

    /// `length` bytes of content of the file at `path` come next.
    pub(crate) fn file(&mut self, path: &[u8], length: u64) -> io::Result<()> {
        self.flush_raw()?;
        self.head(FILE, path.len())?;
        self.out.write_all(path)?;
        self.out.write_all(&length.to_le_bytes())
    }

    fn flush_raw(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        self.head(RAW, self.raw.len())?;
        self.out.write_all(&self.raw)?;
        self.raw.clear();
        Ok(())
    }

    fn head(&mut self, kind: u8, length: usize) -> io::Result<()> {
        self.out.write_all(&[kind])?;
        self.out.write_all(&(length as u32).to_le_bytes())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush_raw()?;
        self.out.finish()?.flush()
    }
}

/// Where the content of a file lies that a later entry of the same archive replaced: the n-th time that `path` came.
pub(crate) fn shadowed(layer: &Path, path: &[u8], n: usize) -> PathBuf {
    layer.join("shadowed").join(crate::Digest::of(path).hex()).join(n.to_string())
}

/// Directories whose content was moved after the recipe was written, in that order: from where, to where.
#[derive(Default)]
pub(crate) struct Moved(Vec<(PathBuf, PathBuf)>);

const MOVED: &str = "moved";

impl Moved {
    pub(crate) fn add(&mut self, from: &Path, to: &Path) {
        self.0.push((from.to_owned(), to.to_owned()));
    }

    /// Paths with a NUL behind each; no file where nothing was moved.
    pub(crate) fn write(&self, layer: &Path) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let paths = self.0.iter().flat_map(|(from, to)| [from, to]);
        let bytes: Vec<u8> = paths.flat_map(|path| [path.as_os_str().as_bytes(), &[0]].concat()).collect();
        std::fs::write(layer.join(MOVED), bytes)
    }

    fn read(layer: &Path) -> io::Result<Moved> {
        let bytes = match std::fs::read(layer.join(MOVED)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Moved::default()),
            bytes => bytes?,
        };
        let paths: Vec<PathBuf> =
            bytes.split(|byte| *byte == 0).map(|path| OsStr::from_bytes(path).into()).collect();
        Ok(Moved(paths.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()))
    }

    fn now(&self, path: &[u8]) -> PathBuf {
        let path = PathBuf::from(OsStr::from_bytes(path));
        self.0.iter().fold(path, |path, (from, to)| match path.strip_prefix(from) {
            Ok(rest) => to.join(rest),
            Err(_) => path,
        })
    }
}

/// The layer's tar as it came, uncompressed.
pub(crate) struct TarSplitReader {
    records: zstd::Decoder<'static, BufReader<File>>,
    layer: PathBuf,
    root: OwnedFd,
    now: Source,
    left: u64,
    /// How often each replaced path came so far; empty for nearly every layer.
    seen: Option<HashMap<Vec<u8>, usize>>,
    moved: Moved,
}

enum Source {
    Raw,
    File(File),
}

impl TarSplitReader {
    /// `layer` is the directory with `diff` and `recipe` in it.
    pub(crate) fn open(layer: &Path) -> Result<TarSplitReader> {
        let what = || format!("read layer {}", layer.display());
        let file = File::open(layer.join("recipe")).map_err(doing(what()))?;
        let records = zstd::Decoder::new(file).map_err(doing(what()))?;
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(layer.join("diff"), directory, Mode::empty()).map_err(doing(what()))?;
        let seen = layer.join("shadowed").is_dir().then(HashMap::new);
        let moved = Moved::read(layer).map_err(doing(what()))?;
        Ok(TarSplitReader { records, layer: layer.to_owned(), root, now: Source::Raw, left: 0, seen, moved })
    }

    /// Reads the head of the next record; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        let mut head = [0; 5];
        if self.records.read(&mut head[..1])? == 0 {
            return Ok(false);
        }
        self.records.read_exact(&mut head[1..])?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        match head[0] {
            RAW => (self.now, self.left) = (Source::Raw, u64::from(length)),
            FILE if length as usize <= MAX_PATH => self.next_file(length as usize)?,
            _ => return Err(io::Error::other(format!("broken recipe in {}", self.layer.display()))),
        }
        Ok(true)
    }

    fn next_file(&mut self, path_length: usize) -> io::Result<()> {
        let mut path = vec![0; path_length];
        self.records.read_exact(&mut path)?;
        let mut length = [0; 8];
        self.records.read_exact(&mut length)?;
        self.left = u64::from_le_bytes(length);
        self.now = Source::File(self.open_file(&path)?);
        Ok(())
    }

    fn open_file(&mut self, path: &[u8]) -> io::Result<File> {
        if let Some(seen) = &mut self.seen {
            let n = seen.entry(path.to_owned()).or_default();
            let hidden = shadowed(&self.layer, path, *n);
            *n += 1;
            if hidden.exists() {
                return File::open(hidden);
            }
        }
        Ok(trees::open_beneath(&self.root, &self.moved.now(path), OFlags::RDONLY | OFlags::NOFOLLOW)?.into())
    }
}

impl Read for TarSplitReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.left == 0 {
            if !self.next()? {
                return Ok(0);
            }
        }
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let got = match &mut self.now {
            Source::Raw => self.records.read(&mut buffer[..want])?,
            Source::File(file) => file.read(&mut buffer[..want])?,
        };
        if got == 0 {
            return Err(io::Error::other(format!("layer {} has changed on disk", self.layer.display())));
        }
        self.left -= got as u64;
        Ok(got)
    }
}
