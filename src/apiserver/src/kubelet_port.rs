//! The kubelet's own port, at the node's address: what `nodes/NAME/proxy` shows, for whoever scrapes nodes and does not go
//! through the API server (the kubelet's ServiceMonitor of Prometheus' operator).
//!
//! It stands here because who asks is found out and judged as for the API itself, in the same process. Which right a path
//! needs is upstream's rule (`pkg/kubelet/server/auth.go`, with the fine-grained rights of KEP-2862). Nobody is let in who is
//! not known. What is there to be asked for is in `kubelet_server.rs`.

use crate::authentication::authenticate;
use crate::connection_seats::{AllSeats, ConnectionSeats};
use crate::kubelet_server::{self, reaches_into_pods};
use crate::peer::Peer;
use crate::request::Request;
use crate::responses::{self, page_not_found};
use crate::server::ApiServer;
use crate::server_state::ServerState;
use crate::unread;
use bytes::Bytes;
use cluster::{Actor, Attributes};
use http::Method;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use listener::{accept_all, serve_http};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

/// Upstream's port of every kubelet.
pub const KUBELET_PORT: u16 = 10250;

impl ApiServer {
    /// The pages of the node of that name, until `stop`.
    pub async fn serve_kubelet(self, listener: TcpListener, node: String, stop: CancellationToken) {
        let (server, node, seats) = (Arc::new(self), Arc::new(node), AllSeats::default());
        let handle = |socket, peer: SocketAddr| {
            let (server, node, stop) = (server.clone(), node.clone(), stop.clone());
            let seats = seats.take(peer.ip());
            async move {
                seats.clone().hold(server.kubelet_connection(socket, peer.ip(), seats, node, stop)).await;
            }
        };
        accept_all("the kubelet's port", &listener, &stop, handle).await;
    }

    async fn kubelet_connection(
        &self,
        socket: TcpStream,
        address: IpAddr,
        seats: ConnectionSeats,
        node: Arc<String>,
        stop: CancellationToken,
    ) {
        let Some((stream, peer)) = self.peer_behind(socket, address, &seats).await else { return };
        let state = self.state.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let (state, node, peer) = (state.clone(), node.clone(), peer.clone());
            async move { Ok::<_, Infallible>(unread::hold(answer(&state, &node, bare(request, peer)).await)) }
        });
        serve_http(stream, service, Some(seats.user), &stop).await;
    }
}

/// Without its body, which nobody reads.
fn bare(request: hyper::Request<Incoming>, peer: Arc<Peer>) -> Request {
    let (mut head, _) = request.into_parts();
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let line = (head.method, head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    let nothing = futures::stream::empty::<Result<Bytes, Infallible>>();
    Request::new(line, head.headers, peer, upgrade, nothing)
}

async fn answer(state: &ServerState, node: &str, mut request: Request) -> Response {
    let known = authenticate(state, &request).await.ok().filter(|actor| *actor != Actor::anonymous());
    let Some(actor) = known else { return responses::text(401, "Unauthorized") };
    request.count_stream(&state.streams, &actor);
    let rights = rights(&request.path);
    for verb in verbs(&request) {
        if !may(state, &actor, verb, &rights, node).await {
            let (user, rights) = (&actor.name, rights.join(" "));
            let why =
                format!("Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[{rights}])\n");
            return responses::text(403, why);
        }
    }
    let Some(kubelet) = &state.pods else { return page_not_found() };
    let path = request.path.clone();
    kubelet_server::answer(state, kubelet, &mut request, node, &path).await
}

/// Whether one of these rights is held.
async fn may(state: &ServerState, actor: &Actor, verb: &str, rights: &[&str], node: &str) -> bool {
    for right in rights {
        let asked = Attributes {
            verb: verb.to_owned(),
            resource: "nodes".to_owned(),
            subresource: (*right).to_owned(),
            name: Some(node.to_owned()),
            ..Attributes::default()
        };
        if state.cluster.ask(actor, &asked).await.is_allowed() {
            return true;
        }
    }
    false
}

/// All of which must be allowed. Upstream asks for the method's alone: with it whoever may get `nodes/proxy`, which is given away
/// for metrics, runs commands in every container by a WebSocket.
fn verbs(request: &Request) -> impl Iterator<Item = &'static str> + use<> {
    let opens = request.method == Method::GET && reaches_into_pods(&request.path);
    [Some(verb(&request.method)), opens.then_some("create")].into_iter().flatten()
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        // none that a rule could name
        _ => "",
    }
}

/// The subresources of `nodes` one of which must be allowed.
fn rights(path: &str) -> Vec<&'static str> {
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let whole = [
        ("/stats", "stats"),
        ("/metrics", "metrics"),
        ("/logs", "log"),
        ("/checkpoint", "checkpoint"),
        ("/statusz", "statusz"),
        // what it shows is what `/configz` shows
        ("/flagz", "configz"),
    ];
    if let Some((_, right)) = whole.into_iter().find(|(root, _)| below(root)) {
        return vec![right];
    }
    let fine =
        [("/healthz", "healthz"), ("/pods", "pods"), ("/runningpods", "pods"), ("/configz", "configz")];
    fine.into_iter().filter(|(root, _)| below(root)).map(|(_, right)| right).chain(["proxy"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_opens_a_stream_by_reading_must_be_allowed_to_write() {
        for (method, path, want) in [
            ("GET", "/metrics", "get"),
            ("GET", "/exec/ns/pod/c", "get create"),
            ("GET", "/attach/ns/pod/c", "get create"),
            ("GET", "/portForward/ns/pod", "get create"),
            ("POST", "/exec/ns/pod/c", "create"),
            ("POST", "/run/ns/pod/c", "create"),
            ("GET", "/containerLogs/ns/pod/c", "get"),
        ] {
            let request = Request::for_tests(method, path, "", Vec::new());
            assert_eq!(verbs(&request).collect::<Vec<_>>().join(" "), want, "{method} {path}");
        }
    }

    #[test]
    fn which_right_a_path_needs() {
        for (path, want) in [
            ("/metrics", "metrics"),
            ("/metrics/cadvisor", "metrics"),
            ("/metricsx", "proxy"),
            ("/stats/summary", "stats"),
            ("/healthz", "healthz proxy"),
            ("/healthz/ping", "healthz proxy"),
            ("/pods", "pods proxy"),
            ("/pods/", "pods proxy"),
            ("/configz", "configz proxy"),
            ("/logs/", "log"),
            ("/statusz", "statusz"),
            ("/flagz", "configz"),
            ("/run/ns/pod/c", "proxy"),
            ("/containerLogs/ns/pod/c", "proxy"),
            ("/metrics/../run/ns/pod/c", "metrics"),
            ("/runningpods/", "pods proxy"),
            ("/", "proxy"),
            ("//metrics", "proxy"),
        ] {
            assert_eq!(rights(path).join(" "), want, "{path}");
        }
    }
}
