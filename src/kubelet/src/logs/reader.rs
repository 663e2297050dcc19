//! A log as a stream of bytes: what is there, and, where it is followed, what comes until its container ends.

use super::line::Printer;
use super::rotate;
use crate::shared::Shared;
use bytes::Bytes;
use cri::logs::{Tail, TailSearch, Watcher};
use cri::{ContainerId, LogOptions, RuntimeEvent, blocking};
use futures::stream::{BoxStream, StreamExt, unfold};
use jiff::Timestamp;
use nix::sys::inotify::AddWatchFlags;
use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::broadcast;

const CHUNK: usize = 64 << 10;
/// Bytes that are looked at in one go for where the last lines begin, some milliseconds: a log may have gigabytes, and who asks for them
/// may ask a thousand times and go. Meanwhile others have these threads, too.
const STRETCH: u64 = 1 << 20;

/// A log, read from some place on.
struct Reader {
    path: PathBuf,
    file: File,
    /// What is read when the file is at its end: the next of those that a rotation made.
    next: VecDeque<File>,
    printer: Printer,
    /// A line whose end is not written yet.
    rest: Vec<u8>,
}

impl Reader {
    async fn open(path: &Path, options: &LogOptions) -> io::Result<Self> {
        let (log, since) = (path.to_owned(), options.since);
        let mut files = blocking(move || open_all(&log, since)).await?;
        if let Some(count) = options.tail_lines {
            keep_tail(&mut files, count).await?;
        }
        let file = files.pop_front().ok_or(io::ErrorKind::NotFound)?;
        Ok(Reader {
            path: path.to_owned(),
            file,
            next: files,
            printer: Printer::new(options),
            rest: Vec::new(),
        })
    }

    /// What was asked for of the next chunk, which may be nothing; `None` at the end of what there is.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut chunk = vec![0; CHUNK];
        let count = loop {
            match self.file.read(&mut chunk)? {
                0 => {
                    let Some(next) = self.next.pop_front() else { return Ok(None) };
                    self.file = next;
                    self.rest.clear();
                }
                count => break count,
            }
        };
        let mut out = Vec::new();
        self.rest.extend_from_slice(&chunk[..count]);
        self.print_lines(&mut out);
        Ok(Some(out))
    }

    fn print_lines(&mut self, out: &mut Vec<u8>) {
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else { return };
        let after = self.rest.split_off(end + 1);
        for raw in self.rest[..end].split(|b| *b == b'\n') {
            if self.printer.is_done() {
                break;
            }
            self.printer.print(raw, out);
        }
        self.rest = after;
    }

    /// Whether a rotation put another file in this one's place. Its writer has let go of the old one then, which may have
    /// grown since it was read last: that is read first.
    fn switch(&mut self) -> io::Result<bool> {
        let Ok(fresh) = File::open(&self.path) else { return Ok(false) };
        let (old, new) = (self.file.metadata()?, fresh.metadata()?);
        let is_other = identity(&old) != identity(&new);
        if is_other {
            self.next.push_back(fresh);
        }
        Ok(is_other)
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// The log and what was rotated away from it, the oldest first, as far as it may hold something of that time.
fn open_all(path: &Path, since: Option<Timestamp>) -> io::Result<VecDeque<File>> {
    // the newest first: what is rotated away meanwhile is known by its identity, and not read twice
    let newest = File::open(path)?;
    let own = identity(&newest.metadata()?);
    let mut files = VecDeque::new();
    for old in rotate::rotated(path) {
        // the oldest may just have been removed
        let Ok(file) = File::open(&old) else { continue };
        let metadata = file.metadata()?;
        let too_old = since.is_some_and(|since| metadata.mtime() < since.as_second());
        if identity(&metadata) != own && !too_old {
            files.push_back(file);
        }
    }
    files.push_back(newest);
    Ok(files)
}

/// Leaves the files that hold the last lines, the first of them at its place.
async fn keep_tail(files: &mut VecDeque<File>, count: u64) -> io::Result<()> {
    let mut wanted = count;
    for at in (0..files.len()).rev() {
        let found = last_lines(files[at].try_clone()?, wanted).await?;
        wanted -= found.lines;
        if wanted == 0 || at == 0 {
            files[at].seek(SeekFrom::Start(found.offset))?;
            files.drain(..at);
            return Ok(());
        }
    }
    Ok(())
}

async fn last_lines(mut file: File, count: u64) -> io::Result<Tail> {
    let mut search = TailSearch::new(&file, count)?;
    loop {
        let look = move || {
            let found = search.go_on(&file, STRETCH, |_| true)?;
            Ok::<_, io::Error>((found, search, file))
        };
        let (found, looked, at) = blocking(look).await?;
        if let Some(found) = found {
            return Ok(found);
        }
        (search, file) = (looked, at);
    }
}

/// Waits for more of a log.
struct Follower {
    shared: Arc<Shared>,
    id: ContainerId,
    watcher: Watcher,
    events: broadcast::Receiver<RuntimeEvent>,
    has_ended: bool,
}

impl Follower {
    fn new(shared: &Arc<Shared>, id: &ContainerId, log: &Path) -> io::Result<Self> {
        let watcher = Watcher::new()?;
        // the directory, not the file: a rotation makes another file
        let what = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        watcher.add(log.parent().unwrap_or(log), what)?;
        let events = shared.runtime.events();
        Ok(Follower { shared: shared.clone(), id: id.clone(), watcher, events, has_ended: false })
    }

    async fn runs(&self) -> bool {
        self.shared.runtime.container(&self.id).await.is_ok_and(|status| crate::kill::runs(&status))
    }

    /// Until something was written, or the container ended.
    async fn wait(&mut self) -> io::Result<()> {
        loop {
            let maybe_ended = tokio::select! {
                written = self.watcher.next() => return written.map(|_| ()),
                event = self.events.recv() => match event {
                    Ok(RuntimeEvent::Exited { container, .. }) => container == self.id,
                    Ok(RuntimeEvent::SandboxLost { .. }) | Err(_) => true,
                    Ok(_) => false,
                },
            };
            if maybe_ended && !self.runs().await {
                self.has_ended = true;
                return Ok(());
            }
        }
    }
}

/// # Errors
/// There is no log, or it can not be watched.
pub(crate) async fn stream(
    shared: &Arc<Shared>,
    id: &ContainerId,
    log: &Path,
    options: LogOptions,
) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
    let follower = match options.follow {
        true => {
            // watched before it is read, and read before it is asked whether it runs: nothing falls between
            let mut follower = Follower::new(shared, id, log)?;
            follower.has_ended = !follower.runs().await;
            Some(follower)
        }
        false => None,
    };
    let reader = Reader::open(log, &options).await?;
    Ok(unfold(Some((reader, follower)), |state| async move {
        let (mut reader, mut follower) = state?;
        match next(&mut reader, follower.as_mut()).await {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => Some((Ok(piece.into()), Some((reader, follower)))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed())
}

/// The next piece, empty when there will be no more.
async fn next(reader: &mut Reader, mut follower: Option<&mut Follower>) -> io::Result<Vec<u8>> {
    loop {
        let ended = follower.as_ref().is_none_or(|f| f.has_ended);
        if reader.printer.is_done() {
            return Ok(Vec::new());
        }
        // reads of a local file's cached pages: no reason to change threads
        match reader.read()? {
            Some(piece) if !piece.is_empty() => return Ok(piece),
            // gigabytes may be older than what was asked for: others have their turns, and who asked may have gone
            Some(_) => {
                tokio::task::yield_now().await;
                continue;
            }
            None => {}
        }
        if follower.is_some() && reader.switch()? {
            continue;
        }
        match follower.as_mut() {
            Some(follower) if !ended => follower.wait().await?,
            _ => return Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    /// Four clients that asked for the end of a large log held the whole daemon up for as long as it was read.
    #[tokio::test]
    async fn others_have_their_turns_while_a_log_is_read_that_little_is_wanted_of() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("0.log");
        let old = "2026-01-01T00:00:01Z stdout F old\n";
        let text = old.repeat(3 * CHUNK / old.len()) + "2026-01-01T00:00:02Z stdout F new\n";
        std::fs::write(&log, text).unwrap();
        let since = Some("2026-01-01T00:00:02Z".parse().unwrap());
        let mut reader = Reader::open(&log, &LogOptions { since, ..LogOptions::default() }).await.unwrap();
        let mut turns = 1;
        let piece = loop {
            match next(&mut reader, None).now_or_never() {
                Some(piece) => break piece.unwrap(),
                None => turns += 1,
            }
        };
        assert_eq!(String::from_utf8(piece).unwrap(), "new\n");
        assert!(turns > 2, "it was read in {turns}");
    }
}
