//! The volumes of a pod that is to run: what is in them, who mounts them, and how they are kept fresh.

use super::jobs::Done;
use super::{Stage, Worker};
use crate::shared::Shared;
use crate::volumes::budget::Budget;
use crate::volumes::payload::{Content, TOKEN_SECONDS};
use crate::volumes::{self, Mounted, MountedVolume, Prepared, VolumeError};
use crate::{csi, pod};
use cluster::{BoundObject, TokenRequestParams};
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, ServiceAccountTokenProjection};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl Worker {
    /// Files follow their ConfigMaps and Secrets; tokens are renewed before they end.
    pub(super) fn keep_volumes_fresh(&mut self) {
        let now = self.now();
        let due = self.volumes.refresh_at.is_some_and(|at| at <= now);
        let held = self.volumes.hold.filter(|at| *at > now);
        let has_sandbox = self.view().current().is_some();
        let wanted = self.volumes.is_stale || due || self.volumes.hold.is_some();
        if let Some(at) = held.or(self.volumes.refresh_at.filter(|_| !due)) {
            self.wake(at);
        }
        if !wanted || held.is_some() || !has_sandbox || self.volumes.is_busy || self.stage != Stage::Syncing {
            return;
        }
        self.volumes.is_stale = false;
        self.volumes.refresh_at = None;
        self.volumes.is_busy = true;
        let (shared, pod, living) = (self.shared.clone(), self.pod.clone(), self.living.clone());
        self.jobs.spawn(async move {
            let (prepared, unprepared) = prepare(&shared, &pod);
            let (mounted, prepared) = mount(&shared, &pod, prepared, &living).await;
            let (mounted, unmounted) = match mounted {
                Ok(mounted) => (mounted, None),
                Err(error) => (Mounted::new(), Some(error)),
            };
            // neither a driver that is away nor a signer that refuses keeps a token or a ConfigMap from a pod that runs
            let written = set_up(&shared, &pod, prepared, mounted).await;
            Done::Volumes(unmounted.or(unprepared).map_or(written, Err))
        });
    }
}

/// What is in each volume, from the cluster's caches; and of the first where that can not be told, why.
pub(super) fn prepare(shared: &Shared, pod: &Pod) -> (Vec<(String, Prepared)>, Option<VolumeError>) {
    let facts = shared.facts(None);
    let tokens = |wanted: &ServiceAccountTokenProjection| token(shared, pod, wanted);
    let certificates =
        |volume: &str, source: usize| shared.certificates.bundle(pod::uid(pod), volume, source);
    let content = Content {
        pod,
        facts: &facts,
        sources: &shared.sources,
        tokens: &tokens,
        certificates: &certificates,
        budget: Budget::default(),
    };
    let dir = shared.pod_dir(pod);
    let root = &shared.config.state_dir;
    let (mut all, mut failed) = (Vec::new(), None);
    for volume in pod::spec(pod).volumes.iter().flatten() {
        match volumes::prepare(root, &dir, volume, &content) {
            Ok(prepared) => all.push((volume.name.clone(), prepared)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    (all, failed)
}

fn token(shared: &Shared, pod: &Pod, wanted: &ServiceAccountTokenProjection) -> Result<String, String> {
    let account = pod::spec(pod).service_account_name.as_deref().unwrap_or("default");
    let params = TokenRequestParams {
        audiences: wanted.audience.clone().filter(|a| !a.is_empty()).into_iter().collect(),
        expiration_seconds: Some(wanted.expiration_seconds.unwrap_or(TOKEN_SECONDS)),
        bound: Some(BoundObject::pod(pod::name(pod), pod::uid(pod))),
    };
    let issued = shared.client.create_token(pod::namespace(pod), account, params);
    issued.map(|t| t.token).map_err(|status| status.to_string())
}

/// Has drivers and the host mount what is theirs to mount, side by side, and says why the first of them refused; what is left for us
/// comes back in any case.
pub(super) async fn mount(
    shared: &Shared,
    pod: &Pod,
    prepared: Vec<(String, Prepared)>,
    living: &CancellationToken,
) -> (Result<Mounted, VolumeError>, Vec<(String, Prepared)>) {
    let (mut of_others, mut rest) = (Vec::new(), Vec::new());
    for (name, volume) in prepared {
        match volume {
            Prepared::Csi(_) | Prepared::Nfs(_) => of_others.push((name, volume)),
            volume => rest.push((name, volume)),
        }
    }
    let all = of_others.into_iter().map(|(name, volume)| async move {
        let (path, read_only) = match &volume {
            Prepared::Csi(volume) => {
                let (path, read_only) = (csi::mount(shared, pod, volume, living).await?, volume.read_only);
                if volume.form == csi::Form::Block {
                    let (devices, dir, device) = (shared.devices.clone(), shared.pod_dir(pod), path.clone());
                    let _ = tokio::task::spawn_blocking(move || devices.hold(&dir, &device)).await;
                    return Ok(Some((name, MountedVolume::Device { path, read_only })));
                }
                (path, read_only)
            }
            Prepared::Nfs(volume) => {
                let dir = shared.pod_dir(pod);
                (volumes::mount_nfs(&dir, &name, volume, living).await?, volume.read_only)
            }
            _ => return Ok(None),
        };
        Ok::<_, VolumeError>(Some((name, MountedVolume::Path { path, read_only })))
    });
    let all = join_all(all).await;
    (all.into_iter().filter_map(Result::transpose).collect(), rest)
}

pub(super) async fn set_up(
    shared: &Shared,
    pod: &Arc<Pod>,
    prepared: Vec<(String, Prepared)>,
    mut mounted: Mounted,
) -> Result<Mounted, VolumeError> {
    let (dir, pod, devices) = (shared.pod_dir(pod), pod.clone(), shared.devices.clone());
    let written = tokio::task::spawn_blocking(move || volumes::set_up(&dir, &pod, prepared, &devices)).await;
    let written =
        written.unwrap_or_else(|e| Err(VolumeError::SetUp { volume: String::new(), why: e.to_string() }))?;
    mounted.extend(written);
    Ok(mounted)
}
