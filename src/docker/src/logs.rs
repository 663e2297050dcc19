//! A container's log, which the shim writes in CRI's form, as Docker's clients want it.

use crate::frames::{self, Stream as Which};
use crate::log_files::{self, Piece};
use crate::record::{Container, Record};
use bytes::Bytes;
use cri::blocking;
use cri::logs::{LogStream, RawLine, Watcher, tail};
use jiff::Timestamp;
use nix::sys::inotify::AddWatchFlags;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    pub(crate) timestamps: bool,
    pub(crate) follow: bool,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// Lines; all where `None`.
    pub(crate) tail: Option<usize>,
    pub(crate) tty: bool,
    /// What is put before each line, if that is asked for.
    pub(crate) details: Option<String>,
}

/// One that is in Docker's order of time.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    time: Timestamp,
    which: Which,
    is_whole: bool,
    text: &'a [u8],
}

fn parse(raw: &[u8]) -> Option<Line<'_>> {
    let cri::logs::Line { time, stream, is_whole, text } = cri::logs::parse(raw)?;
    let which = match stream {
        LogStream::Stdout => Which::Stdout,
        LogStream::Stderr => Which::Stderr,
    };
    Some(Line { time: time.parse().ok()?, which, is_whole, text })
}

impl Wanted {
    fn takes(&self, line: &Line<'_>) -> bool {
        let stream = match line.which {
            Which::Stdout => self.stdout,
            Which::Stderr => self.stderr,
        };
        stream
            && self.since.is_none_or(|since| line.time >= since)
            && self.until.is_none_or(|until| line.time <= until)
    }

    fn show(&self, line: &Line<'_>, is_first_part: bool) -> Bytes {
        let mut text = Vec::with_capacity(line.text.len() + 32);
        if self.timestamps && is_first_part {
            text.extend_from_slice(format!("{:.9} ", line.time).as_bytes());
        }
        if let Some(details) = self.details.as_ref().filter(|_| is_first_part) {
            text.extend_from_slice(format!("{details} ").as_bytes());
        }
        text.extend_from_slice(line.text);
        if line.is_whole {
            text.push(b'\n');
        }
        frames::encode(line.which, &text, self.tty)
    }
}

/// The lines that are wanted, in order, as they become known; ends with the log, or with the run that it follows. The log is open
/// when this returns: the SDKs ask for it, remove the container, and then read it.
///
/// # Errors
/// The log can not be opened, or not be watched.
pub(crate) async fn follow(
    container: Arc<Container>,
    wanted: Wanted,
) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let opened = Opened::of(container, wanted).await?;
    let (tell, told) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        if let Err(error) = send_all(opened, &tell).await {
            let _ = tell.send(Err(error)).await;
        }
    });
    Ok(told)
}

/// A log that is going to be read, and what tells of more.
struct Opened {
    reader: Reader,
    changed: Watcher,
    records: tokio::sync::watch::Receiver<Record>,
    /// The run that is followed: how many were over before.
    begun: u64,
    /// Tells the records.
    _container: Arc<Container>,
}

impl Opened {
    async fn of(container: Arc<Container>, wanted: Wanted) -> io::Result<Opened> {
        let path = container.log();
        // a container that never ran has no log yet
        File::options().create(true).append(true).open(&path)?;
        let changed = watch(container.dir())?;
        let mut records = container.watch();
        let begun = records.borrow_and_update().exits;
        let reader = blocking(move || Reader::open(path, wanted)).await?;
        Ok(Opened { reader, changed, records, begun, _container: container })
    }
}

async fn send_all(opened: Opened, tell: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let Opened { mut reader, changed, mut records, begun, _container } = opened;
    let (follow, time_is_over) = (reader.wanted.follow, time_is_over(reader.wanted.until));
    tokio::pin!(time_is_over);
    loop {
        // asked before the reading: what was written before the end is read after it
        let is_over = !follow || is_over(&records.borrow(), begun);
        loop {
            let (read, back) = tokio::task::spawn_blocking(move || (reader.some(), reader)).await?;
            reader = back;
            let lines = read?;
            if lines.is_empty() {
                break;
            }
            for line in lines {
                if tell.send(Ok(line)).await.is_err() {
                    return Ok(());
                }
            }
        }
        if is_over {
            return Ok(());
        }
        tokio::select! {
            written = changed.next() => drop(written?),
            gone = records.changed() => if gone.is_err() { return Ok(()) },
            () = &mut time_is_over => return Ok(()),
            () = tell.closed() => return Ok(()),
        }
    }
}

/// Never without `until`.
async fn time_is_over(until: Option<Timestamp>) {
    match until {
        Some(until) => tokio::time::sleep(left(until)).await,
        None => std::future::pending().await,
    }
}

/// From now to then.
pub(crate) fn left(then: Timestamp) -> std::time::Duration {
    let left = then.as_nanosecond() - Timestamp::now().as_nanosecond();
    std::time::Duration::from_nanos(u64::try_from(left).unwrap_or(0))
}

fn is_over(record: &Record, begun: u64) -> bool {
    record.running().is_none() || record.exits != begun
}

/// The directory: a rotation makes another file of the same name.
fn watch(directory: &Path) -> io::Result<Watcher> {
    let watcher = Watcher::new()?;
    watcher
        .add(directory, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?;
    Ok(watcher)
}

/// Reads whole lines; what the shim is just writing stays for the next time.
struct Reader {
    path: PathBuf,
    current: BufReader<Piece>,
    /// Those that come after it, the next one first.
    later: VecDeque<Piece>,
    wanted: Wanted,
    part: Vec<u8>,
    goes_on: bool,
}

/// Lines handed on at once, and from how many bytes on they are enough: they wait for as long as a client does not read.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 64 << 10;
/// Lines that wait to be sent; the shim cuts long ones at 16 KiB.
const WAITING: usize = 16;

impl Reader {
    fn open(path: PathBuf, wanted: Wanted) -> io::Result<Reader> {
        let mut pieces: VecDeque<Piece> = log_files::all(&path)?.into();
        if let Some(count) = wanted.tail {
            let (skipped, start) = begin_of_tail(&pieces, &wanted, count)?;
            pieces.drain(..skipped);
            pieces[0].file.seek(SeekFrom::Start(start))?;
        }
        let first = pieces.pop_front().ok_or(io::ErrorKind::NotFound)?;
        let current = BufReader::new(first);
        Ok(Reader { path, current, later: pieces, wanted, part: Vec::new(), goes_on: false })
    }

    fn some(&mut self) -> io::Result<Vec<Bytes>> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < BATCH && bytes < BATCH_BYTES {
            self.current.read_until(b'\n', &mut self.part)?;
            if self.part.pop_if(|last| *last == b'\n').is_none() {
                if self.turn_over()? {
                    continue;
                }
                break;
            }
            if let Some(line) = parse(&self.part) {
                if self.wanted.takes(&line) {
                    let shown = self.wanted.show(&line, !self.goes_on);
                    bytes += shown.len();
                    lines.push(shown);
                }
                self.goes_on = !line.is_whole;
            }
            self.part.clear();
        }
        Ok(lines)
    }

    /// Goes on with the next file where this one has ended. Whoever follows looks whether there is a new one.
    fn turn_over(&mut self) -> io::Result<bool> {
        let next = match self.later.pop_front() {
            Some(next) => Some(next),
            None if self.wanted.follow => log_files::after(&self.path, self.current.get_ref())?,
            None => None,
        };
        let Some(next) = next else { return Ok(false) };
        // what was written to it between our last look and the rotation
        let mut rest = Vec::new();
        self.current.read_to_end(&mut rest)?;
        let unread = rest.len() as u64;
        if unread > 0 {
            self.current.get_mut().file.seek_relative(-(unread as i64))?;
            self.later.push_front(next);
            return Ok(true);
        }
        self.part.clear();
        self.current = BufReader::new(next);
        Ok(true)
    }
}

/// Where the last `count` lines of those that are wanted begin: in which file, and at which byte.
fn begin_of_tail(pieces: &VecDeque<Piece>, wanted: &Wanted, count: usize) -> io::Result<(usize, u64)> {
    let counts = |raw: &RawLine| raw.has_end && parse(&raw.bytes).is_some_and(|line| wanted.takes(&line));
    let mut left = count as u64;
    for (number, piece) in pieces.iter().enumerate().rev() {
        let found = tail(&piece.file, left, counts)?;
        left -= found.lines;
        if left == 0 {
            return Ok((number, found.offset));
        }
    }
    Ok((0, 0))
}

/// Seconds with a fraction, or RFC 3339, as clients send `since` and `until`; zero is: not said.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        return Timestamp::new(whole.parse().ok()?, nanos).ok().filter(|_| seconds != 0.0);
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LOG: &str = "2024-01-01T00:00:01.5Z stdout F one\n2024-01-01T00:00:02Z stderr F two\n\
                       2024-01-01T00:00:03Z stdout P thr\n2024-01-01T00:00:03Z stdout F ee\nbroken\n\
                       2024-01-01T00:00:04Z stdout F \n2024-01-01T00:00:05Z stdout F unfin";

    fn read(wanted: Wanted) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(LOG.as_bytes()).unwrap();
        let lines = Reader::open(file.path().into(), Wanted { tty: true, ..wanted }).unwrap().some().unwrap();
        String::from_utf8(lines.concat()).unwrap()
    }

    #[test]
    fn lines() {
        let both = Wanted { stdout: true, stderr: true, ..Default::default() };
        for (name, wanted, want) in [
            ("all", both.clone(), "one\ntwo\nthree\n\n"),
            ("one stream", Wanted { stderr: false, ..both.clone() }, "one\nthree\n\n"),
            ("the last", Wanted { tail: Some(2), ..both.clone() }, "three\n\n"),
            ("none", Wanted { tail: Some(0), ..both.clone() }, ""),
            ("since", Wanted { since: time("1704067203"), ..both.clone() }, "three\n\n"),
            ("until", Wanted { until: time("1704067202.000000000"), ..both.clone() }, "one\ntwo\n"),
            (
                "with details",
                Wanted { details: Some("a=1".into()), tail: Some(2), ..both.clone() },
                "a=1 three\na=1 \n",
            ),
            (
                "with times",
                Wanted { timestamps: true, stderr: false, until: time("1704067203"), ..both },
                "2024-01-01T00:00:01.500000000Z one\n2024-01-01T00:00:03.000000000Z three\n",
            ),
        ] {
            assert_eq!(read(wanted), want, "{name}");
        }
    }

    #[test]
    fn what_waits_for_a_client_is_small() {
        const LONG: usize = 16 << 10;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for _ in 0..BATCH {
            writeln!(file, "2024-01-01T00:00:00Z stdout F {}", "x".repeat(LONG)).unwrap();
        }
        let wanted = Wanted { stdout: true, tty: true, ..Default::default() };
        let mut reader = Reader::open(file.path().into(), wanted).unwrap();
        let (mut read, mut most) = (0, 0);
        loop {
            let lines = reader.some().unwrap();
            let bytes: usize = lines.iter().map(Bytes::len).sum();
            if bytes == 0 {
                break;
            }
            (read, most) = (read + bytes, most.max(bytes));
        }
        assert_eq!(read, BATCH * (LONG + 1));
        assert!(most <= BATCH_BYTES + LONG, "{most}");
    }

    #[test]
    fn a_rotation_loses_nothing_for_who_follows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let line = |number: usize| format!("2024-01-01T00:00:00Z stdout F {number}\n");
        let append = |text: String| {
            let mut file = File::options().create(true).append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        let rotate = || std::fs::rename(&path, dir.path().join("log.1")).unwrap();
        append(line(0) + &line(1));
        rotate();
        append(line(2));
        let wanted = Wanted { stdout: true, follow: true, tty: true, tail: Some(2), ..Default::default() };
        let mut reader = Reader::open(path.clone(), wanted).unwrap();
        let mut read = || String::from_utf8(reader.some().unwrap().concat()).unwrap();
        assert_eq!(read(), "1\n2\n");
        append(line(3));
        rotate();
        // in the middle of a rotation
        assert_eq!(read(), "3\n");
        append(line(4));
        assert_eq!(read(), "4\n");
        assert_eq!(read(), "");
    }

    #[tokio::test]
    async fn who_asked_before_the_container_was_removed_reads_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = crate::record::tests::record("web");
        crate::record::tests::end(&mut record, 0);
        let container = Arc::new(Container::new(record, dir.path().to_owned(), None));
        std::fs::write(container.log(), "2024-01-01T00:00:00Z stdout F last words\n").unwrap();
        let wanted = Wanted { stdout: true, follow: true, tty: true, ..Default::default() };
        let mut lines = follow(container, wanted).await.unwrap();
        drop(dir);
        assert_eq!(lines.recv().await.unwrap().unwrap(), "last words\n");
        assert!(lines.recv().await.is_none());
    }

    #[test]
    fn times() {
        for (text, want) in [
            ("0", None),
            ("1704067201.5", Some("2024-01-01T00:00:01.5Z")),
            ("2024-01-01T00:00:01Z", Some("2024-01-01T00:00:01Z")),
            ("yesterday", None),
        ] {
            assert_eq!(time(text).map(|t| t.to_string()), want.map(str::to_owned), "{text}");
        }
    }
}
