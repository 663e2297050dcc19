//! The connections into running pods: logs, exec, attach, port-forward.

use crate::connect_options::{AttachOptions, ExecOptions, ForwardOptions};
use crate::objects::admit_connection;
use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use crate::streams::{Action, ForwardTarget, Upgrade};
use crate::{authorization, pod_checks, responses};
use api::{GroupResource, ObjectKey, Reason, Status};
use cluster::{Actor, Attributes};
use cri::{AttachStreams, CriError, ExecConfig, ExecSession, PodAccess, PodContainer};
use futures::StreamExt;
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use std::sync::Arc;
use warp::reply::Response;

pub(crate) async fn answer(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    let (Some(namespace), Some(name), Some(part)) = (&info.namespace, &info.name, &info.subresource) else {
        return Err(not_found());
    };
    authorize(state, actor, request, [namespace, name, part]).await?;
    // who may log or exec may see that there is no such pod
    let root = state.cluster.acting_as(Actor::root());
    let pod: Pod = root.api::<Pod>().get(&ObjectKey::namespaced(namespace, name))?;
    let at = |container: &str| {
        let container = pod_checks::container(&pod, Some(container).filter(|name| !name.is_empty()))?;
        Ok::<_, Status>(PodContainer { namespace: namespace.clone(), pod: name.clone(), container })
    };
    let (response, warnings) = match part.as_str() {
        "log" if request.method == Method::GET => {
            let at = at(request.parameter("container").unwrap_or_default())?;
            (log(state, request, &pod, &at).await?, Vec::new())
        }
        "exec" => {
            let options = ExecOptions::of(request)?;
            let (options, warnings) =
                admit_connection(state, actor, request, info, "PodExecOptions", options).await?;
            let at = at(&options.streams.container)?;
            (exec(state, request, &pod, &at, options).await?, warnings)
        }
        "attach" => {
            let options = AttachOptions::of(request)?;
            let (options, warnings) =
                admit_connection(state, actor, request, info, "PodAttachOptions", options).await?;
            (attach(state, request, &pod, &at(&options.container)?, &options).await?, warnings)
        }
        "portforward" => {
            let options = ForwardOptions::of(request)?;
            let (options, warnings) =
                admit_connection(state, actor, request, info, "PodPortForwardOptions", options).await?;
            (port_forward(state, request, &pod, [namespace, name], options)?, warnings)
        }
        _ => return Err(method_not_allowed()),
    };
    Ok(responses::with_warnings(response, &warnings))
}

/// A WebSocket is opened with a GET, but opens what otherwise only a POST does: both verbs are needed for it.
async fn authorize(
    state: &ServerState,
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
        authorization::authorize(state, actor, request, &attributes).await?;
    }
    Ok(())
}

async fn log(
    state: &ServerState,
    request: &mut Request,
    pod: &Pod,
    at: &PodContainer,
) -> Result<Response, Status> {
    let options = pod_checks::log_options(request, &at.pod, jiff::Timestamp::now())?;
    let upgrade = Upgrade::log(request)?;
    let lines = if pod_checks::has_node(pod) {
        pod_checks::has_log(pod, &at.container, options.previous)?;
        kubelet(state)?.logs(at, options).await.map_err(|e| refused(&e, at))?
    } else {
        futures::stream::empty().boxed()
    };
    Ok(match upgrade {
        Some(upgrade) => upgrade.carry(lines),
        None => responses::stream("text/plain", lines),
    })
}

async fn exec(
    state: &ServerState,
    request: &mut Request,
    pod: &Pod,
    at: &PodContainer,
    options: ExecOptions,
) -> Result<Response, Status> {
    let wanted = pod_checks::streams(&options.streams)?;
    if options.command.is_empty() {
        return Err(Status::bad_request("you must specify at least 1 command for the container"));
    }
    pod_checks::assigned(pod)?;
    exec_in(kubelet(state)?, request, at, options.command, wanted).await
}

/// A process of a container, carried over the connection.
///
/// # Errors
/// A request that is no upgrade, and what the kubelet refuses.
pub(crate) async fn exec_in(
    kubelet: &Arc<dyn PodAccess>,
    request: &mut Request,
    at: &PodContainer,
    command: Vec<String>,
    wanted: AttachStreams,
) -> Result<Response, Status> {
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
    state: &ServerState,
    request: &mut Request,
    pod: &Pod,
    at: &PodContainer,
    options: &AttachOptions,
) -> Result<Response, Status> {
    let wanted = pod_checks::streams(options)?;
    pod_checks::assigned(pod)?;
    attach_to(kubelet(state)?, request, at, wanted).await
}

/// The streams of a container's first process, carried over the connection.
///
/// # Errors
/// As [`exec_in`].
pub(crate) async fn attach_to(
    kubelet: &Arc<dyn PodAccess>,
    request: &mut Request,
    at: &PodContainer,
    wanted: AttachStreams,
) -> Result<Response, Status> {
    let upgrade = Upgrade::process(request)?;
    let session = kubelet.attach(at, wanted).await.map_err(|e| refused(&e, at))?;
    Ok(upgrade.carry(session, wanted, Action::Attach))
}

fn port_forward(
    state: &ServerState,
    request: &mut Request,
    pod: &Pod,
    [namespace, name]: [&String; 2],
    options: ForwardOptions,
) -> Result<Response, Status> {
    pod_checks::assigned(pod)?;
    let kubelet = kubelet(state)?.clone();
    let target = ForwardTarget {
        namespace: namespace.clone(),
        pod: name.clone(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    };
    Ok(Upgrade::forward(request, options.ports)?.carry(kubelet, target))
}

/// # Errors
/// `ServiceUnavailable` where no kubelet runs in this process.
fn kubelet(state: &ServerState) -> Result<&Arc<dyn PodAccess>, Status> {
    state
        .pods
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
