use crate::Places;
use crate::answers::Answers;
use crate::control::{ControlReply, Refusal};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const LONGEST_REQUEST: u64 = 64 * 1024;
/// Who connects and asks nothing by then holds nothing any more.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines that wait for a terminal that is slow.
const BACKLOG: usize = 64;
/// For the answers that are under way when the daemon stops; that to the stop itself is one.
const DRAIN: Duration = Duration::from_secs(1);

/// # Errors
/// What the file system says.
pub(crate) fn listen(places: &Places) -> std::io::Result<UnixListener> {
    let path = places.control_socket();
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
    while let Some(accepted) = until.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let answers = answers.clone();
        callers.spawn(async move {
            if let Err(error) = answer(&answers, stream).await {
                tracing::debug!(%error, "the command line went away");
            }
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
    let request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => {
            let message = format!("request not understood: {error}");
            return put(&mut write, &ControlReply::Failed { reason: Refusal::Other, message }).await;
        }
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
