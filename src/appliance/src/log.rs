//! The daemon's log: a file that is set aside when it is large, so that all of it together never is more than a few times that.

use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;

/// Some hundred thousand lines.
const LARGEST: u64 = 8 << 20;
/// Those that were set aside, beside the one that is written.
const KEPT: u32 = 2;

pub(crate) struct RotatingLog(Mutex<Current>);

struct Current {
    path: PathBuf,
    largest: u64,
    file: File,
    written: u64,
}

/// `monopod.log.1` is the newest of those that were set aside.
fn aside(path: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", path.display()))
}

/// All there are, the oldest first.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let all = (1..=KEPT).rev().map(|number| aside(path, number)).chain([path.to_owned()]);
    all.filter(|file| file.exists()).collect()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

impl RotatingLog {
    fn open(path: &Path, largest: u64) -> io::Result<Self> {
        let file = open(path)?;
        let written = file.metadata()?.len();
        let mut current = Current { path: path.to_owned(), largest, file, written };
        // an older version let it grow without bound
        if written > largest {
            current.keep_the_end()?;
        }
        Ok(RotatingLog(Mutex::new(current)))
    }
}

impl Current {
    fn keep_the_end(&mut self) -> io::Result<()> {
        let mut end = Vec::new();
        self.file.seek(SeekFrom::End(-i64::try_from(self.largest).unwrap_or(0)))?;
        self.file.read_to_end(&mut end)?;
        self.file.set_len(0)?;
        self.written = 0;
        let first = end.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.write_all(&end[first..])
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.written > 0 && self.written + line.len() as u64 > self.largest {
            self.rotate();
        }
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(())
    }

    /// Where nothing can be set aside, what there is goes: a bound is a bound.
    fn rotate(&mut self) {
        for number in (1..KEPT).rev() {
            let _ = std::fs::rename(aside(&self.path, number), aside(&self.path, number + 1));
        }
        let fresh = std::fs::rename(&self.path, aside(&self.path, 1)).and_then(|()| open(&self.path));
        match fresh {
            Ok(file) => self.file = file,
            Err(_) => drop(self.file.set_len(0)),
        }
        self.written = 0;
    }
}

/// A line at a time: that is how the subscriber writes.
impl Write for &RotatingLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where this process says what it does from now on: in this file, or at the terminal. A panic goes there too.
///
/// # Errors
/// The file can not be opened.
pub(crate) fn begin(path: &Path, to_file: bool) -> io::Result<()> {
    let filter = EnvFilter::try_from_env("MONOPOD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    let set = if to_file {
        let file = RotatingLog::open(path, LARGEST)?;
        std::panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%at, "panic: {}", panic.payload_as_str().unwrap_or("of no words"));
        }));
        log.with_writer(std::sync::Arc::new(file)).try_init()
    } else {
        log.with_writer(io::stderr).try_init()
    };
    // a second daemon in one process happens in tests only, and logs where the first does
    let _ = set;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At once, as the subscriber does it.
    fn say(mut log: &RotatingLog, line: &str) {
        log.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn sizes(path: &Path) -> Vec<u64> {
        files(path).iter().map(|file| std::fs::metadata(file).unwrap().len()).collect()
    }

    #[test]
    fn however_much_is_said_the_files_together_stay_small_and_the_newest_lines_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monopod.log");
        let log = RotatingLog::open(&path, 1000).unwrap();
        for number in 0..500 {
            say(&log, &format!("line {number:>4} {}", "x".repeat(40)));
            assert!(sizes(&path).iter().sum::<u64>() <= 3000, "after line {number}");
        }
        let text: String = files(&path).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let numbers: Vec<u32> = text.lines().map(|line| line[5..9].trim().parse().unwrap()).collect();
        assert_eq!(numbers, (500 - numbers.len() as u32..500).collect::<Vec<_>>());
        assert!(numbers.len() > 40, "{}", numbers.len());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn it_goes_on_where_it_was_and_a_line_larger_than_a_file_is_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monopod.log");
        for _ in 0..2 {
            let log = RotatingLog::open(&path, 100).unwrap();
            say(&log, &"x".repeat(50));
        }
        assert_eq!(sizes(&path), [51, 51]);
        let log = RotatingLog::open(&path, 100).unwrap();
        say(&log, &"x".repeat(500));
        say(&log, "y");
        assert_eq!(sizes(&path), [51, 501, 2]);
    }

    #[test]
    fn a_log_that_grew_without_bound_is_cut_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monopod.log");
        std::fs::write(&path, format!("{}last\n", "line\n".repeat(10_000))).unwrap();
        RotatingLog::open(&path, 1000).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() <= 1000 && text.starts_with("line\n") && text.ends_with("\nlast\n"));
        assert_eq!(files(&path), [path]);
    }
}
