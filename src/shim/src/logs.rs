//! CRI's log format: `<RFC 3339 with nanoseconds> <stream> <F|P> <text>`, one file for each container, or a few that are
//! rotated.

use crate::fault::{Because, Result};
use cri::Logging;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A longer line is cut into partial ones; also what other CRI runtimes cut at.
pub(crate) const LINE_LIMIT: usize = 16 << 10;

/// Where a container's lines go.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// None where nothing is kept.
    file: Option<File>,
    /// Bytes in the file.
    size: u64,
    /// The most bytes of a file, and the most files.
    limit: Option<(u64, u32)>,
}

impl Log {
    pub(crate) fn open(path: &Path, logging: &Logging) -> Result<Log> {
        let limit = match logging {
            Logging::Rotated { max_bytes, max_files } => Some((*max_bytes, *max_files)),
            Logging::Kept | Logging::Dropped => None,
        };
        let mut log = Log { path: path.to_owned(), file: None, size: 0, limit };
        if *logging != Logging::Dropped {
            log.reopen()?;
        }
        Ok(log)
    }

    /// After a rotation renamed the file: begins a new one.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        let what = format!("open log {}", self.path.display());
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory).because(&what)?;
        }
        let file = File::options().append(true).create(true).mode(0o640).open(&self.path).because(&what)?;
        self.size = file.metadata().because(&what)?.len();
        self.file = Some(file);
        Ok(())
    }

    /// On a full disk the container goes on without its log; to stop it would be worse.
    pub(crate) fn append(&mut self, lines: &[u8]) {
        let Some((most, files)) = self.limit else { return self.write(lines) };
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if self.size > 0 && self.size + line.len() as u64 > most {
                self.rotate(files);
            }
            self.write(line);
        }
    }

    fn write(&mut self, lines: &[u8]) {
        if let Some(file) = &mut self.file
            && file.write_all(lines).is_ok()
        {
            self.size += lines.len() as u64;
        }
    }

    /// `log` becomes `log.1`, and that `log.2`; what would be one too many is gone. Whoever reads one has it open.
    fn rotate(&mut self, files: u32) {
        for number in (1..files.saturating_sub(1)).rev() {
            let _ = fs::rename(rotated(&self.path, number), rotated(&self.path, number + 1));
        }
        let _ = match files {
            0 | 1 => fs::remove_file(&self.path),
            _ => fs::rename(&self.path, rotated(&self.path, 1)),
        };
        // else the old file, whatever its name is by now, takes on more than it should
        let _ = self.reopen();
    }
}

fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

pub(crate) fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

/// Cuts one output stream into log lines.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: &'static str,
    /// The begin of a line whose end did not come yet; never longer than [`LINE_LIMIT`].
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(stream: &'static str) -> Lines {
        Lines { stream, rest: Vec::new() }
    }

    /// Appends what is complete of `data` to `out`.
    pub(crate) fn push(&mut self, mut data: &[u8], now: &str, out: &mut Vec<u8>) {
        while !data.is_empty() {
            let room = LINE_LIMIT - self.rest.len();
            // one byte beyond the limit tells whether the line ends there
            match data.iter().take(room + 1).position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.emit('F', &data[..end], now, out);
                    data = &data[end + 1..];
                }
                None if data.len() > room => {
                    self.emit('P', &data[..room], now, out);
                    data = &data[room..];
                }
                None => {
                    self.rest.extend_from_slice(data);
                    return;
                }
            }
        }
    }

    /// The stream's end: what has no newline stays a partial line, so that whoever puts it together adds none.
    pub(crate) fn finish(&mut self, now: &str, out: &mut Vec<u8>) {
        if !self.rest.is_empty() {
            self.emit('P', b"", now, out);
        }
    }

    fn emit(&mut self, tag: char, text: &[u8], now: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{now} {} {tag} ", self.stream).as_bytes());
        out.append(&mut self.rest);
        out.extend_from_slice(text);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(pieces: &[&[u8]]) -> String {
        let (mut lines, mut out) = (Lines::new("stdout"), Vec::new());
        for piece in pieces {
            lines.push(piece, "T", &mut out);
        }
        lines.finish("T", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_cut_where_the_format_says() {
        let (full, more) = ("x".repeat(LINE_LIMIT), "y".repeat(3));
        for (name, given, want) in [
            ("nothing", vec![], String::new()),
            ("two lines", vec!["a\nb\n"], "T stdout F a\nT stdout F b\n".into()),
            ("an empty line", vec!["\n"], "T stdout F \n".into()),
            ("a line in pieces", vec!["a", "b", "c\nd", "\n"], "T stdout F abc\nT stdout F d\n".into()),
            ("no newline at the end", vec!["a\nb"], "T stdout F a\nT stdout P b\n".into()),
            ("just the limit", vec![full.as_str(), "\n"], format!("T stdout F {full}\n")),
            (
                "over the limit",
                vec![full.as_str(), more.as_str(), "\nz\n"],
                format!("T stdout P {full}\nT stdout F {more}\nT stdout F z\n"),
            ),
        ] {
            let pieces: Vec<&[u8]> = given.iter().map(|piece| piece.as_bytes()).collect();
            assert_eq!(logged(&pieces), want, "{name}");
        }
    }

    #[test]
    fn a_log_that_is_rotated_stays_small_and_loses_the_oldest_only() {
        for (files, want) in [(1, vec!["log"]), (3, vec!["log", "log.1", "log.2"])] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            let limit = Logging::Rotated { max_bytes: 75, max_files: files };
            let mut log = Log::open(&path, &limit).unwrap();
            let line = |number: u32| format!("line {number:04}\n");
            (0..50).for_each(|number| log.append(format!("{0}{0}", line(number)).as_bytes()));
            // one that is opened again goes on where it was
            drop(log);
            Log::open(&path, &limit).unwrap().append(line(50).as_bytes());
            let mut found: Vec<_> = fs::read_dir(directory.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            assert_eq!(found, want);
            let sizes = found.iter().map(|name| fs::metadata(directory.path().join(name)).unwrap().len());
            assert!(sizes.into_iter().all(|size| size <= 75), "{files} files");
            let oldest_first =
                found.iter().rev().map(|name| fs::read_to_string(directory.path().join(name)).unwrap());
            let kept = oldest_first.collect::<String>();
            let all: String = (0..50).map(|number| line(number).repeat(2)).collect::<String>() + &line(50);
            assert!(all.ends_with(&kept) && kept.len() > 20, "{kept}");
        }
    }

    #[test]
    fn a_log_that_nobody_wants_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        Log::open(&directory.path().join("log"), &Logging::Dropped).unwrap().append(b"line\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_log_gives_back_what_was_written_however_it_came() {
        let text: String =
            (0..9000).map(|n| if n % 97 == 0 { "\n".into() } else { format!("{n} ") }).collect();
        let text = format!("{text}{}tail", "long ".repeat(LINE_LIMIT));
        for step in [1, 7, 4096, 100_000] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(step).collect();
            let back: String = logged(&pieces)
                .lines()
                .map(|line| match line.strip_prefix("T stdout ").unwrap().split_at(2) {
                    ("F ", text) => format!("{text}\n"),
                    (_, text) => text.to_owned(),
                })
                .collect();
            assert!(back == text, "in pieces of {step}");
        }
    }
}
