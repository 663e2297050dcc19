//! The doors into running pods: logs, exec, attach, port-forward.

use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::router::method_not_allowed;
use crate::server::Edge;
use crate::{responses, websocket};
use api::{GroupResource, ObjectKey, Reason, Status};
use cluster::{Actor, Attributes};
use cri::{AttachStreams, CriError, ExecConfig, LogOptions, PodAccess, PodContainer};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use std::sync::Arc;
use warp::reply::Response;

pub(crate) async fn answer(
    edge: &Edge,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    let (Some(namespace), Some(pod), Some(part)) = (&info.namespace, &info.name, &info.subresource) else {
        return Err(crate::router::not_found());
    };
    let verb = if request.method == Method::POST { "create" } else { "get" };
    let attributes = Attributes {
        verb: verb.into(),
        resource: "pods".into(),
        subresource: part.clone(),
        namespace: Some(namespace.clone()),
        name: Some(pod.clone()),
        ..Attributes::default()
    };
    edge.cluster.authorize(actor, &attributes)?;
    // who may log or exec may see that there is no such pod
    let _: Pod =
        edge.cluster.acting_as(Actor::root()).api::<Pod>().get(&ObjectKey::namespaced(namespace, pod))?;
    let at = PodContainer {
        namespace: namespace.clone(),
        pod: pod.clone(),
        container: request.parameter("container").unwrap_or_default().to_owned(),
    };
    match part.as_str() {
        "log" if request.method == Method::GET => log(edge, request, &at).await,
        "exec" => exec(edge, request, &at).await,
        "attach" => attach(edge, request, &at).await,
        "portforward" => websocket::port_forward(edge, request, namespace, pod),
        _ => Err(method_not_allowed()),
    }
}

async fn log(edge: &Edge, request: &Request, at: &PodContainer) -> Result<Response, Status> {
    let since_time = request.parameter("sinceTime").map(str::parse).transpose();
    let since_time = since_time.map_err(|e| Status::bad_request(format!("sinceTime: {e}")))?;
    let since_seconds = request.number::<i64>("sinceSeconds")?.map(jiff::SignedDuration::from_secs);
    let options = LogOptions {
        follow: request.flag("follow")?,
        previous: request.flag("previous")?,
        timestamps: request.flag("timestamps")?,
        since: since_time
            .or_else(|| since_seconds.and_then(|ago| jiff::Timestamp::now().checked_sub(ago).ok())),
        tail_lines: request.number("tailLines")?,
        limit_bytes: request.number("limitBytes")?,
    };
    let lines = kubelet(edge)?.logs(at, options).await.map_err(|e| refused(&e, at))?;
    Ok(responses::stream("text/plain", lines))
}

async fn exec(edge: &Edge, request: &mut Request, at: &PodContainer) -> Result<Response, Status> {
    let command: Vec<String> =
        request.query.iter().filter(|(key, _)| key == "command").map(|(_, v)| v.clone()).collect();
    if command.is_empty() {
        return Err(Status::bad_request("you must specify at least 1 command for the container"));
    }
    let config = ExecConfig {
        command,
        stdin: request.flag("stdin")?,
        stdout: request.flag("stdout")?,
        stderr: request.flag("stderr")?,
        tty: request.flag("tty")?,
        ..ExecConfig::default()
    };
    let accepted = websocket::accept(request)?;
    let session = kubelet(edge)?.exec(at, config).await.map_err(|e| refused(&e, at))?;
    Ok(accepted.stream(session))
}

async fn attach(edge: &Edge, request: &mut Request, at: &PodContainer) -> Result<Response, Status> {
    let want = AttachStreams {
        stdin: request.flag("stdin")?,
        stdout: request.flag("stdout")?,
        stderr: request.flag("stderr")?,
        tty: request.flag("tty")?,
    };
    let accepted = websocket::accept(request)?;
    let session = kubelet(edge)?.attach(at, want).await.map_err(|e| refused(&e, at))?;
    Ok(accepted.stream(session))
}

/// # Errors
/// `ServiceUnavailable` where no kubelet runs in this process.
pub(crate) fn kubelet(edge: &Edge) -> Result<&Arc<dyn PodAccess>, Status> {
    edge.pods
        .as_ref()
        .ok_or_else(|| Status::new(Reason::ServiceUnavailable, "no kubelet runs here to reach into the pod"))
}

fn refused(error: &CriError, at: &PodContainer) -> Status {
    match error {
        CriError::NotFound(_) => Status::new(Reason::NotFound, error.to_string()),
        CriError::Invalid(_) => Status::bad_request(error.to_string()),
        CriError::AlreadyExists(_) => Status::conflict(&GroupResource::new("", "pods"), &at.pod, error),
        _ => Status::internal(error),
    }
}
