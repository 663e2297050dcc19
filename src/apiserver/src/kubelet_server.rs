//! What a kubelet's server does at its paths, for whoever comes by the node's port (`kubelet_port.rs`) or by the API proxy
//! (`nodes/NAME/proxy`): it shows pages, gives logs and reaches into containers. Paths, parameters and words are those of
//! upstream's `pkg/kubelet/server`; what is opened is opened as for the API's own `exec`, `attach` and `portforward`.
//!
//! Who asks has been judged before, by this very path. It is taken as it came: no name of an object needs an escape, so
//! nothing is decoded here that was judged undecoded there. Read [`answer`] first.
//!
//! One thing of upstream's is left out on purpose. `/logs/` lists `/var/log`, which on a node of a cluster is the node's own;
//! here it is the user's machine, with the logs of all else that runs on it. It says that it is disabled, as a kubelet with
//! `enableSystemLogHandler: false` does.

use crate::connect_options::AttachOptions;
use crate::pod_checks;
use crate::pods::{attach_to, exec_in};
use crate::request::Request;
use crate::responses::{self, Verbatim, page_not_found};
use crate::server_state::ServerState;
use crate::streams::{ForwardTarget, Upgrade};
use crate::zpages;
use api::{ObjectKey, Status};
use cluster::Actor;
use cri::{AttachStreams, ExecConfig, ExecSession, PodAccess, PodContainer};
use http::{Method, header};
use k8s_openapi::api::core::v1::Pod;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};
use warp::reply::Response;

/// Of each stream of a command of `/run`: it is held in memory until the command has ended, and the rest is thrown away.
const MOST_OUTPUT: usize = 1 << 20;

/// What this server is called where components are told apart.
const COMPONENT: &str = "kubelet";
/// Where its pages and its streams into pods begin.
const ROOTS: [&str; 13] = [
    "/attach",
    "/configz",
    "/containerLogs",
    "/exec",
    "/flagz",
    "/healthz",
    "/metrics",
    "/pods",
    "/portForward",
    "/run",
    "/runningpods",
    "/stats",
    "/statusz",
];

/// An answer that is no success.
enum Refusal {
    /// A code, and the kubelet's words.
    Own(u16, String),
    /// Of what the API server does for it.
    Api(Status),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Refusal::Api(status)
    }
}

/// Whether there is a process or a connection of a pod's behind the path. A WebSocket is opened with a GET, but does what
/// otherwise only a POST does: the right to read is not enough for it.
pub(crate) fn reaches_into_pods(path: &str) -> bool {
    matches!(split(path).0, "run" | "exec" | "attach" | "portForward")
}

/// A request at a path behind which there is a pod.
struct PodRequest<'r> {
    state: &'r ServerState,
    kubelet: &'r Arc<dyn PodAccess>,
    request: &'r mut Request,
    node: &'r str,
    /// The segments behind the path's first.
    names: Vec<&'r str>,
}

/// `path` is what the kubelet would see of it.
pub(crate) async fn answer(
    state: &ServerState,
    kubelet: &Arc<dyn PodAccess>,
    request: &mut Request,
    node: &str,
    path: &str,
) -> Response {
    let (root, names) = split(path);
    let (gets, posts) = (request.method == Method::GET, request.method == Method::POST);
    let reads = gets || request.method == Method::HEAD;
    let asked = PodRequest { state, kubelet, request, node, names };
    let answered = match root {
        "containerLogs" if gets => asked.logs().await,
        "run" if posts => asked.run().await,
        "exec" if gets || posts => asked.exec().await,
        "attach" if gets || posts => asked.attach().await,
        "portForward" if gets || posts => asked.port_forward(),
        "containerLogs" | "run" | "exec" | "attach" | "portForward" => Err(method_not_allowed()),
        "statusz" if reads && asked.names.is_empty() => {
            zpages::statusz(asked.request.header(header::ACCEPT), COMPONENT, &ROOTS).map_err(Refusal::from)
        }
        "flagz" if reads && asked.names.is_empty() => flagz(kubelet, asked.request, node),
        "logs" => Err(disabled("logs")),
        "debug" if asked.names.first() == Some(&"pprof") => Err(disabled("profiling")),
        "debug" if asked.names.first() == Some(&"flags") => Err(disabled("flags")),
        _ if !reads => Err(method_not_allowed()),
        _ => match kubelet.page(node, path).await {
            Ok(Some(page)) => Ok(responses::typed(200, page.content_type, page.body)),
            Ok(None) => Ok(page_not_found()),
            Err(error) => Err(Refusal::Own(500, format!("Internal Error: {error}"))),
        },
    };
    answered.unwrap_or_else(|refusal| match refusal {
        Refusal::Own(code, why) => responses::text(code, why),
        Refusal::Api(status) => responses::refusal_in_words(&status),
    })
}

fn flagz(kubelet: &Arc<dyn PodAccess>, request: &Request, node: &str) -> Result<Response, Refusal> {
    match kubelet.flags(node) {
        Some(flags) => Ok(zpages::flagz(request.header(header::ACCEPT), COMPONENT, &flags)?),
        None => Ok(page_not_found()),
    }
}

fn method_not_allowed() -> Refusal {
    Refusal::Own(405, "405: Method Not Allowed".to_owned())
}

fn disabled(endpoint: &str) -> Refusal {
    Refusal::Own(405, format!("{endpoint} endpoint is disabled.\n"))
}

/// The first segment, and those behind it; a second slash is a segment that has no name.
fn split(path: &str) -> (&str, Vec<&str>) {
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
    (segments.next().unwrap_or_default(), segments.collect())
}

/// No segment of another path, and no other way to write one.
fn is_name(segment: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    !segment.is_empty() && segment.bytes().all(fits)
}

fn no_such_path() -> Refusal {
    Refusal::Own(404, "404: Page Not Found".to_owned())
}

fn no_pod(_: &str) -> String {
    "pod does not exist".to_owned()
}

impl PodRequest<'_> {
    /// `/NAMESPACE/POD/CONTAINER`, or with the pod's UID before the container.
    fn container(&self, missing: impl FnOnce(&str) -> String) -> Result<(Pod, PodContainer), Refusal> {
        let (namespace, pod, uid, container) = match self.names[..] {
            [namespace, pod, container] => (namespace, pod, None, container),
            [namespace, pod, uid, container] => (namespace, pod, Some(uid), container),
            _ => return Err(no_such_path()),
        };
        let found = self.pod([namespace, pod], uid)?.ok_or_else(|| Refusal::Own(404, missing(pod)))?;
        let at = PodContainer {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
        };
        if !is_name(container) || pod_checks::container(&found, Some(container)).is_err() {
            let why = format!("container {container:?} not found in pod {pod:?}");
            return Err(Refusal::Own(404, why));
        }
        Ok((found, at))
    }

    /// A pod of this node.
    fn pod(&self, [namespace, name]: [&str; 2], uid: Option<&str>) -> Result<Option<Pod>, Refusal> {
        if !(is_name(namespace) && is_name(name)) {
            return Ok(None);
        }
        // who may use the kubelet's server may see that there is no such pod
        let root = self.state.cluster.acting_as(Actor::root());
        let found: Option<Pod> = root.api().find(&ObjectKey::namespaced(namespace, name))?;
        Ok(found.filter(|pod| {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            node == Some(self.node) && uid.is_none_or(|uid| pod.metadata.uid.as_deref() == Some(uid))
        }))
    }

    /// `?tailLines=`, `?follow=` and their kin, as of the API; `?tail=` is an older word.
    async fn logs(self) -> Result<Response, Refusal> {
        let [_, pod_name, _] = self.names[..] else { return Err(no_such_path()) };
        if let Some(tail) = self.request.parameter("tail").map(str::to_owned) {
            self.request.query.retain(|(name, _)| name != "tailLines");
            if tail != "all" {
                self.request.query.push(("tailLines".to_owned(), tail));
            }
        }
        let said = |message: &str| serde_json::json!({"message": message}).to_string();
        let options =
            pod_checks::log_options(self.request, pod_name, jiff::Timestamp::now()).map_err(|status| {
                match status.code {
                    422 => Refusal::Own(422, said("Invalid request.")),
                    _ => Refusal::Own(400, said("Unable to decode query.")),
                }
            })?;
        let (pod, at) = self.container(|name| format!("pod {name:?} does not exist"))?;
        pod_checks::has_log(&pod, &at.container, options.previous)?;
        let lines = self.kubelet.logs(&at, options).await;
        Ok(responses::stream("text/plain", lines.map_err(|error| Refusal::Own(400, error.to_string()))?))
    }

    /// `?cmd=ls -l`, parted at each space; no shell reads it. Gives what it has printed, its stdout first.
    async fn run(self) -> Result<Response, Refusal> {
        let (_, at) = self.container(no_pod)?;
        let line = self.request.parameter("cmd").unwrap_or_default();
        let command = line.split(' ').map(str::to_owned).collect();
        let config = ExecConfig { command, stdout: true, stderr: true, ..ExecConfig::default() };
        let failed = |why: String| Refusal::Own(500, why);
        let session = self.kubelet.exec(&at, config).await.map_err(|error| failed(error.to_string()))?;
        let ExecSession { stdout, stderr, exit, .. } = session;
        let (mut printed, errors) = tokio::join!(read(stdout), read(stderr));
        match exit.await {
            Ok(Ok(0)) => {
                printed.extend_from_slice(&errors);
                // upstream calls it JSON, whatever it is
                let mut response = responses::json_bytes(200, printed);
                response.extensions_mut().insert(Verbatim);
                Ok(response)
            }
            Ok(Ok(code)) => {
                let errors = String::from_utf8_lossy(&errors);
                Err(failed(format!("command '{line}' exited with {code}: {errors}")))
            }
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("command '{line}' was given up"))),
        }
    }

    async fn exec(self) -> Result<Response, Refusal> {
        let wanted = streams(self.request)?;
        let (_, at) = self.container(no_pod)?;
        let command: Vec<String> = self.request.values("command").into_iter().map(str::to_owned).collect();
        if command.is_empty() {
            return Err(Refusal::Own(
                400,
                "you must specify at least 1 command for the container".to_owned(),
            ));
        }
        Ok(exec_in(self.kubelet, self.request, &at, command, wanted).await?)
    }

    async fn attach(self) -> Result<Response, Refusal> {
        let wanted = streams(self.request)?;
        let (_, at) = self.container(no_pod)?;
        Ok(attach_to(self.kubelet, self.request, &at, wanted).await?)
    }

    /// `/NAMESPACE/POD`, or with the pod's UID behind it; `?port=` for those who speak no SPDY.
    fn port_forward(self) -> Result<Response, Refusal> {
        let (namespace, pod, uid) = match self.names[..] {
            [namespace, pod] => (namespace, pod, None),
            [namespace, pod, uid] => (namespace, pod, Some(uid)),
            _ => return Err(no_such_path()),
        };
        let found = self.pod([namespace, pod], uid)?.ok_or_else(|| Refusal::Own(404, no_pod(pod)))?;
        let port = |text: &str| match text.parse() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(Refusal::Own(400, format!("unable to parse {text:?} as a port"))),
        };
        let ports: Vec<u16> = self.request.values("port").into_iter().map(port).collect::<Result<_, _>>()?;
        let target = ForwardTarget {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: found.metadata.uid.unwrap_or_default(),
        };
        Ok(Upgrade::forward(self.request, ports)?.carry(self.kubelet.clone(), target))
    }
}

/// A kubelet's own words for them, other than the API's.
fn streams(request: &Request) -> Result<AttachStreams, Status> {
    let is_on = |name: &str| request.parameter(name) == Some("1");
    pod_checks::streams(&AttachOptions {
        stdin: is_on("input"),
        stdout: is_on("output"),
        stderr: is_on("error"),
        tty: is_on("tty"),
        ..AttachOptions::default()
    })
}

/// To its end, and as much of it as is kept.
async fn read(output: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut output) = output else { return kept };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let room = MOST_OUTPUT - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_into_pods_is_known_by_its_first_segment() {
        for (path, want) in [
            ("/exec/ns/pod/c", true),
            ("/exec", true),
            ("/attach/", true),
            ("/portForward/ns/pod", true),
            ("/run/ns/pod/c", true),
            ("/containerLogs/ns/pod/c", false),
            ("/metrics/exec", false),
            // neither of them leads anywhere
            ("//exec/ns/pod/c", false),
            ("/%65xec/ns/pod/c", false),
            ("/Exec/ns/pod/c", false),
            ("", false),
        ] {
            assert_eq!(reaches_into_pods(path), want, "{path}");
        }
    }

    #[test]
    fn names_are_what_objects_are_called() {
        for (segment, want) in
            [("web-0", true), ("a.b", true), ("", false), ("a%2Fb", false), ("a%2e", false), ("a b", false)]
        {
            assert_eq!(is_name(segment), want, "{segment}");
        }
    }

    #[tokio::test]
    async fn what_a_command_prints_is_read_to_its_end_and_kept_within_bounds() {
        let much = vec![b'x'; MOST_OUTPUT + 100_000];
        assert_eq!(read(Some(&much[..])).await.len(), MOST_OUTPUT);
        assert_eq!(read(Some(&b"hello"[..])).await, b"hello");
        assert!(read(None::<&[u8]>).await.is_empty());
    }
}
