//! What probes and lifecycle hooks do in or to a container: a command, a request, a connection, a pause.

use crate::http_get::{self, Get};
use crate::shared::Shared;
use crate::work_counts::Operation;
use cri::{ContainerId, CriError};
use k8s_openapi::api::core::v1::{Container, GRPCAction, HTTPGetAction, LifecycleHandler, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::net::IpAddr;
use std::time::Duration;

/// The container that is asked.
#[derive(Clone)]
pub(crate) struct At {
    pub id: ContainerId,
    pub container: Container,
    pub address: Option<IpAddr>,
}

/// How one attempt came out; the text is what an event shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// It answered, with something to be said about it.
    Warning(String),
    Failure(String),
    /// It could not be asked: that says nothing of it.
    Error(String),
}

impl At {
    fn host(&self) -> String {
        self.address.map(|ip| ip.to_string()).unwrap_or_default()
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let named =
            |name: &str| self.container.ports.iter().flatten().find(|p| p.name.as_deref() == Some(name));
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(text) => text.parse().ok().or_else(|| named(text).map(|p| p.container_port)),
        };
        let valid = number.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
        valid.ok_or_else(|| match port {
            IntOrString::Int(number) => format!("invalid port number: {number}"),
            IntOrString::String(name) => {
                format!("couldn't find port: {name} in container {}", self.container.name)
            }
        })
    }

    fn request(&self, action: &HTTPGetAction) -> Result<Get, String> {
        Ok(Get::new(action, &self.host(), self.port(&action.port)?))
    }
}

pub(crate) async fn exec(shared: &Shared, at: &At, command: &[String], timeout: Duration) -> Outcome {
    let run = shared.runtime.exec_sync(&at.id, command.to_vec(), Some(timeout));
    match shared.work_counts.time(Operation::ExecSync, run).await {
        Ok(output) if output.exit_code == 0 => Outcome::Success,
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Outcome::Failure(String::from_utf8_lossy(&said).trim_end().to_owned())
        }
        Err(CriError::DeadlineExceeded(_) | CriError::CommandTimedOut { .. }) => {
            Outcome::Failure(format!("command {:?} timed out", command.join(" ")))
        }
        Err(error) => Outcome::Error(error.to_string()),
    }
}

pub(crate) async fn http(at: &At, action: &HTTPGetAction, timeout: Duration) -> Outcome {
    let what = match at.request(action) {
        Ok(what) => what,
        Err(why) => return Outcome::Error(why),
    };
    match http_get::get(&what, timeout).await {
        Ok(answer) if (200..300).contains(&answer.status) => Outcome::Success,
        Ok(answer) if (300..400).contains(&answer.status) => Outcome::Warning(format!(
            "Probe terminated redirects, Response body: {}",
            String::from_utf8_lossy(&answer.body)
        )),
        Ok(answer) => Outcome::Failure(format!("HTTP probe failed with statuscode: {}", answer.status)),
        Err(why) => Outcome::Failure(why),
    }
}

pub(crate) async fn tcp(at: &At, action: &TCPSocketAction, timeout: Duration) -> Outcome {
    let port = match at.port(&action.port) {
        Ok(port) => port,
        Err(why) => return Outcome::Error(why),
    };
    let own = at.host();
    let host = action.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(&own);
    match tokio::time::timeout(timeout, http_get::dial(host, port)).await {
        Ok(Ok(_)) => Outcome::Success,
        Ok(Err(why)) => Outcome::Failure(why),
        Err(_) => Outcome::Failure(format!("dial tcp {}: i/o timeout", http_get::authority(host, port))),
    }
}

pub(crate) async fn grpc(at: &At, action: &GRPCAction, timeout: Duration) -> Outcome {
    let port = match at.port(&IntOrString::Int(action.port)) {
        Ok(port) => port,
        Err(why) => return Outcome::Error(why),
    };
    let service = action.service.as_deref().unwrap_or_default();
    match crate::grpc::check(&at.host(), port, service, timeout).await {
        Ok(()) => Outcome::Success,
        Err(why) => Outcome::Failure(why),
    }
}

/// # Errors
/// Why the hook failed.
pub(crate) async fn hook(
    shared: &Shared,
    at: &At,
    handler: &LifecycleHandler,
    timeout: Option<Duration>,
) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        return exec_hook(shared, at, exec.command.clone().unwrap_or_default(), timeout).await;
    }
    if let Some(action) = &handler.http_get {
        let what = at.request(action)?;
        let limit = timeout.unwrap_or(Duration::from_secs(60)); // upstream's client has no hooks that wait longer
        // any answer will do, as upstream has it
        return http_get::get(&what, limit).await.map(drop);
    }
    if let Some(pause) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(pause.seconds).unwrap_or(0))).await;
    }
    // upstream accepts tcpSocket for old manifests' sake, and does nothing
    Ok(())
}

async fn exec_hook(
    shared: &Shared,
    at: &At,
    command: Vec<String>,
    timeout: Option<Duration>,
) -> Result<(), String> {
    let said = command.join(" ");
    let run = shared.runtime.exec_sync(&at.id, command, timeout);
    match shared.work_counts.time(Operation::ExecSync, run).await {
        Ok(output) if output.exit_code == 0 => Ok(()),
        Ok(output) => Err(format!(
            "command '{said}' exited with {}: {}",
            output.exit_code,
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => Err(error.to_string()),
    }
}
