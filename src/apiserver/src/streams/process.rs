//! A process's streams carried between its session and a client, whatever protocol the client speaks.

use super::gone::Gone;
use bytes::{Bytes, BytesMut};
use cri::{CriError, ExecSession, Input, Output, TerminalSize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const BLOCK: usize = 32 * 1024;
/// What a process left running in the background may still print once the process itself has ended: it inherited the
/// streams, and would hold them open for ever.
const QUIET_AFTER_EXIT: Duration = Duration::from_secs(2);
/// For a process to take what its client had sent before it left. Some leave as soon as they have sent the last piece (ansible's
/// `k8s_cp`), and upstream's server writes all of it before it looks at what comes next.
pub(super) const LAST_INPUT: Duration = Duration::from_secs(30);

/// Where one of the process's outputs goes.
pub(super) trait Sink: Send + Sync {
    fn send(&self, data: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;
    fn finish(&self) -> impl Future<Output = Result<(), Gone>> + Send;
}

/// The client's ends of the streams that it wants.
pub(super) struct ClientEnds<S> {
    /// Ends where the client closes its own.
    pub(super) stdin: Option<Output>,
    pub(super) stdout: Option<S>,
    pub(super) stderr: Option<S>,
    /// The last window size that was told.
    pub(super) resize: watch::Receiver<Option<TerminalSize>>,
    /// Cancelled when the client is gone.
    pub(super) gone: CancellationToken,
}

/// What the streams are those of: an exec ends with an exit code, an attach just ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Exec,
    Attach,
}

/// Until the process has ended and all that it printed is sent: then its status. `None` where the client is gone, and the process has
/// what the client had sent.
pub(super) async fn carry<S: Sink>(
    session: ExecSession,
    client: ClientEnds<S>,
    action: Action,
) -> Option<Value> {
    let ExecSession { stdin, stdout, stderr, resize, pid: _, exit } = session;
    let exited = CancellationToken::new();
    let outputs = async {
        let code = async {
            let code = exit.await;
            exited.cancel();
            code
        };
        let out = print(stdout, client.stdout, &exited);
        let err = print(stderr, client.stderr, &exited);
        let (code, (), ()) = tokio::join!(code, out, err);
        code
    };
    let fed = CancellationToken::new();
    let inputs = async {
        let feeding = async {
            feed(client.stdin, stdin).await;
            fed.cancel();
        };
        tokio::join!(feeding, follow_size(client.resize, resize));
        std::future::pending::<()>().await;
    };
    tokio::pin!(outputs, inputs);
    tokio::select! {
        code = &mut outputs => return Some(match code {
            Ok(Ok(code)) => ended(code, action),
            Ok(Err(error)) => failed(&error, action),
            Err(_) => failed(&CriError::Failed("the connection to the container was lost".into()), action),
        }),
        () = &mut inputs => {}
        () = client.gone.cancelled() => {}
    }
    let last_input = async {
        tokio::select! {
            _ = &mut outputs => {}
            () = &mut inputs => {}
            () = fed.cancelled() => {}
        }
    };
    let _ = tokio::time::timeout(LAST_INPUT, last_input).await;
    None
}

/// From the client to the process. When this ends both are closed.
async fn feed(from: Option<Output>, to: Option<Input>) {
    let (Some(mut from), Some(mut to)) = (from, to) else { return };
    let mut block = BytesMut::with_capacity(BLOCK);
    while let Ok(1..) = from.read_buf(&mut block).await {
        if to.write_all_buf(&mut block).await.is_err() || to.flush().await.is_err() {
            return;
        }
        block.reserve(BLOCK);
    }
    let _ = to.shutdown().await;
}

async fn follow_size(
    mut sizes: watch::Receiver<Option<TerminalSize>>,
    to: Option<mpsc::Sender<TerminalSize>>,
) {
    let Some(to) = to else { return };
    while sizes.changed().await.is_ok() {
        let size = *sizes.borrow_and_update();
        if let Some(size) = size
            && to.send(size).await.is_err()
        {
            return;
        }
    }
}

async fn print<S: Sink>(from: Option<Output>, to: Option<S>, exited: &CancellationToken) {
    if let Some(mut from) = from {
        let mut block = BytesMut::new();
        loop {
            block.reserve(BLOCK);
            let read = tokio::select! {
                biased;
                read = from.read_buf(&mut block) => read,
                () = quiet(exited) => break,
            };
            let Ok(1..) = read else { break };
            // what nobody wants is still taken, or the process would block
            if let Some(to) = &to
                && to.send(block.split().freeze()).await.is_err()
            {
                return;
            }
            block.clear();
        }
    }
    if let Some(to) = to {
        let _ = to.finish().await;
    }
}

async fn quiet(exited: &CancellationToken) {
    exited.cancelled().await;
    tokio::time::sleep(QUIET_AFTER_EXIT).await;
}

fn ended(code: i32, action: Action) -> Value {
    if code == 0 || action == Action::Attach {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn failed(why: &CriError, action: Action) -> Value {
    let message = match action {
        Action::Exec => format!("error executing command in container: {why}"),
        Action::Attach => format!("error attaching to container: {why}"),
    };
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {message}"), "details": {"causes": [{"message": message}]},
    })
}

/// What is written to the error stream: the whole status since version 4 of the protocol, before it what went wrong.
pub(super) fn status_text(status: &Value, whole: bool) -> Bytes {
    match (whole, status["status"].as_str()) {
        (true, _) => Bytes::from(status.to_string()),
        (false, Some("Success")) => Bytes::new(),
        (false, _) => Bytes::from(status["message"].as_str().unwrap_or_default().to_owned()),
    }
}
