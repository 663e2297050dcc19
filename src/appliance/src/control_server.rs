use crate::Places;
use crate::control::{ControlReply, ControlRequest, ControlStatus};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const LONGEST_REQUEST: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the command line.
pub(crate) struct ControlServer {
    pub(crate) status: ControlStatus,
    pub(crate) ready: watch::Receiver<bool>,
    /// Ends the whole daemon.
    pub(crate) stop: CancellationToken,
}

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

impl ControlServer {
    pub(crate) async fn serve(self, listener: UnixListener, until: CancellationToken) {
        while let Some(accepted) = until.run_until_cancelled(listener.accept()).await {
            let Ok((stream, _)) = accepted else { continue };
            let answered = tokio::time::timeout(PATIENCE, self.answer(stream)).await;
            if let Ok(Err(error)) = answered {
                tracing::debug!(%error, "the command line went away");
            }
        }
    }

    async fn answer(&self, stream: UnixStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        BufReader::new(read.take(LONGEST_REQUEST)).read_line(&mut line).await?;
        let replies = match serde_json::from_str(&line) {
            Ok(ControlRequest::Status) => {
                let status = ControlStatus { ready: *self.ready.borrow(), ..self.status.clone() };
                vec![ControlReply::Status(status), ControlReply::Done]
            }
            Ok(ControlRequest::Stop) => {
                self.stop.cancel();
                vec![ControlReply::Done]
            }
            Err(error) => vec![ControlReply::Failed { message: format!("request not understood: {error}") }],
        };
        for reply in replies {
            let mut line = serde_json::to_string(&reply).map_err(std::io::Error::other)?;
            line.push('\n');
            write.write_all(line.as_bytes()).await?;
        }
        write.shutdown().await
    }
}
