//! How the API server reaches into a pod: logs, exec, attach, port-forward. The words of refusal are upstream's.

use crate::logs::reader;
use crate::pod;
use crate::shared::Shared;
use crate::view::{View, WorkerState};
use async_trait::async_trait;
use bytes::Bytes;
use cri::{
    AttachStreams, ContainerState, ContainerStatus, CriError, Duplex, ExecConfig, ExecSession, KubeletPage,
    LogOptions, PodAccess, PodContainer, Result, SandboxStatus,
};
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Container, Pod};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

pub(crate) struct Access(pub Arc<Shared>);

#[async_trait]
impl PodAccess for Access {
    async fn page(&self, node: &str, path: &str) -> Result<Option<KubeletPage>> {
        match node == self.0.config.node_name {
            true => crate::pages::page(&self.0, path).await,
            false => Ok(None),
        }
    }

    fn flags(&self, node: &str) -> Option<BTreeMap<&'static str, String>> {
        let config = &self.0.config;
        (node == config.node_name).then(|| crate::pages::flags(config))
    }

    async fn logs(
        &self,
        at: &PodContainer,
        options: LogOptions,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>> {
        let pod = self.pod(&at.namespace, &at.pod)?;
        let name = container_name(&pod, &at.container)?;
        let sandboxes = self.sandboxes(&pod).await?;
        let memory = WorkerState::default();
        let view = self.view(&pod, &sandboxes, &memory);
        let tries = view.tries(&name);
        let status = logged(&pod, &name, &tries, options.previous)?;
        let stream = reader::stream(&self.0, &status.id, &status.log_path, options).await;
        stream.map_err(|e| CriError::failed(format!("open log of container {name:?} in pod {:?}", at.pod), e))
    }

    async fn exec(&self, at: &PodContainer, config: ExecConfig) -> Result<ExecSession> {
        let id = self.running(at).await?.id;
        if self.0.pauses.holds(&at.namespace) {
            // a process that is born into a frozen cgroup waits there for ever
            let why = format!("pod {:?} is paused, unpause namespace {:?} before exec", at.pod, at.namespace);
            return Err(CriError::Invalid(why));
        }
        self.0.runtime.exec(&id, config).await
    }

    async fn attach(&self, at: &PodContainer, want: AttachStreams) -> Result<ExecSession> {
        let status = self.running(at).await?;
        // what the container has decides, as upstream does it
        let want = AttachStreams { stdin: want.stdin && status.stdin, tty: status.tty, ..want };
        self.0.runtime.attach(&status.id, want).await
    }

    async fn port_forward(&self, namespace: &str, name: &str, port: u16) -> Result<Box<dyn Duplex>> {
        let pod = self.pod(namespace, name)?;
        let sandboxes = self.sandboxes(&pod).await?;
        let memory = WorkerState::default();
        let view = self.view(&pod, &sandboxes, &memory);
        match view.current() {
            Some(sandbox) => self.0.runtime.port_forward(&sandbox.id, port).await,
            None => {
                let why = "unable to forward port because pod is not running. Current status";
                Err(CriError::Invalid(format!("{why}={}", pod::phase(&pod))))
            }
        }
    }
}

impl Access {
    fn pod(&self, namespace: &str, name: &str) -> Result<Arc<Pod>> {
        let found = self.0.known.get(&api::ObjectKey::namespaced(namespace, name));
        let pod = found.ok_or_else(|| CriError::NotFound(format!("pods {name:?} not found")))?;
        match pod::spec(&pod).node_name.as_deref().filter(|node| !node.is_empty()) {
            Some(_) => Ok(pod),
            None => Err(CriError::Invalid(format!("pod {name} does not have a host assigned"))),
        }
    }

    async fn sandboxes(&self, pod: &Pod) -> Result<Vec<SandboxStatus>> {
        self.0.look_at(&self.0.sandbox_index.sandboxes_of(pod::uid(pod))).await
    }

    /// As a worker would see it that remembers nothing.
    fn view<'v>(&self, pod: &'v Pod, sandboxes: &'v [SandboxStatus], memory: &'v WorkerState) -> View<'v> {
        View { pod, sandboxes, memory, now: self.0.clock.now() }
    }

    async fn running(&self, at: &PodContainer) -> Result<ContainerStatus> {
        let pod = self.pod(&at.namespace, &at.pod)?;
        if pod::is_over(&pod) {
            let phase = pod::phase(&pod);
            let why = format!("cannot exec into a container in a completed pod; current phase is {phase}");
            return Err(CriError::Invalid(why));
        }
        let name = container_name(&pod, &at.container)?;
        let sandboxes = self.sandboxes(&pod).await?;
        let memory = WorkerState::default();
        let view = self.view(&pod, &sandboxes, &memory);
        let latest = view.latest(&name).filter(|c| matches!(c.state, ContainerState::Running { .. }));
        latest.cloned().ok_or_else(|| CriError::NotFound(format!("container not found ({name:?})")))
    }
}

fn container_name(pod: &Pod, asked: &str) -> Result<String> {
    let spec = pod::spec(pod);
    let pod_name = pod::name(pod);
    let annotated = pod.metadata.annotations.as_ref().and_then(|a| a.get(DEFAULT_CONTAINER));
    if !asked.is_empty() {
        return match pod::any_container(spec, asked) {
            Some(_) => Ok(asked.to_owned()),
            None => Err(CriError::Invalid(format!("container {asked} is not valid for pod {pod_name}"))),
        };
    }
    if let [only] = spec.containers.as_slice() {
        return Ok(only.name.clone());
    }
    if let Some(name) = annotated.filter(|name| pod::container(spec, name).is_some()) {
        return Ok(name.clone());
    }
    let names = |list: &[Container]| list.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(" ");
    let mut why = format!(
        "a container name must be specified for pod {pod_name}, choose one of: [{}]",
        names(&spec.containers)
    );
    if let init @ [_, ..] = pod::init_containers(spec) {
        why += &format!(" or one of the init containers: [{}]", names(init));
    }
    Err(CriError::Invalid(why))
}

/// The try whose log is meant: the newest, or the one before it that ended.
fn logged<'a>(
    pod: &Pod,
    name: &str,
    tries: &[&'a ContainerStatus],
    previous: bool,
) -> Result<&'a ContainerStatus> {
    let pod_name = pod::name(pod);
    let began = |c: &&&ContainerStatus| !matches!(c.state, ContainerState::Created);
    if previous {
        // what waits to be started again has its newest try behind it
        let runs = tries.first().is_some_and(|c| !matches!(c.state, ContainerState::Exited { .. }));
        let waits = told_reason(pod, name).is_some();
        let before = if runs || !waits { tries.get(1) } else { tries.first() };
        return before.copied().ok_or_else(|| {
            CriError::Invalid(format!("previous terminated container {name:?} in pod {pod_name:?} not found"))
        });
    }
    tries.iter().find(began).copied().ok_or_else(|| {
        let reason = told_reason(pod, name).unwrap_or_else(|| "ContainerCreating".to_owned());
        match reason.as_str() {
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => CriError::Invalid(format!(
                "container {name:?} in pod {pod_name:?} is waiting to start: trying and failing to pull image"
            )),
            reason => CriError::Invalid(format!("container {name:?} in pod {pod_name:?} is waiting to start: {reason}")),
        }
    })
}

/// Why its status says that it waits.
fn told_reason(pod: &Pod, name: &str) -> Option<String> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let mut all = init.chain(status.container_statuses.iter().flatten());
    all.find(|c| c.name == name)?.state.as_ref()?.waiting.as_ref()?.reason.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn which_container_is_meant() {
        let pod = |containers: &[&str], init: &[&str], default: Option<&str>| -> Pod {
            let list = |names: &[&str]| names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>();
            let annotations = default.map(|d| json!({DEFAULT_CONTAINER: d}));
            serde_json::from_value(json!({"metadata": {"name": "x", "annotations": annotations},
                "spec": {"containers": list(containers), "initContainers": list(init)}}))
            .unwrap()
        };
        let cases = [
            ("the only one", pod(&["a"], &["i"], None), "", Ok("a")),
            ("named", pod(&["a", "b"], &[], None), "b", Ok("b")),
            ("an init container", pod(&["a"], &["i"], None), "i", Ok("i")),
            ("the default", pod(&["a", "b"], &[], Some("b")), "", Ok("b")),
            ("unknown", pod(&["a"], &[], None), "web", Err("container web is not valid for pod x")),
            (
                "several",
                pod(&["a", "b"], &[], Some("gone")),
                "",
                Err("a container name must be specified for pod x, choose one of: [a b]"),
            ),
            (
                "several and init",
                pod(&["a", "b"], &["i"], None),
                "",
                Err(
                    "a container name must be specified for pod x, choose one of: [a b] or one of the init containers: [i]",
                ),
            ),
        ];
        for (name, pod, asked, want) in cases {
            let got = container_name(&pod, asked).map_err(|e| e.to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{name}");
        }
    }
}
