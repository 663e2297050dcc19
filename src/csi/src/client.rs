//! The calls to a driver and to its registrar: a connection for each, which ends with the call however that ends.

use crate::proto::{
    NodeCapabilities, NodeExpandRequest, NodeInfo, NodePublishRequest, NodeStageRequest,
    NodeUnpublishRequest, NodeUnstageRequest, Nothing, PluginInfo, RegistrationStatus, VolumeStats,
    VolumeStatsRequest,
};
use crate::socket::{Channel, words};
use http::uri::{PathAndQuery, Uri};
use prost::Message;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// Upstream's csiTimeout.
pub const TIMEOUT: Duration = Duration::from_secs(120);
/// Larger than any answer of a node service.
const LARGEST_ANSWER: usize = 4 << 20; // bytes, gRPC's own default

/// What a driver answered instead, or why it did not. It prints as upstream's client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
}

impl Error {
    /// Whether the driver is done with it: what it was asked for has not been done, and will not be. Else it may be at it
    /// still, or have done it.
    pub fn is_final(&self) -> bool {
        !matches!(
            self.code,
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Unavailable
                | Code::ResourceExhausted
                | Code::Aborted
        )
    }

    /// Whether it can not be done as long as things are as they are.
    pub fn is_failed_precondition(&self) -> bool {
        self.code == Code::FailedPrecondition
    }

    /// Whether what was asked for can not be had: upstream's `isInfeasibleError`.
    pub fn is_infeasible(&self) -> bool {
        matches!(self.code, Code::InvalidArgument | Code::OutOfRange | Code::NotFound)
    }

    /// Nobody heard what became of the call.
    pub fn unheard(why: impl fmt::Display) -> Self {
        Error { code: Code::Unavailable, message: why.to_string() }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.code {
            // one letter less, as Go has it
            Code::Cancelled => "Canceled".to_owned(),
            code => format!("{code:?}"),
        };
        write!(f, "rpc error: code = {code} desc = {}", self.message)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = match std::error::Error::source(&status) {
            Some(cause) => format!("{}: {}", status.message(), words(cause)),
            None => status.message().to_owned(),
        };
        Error { code: status.code(), message }
    }
}

/// A driver's node service, at its socket.
#[derive(Debug, Clone)]
pub struct Driver {
    socket: PathBuf,
}

impl Driver {
    pub fn new(socket: PathBuf) -> Self {
        Driver { socket }
    }

    /// # Errors
    /// As the driver says.
    pub async fn node_info(&self) -> Result<NodeInfo, Error> {
        ask(&self.socket, "/csi.v1.Node/NodeGetInfo", Nothing {}).await
    }

    /// # Errors
    /// As the driver says.
    pub async fn capabilities(&self) -> Result<NodeCapabilities, Error> {
        ask(&self.socket, "/csi.v1.Node/NodeGetCapabilities", Nothing {}).await
    }

    /// Once for each volume on this node, before it is published. May be repeated.
    ///
    /// # Errors
    /// As the driver says.
    pub async fn stage(&self, request: NodeStageRequest) -> Result<(), Error> {
        ask(&self.socket, "/csi.v1.Node/NodeStageVolume", request).await.map(|Nothing {}| ())
    }

    /// # Errors
    /// As the driver says.
    pub async fn unstage(&self, request: NodeUnstageRequest) -> Result<(), Error> {
        ask(&self.socket, "/csi.v1.Node/NodeUnstageVolume", request).await.map(|Nothing {}| ())
    }

    /// Once for each pod. May be repeated.
    ///
    /// # Errors
    /// As the driver says.
    pub async fn publish(&self, request: NodePublishRequest) -> Result<(), Error> {
        ask(&self.socket, "/csi.v1.Node/NodePublishVolume", request).await.map(|Nothing {}| ())
    }

    /// # Errors
    /// As the driver says.
    pub async fn unpublish(&self, request: NodeUnpublishRequest) -> Result<(), Error> {
        ask(&self.socket, "/csi.v1.Node/NodeUnpublishVolume", request).await.map(|Nothing {}| ())
    }

    /// # Errors
    /// As the driver says.
    pub async fn expand(&self, request: NodeExpandRequest) -> Result<(), Error> {
        ask(&self.socket, "/csi.v1.Node/NodeExpandVolume", request).await.map(|Nothing {}| ())
    }

    /// How full a volume is.
    ///
    /// # Errors
    /// As the driver says.
    pub async fn stats(&self, request: VolumeStatsRequest) -> Result<VolumeStats, Error> {
        ask(&self.socket, "/csi.v1.Node/NodeGetVolumeStats", request).await
    }
}

/// Who speaks for a driver at its registration socket.
#[derive(Debug, Clone)]
pub struct Registrar {
    socket: PathBuf,
}

impl Registrar {
    pub fn new(socket: PathBuf) -> Self {
        Registrar { socket }
    }

    /// # Errors
    /// Nobody answers there.
    pub async fn info(&self) -> Result<PluginInfo, Error> {
        ask(&self.socket, "/pluginregistration.Registration/GetInfo", Nothing {}).await
    }

    /// # Errors
    /// Nobody answers there.
    pub async fn notify(&self, status: RegistrationStatus) -> Result<(), Error> {
        let path = "/pluginregistration.Registration/NotifyRegistrationStatus";
        ask(&self.socket, path, status).await.map(|Nothing {}| ())
    }
}

async fn ask<Q, A>(socket: &Path, path: &'static str, question: Q) -> Result<A, Error>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let answer = async {
        let opened = Channel::open(socket).await.map_err(|why| {
            let message = format!("connection error: desc = \"transport: Error while dialing: {why}\"");
            Error { code: Code::Unavailable, message }
        })?;
        let (channel, _connection) = opened;
        let origin = Uri::from_static("http://localhost");
        let mut grpc = Grpc::with_origin(channel, origin).max_decoding_message_size(LARGEST_ANSWER);
        grpc.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let answered = grpc.unary(Request::new(question), PathAndQuery::from_static(path), codec).await;
        Ok(answered?.into_inner())
    };
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|_| {
        Err(Error { code: Code::DeadlineExceeded, message: "context deadline exceeded".to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Mode, Rpc, VolumeCapability};
    use crate::server::{Refused, serve};
    use std::sync::{Arc, Mutex};
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn what_is_asked_and_what_is_answered() {
        // longer than a socket's path may be
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("d".repeat(120));
        std::fs::create_dir(&dir).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let listener = {
            let held = open(&dir);
            UnixListener::bind(format!("/proc/self/fd/{}/csi.sock", held.as_raw_fd())).unwrap()
        };
        tokio::spawn(serve(listener, move |path: &str, body: &[u8]| {
            heard.lock().unwrap().push(path.to_owned());
            match path {
                "/csi.v1.Node/NodeGetInfo" => {
                    Ok(NodeInfo { node_id: "n".into(), ..NodeInfo::default() }.encode_to_vec())
                }
                "/csi.v1.Node/NodeGetCapabilities" => {
                    Ok(NodeCapabilities::new(&[Rpc::StageUnstageVolume]).encode_to_vec())
                }
                "/csi.v1.Node/NodePublishVolume" => {
                    let request = NodePublishRequest::decode(body).unwrap();
                    let mode = request.volume_capability.unwrap().mode();
                    Err(Refused { code: 5, message: format!("no volume {} for {mode:?}", request.volume_id) })
                }
                _ => Err(Refused { code: 10, message: "at it".to_owned() }),
            }
        }));
        let driver = Driver::new(dir.join("csi.sock"));
        assert_eq!(driver.node_info().await.unwrap().node_id, "n");
        let capabilities = driver.capabilities().await.unwrap();
        assert!(capabilities.has(Rpc::StageUnstageVolume) && !capabilities.has(Rpc::ExpandVolume));
        let capability = VolumeCapability::mounted("ext4", &[], None, Mode::SingleNodeWriter);
        let request = NodePublishRequest {
            volume_id: "v 1".to_owned(),
            volume_capability: Some(capability),
            ..NodePublishRequest::default()
        };
        let refused = driver.publish(request).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "rpc error: code = NotFound desc = no volume v 1 for SingleNodeWriter"
        );
        let busy = driver.unpublish(NodeUnpublishRequest::default()).await.unwrap_err();
        assert_eq!(busy.to_string(), "rpc error: code = Aborted desc = at it");
        assert!(refused.is_final() && !busy.is_final());
        assert_eq!(asked.lock().unwrap().last().unwrap(), "/csi.v1.Node/NodeUnpublishVolume");
        let nobody = Driver::new(root.path().join("none")).node_info().await.unwrap_err();
        assert!(!nobody.is_final());
        assert!(
            nobody.to_string().starts_with(
                "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix /"
            ),
            "{nobody}"
        );
    }

    #[tokio::test]
    async fn a_driver_that_dies_while_it_is_asked_has_refused_nothing() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("csi.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // HTTP/2's preface
            stream.read_exact(&mut [0; 24]).await.unwrap();
        });
        let broken = Driver::new(socket).publish(NodePublishRequest::default()).await.unwrap_err();
        assert!(!broken.is_final(), "{broken}");
        assert!(broken.to_string().starts_with("rpc error: code = Unavailable desc = "), "{broken}");
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_leaves_no_connection_to_a_driver_that_reads_nothing() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("csi.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        // more than a socket takes before somebody reads
        let secrets = [("key".to_owned(), "x".repeat(8 << 20))].into();
        let request = NodePublishRequest { secrets, ..NodePublishRequest::default() };
        let call = tokio::spawn(async move { Driver::new(socket).publish(request).await });
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let closed = async {
            loop {
                match stream.try_write(&[0]) {
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return,
                    _ => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), closed).await.expect("its end is closed");
    }

    #[test]
    fn what_an_error_means_for_what_was_asked() {
        // (code, is final, is infeasible)
        let cases = [
            (Code::Internal, true, false),
            (Code::InvalidArgument, true, true),
            (Code::OutOfRange, true, true),
            (Code::NotFound, true, true),
            (Code::FailedPrecondition, true, false),
            (Code::Aborted, false, false),
            (Code::DeadlineExceeded, false, false),
        ];
        for (code, is_final, is_infeasible) in cases {
            let error = Error { code, message: String::new() };
            assert_eq!((error.is_final(), error.is_infeasible()), (is_final, is_infeasible), "{code:?}");
        }
    }

    use std::os::fd::AsRawFd;
    use tokio::io::AsyncReadExt;

    fn open(dir: &Path) -> std::fs::File {
        std::fs::File::open(dir).unwrap()
    }
}
