//! The doors into running pods: logs, exec, attach, port-forward.

use crate::objects::admit_connection;
use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use crate::streams::{Action, ForwardTarget, Upgrade};
use crate::{pod_checks, responses, router};
use api::{GroupResource, ObjectKey, Reason, Status};
use cluster::{Actor, Attributes};
use cri::{CriError, ExecConfig, ExecSession, PodAccess, PodContainer};
use futures::StreamExt;
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::sync::Arc;
use warp::reply::Response;

pub(crate) async fn answer(
    edge: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    let (Some(namespace), Some(name), Some(part)) = (&info.namespace, &info.name, &info.subresource) else {
        return Err(not_found());
    };
    authorize(edge, actor, request, [namespace, name, part])?;
    // who may log or exec may see that there is no such pod
    let root = edge.cluster.acting_as(Actor::root());
    let pod: Pod = root.api::<Pod>().get(&ObjectKey::namespaced(namespace, name))?;
    let warnings = match connect_options(request, part)? {
        Some(options) => admit_connection(edge, actor, request, info, &options).await?,
        None => Vec::new(),
    };
    let response = match part.as_str() {
        "portforward" => port_forward(edge, request, &pod, namespace, name)?,
        _ => {
            let container = pod_checks::container(&pod, request.parameter("container"))?;
            let at = PodContainer { namespace: namespace.clone(), pod: name.clone(), container };
            match part.as_str() {
                "log" if request.method == Method::GET => log(edge, request, &pod, &at).await?,
                "exec" => exec(edge, request, &pod, &at).await?,
                "attach" => attach(edge, request, &pod, &at).await?,
                _ => return Err(method_not_allowed()),
            }
        }
    };
    Ok(responses::with_warnings(response, &warnings))
}

/// What webhooks and policies are asked about; nothing of a log, which is only read. As upstream encodes it: what is empty or
/// false is left out. The flags are read as by those who carry the connection out: what is judged is what is done.
///
/// # Errors
/// `BadRequest` for a flag that is no boolean.
fn connect_options(request: &Request, part: &str) -> Result<Option<Value>, Status> {
    let kind = match part {
        "exec" => "PodExecOptions",
        "attach" => "PodAttachOptions",
        "portforward" => return Ok(Some(forward_options(request))),
        _ => return Ok(None),
    };
    let mut options = json!({"kind": kind, "apiVersion": "v1"});
    for flag in ["stdin", "stdout", "stderr", "tty"] {
        if request.flag(flag)? {
            options[flag] = true.into();
        }
    }
    if let Some(container) = request.parameter("container") {
        options["container"] = container.into();
    }
    if part == "exec" {
        options["command"] = json!(request.values("command"));
    }
    Ok(Some(options))
}

fn forward_options(request: &Request) -> Value {
    let mut options = json!({"kind": "PodPortForwardOptions", "apiVersion": "v1"});
    let ports = request.values("ports").into_iter().flat_map(|ports| ports.split(','));
    let ports: Vec<u16> = ports.filter_map(|port| port.parse().ok()).collect();
    if !ports.is_empty() {
        options["ports"] = json!(ports);
    }
    options
}

/// A WebSocket is opened with a GET, but opens what otherwise only a POST does: both verbs are needed for it.
fn authorize(
    edge: &ServerState,
    actor: &Actor,
    request: &Request,
    [namespace, name, part]: [&String; 3],
) -> Result<(), Status> {
    let verbs: &[&str] = match (&request.method, part.as_str()) {
        (&Method::POST, _) => &["create"],
        (&Method::GET | &Method::HEAD, "log") => &["get"],
        (&Method::GET, _) => &["get", "create"],
        _ => return Err(method_not_allowed()),
    };
    for verb in verbs {
        let attributes = Attributes {
            verb: (*verb).into(),
            resource: "pods".into(),
            subresource: part.clone(),
            namespace: Some(namespace.clone()),
            name: Some(name.clone()),
            ..Attributes::default()
        };
        router::authorize(edge, actor, request, &attributes)?;
    }
    Ok(())
}

async fn log(
    edge: &ServerState,
    request: &mut Request,
    pod: &Pod,
    at: &PodContainer,
) -> Result<Response, Status> {
    let options = pod_checks::log_options(request, &at.pod, jiff::Timestamp::now())?;
    let upgrade = Upgrade::log(request)?;
    let lines = if pod_checks::has_node(pod) {
        pod_checks::has_log(pod, &at.container, options.previous)?;
        kubelet(edge)?.logs(at, options).await.map_err(|e| refused(&e, at))?
    } else {
        futures::stream::empty().boxed()
    };
    Ok(match upgrade {
        Some(upgrade) => upgrade.carry(lines),
        None => responses::stream("text/plain", lines),
    })
}

async fn exec(
    edge: &ServerState,
    request: &mut Request,
    pod: &Pod,
    at: &PodContainer,
) -> Result<Response, Status> {
    let wanted = pod_checks::streams(request)?;
    let command: Vec<String> = request.values("command").into_iter().map(str::to_owned).collect();
    if command.is_empty() {
        return Err(Status::bad_request("you must specify at least 1 command for the container"));
    }
    pod_checks::assigned(pod)?;
    let kubelet = kubelet(edge)?;
    let upgrade = Upgrade::process(request)?;
    let config = ExecConfig {
        command,
        stdin: wanted.stdin,
        stdout: wanted.stdout,
        stderr: wanted.stderr,
        tty: wanted.tty,
        ..ExecConfig::default()
    };
    let session = match kubelet.exec(at, config).await {
        // what a client of WebSockets does not see of a handshake that failed, it hears where it listens for the end
        Err(error @ CriError::Failed(_)) => ExecSession::failed(error),
        session => session.map_err(|e| refused(&e, at))?,
    };
    Ok(upgrade.carry(session, wanted, Action::Exec))
}

async fn attach(
    edge: &ServerState,
    request: &mut Request,
    pod: &Pod,
    at: &PodContainer,
) -> Result<Response, Status> {
    let wanted = pod_checks::streams(request)?;
    pod_checks::assigned(pod)?;
    let kubelet = kubelet(edge)?;
    let upgrade = Upgrade::process(request)?;
    let session = kubelet.attach(at, wanted).await.map_err(|e| refused(&e, at))?;
    Ok(upgrade.carry(session, wanted, Action::Attach))
}

fn port_forward(
    edge: &ServerState,
    request: &mut Request,
    pod: &Pod,
    namespace: &str,
    name: &str,
) -> Result<Response, Status> {
    pod_checks::assigned(pod)?;
    let kubelet = kubelet(edge)?.clone();
    let target = ForwardTarget {
        namespace: namespace.to_owned(),
        pod: name.to_owned(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    };
    Ok(Upgrade::forward(request)?.carry(kubelet, target))
}

/// # Errors
/// `ServiceUnavailable` where no kubelet runs in this process.
fn kubelet(edge: &ServerState) -> Result<&Arc<dyn PodAccess>, Status> {
    edge.pods
        .as_ref()
        .ok_or_else(|| Status::new(Reason::ServiceUnavailable, "no kubelet runs here to reach into the pod"))
}

fn refused(error: &CriError, at: &PodContainer) -> Status {
    match error {
        CriError::NotFound(_) => Status::new(Reason::NotFound, error.to_string()),
        CriError::Invalid(_) => Status::bad_request(error.to_string()),
        CriError::AlreadyExists(_) => Status::conflict(&GroupResource::new("", "pods"), &at.pod, error),
        CriError::DeadlineExceeded(_) | CriError::CommandTimedOut { .. } => {
            Status::new(Reason::Timeout, error.to_string())
        }
        _ => Status::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_judges_a_connection_sees_what_is_done() {
        let exec = |more: Value| {
            let mut options = json!({"kind": "PodExecOptions", "apiVersion": "v1"});
            options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            options
        };
        for (part, query, want) in [
            (
                "exec",
                "command=sh&command=-c&stdin=true&tty=0",
                exec(json!({"stdin": true, "command": ["sh", "-c"]})),
            ),
            (
                "exec",
                "command=sh&stdin=True&tty=1",
                exec(json!({"stdin": true, "tty": true, "command": ["sh"]})),
            ),
            (
                "exec",
                "command=sh&stdin&container=c",
                exec(json!({"stdin": true, "container": "c", "command": ["sh"]})),
            ),
            ("attach", "stdout=1", json!({"kind": "PodAttachOptions", "apiVersion": "v1", "stdout": true})),
            ("portforward", "", json!({"kind": "PodPortForwardOptions", "apiVersion": "v1"})),
            (
                "portforward",
                "ports=80,81&ports=x",
                json!({"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": [80, 81]}),
            ),
            ("log", "", Value::Null),
        ] {
            let request = Request::for_tests("GET", "/", query, Vec::new());
            let options = connect_options(&request, part).unwrap().unwrap_or_default();
            assert_eq!(options, want, "{part} {query}");
            let is_on = |flag: &str| options[flag] == true;
            if let Ok(done) = pod_checks::streams(&request) {
                assert_eq!((done.stdin, done.tty), (is_on("stdin"), is_on("tty")), "{part} {query}");
            }
        }
        let odd = Request::for_tests("GET", "/", "command=sh&stdin=yes", Vec::new());
        assert_eq!(connect_options(&odd, "exec").unwrap_err().code, 400);
    }
}
