//! How others reach into pods: exec, attach, port-forward and logs, and the pages of the node.

use crate::CriError;
use crate::Result;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

/// A two-way byte stream.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub type Input = Box<dyn AsyncWrite + Send + Unpin>;
pub type Output = Box<dyn AsyncRead + Send + Unpin>;

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

/// A process to add to a running container. `None` and empty fields are as in the container itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecConfig {
    pub command: Vec<String>,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// With a terminal everything it prints is stdout.
    pub tty: bool,
    pub env: Vec<(String, String)>,
    pub working_dir: Option<String>,
    pub user: Option<String>,
    /// More groups of that user, by name or number, as [`crate::ContainerConfig::group_names`] are of the container's own.
    pub group_names: Vec<String>,
    pub privileged: bool,
    pub terminal_size: Option<(u16, u16)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttachStreams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

/// The caller's ends of a process's streams. Dropping `stdin` closes it; dropping the session detaches.
pub struct ExecSession {
    pub stdin: Option<Input>,
    pub stdout: Option<Output>,
    pub stderr: Option<Output>,
    /// Window changes; `None` without a terminal.
    pub resize: Option<mpsc::Sender<TerminalSize>>,
    /// The process's, as the host numbers it; zero where nobody knows.
    pub pid: i32,
    /// The exit code, or why there is none. For an attach it comes when the container ends.
    pub exit: oneshot::Receiver<Result<i32>>,
}

impl ExecSession {
    /// Of a process that could not be started: no streams, and why there is no exit code.
    pub fn failed(why: CriError) -> Self {
        let (exited, exit) = oneshot::channel();
        let _ = exited.send(Err(why));
        ExecSession { stdin: None, stdout: None, stderr: None, resize: None, pid: 0, exit }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    pub exit_code: i32,
    pub stdout: Bytes,
    pub stderr: Bytes,
}

/// What `kubectl logs` may ask for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogOptions {
    pub follow: bool,
    pub previous: bool,
    pub timestamps: bool,
    pub since: Option<jiff::Timestamp>,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
}

/// Which container of which pod; an empty container name is the pod's only or default one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodContainer {
    pub namespace: String,
    pub pod: String,
    pub container: String,
}

/// How the API server reaches into a running pod without knowing the kubelet that implements this.
#[async_trait]
pub trait PodAccess: Send + Sync + 'static {
    async fn logs(
        &self,
        at: &PodContainer,
        options: LogOptions,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>>;
    async fn exec(&self, at: &PodContainer, config: ExecConfig) -> Result<ExecSession>;
    async fn attach(&self, at: &PodContainer, want: AttachStreams) -> Result<ExecSession>;
    async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Box<dyn Duplex>>;
    /// What the node's own server shows at a path (`/metrics/cadvisor`); `None` where there is nothing, or where it is another
    /// node's.
    async fn page(&self, node: &str, path: &str) -> Result<Option<KubeletPage>> {
        let _ = (node, path);
        Ok(None)
    }
    /// How the node's kubelet is set, in upstream's flags; `None` where it is another node's.
    fn flags(&self, node: &str) -> Option<BTreeMap<&'static str, String>> {
        let _ = node;
        None
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletPage {
    pub content_type: &'static str,
    pub body: String,
}
