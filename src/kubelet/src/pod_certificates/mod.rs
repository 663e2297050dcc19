//! Certificates of pods: for each `podCertificate` in a projected volume the node makes a key, asks the signer for a certificate by
//! a PodCertificateRequest, and asks anew before it ends. Upstream's `pkg/kubelet/podcertificate`.
//!
//! Keys are in memory and in the pod's own volume, nowhere else: a kubelet that begins asks anew, and the pod keeps what it has
//! until then. `state.rs` says how far a certificate is, and what is to be done; `key.rs` makes keys, `request.rs` asks. Who goes
//! on with them is the pod's worker (`worker/certificates.rs`), which changes of requests and the time wake.

mod key;
mod request;
mod state;

use crate::pod;
use crate::volumes::payload::Bundle;
use k8s_openapi::api::core::v1::{Pod, PodCertificateProjection};
use parking_lot::{Mutex, MutexGuard};
pub(crate) use request::request;
use state::Certificate;
pub(crate) use state::{Refusal, Requested, Seen};
use std::collections::{BTreeMap, HashMap};

use std::time::Duration;

/// Requests of pods that began together do not come together again.
pub(crate) const JITTER: Duration = Duration::from_secs(5 * 60);

/// A source of a pod's volume, by its number in there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub volume: String,
    pub source: usize,
}

type OfPod = BTreeMap<Place, Certificate>;

/// Of all pods, by their uid.
#[derive(Default)]
pub(crate) struct PodCertificates(Mutex<HashMap<String, OfPod>>);

impl PodCertificates {
    /// What is to be in the pod's volume.
    ///
    /// # Errors
    /// Why nothing is, in upstream's words.
    pub fn bundle(&self, uid: &str, volume: &str, source: usize) -> Result<Bundle, String> {
        let place = Place { volume: volume.to_owned(), source };
        let all = self.locked();
        let certificate = all.get(uid).and_then(|of_pod| of_pod.get(&place));
        certificate.map_or_else(|| Certificate::default().bundle(), Certificate::bundle)
    }

    pub fn with<T>(&self, uid: &str, place: &Place, work: impl FnOnce(&mut Certificate) -> T) -> T {
        let mut all = self.locked();
        let of_pod = all.entry(uid.to_owned()).or_default();
        work(of_pod.entry(place.clone()).or_default())
    }

    /// What was being asked for when the pod's worker broke: nobody will hear whether it was.
    pub fn forget_asking(&self, uid: &str) {
        let mut all = self.locked();
        all.get_mut(uid).into_iter().flat_map(OfPod::values_mut).for_each(Certificate::forget_asking);
    }

    pub fn forget(&self, uid: &str) {
        self.locked().remove(uid);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, OfPod>> {
        self.0.lock()
    }
}

/// What the pod's volumes ask for.
pub(crate) fn wanted(pod: &Pod) -> Vec<(Place, PodCertificateProjection)> {
    let mut found = Vec::new();
    for volume in pod::spec(pod).volumes.iter().flatten() {
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for (source, projection) in sources.enumerate() {
            let place = || Place { volume: volume.name.clone(), source };
            found.extend(projection.pod_certificate.clone().map(|wanted| (place(), wanted)));
        }
    }
    found
}
