//! How often each probe came out how, for `/metrics/probes`, for as long as its pod is here.

use crate::pod;
use crate::probes::ProbeKind;
use k8s_openapi::api::core::v1::Pod;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

#[derive(Default)]
pub(crate) struct ProbeCounts(Mutex<BTreeMap<(ProbeId, ProbeResult), u64>>);

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
    pub fn count(&self, id: ProbeId, result: ProbeResult) {
        *self.locked().entry((id, result)).or_default() += 1;
    }

    pub fn forget(&self, uid: &str) {
        self.locked().retain(|(id, _), _| id.uid != uid);
    }

    pub fn all(&self) -> Vec<(ProbeId, ProbeResult, u64)> {
        self.locked().iter().map(|((id, result), count)| (id.clone(), *result, *count)).collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<(ProbeId, ProbeResult), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
