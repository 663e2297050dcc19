//! From a request to an upgraded connection: which protocol, in which version. Refusals come before the 101, so they
//! are `Status` objects like all others.

use super::channels::{Codec, Protocol};
use super::forward_target::ForwardTarget;
use super::{exec_spdy, exec_websocket, forward, forward_channels};
use super::{process::Action, websocket};
use crate::bearer_protocol::is_token;
use crate::request::{Request, Upgrading};
use api::{Reason, Status};
use cri::{AttachStreams, ExecSession, PodAccess};
use http::{HeaderName, HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::reply::{Reply, Response};

static SPDY_VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const FORWARD: &str = "portforward.k8s.io";
/// SPDY's frames in a WebSocket's messages.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// The newest first. The fifth can close stdin, the fourth gives a status as an object, those before only a text.
const WEBSOCKET_PROCESS: [Protocol; 6] = [
    Protocol { name: "v5.channel.k8s.io", version: 5, codec: Codec::Binary },
    Protocol { name: "v4.channel.k8s.io", version: 4, codec: Codec::Binary },
    Protocol { name: "v4.base64.channel.k8s.io", version: 4, codec: Codec::Base64 },
    Protocol { name: "channel.k8s.io", version: 1, codec: Codec::Binary },
    Protocol { name: "base64.channel.k8s.io", version: 1, codec: Codec::Base64 },
    NAMELESS,
];
const NAMELESS: Protocol = Protocol { name: "", version: 1, codec: Codec::Binary };
const SPDY_PROCESS: [(&str, u8); 4] =
    [("v4.channel.k8s.io", 4), ("v3.channel.k8s.io", 3), ("v2.channel.k8s.io", 2), ("channel.k8s.io", 1)];
const WEBSOCKET_FORWARD: [Protocol; 5] = [
    Protocol { name: TUNNEL, version: 5, codec: Codec::Binary },
    Protocol { name: "v4.channel.k8s.io", version: 4, codec: Codec::Binary },
    Protocol { name: "v4.base64.channel.k8s.io", version: 4, codec: Codec::Base64 },
    Protocol { name: FORWARD, version: 4, codec: Codec::Binary },
    Protocol { version: 4, ..NAMELESS },
];

/// A connection that is taken over once the answer is sent.
pub(crate) struct Upgrade<P> {
    upgrade: Upgrading,
    response: Response,
    protocol: P,
}

pub(crate) enum Process {
    WebSocket(Protocol),
    /// With the version of the remote command protocol.
    Spdy(u8),
}

pub(crate) enum Forward {
    Tunnel,
    Channels(Protocol, Vec<u16>),
    Spdy,
}

impl Upgrade<Process> {
    /// # Errors
    /// `BadRequest` or `Forbidden` for a request that is no upgrade to a protocol we speak.
    pub(crate) fn process(request: &mut Request) -> Result<Self, Status> {
        if is_websocket(request) {
            let (response, protocol) = websocket_handshake(request, &WEBSOCKET_PROCESS)?;
            return Self::of(request, response, Process::WebSocket(protocol));
        }
        let (response, version) = spdy_handshake(request, &SPDY_PROCESS)?;
        Self::of(request, response, Process::Spdy(version))
    }

    /// Answers, and carries the streams until the process has ended or the client is gone.
    pub(crate) fn carry(self, session: ExecSession, wanted: AttachStreams, action: Action) -> Response {
        self.take_over(move |upgraded, protocol| async move {
            let io = TokioIo::new(upgraded);
            match protocol {
                Process::WebSocket(protocol) => {
                    exec_websocket::run(websocket::open(io).await, protocol, session, action).await;
                }
                Process::Spdy(version) => exec_spdy::run(io, version, session, wanted, action).await,
            }
        })
    }
}

impl Upgrade<Forward> {
    /// # Errors
    /// `BadRequest` or `Forbidden` for a request that is no upgrade to a protocol we speak.
    pub(crate) fn forward(request: &mut Request, ports: Vec<u16>) -> Result<Self, Status> {
        if !is_websocket(request) {
            let (response, ()) = spdy_handshake(request, &[(FORWARD, ())])?;
            return Self::of(request, response, Forward::Spdy);
        }
        let (response, protocol) = websocket_handshake(request, &WEBSOCKET_FORWARD)?;
        let protocol = match protocol.name {
            TUNNEL => Forward::Tunnel,
            _ => Forward::Channels(protocol, for_channels(ports)?),
        };
        Self::of(request, response, protocol)
    }

    /// Answers, and forwards until the client is gone.
    pub(crate) fn carry(self, pods: Arc<dyn PodAccess>, target: ForwardTarget) -> Response {
        self.take_over(move |upgraded, protocol| async move {
            let io = TokioIo::new(upgraded);
            match protocol {
                Forward::Spdy => forward::run(io, pods, target).await,
                Forward::Tunnel => {
                    let tunnel = websocket::Tunnel::new(websocket::open(io).await);
                    forward::run(tunnel, pods, target).await;
                }
                Forward::Channels(protocol, ports) => {
                    forward_channels::run(websocket::open(io).await, protocol, &*pods, &target, &ports).await;
                }
            }
        })
    }
}

impl<P: Send + 'static> Upgrade<P> {
    /// # Errors
    /// `BadRequest` or `Forbidden` for a request that is no WebSocket in one of these protocols.
    pub(super) fn websocket(
        request: &mut Request,
        known: &[Protocol],
        as_protocol: impl Fn(Protocol) -> P,
    ) -> Result<Self, Status> {
        let (response, protocol) = websocket_handshake(request, known)?;
        Self::of(request, response, as_protocol(protocol))
    }

    /// Answers, and then has the connection for `run`.
    pub(super) fn take_over<F: Future<Output = ()> + Send + 'static>(
        self,
        run: impl FnOnce(hyper::upgrade::Upgraded, P) -> F + Send + 'static,
    ) -> Response {
        let Upgrade { upgrade, response, protocol } = self;
        upgrade.carry(move |upgraded| run(upgraded, protocol));
        response
    }

    fn of(request: &mut Request, response: Response, protocol: P) -> Result<Self, Status> {
        let upgrade = request.take_upgrade()?.ok_or_else(required)?;
        Ok(Upgrade { upgrade, response, protocol })
    }
}

fn required() -> Status {
    Status::bad_request("Upgrade request required")
}

pub(super) fn is_websocket(request: &Request) -> bool {
    request.header(header::UPGRADE).eq_ignore_ascii_case("websocket")
}

/// The values of a header that may be given several times, or once with commas.
fn listed(request: &Request, name: &HeaderName) -> Vec<String> {
    let values = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let each = values.flat_map(|value| value.split(',')).map(|value| value.trim().to_owned());
    each.filter(|value| !value.is_empty()).collect()
}

fn unknown(offered: &[String], known: &[&str]) -> Status {
    let message = format!(
        "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
        offered.join(" "),
        known.join(" ")
    );
    Status::new(Reason::Forbidden, message)
}

fn websocket_handshake(request: &Request, known: &[Protocol]) -> Result<(Response, Protocol), Status> {
    let key = request.headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(required)?;
    let accept = derive_accept_key(key.as_bytes());
    let mut offered = listed(request, &header::SEC_WEBSOCKET_PROTOCOL);
    offered.retain(|protocol| !is_token(protocol));
    let taken = |protocol: &&Protocol| match protocol.name {
        "" => offered.is_empty(),
        name => offered.iter().any(|offer| offer == name),
    };
    let names = || known.iter().map(|protocol| protocol.name).collect::<Vec<_>>();
    let protocol = *known.iter().find(taken).ok_or_else(|| unknown(&offered, &names()))?;
    let mut response = switching("websocket");
    let headers = response.headers_mut();
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).map_err(Status::internal)?);
    if !protocol.name.is_empty() {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol.name));
    }
    Ok((response, protocol))
}

fn spdy_handshake<V: Copy>(request: &Request, known: &[(&'static str, V)]) -> Result<(Response, V), Status> {
    if !request.header(header::UPGRADE).eq_ignore_ascii_case("SPDY/3.1") {
        return Err(required());
    }
    let offered = listed(request, &SPDY_VERSION);
    if offered.is_empty() {
        return Err(Status::bad_request("unable to upgrade: X-Stream-Protocol-Version is required"));
    }
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let (name, version) = *known
        .iter()
        .find(|(name, _)| offered.iter().any(|offer| offer == name))
        .ok_or_else(|| unknown(&offered, &names()))?;
    let mut response = switching("SPDY/3.1");
    response.headers_mut().insert(SPDY_VERSION.clone(), HeaderValue::from_static(name));
    Ok((response, version))
}

fn switching(to: &'static str) -> Response {
    let mut response = Vec::new().into_response();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(to));
    response
}

fn for_channels(ports: Vec<u16>) -> Result<Vec<u16>, Status> {
    match ports.len() {
        _ if ports.contains(&0) => Err(Status::bad_request("0 is not a valid port")),
        0 => Err(Status::bad_request("query parameter \"ports\" is required")),
        // two channels each, and a channel's number is one byte
        1..=128 => Ok(ports),
        many => Err(Status::bad_request(format!("{many} ports: the most is 128"))),
    }
}
