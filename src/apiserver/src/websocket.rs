//! `v5.channel.k8s.io` and its elders: the streams of a process inside one WebSocket, each message led by its channel's number.

use crate::request::Request;
use crate::server::Edge;
use api::{Reason, Status};
use bytes::Bytes;
use cri::{Duplex, ExecSession, Output, TerminalSize};
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use warp::reply::{Reply, Response};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// The newest first.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const FORWARD_PROTOCOLS: [&str; 2] = ["v4.channel.k8s.io", "portforward.k8s.io"];
const BLOCK: usize = 32 * 1024;
/// Messages that wait for the network; a process that prints faster waits.
const QUEUED: usize = 16;

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// A handshake that will be answered once the process is there.
pub(crate) struct Accepted {
    upgrade: hyper::upgrade::OnUpgrade,
    response: Response,
}

/// # Errors
/// `BadRequest` for what is no WebSocket handshake with a known sub-protocol.
pub(crate) fn accept(request: &mut Request) -> Result<Accepted, Status> {
    handshake(request, &PROTOCOLS)
}

fn handshake(request: &mut Request, known: &[&'static str]) -> Result<Accepted, Status> {
    let needed = || Status::new(Reason::BadRequest, "Upgrade request required");
    if !request.header(header::UPGRADE).eq_ignore_ascii_case("websocket") {
        return Err(needed());
    }
    let key = request.headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(needed)?;
    let accept = derive_accept_key(key.as_bytes());
    let offered: Vec<&str> =
        request.header(header::SEC_WEBSOCKET_PROTOCOL).split(',').map(str::trim).collect();
    let chosen = known.iter().find(|protocol| offered.contains(*protocol)).ok_or_else(|| {
        Status::bad_request(format!(
            "unable to upgrade: none of the protocols {offered:?} is known, but {known:?}"
        ))
    })?;
    let chosen = HeaderValue::from_static(chosen);
    let upgrade = request.upgrade.take().ok_or_else(needed)?;
    let mut response = Vec::new().into_response();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).map_err(Status::internal)?);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(Accepted { upgrade, response })
}

impl Accepted {
    /// Answers, and carries the streams until the process has ended or the client is gone.
    pub(crate) fn stream(self, session: ExecSession) -> Response {
        let upgrade = self.upgrade;
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                carry(socket, session).await;
            }
        });
        self.response
    }
}

async fn carry(socket: Socket, session: ExecSession) {
    let (mut to_client, mut from_client) = socket.split();
    let (messages, mut queue) = mpsc::channel::<Message>(QUEUED);
    let writer = tokio::spawn(async move {
        while let Some(message) = queue.recv().await {
            if to_client.send(message).await.is_err() {
                return;
            }
        }
    });
    let ExecSession { mut stdin, stdout, stderr, resize, exit } = session;
    let outputs = [(STDOUT, stdout), (STDERR, stderr)]
        .into_iter()
        .filter_map(|(channel, output)| Some(tokio::spawn(pump(output?, channel, messages.clone()))))
        .collect::<Vec<_>>();
    let input = async {
        while let Some(Ok(message)) = from_client.next().await {
            let data = match message {
                Message::Binary(data) => data,
                Message::Close(_) => return,
                _ => continue,
            };
            match data.split_first() {
                Some((&STDIN, bytes)) => {
                    let gone = match stdin.as_mut() {
                        Some(stdin) => stdin.write_all(bytes).await.is_err() || stdin.flush().await.is_err(),
                        None => false,
                    };
                    if gone {
                        stdin = None;
                    }
                }
                Some((&CLOSE, [STDIN, ..])) => stdin = None,
                Some((&RESIZE, bytes)) => {
                    if let (Some(resize), Some(size)) = (&resize, terminal_size(bytes)) {
                        let _ = resize.send(size).await;
                    }
                }
                _ => {}
            }
        }
    };
    let ended = async {
        let code = exit.await;
        for output in outputs {
            let _ = output.await;
        }
        code
    };
    tokio::select! {
        () = input => writer.abort(),
        code = ended => {
            let status = match code {
                Ok(Ok(code)) => exit_status(code),
                Ok(Err(error)) => failure(&error.to_string()),
                Err(_) => failure("the connection to the container was lost"),
            };
            let _ = messages.send(framed(ERROR, status.to_string().as_bytes())).await;
            let _ = messages.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))).await;
            drop(messages);
            let _ = writer.await;
        }
    }
}

async fn pump(mut output: Output, channel: u8, messages: mpsc::Sender<Message>) {
    let mut block = vec![0; BLOCK];
    while let Ok(count @ 1..) = output.read(&mut block).await {
        if messages.send(framed(channel, &block[..count])).await.is_err() {
            return;
        }
    }
}

fn framed(channel: u8, data: &[u8]) -> Message {
    let mut frame = Vec::with_capacity(data.len() + 1);
    frame.push(channel);
    frame.extend_from_slice(data);
    Message::Binary(Bytes::from(frame))
}

fn terminal_size(json: &[u8]) -> Option<TerminalSize> {
    let size: Value = serde_json::from_slice(json).ok()?;
    let field = |name: &str| size.get(name)?.as_u64().and_then(|n| u16::try_from(n).ok());
    Some(TerminalSize { width: field("Width")?, height: field("Height")? })
}

/// What kubectl makes its own exit code from.
fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn failure(message: &str) -> Value {
    json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "message": message, "code": 500})
}

/// The plain WebSocket form of port-forward: for each port a data and an error channel, each led by the port's number.
///
/// # Errors
/// `BadRequest` for a handshake without ports.
pub(crate) fn port_forward(
    edge: &Edge,
    request: &mut Request,
    namespace: &str,
    pod: &str,
) -> Result<Response, Status> {
    let numbers = request.query.iter().filter(|(key, _)| key == "ports").flat_map(|(_, v)| v.split(','));
    let ports: Result<Vec<u16>, _> = numbers.map(str::parse).collect();
    let ports = ports.map_err(|e| Status::bad_request(format!("ports: {e}")))?;
    if ports.is_empty() {
        return Err(Status::bad_request("query parameter \"ports\" is required"));
    }
    let accepted = handshake(request, &FORWARD_PROTOCOLS)?;
    let (pods, namespace, pod) = (crate::pods::kubelet(edge)?.clone(), namespace.to_owned(), pod.to_owned());
    let upgrade = accepted.upgrade;
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        forward(socket, &*pods, &namespace, &pod, &ports).await;
    });
    Ok(accepted.response)
}

async fn forward(socket: Socket, pods: &dyn cri::PodAccess, namespace: &str, pod: &str, ports: &[u16]) {
    let (mut to_client, mut from_client) = socket.split();
    let (messages, mut queue) = mpsc::channel::<Message>(QUEUED);
    let writer = tokio::spawn(async move {
        while let Some(message) = queue.recv().await {
            if to_client.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut inputs = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let Ok(data) = u8::try_from(2 * index) else { break };
        for channel in [data, data + 1] {
            let _ = messages.send(framed(channel, &port.to_le_bytes())).await;
        }
        match pods.port_forward(namespace, pod, *port).await {
            Ok(connection) => {
                let (read, write) = tokio::io::split(connection as Box<dyn Duplex>);
                tokio::spawn(pump(Box::new(read), data, messages.clone()));
                inputs.push(Some(write));
            }
            Err(error) => {
                let _ = messages.send(framed(data + 1, error.to_string().as_bytes())).await;
                inputs.push(None);
            }
        }
    }
    drop(messages);
    while let Some(Ok(message)) = from_client.next().await {
        let Message::Binary(data) = message else { continue };
        let Some((channel, bytes)) = data.split_first() else { continue };
        let input = inputs.get_mut(usize::from(*channel) / 2).filter(|_| channel % 2 == 0);
        if let Some(Some(input)) = input
            && input.write_all(bytes).await.is_err()
        {
            break;
        }
    }
    writer.abort();
}
