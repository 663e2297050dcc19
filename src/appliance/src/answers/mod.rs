//! What the daemon answers to the command line. To add an answer: its request in `control.rs`, its arm here, its file.

mod addons;
mod building;
mod demo;
mod images;
mod pausing;
mod services;

use crate::addons::EnabledAddons;
use crate::control::{ControlReply, ControlRequest, ControlStatus, Refusal, StoreFull};
use crate::scheduled_stop::ScheduledStop;
use crate::{KUBERNETES, Paths};
use cluster::Cluster;
use dashboard::Dashboard;
use image::{BuildRunner, ImageStore};
use kubelet::Pauser;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// All that an answer may need.
pub(crate) struct Answers {
    pub(crate) status: ControlStatus,
    pub(crate) ready: watch::Receiver<bool>,
    pub(crate) kubernetes: Option<KubernetesHalf>,
    pub(crate) images: Arc<ImageStore>,
    pub(crate) build_runner: Arc<dyn BuildRunner>,
    pub(crate) scheduled: Arc<ScheduledStop>,
    /// Ends the whole daemon.
    pub(crate) stop: CancellationToken,
}

/// What there is only with Kubernetes.
pub(crate) struct KubernetesHalf {
    pub(crate) cluster: Cluster,
    pub(crate) dashboard: Arc<Dashboard>,
    pub(crate) pauser: Pauser,
    pub(crate) addons: EnabledAddons,
}

impl Answers {
    /// Sends what there is to say on the way; returns the last line, [`ControlReply::Done`] or `Failed`.
    pub(crate) async fn answer(
        &self,
        request: ControlRequest,
        say: mpsc::Sender<ControlReply>,
    ) -> ControlReply {
        match request {
            ControlRequest::Status => told(&say, ControlReply::Status(self.status_now())).await,
            ControlRequest::Stop => {
                self.stop.cancel();
                ControlReply::Done
            }
            ControlRequest::ScheduleStop { after_seconds } => {
                match self.scheduled.set(Duration::from_secs(after_seconds)) {
                    Ok(at) => told(&say, ControlReply::StopsAt { at }).await,
                    Err(error) => failed(format!("schedule a stop: {error}")),
                }
            }
            ControlRequest::CancelStop => match self.scheduled.cancel() {
                Ok(()) => ControlReply::Done,
                Err(error) => failed(format!("cancel the scheduled stop: {error}")),
            },
            ControlRequest::PullImage { name, platform, all_tags, logins } => {
                let wanted = images::Pull { name, platform, all_tags, logins };
                images::pull(&self.images, wanted, &say).await
            }
            ControlRequest::PushImage { name, all_tags, logins } => {
                images::push(&self.images, &name, all_tags, &logins, &say).await
            }
            ControlRequest::BuildImage(wanted) => {
                building::build(&self.images, self.build_runner.clone(), *wanted, &say).await
            }
            ControlRequest::TagImage { image, name } => images::tag(&self.images, image, name).await,
            ControlRequest::SaveImages { names, path } => images::save(&self.images, &names, &path).await,
            ControlRequest::PruneImages { all } => images::prune(&self.images, all, &say).await,
            ControlRequest::LoadImage { path } => images::load(&self.images, &path, &say).await,
            ControlRequest::Images => images::list(&self.images, &say).await,
            ControlRequest::RemoveImage { name } => images::remove(&self.images, name, &say).await,
            of_kubernetes => match &self.kubernetes {
                Some(kubernetes) => kubernetes.answer(of_kubernetes, &self.images, say).await,
                None => ControlReply::Failed {
                    reason: Refusal::NoKubernetes,
                    message: format!("profile {} runs without Kubernetes", self.status.profile),
                },
            },
        }
    }

    fn status_now(&self) -> ControlStatus {
        let paused = self.kubernetes.as_ref().map(|kubernetes| kubernetes.pauser.paused());
        let stored = self.kubernetes.as_ref().map(|kubernetes| kubernetes.cluster.store().usage());
        let full = stored.filter(|stored| stored.is_full);
        ControlStatus {
            ready: *self.ready.borrow(),
            paused: paused.filter(|paused| !paused.is_nothing()),
            stops_at: self.scheduled.at(),
            store_full: full.and_then(|full| Some(StoreFull { used: full.bytes, limit: full.quota? })),
            ..self.status.clone()
        }
    }
}

/// What stays as it is while this process runs. `api`: where the API answers, `None` without Kubernetes.
pub(crate) fn status_of(paths: &Paths, node_ip: Ipv4Addr, api: Option<&str>) -> ControlStatus {
    ControlStatus {
        profile: paths.profile.to_string(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kubernetes: KUBERNETES.to_owned(),
        node_ip,
        api: api.unwrap_or_default().to_owned(),
        without_kubernetes: api.is_none(),
        // these change: [`Answers::status_now`]
        ready: false,
        paused: None,
        stops_at: None,
        store_full: None,
    }
}

impl KubernetesHalf {
    async fn answer(
        &self,
        request: ControlRequest,
        images: &ImageStore,
        say: mpsc::Sender<ControlReply>,
    ) -> ControlReply {
        match request {
            ControlRequest::Dashboard { user } => {
                told(&say, ControlReply::Url { url: self.dashboard.login_url(user) }).await
            }
            ControlRequest::Services => told(&say, services::list(&self.cluster)).await,
            ControlRequest::Service { namespace, name, wait_seconds } => {
                let wait = Duration::from_secs(wait_seconds);
                told(&say, services::one(&self.cluster, &namespace, &name, wait).await).await
            }
            ControlRequest::Pause { namespaces } => {
                told(&say, pausing::pause(&self.pauser, namespaces.as_ref()).await).await
            }
            ControlRequest::Unpause { namespaces } => {
                told(&say, pausing::unpause(&self.pauser, namespaces.as_ref()).await).await
            }
            ControlRequest::EnableAddon { name, source } => {
                told(&say, addons::turn_on(&self.cluster, images, &self.addons, &name, &source).await).await
            }
            ControlRequest::DisableAddon { name } => {
                told(&say, addons::turn_off(&self.cluster, &self.addons, &name).await).await
            }
            ControlRequest::Demo => demo::Demo::new(&self.cluster, say).tour().await,
            other => failed(format!("{other:?} is answered without Kubernetes")),
        }
    }
}

fn failed(message: String) -> ControlReply {
    ControlReply::Failed { reason: Refusal::Other, message }
}

/// The one thing that there is to say, and the end; a refusal is the end itself.
async fn told(say: &mpsc::Sender<ControlReply>, reply: ControlReply) -> ControlReply {
    if matches!(reply, ControlReply::Failed { .. }) {
        return reply;
    }
    // whoever asked may have gone: then nobody misses it
    let _ = say.send(reply).await;
    ControlReply::Done
}
