//! How often each probe came out how, and how long it took, for `/metrics/probes`, for as long as its pod is here.

use crate::pod;
use crate::probe::ProbeKind;
use cluster::metrics::Histogram;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProbeId {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
    pub kind: ProbeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProbeResult {
    Successful,
    Failed,
    /// It could not be asked.
    Unknown,
}

/// Seconds: Prometheus' own for what is not said otherwise.
static TIMES: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Default)]
pub(crate) struct ProbeCounts(Mutex<State>);

#[derive(Default)]
struct State {
    results: BTreeMap<(ProbeId, ProbeResult), u64>,
    times: BTreeMap<ProbeId, Histogram>,
}

impl ProbeId {
    pub fn of(of: &Pod, container: &str, kind: ProbeKind) -> Self {
        ProbeId {
            namespace: pod::namespace(of).to_owned(),
            pod: pod::name(of).to_owned(),
            uid: of.metadata.uid.clone().unwrap_or_default(),
            container: container.to_owned(),
            kind,
        }
    }
}

impl ProbeCounts {
    pub fn count(&self, id: ProbeId, result: ProbeResult, took: Duration) {
        let mut state = self.locked();
        *state.results.entry((id.clone(), result)).or_default() += 1;
        state.times.entry(id).or_insert_with(|| Histogram::new(&TIMES)).observe_time(took);
    }

    pub fn forget(&self, uid: &str) {
        let mut state = self.locked();
        state.results.retain(|(id, _), _| id.uid != uid);
        state.times.retain(|id, _| id.uid != uid);
    }

    pub fn all(&self) -> Vec<(ProbeId, ProbeResult, u64)> {
        self.locked().results.iter().map(|((id, result), count)| (id.clone(), *result, *count)).collect()
    }

    pub fn each_time(&self, mut tell: impl FnMut(&ProbeId, &Histogram)) {
        self.locked().times.iter().for_each(|(id, times)| tell(id, times));
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}
