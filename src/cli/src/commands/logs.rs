use super::Setting;
use crate::failures;
use anyhow::Result;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io::{Read, Seek, SeekFrom, Write};
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
        let path = setting.places.log();
        let mut file = std::fs::File::open(&path)
            .map_err(|e| failures::NOT_RUNNING.because(format!("{}: {e}", path.display())))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let mut out = std::io::stdout().lock();
        out.write_all(last_lines(&text, self.tail))?;
        if !self.follow {
            return Ok(ExitCode::SUCCESS);
        }
        let changes = Inotify::init(InitFlags::empty())?;
        changes.add_watch(&path, AddWatchFlags::IN_MODIFY)?;
        loop {
            let at = file.stream_position()?;
            // a log that was begun anew is shorter than what was read
            if file.metadata()?.len() < at {
                file.seek(SeekFrom::Start(0))?;
            }
            std::io::copy(&mut file, &mut out)?;
            out.flush()?;
            changes.read_events()?;
        }
    }
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
