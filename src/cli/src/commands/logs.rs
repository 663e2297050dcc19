//! `monopod logs`: the daemon's log, also where it was set aside while it is followed. It reads files, so that it works
//! without a daemon.

use super::Setting;
use crate::failures;
use anyhow::Result;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Logs {
    /// Go on printing as it is said.
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines to print; all without it.
    #[arg(long)]
    tail: Option<usize>,
}

impl Logs {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let path = setting.paths.log();
        // before it is read, so that nothing is said unseen
        let changes = self.follow.then(|| watch(&path)).transpose()?;
        let mut text = Vec::new();
        for aside in setting.paths.log_files().iter().filter(|file| **file != path) {
            // it may be set aside further while we read
            let _ = File::open(aside).and_then(|mut file| file.read_to_end(&mut text));
        }
        let mut file = File::open(&path).map_err(|e| unread(&path, &e))?;
        file.read_to_end(&mut text)?;
        let mut out = std::io::stdout().lock();
        out.write_all(last_lines(&text, self.tail))?;
        let Some(changes) = changes else { return Ok(ExitCode::SUCCESS) };
        loop {
            out.flush()?;
            changes.read_events()?;
            copy_news(&mut file, &path, &mut out)?;
        }
    }
}

/// Nobody has written it yet, or it is not this user's to read.
fn unread(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let failure = match error.kind() {
        std::io::ErrorKind::PermissionDenied => failures::NOT_ROOT,
        _ => failures::NOT_RUNNING,
    };
    failure.because(format!("{}: {error}", path.display()))
}

/// The directory of the log: in it a file is begun anew where the log is set aside.
fn watch(path: &Path) -> Result<Inotify> {
    let changes = Inotify::init(InitFlags::empty())?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    changes
        .add_watch(directory, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE)
        .map_err(|e| unread(directory, &e.into()))?;
    Ok(changes)
}

/// What was said since, also in a file that was begun meanwhile.
fn copy_news(file: &mut File, path: &Path, out: &mut impl Write) -> std::io::Result<()> {
    // a log that was begun anew is shorter than what was read
    if file.metadata()?.len() < file.stream_position()? {
        file.seek(SeekFrom::Start(0))?;
    }
    std::io::copy(file, out)?;
    if let Ok(newer) = File::open(path)
        && newer.metadata()?.ino() != file.metadata()?.ino()
    {
        // between the last look and the change of files
        std::io::copy(file, out)?;
        *file = newer;
        std::io::copy(file, out)?;
    }
    Ok(())
}

fn last_lines(text: &[u8], lines: Option<usize>) -> &[u8] {
    let Some(lines) = lines else { return text };
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let ends = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    match lines {
        0 => &[],
        lines => ends.map(|(at, _)| at + 1).nth(lines - 1).map_or(text, |start| &text[start..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_only_root_may_read_is_not_one_that_is_not_there() {
        for (kind, want) in [
            (std::io::ErrorKind::PermissionDenied, failures::NOT_ROOT),
            (std::io::ErrorKind::NotFound, failures::NOT_RUNNING),
        ] {
            assert!(failures::is(&unread(Path::new("/log"), &kind.into()), want), "{kind}");
        }
    }

    #[test]
    fn news_are_read_over_a_change_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let say = |text: &str| {
            let mut file = File::options().create(true).append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        say("before\n");
        let mut file = File::open(&path).unwrap();
        let mut seen = Vec::new();
        copy_news(&mut file, &path, &mut seen).unwrap();
        say("late\n");
        std::fs::rename(&path, dir.path().join("log.1")).unwrap();
        copy_news(&mut file, &path, &mut seen).unwrap();
        say("after\n");
        copy_news(&mut file, &path, &mut seen).unwrap();
        say("more\n");
        copy_news(&mut file, &path, &mut seen).unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), "before\nlate\nafter\nmore\n");
    }

    #[test]
    fn the_last_lines_are_the_last_lines() {
        let cases = [
            (None, "a\nb\nc\n"),
            (Some(0), ""),
            (Some(1), "c\n"),
            (Some(2), "b\nc\n"),
            (Some(9), "a\nb\nc\n"),
        ];
        for (lines, want) in cases {
            assert_eq!(super::last_lines(b"a\nb\nc\n", lines), want.as_bytes(), "{lines:?}");
        }
    }
}
