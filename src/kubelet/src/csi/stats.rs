//! How full the volumes of running pods are, as those drivers say it that can: upstream's `metricsCsi`. They are asked when somebody
//! reads a page that shows it, and at no other time.

use super::Registered;
use super::layout::Form;
use super::records::{self, Step, VolumeData};
use crate::measure::{Filled, Measured, VolumeMeasured};
use crate::pod;
use crate::shared::Shared;
use crate::sources::Sources;
use csi::{Rpc, Unit, VolumeStats, VolumeStatsRequest};
use futures::StreamExt;
use futures::future::ready;
use futures::stream;
use k8s_openapi::api::core::v1::{Pod, Volume};
use kinds::volume;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Whoever reads the page waits no longer: Prometheus gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls of one driver at once.
const AT_ONCE: usize = 8;

/// A volume that a driver has published for a pod.
struct Published {
    /// Index of the pod.
    of: usize,
    name: String,
    claim: Option<String>,
    at: PathBuf,
    form: Form,
    data: VolumeData,
}

/// Adds what drivers say in time; the volumes of the others are left out.
pub(crate) async fn measure(shared: &Shared, measured: &mut Measured) {
    // one that does not answer keeps no other from it
    let mut by_driver: BTreeMap<String, Vec<Published>> = BTreeMap::new();
    for (of, pod) in measured.pods.iter().enumerate() {
        for volume in published(shared, of, &pod.pod).await {
            by_driver.entry(volume.data.driver_name.clone()).or_default().push(volume);
        }
    }
    let of_driver = |volumes: Vec<Published>| {
        let able = Arc::new(OnceCell::new());
        let calls = volumes.into_iter().map(move |volume| ask(shared, able.clone(), volume));
        stream::iter(calls).buffer_unordered(AT_ONCE)
    };
    let answers = stream::select_all(by_driver.into_values().map(of_driver));
    let in_time = answers.take_until(tokio::time::sleep(PATIENCE));
    let known: Vec<(usize, VolumeMeasured)> = in_time.filter_map(ready).collect().await;
    for (of, volume) in known {
        measured.pods[of].volumes.push(volume);
    }
    for pod in &mut measured.pods {
        pod.volumes.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

async fn published(shared: &Shared, of: usize, pod: &Pod) -> Vec<Published> {
    let mut all = Vec::new();
    for found in records::all_of_pod(&shared.pod_dir(pod)).await.unwrap_or_default() {
        let Some(data) = found.record.known().filter(|data| data.step == Step::Ready) else { continue };
        for (name, claim) in names(pod, data, &shared.sources) {
            let (at, form) = (found.published(&shared.csi.root).at, found.form);
            all.push(Published { of, name, claim, at, form, data: data.clone() });
        }
    }
    all
}

/// What the pod calls the volume, and the claim that it has it by.
fn names(pod: &Pod, data: &VolumeData, sources: &dyn Sources) -> Vec<(String, Option<String>)> {
    let named = |of: &Volume| match volume::claim_of(pod, of) {
        None => (of.csi.is_some() && of.name == data.spec_name).then(|| (of.name.clone(), None)),
        Some(used) => {
            let claim = sources.claim(pod::namespace(pod), &used.name)?;
            (volume::volume_name(&claim) == data.spec_name).then(|| (of.name.clone(), Some(used.name)))
        }
    };
    pod::spec(pod).volumes.iter().flatten().filter_map(named).collect()
}

/// A driver that can say how full its volumes are.
struct Able {
    driver: Registered,
    /// Its volumes are staged.
    stages: bool,
}

async fn able(shared: &Shared, driver: &str) -> Option<Able> {
    let driver = shared.csi.driver(driver)?;
    let can = driver.calls.capabilities().await.ok()?;
    can.has(Rpc::GetVolumeStats).then(|| Able { driver, stages: can.has(Rpc::StageUnstageVolume) })
}

/// `None` where the driver can not say it, or did not. What it can do the first of its volumes asks, for all of them.
async fn ask(
    shared: &Shared,
    known: Arc<OnceCell<Option<Able>>>,
    of: Published,
) -> Option<(usize, VolumeMeasured)> {
    let known = known.get_or_init(|| able(shared, &of.data.driver_name)).await;
    let Able { driver, stages } = known.as_ref()?;
    let Published { of, name, claim, at, form, data } = of;
    let (root, sees) = (&shared.csi.root, driver.sees);
    let staged = form.staged(root, &data.driver_name, &data.volume_handle, &data.spec_name);
    let request = VolumeStatsRequest {
        volume_id: data.volume_handle.clone(),
        volume_path: sees.name_of(root, &at),
        staging_target_path: match *stages && !data.is_ephemeral() {
            true => sees.name_of(root, &staged.at),
            false => String::new(),
        },
    };
    let _turn = shared.csi.turn(&data.driver_name, &data.volume_handle).await;
    let answer = driver.calls.stats(request).await;
    let answer = answer
        .inspect_err(|why| {
            let volume = &data.spec_name;
            tracing::debug!(volume, %why, "a storage driver does not say how full a volume is");
        })
        .ok()?;
    let [bytes, inodes] = [Unit::Bytes, Unit::Inodes].map(|unit| filled(&answer, unit));
    Some((of, VolumeMeasured { name, claim, bytes, inodes }))
}

/// A driver may say what can not be.
fn filled(stats: &VolumeStats, unit: Unit) -> Option<Filled> {
    let usage = stats.usage.iter().find(|usage| usage.unit() == unit)?;
    let at_least_none = |amount: i64| u64::try_from(amount).unwrap_or(0);
    Some(Filled {
        total: at_least_none(usage.total),
        used: at_least_none(usage.used),
        available: at_least_none(usage.available),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use csi::VolumeUsage;

    #[test]
    fn what_a_driver_says_of_each_unit() {
        let usage =
            |unit: Unit, total, used, available| VolumeUsage { available, total, used, unit: unit as i32 };
        let cases = [
            ("nothing", vec![], None),
            ("of another unit", vec![usage(Unit::Inodes, 1, 1, 0)], None),
            ("of both", vec![usage(Unit::Inodes, 1, 1, 0), usage(Unit::Bytes, 10, 3, 7)], Some((10, 3, 7))),
            ("what can not be", vec![usage(Unit::Bytes, 10, -3, i64::MIN)], Some((10, 0, 0))),
            ("of no unit", vec![VolumeUsage { unit: 77, ..VolumeUsage::default() }], None),
        ];
        for (name, usage, want) in cases {
            let got = filled(&VolumeStats { usage }, Unit::Bytes);
            assert_eq!(got.map(|of| (of.total, of.used, of.available)), want, "{name}");
        }
    }
}
