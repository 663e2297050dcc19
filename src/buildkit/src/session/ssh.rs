//! `--ssh`: a socket here whose other end is the client's agent.

use super::{Session, is_absent};
use crate::proto::session::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use image::{BuildSsh, SshAgent};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::io::{ReaderStream, StreamReader};
use tokio_util::task::AbortOnDropHandle;
use tonic::Request;
use tonic::metadata::MetadataValue;

const CHECK: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// Connections to one agent at a time: more than any program needs. Who comes then waits: a RUN opens as many as it likes, and each is a
/// descriptor and a stream of ours.
const MOST_OPEN: usize = 64;

pub(crate) struct Agents {
    pub(crate) session: Arc<Session>,
    /// Where sockets may lie; what is in it is swept away when the engine starts.
    pub(crate) directory: PathBuf,
}

struct Agent {
    directory: TempDir,
    _serves: AbortOnDropHandle<()>,
}

impl SshAgent for Agent {
    fn socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }
}

#[async_trait]
impl BuildSsh for Agents {
    async fn agent(&self, id: &str) -> Result<Option<Box<dyn SshAgent>>, String> {
        if !self.session.offers(FORWARD) {
            return Ok(None);
        }
        let asked = self.session.ask::<_, CheckAgentResponse>(CHECK, CheckAgentRequest { id: id.to_owned() });
        match asked.await {
            Err(status) if is_absent(&status) || status.message().contains("unset ssh forward key") => {
                return Ok(None);
            }
            Err(status) => return Err(format!("ssh agent {id}: {}", status.message())),
            Ok(_) => {}
        }
        let made = self.listen(id).map_err(|e| format!("ssh agent {id}: {e}"))?;
        Ok(Some(Box::new(made)))
    }
}

impl Agents {
    fn listen(&self, id: &str) -> io::Result<Agent> {
        std::fs::create_dir_all(&self.directory)?;
        let directory = TempDir::new_in(&self.directory)?;
        let path = directory.path().join("agent.sock");
        let listener = UnixListener::bind(&path)?;
        // the command may be anybody; who may come to the directory, the mount decides
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
        let (session, id) = (self.session.clone(), id.to_owned());
        let serves = tokio::spawn(serve(listener, move |socket| {
            let (session, id) = (session.clone(), id.clone());
            async move { forward(socket, &session, &id).await }
        }));
        Ok(Agent { directory, _serves: AbortOnDropHandle::new(serves) })
    }
}

async fn serve<F>(listener: UnixListener, forward: impl Fn(UnixStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut all = tokio::task::JoinSet::new();
    loop {
        if all.len() >= MOST_OPEN {
            all.join_next().await;
        }
        while all.try_join_next().is_some() {}
        let Ok((socket, _)) = listener.accept().await else { return };
        let forwarded = forward(socket);
        all.spawn(async move {
            if let Err(error) = forwarded.await {
                tracing::debug!(%error, "an ssh agent went away");
            }
        });
    }
}

async fn forward(socket: UnixStream, session: &Session, id: &str) -> io::Result<()> {
    let (from, mut to) = socket.into_split();
    let said = ReaderStream::new(from).take_while(|read| std::future::ready(read.is_ok()));
    let said = said.filter_map(|read| async move { Some(BytesMessage { data: read.ok()?.to_vec() }) });
    let mut request = Request::new(said);
    let id = MetadataValue::try_from(id).map_err(io::Error::other)?;
    request.metadata_mut().insert("buildkit.ssh.id", id);
    let answers = session.talk::<_, BytesMessage>(FORWARD, request).await.map_err(io::Error::other)?;
    let answers = answers.map_ok(|piece| bytes::Bytes::from(piece.data)).map_err(io::Error::other);
    tokio::io::copy(&mut StreamReader::new(answers), &mut to).await?;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_command_that_opens_many_connections_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        let (listener, served) = (UnixListener::bind(&path).unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = served.clone();
        tokio::spawn(serve(listener, move |mut socket: UnixStream| {
            count.fetch_add(1, SeqCst);
            async move { socket.read(&mut [0]).await.map(drop) }
        }));
        let mut clients = Vec::new();
        for _ in 0..=MOST_OPEN {
            clients.push(UnixStream::connect(&path).await.unwrap());
        }
        let are_served = async |wanted: usize| {
            while served.load(SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, are_served(MOST_OPEN)).await.expect("as many as may be open");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(served.load(SeqCst), MOST_OPEN);
        drop(clients.remove(0));
        tokio::time::timeout(patience, are_served(MOST_OPEN + 1)).await.expect("one has gone");
    }
}
