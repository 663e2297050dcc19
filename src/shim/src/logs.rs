//! CRI's log format: `<RFC 3339 with nanoseconds> <stream> <F|P> <text>`, one file for each container.

use crate::fault::{Because, Result};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A longer line is cut into partial ones; also what other CRI runtimes cut at.
pub(crate) const LINE_LIMIT: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    pub(crate) fn open(path: &Path) -> Result<Log> {
        let what = format!("open log {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).because(&what)?;
        }
        let file = File::options().append(true).create(true).mode(0o640).open(path).because(what)?;
        Ok(Log { path: path.to_owned(), file })
    }

    /// After a rotation renamed the file: begins a new one.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        *self = Log::open(&self.path)?;
        Ok(())
    }

    pub(crate) fn append(&mut self, lines: &[u8]) {
        // on a full disk the container goes on without its log; to stop it would be worse
        let _ = self.file.write_all(lines);
    }
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
