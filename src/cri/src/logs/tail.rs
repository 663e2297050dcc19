//! The last lines of a log, found from its end.

use super::ends_a_line;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 16 << 10;

/// Where the last lines begin, and how many were found there: fewer than asked for where the file has no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    pub offset: u64,
    pub lines: u64,
}

/// The last `count` lines of output for which `counts` is true: it sees the last part of each, as parts of one line count as
/// one. Found from the end, so that a large file costs no more than a small one.
///
/// # Errors
/// The file can not be read.
pub fn tail(file: &File, count: u64, counts: impl Fn(&RawLine) -> bool) -> io::Result<Tail> {
    let mut search = TailSearch::new(file, count)?;
    loop {
        if let Some(found) = search.go_on(file, u64::MAX, &counts)? {
            return Ok(found);
        }
    }
}

/// The same, a stretch at a time: where the lines are many, or have no end, a large file is looked at whole.
#[derive(Debug)]
pub struct TailSearch {
    lines: Backwards,
    count: u64,
    found: u64,
    start: u64,
    is_last: bool,
}

impl TailSearch {
    /// # Errors
    /// The file's length is not known.
    pub fn new(file: &File, count: u64) -> io::Result<TailSearch> {
        let end = file.metadata()?.len();
        let lines = Backwards { at: end, buffer: Vec::new() };
        Ok(TailSearch { lines, count, found: 0, start: end, is_last: true })
    }

    /// Looks at `most` bytes of the same file, and at the rest of the line there. `None` where that was not enough.
    ///
    /// # Errors
    /// The file can not be read.
    pub fn go_on(
        &mut self,
        file: &File,
        most: u64,
        counts: impl Fn(&RawLine) -> bool,
    ) -> io::Result<Option<Tail>> {
        let until = self.start.saturating_sub(most);
        while let Some(raw) = self.lines.next(file)? {
            // the very last one may still go on
            if ends_a_line(&raw.bytes) || self.is_last {
                if self.found == self.count {
                    break;
                }
                self.found += u64::from(counts(&raw));
            }
            self.is_last = false;
            self.start = raw.offset;
            if self.start < until {
                return Ok(None);
            }
        }
        Ok(Some(Tail { offset: self.start, lines: self.found }))
    }
}

/// A line as it stands in the file.
#[derive(Debug)]
pub struct RawLine {
    offset: u64,
    /// Without its end.
    pub bytes: Vec<u8>,
    /// Else it is still being written.
    pub has_end: bool,
}

/// Lines from the end to the beginning.
#[derive(Debug)]
struct Backwards {
    /// Where the buffer begins in the file.
    at: u64,
    buffer: Vec<u8>,
}

impl Backwards {
    fn next(&mut self, file: &File) -> io::Result<Option<RawLine>> {
        if self.at == 0 && self.buffer.is_empty() {
            return Ok(None);
        }
        let mut searched = 0;
        loop {
            // the newline at the end belongs to the line itself
            let has_end = self.buffer.last() == Some(&b'\n');
            let body = self.buffer.len().saturating_sub(usize::from(has_end));
            let unsearched = body.saturating_sub(searched);
            if let Some(newline) = self.buffer[..unsearched].iter().rposition(|b| *b == b'\n') {
                let mut bytes = self.buffer.split_off(newline + 1);
                bytes.truncate(body - newline - 1);
                return Ok(Some(RawLine { offset: self.at + newline as u64 + 1, bytes, has_end }));
            }
            if self.at == 0 {
                let mut bytes = std::mem::take(&mut self.buffer);
                bytes.truncate(body);
                return Ok((!bytes.is_empty() || body > 0).then_some(RawLine { offset: 0, bytes, has_end }));
            }
            searched = body;
            self.fill(file)?;
        }
    }

    fn fill(&mut self, file: &File) -> io::Result<()> {
        let size = self.at.min(BLOCK);
        let mut block = vec![0; size as usize];
        file.read_exact_at(&mut block, self.at - size)?;
        block.append(&mut self.buffer);
        self.buffer = block;
        self.at -= size;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn last(text: &str, count: u64) -> String {
        text[tail(&file(text), count, |_| true).unwrap().offset as usize..].to_owned()
    }

    #[test]
    fn the_last_lines() {
        let (one, two) = ("2026Z stdout F one\n", "2026Z stdout F two\n");
        let (part, rest) = ("2026Z stdout P par\n", "2026Z stdout F t\n");
        let all = [one, two, part, rest].concat();
        let cases = [
            ("none", all.clone(), 0, String::new()),
            ("one of two parts", all.clone(), 1, [part, rest].concat()),
            ("two", all.clone(), 2, [two, part, rest].concat()),
            ("all", all.clone(), 3, all.clone()),
            ("more than there are", all.clone(), 9, all),
            ("of nothing", String::new(), 3, String::new()),
            ("a part that goes on", [one, two, part].concat(), 1, part.to_owned()),
        ];
        for (name, text, count, want) in cases {
            assert_eq!(last(&text, count), want, "{name}");
        }
    }

    #[test]
    fn only_those_that_count() {
        let (out, err) = ("2026Z stdout F one\n", "2026Z stderr F two\n");
        let text = [out, err, out, err, err, "2026Z stdout F unfin"].concat();
        let at = |line: usize| text.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
        let is_out = |raw: &RawLine| raw.has_end && raw.bytes.windows(6).any(|word| word == b"stdout");
        for (count, lines, offset) in [(0, 0, text.len()), (1, 1, at(2)), (2, 2, at(0)), (3, 2, at(0))] {
            let want = Tail { offset: offset as u64, lines };
            assert_eq!(tail(&file(&text), count, is_out).unwrap(), want, "{count}");
        }
    }

    #[test]
    fn how_many_there_were() {
        let text = "2026Z stdout F y\n".repeat(7);
        for (count, lines) in [(0, 0), (3, 3), (7, 7), (9, 7)] {
            assert_eq!(tail(&file(&text), count, |_| true).unwrap().lines, lines, "{count}");
        }
    }

    #[test]
    fn lines_longer_than_a_block_and_blocks_with_many_lines() {
        let long = format!("2026Z stdout F {}\n", "x".repeat(50_000));
        let short = "2026Z stdout F y\n".repeat(5000);
        let text = [short.as_str(), &long, &short].concat();
        for count in [1, 4999, 5000, 5001, 5002, 10_001] {
            let got = last(&text, count);
            assert_eq!(got.lines().count() as u64, count, "{count}");
            assert!(text.ends_with(&got) && got.starts_with("2026Z"), "{count}");
        }
    }

    #[test]
    fn a_search_in_stretches_finds_the_same() {
        let (line, part) = ("2026Z stdout F some words\n", "2026Z stdout P some words\n");
        for (name, text) in [
            ("lines", line.repeat(100)),
            ("parts of one", part.repeat(100)),
            ("parts and their ends", [part, part, line].concat().repeat(30)),
            ("nothing", String::new()),
        ] {
            let file = file(&text);
            for (count, most) in [(0, 1), (1, 1), (7, 60), (29, 1000), (200, 1)] {
                let mut search = TailSearch::new(&file, count).unwrap();
                let mut stretches = 1;
                let found = loop {
                    match search.go_on(&file, most, |_| true).unwrap() {
                        Some(found) => break found,
                        None => stretches += 1,
                    }
                };
                assert_eq!(found, tail(&file, count, |_| true).unwrap(), "{count} of {name}");
                // each goes beyond its end by a line at most
                let looked_at = text.len() as u64 - found.offset;
                assert!(
                    stretches >= looked_at / (most + line.len() as u64),
                    "{count} of {name}: {stretches}"
                );
            }
        }
    }
}
