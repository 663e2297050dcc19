//! What the kubelet's own server shows at upstream's paths: metrics for Prometheus, the summary API, its pods and how it
//! is set. The pages are made of what [`measure`] finds, and pure.

mod cadvisor;
mod configz;
mod flagz;
mod kubelet_metrics;
mod probes;
mod resource;
mod running_pods;
mod slis;
mod summary;

pub(crate) use flagz::flags;

use crate::measure::{Measured, measure};
use crate::shared::Shared;
use crate::{csi, pod, resources};
use cri::{CriError, KubeletPage};

/// Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// `None` for a path that leads nowhere.
pub(crate) async fn page(shared: &Shared, path: &str) -> cri::Result<Option<KubeletPage>> {
    let path = path.trim_end_matches('/');
    let text = |content_type: &'static str, body: String| Ok(Some(KubeletPage { content_type, body }));
    match path {
        "/healthz" | "/healthz/ping" => text("text/plain; charset=utf-8", "ok".to_owned()),
        "/configz" => text(JSON, configz::page(&shared.config).to_string()),
        "/metrics" => {
            text(EXPOSITION, kubelet_metrics::page(&with_volumes(shared).await?, &shared.work_counts))
        }
        "/metrics/cadvisor" => text(EXPOSITION, cadvisor::page(&measure(shared).await?)),
        "/metrics/probes" => text(EXPOSITION, probes::page(&shared.probe_counts)),
        "/metrics/resource" => text(EXPOSITION, resource::page(&measure(shared).await?)),
        "/metrics/slis" => text(EXPOSITION, slis::page()),
        "/stats/summary" => {
            let system = shared.runtime.system_stats(resources::CGROUP_ROOT).await?;
            let page = summary::page(&with_volumes(shared).await?, &system, shared.started_at);
            text(JSON, page.to_string())
        }
        "/pods" => text(JSON, pods(shared).map_err(|e| CriError::failed("list pods", e))?),
        "/runningpods" => {
            let sandboxes = shared.look_at(&shared.sandbox_index.sandboxes()).await?;
            text(JSON, running_pods::page(&sandboxes).to_string())
        }
        _ => Ok(None),
    }
}

async fn with_volumes(shared: &Shared) -> cri::Result<Measured> {
    let mut measured = measure(shared).await?;
    csi::measure_volumes(shared, &mut measured).await;
    Ok(measured)
}

fn pods(shared: &Shared) -> Result<String, serde_json::Error> {
    let node = &shared.config.node_name;
    let ours = shared.known.list(None).into_iter();
    let ours = ours.filter(|pod| pod::spec(pod).node_name.as_ref() == Some(node));
    let items = ours.map(|pod| api::json::to_value(&*pod)).collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}).to_string())
}
