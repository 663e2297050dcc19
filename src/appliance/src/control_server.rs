//! The server of the control socket: a line of JSON is the request, lines are the answers. It keeps descriptors back for
//! itself, so that a daemon that is out of them can still be stopped.

use crate::Paths;
use crate::answers::Answers;
use crate::control::{ControlReply, ControlRequest};
use nix::errno::Errno;
use parking_lot::Mutex;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A Dockerfile that lies elsewhere than its context is a part of the request: the command line takes one of a megabyte, which is a
/// few as JSON.
const LONGEST_REQUEST: u64 = 8 << 20;
/// Who connects and asks nothing by then holds nothing any more.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a connection that could not be accepted.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Commands that are answered at the same time when nothing else is free.
const RESERVED: usize = 4;
/// Lines that wait for a terminal that is slow.
const BACKLOG: usize = 64;
/// For the answers that are under way when the daemon stops; that to the stop itself is one.
const DRAIN: Duration = Duration::from_secs(1);

/// Descriptors that are held for the command line: whatever else the daemon has open, it can be asked, and be stopped.
#[derive(Default)]
struct Reserve(Mutex<Vec<File>>);

impl Reserve {
    async fn accept(&self, listener: &UnixListener) -> std::io::Result<UnixStream> {
        self.fill();
        match listener.accept().await {
            Err(error) if is_out_of_files(&error) && self.give_one() => listener.accept().await,
            accepted => accepted,
        }
        .map(|(stream, _)| stream)
    }

    fn fill(&self) {
        let mut held = self.0.lock();
        while held.len() < RESERVED
            && let Ok(file) = File::open("/dev/null")
        {
            held.push(file);
        }
    }

    fn give_one(&self) -> bool {
        self.0.lock().pop().is_some()
    }
}

/// Of the process, or of the machine.
fn is_out_of_files(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

/// # Errors
/// What the file system says.
pub(crate) fn listen(paths: &Paths) -> std::io::Result<UnixListener> {
    let path = paths.control_socket();
    // nobody else listens: whoever calls holds the profile's lock
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers the command line, each caller on a task of its own, until `until`.
pub(crate) async fn serve(answers: Arc<Answers>, listener: UnixListener, until: CancellationToken) {
    let callers = TaskTracker::new();
    let reserve = Arc::new(Reserve::default());
    let mut pause = FIRST_PAUSE;
    while let Some(accepted) = until.run_until_cancelled(reserve.accept(&listener)).await {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                // the kernel says the same again as long as somebody waits: asking at once would take a core
                tracing::warn!(%error, "a connection of the command line was not accepted");
                until.run_until_cancelled(tokio::time::sleep(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        pause = FIRST_PAUSE;
        let (answers, reserve) = (answers.clone(), reserve.clone());
        callers.spawn(async move {
            if let Err(error) = answer(&answers, stream).await {
                tracing::debug!(%error, "the command line went away");
            }
            reserve.fill();
        });
    }
    callers.close();
    let _ = tokio::time::timeout(DRAIN, callers.wait()).await;
}

async fn answer(answers: &Answers, stream: UnixStream) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(LONGEST_REQUEST));
    tokio::time::timeout(PATIENCE, read.read_line(&mut line)).await??;
    let request = match ControlRequest::read(&line) {
        Ok(request) => request,
        Err(refusal) => return put(&mut write, &refusal).await,
    };
    let (say, mut said) = mpsc::channel(BACKLOG);
    let answering = answers.answer(request, say);
    let gone = hung_up(read.into_inner().into_inner());
    tokio::pin!(answering, gone);
    let last = loop {
        tokio::select! {
            biased;
            Some(reply) = said.recv() => put(&mut write, &reply).await?,
            last = &mut answering => break last,
            // a build or a pull that nobody waits for ends
            () = &mut gone => return Ok(()),
        }
    };
    while let Ok(reply) = said.try_recv() {
        put(&mut write, &reply).await?;
    }
    put(&mut write, &last).await?;
    write.shutdown().await
}

/// The command line says one line, and keeps its end open as long as it listens.
async fn hung_up(mut read: OwnedReadHalf) {
    let mut more = [0; 64];
    while matches!(read.read(&mut more).await, Ok(1..)) {}
}

async fn put(write: &mut OwnedWriteHalf, reply: &ControlReply) -> std::io::Result<()> {
    let mut line = serde_json::to_string(reply).map_err(std::io::Error::other)?;
    line.push('\n');
    write.write_all(line.as_bytes()).await
}
