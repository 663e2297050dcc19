//! The certificates of the pod's volumes: asked for as soon as the pod is admitted, and anew when it is time.

use super::Worker;
use super::jobs::Done;
use crate::pod;
use crate::pod_certificates::{self, JITTER, Place, Refusal, Requested, Seen};
use api::ObjectKey;
use cluster::EventType;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::api::core::v1::PodCertificateProjection;

impl Worker {
    pub(super) fn keep_certificates(&mut self) {
        let (pod, now) = (self.pod.clone(), self.now());
        let mut is_decided = false;
        for (place, wanted) in pod_certificates::wanted(&pod) {
            let seen = self.requested(&place).and_then(|requested| self.look_at_request(&requested));
            let (all, backoffs) = (&self.shared.certificates, &mut self.memory.backoffs);
            let jitter = JITTER.mul_f64(rand::random());
            let step = all.with(pod::uid(&pod), &place, |certificate| {
                certificate.step(seen, now, jitter, || backoffs.next(&backoff_key(&place), now, now))
            });
            for (reason, message) in step.told {
                self.shared.record_event(&pod, None, EventType::Warning, reason, message);
            }
            if step.is_decided {
                self.memory.backoffs.forget(&backoff_key(&place));
                is_decided = true;
            }
            if let Some(at) = step.wake_at {
                self.wake(at);
            }
            if step.asks {
                self.ask_for_certificate(place, wanted);
            }
        }
        if is_decided {
            self.sources_changed();
        }
    }

    fn requested(&self, place: &Place) -> Option<Requested> {
        let all = &self.shared.certificates;
        all.with(pod::uid(&self.pod), place, |certificate| certificate.waits_for())
    }

    /// As it is stored: no cache knows of it as early as who has made it. `None` where that can not be told.
    fn look_at_request(&self, requested: &Requested) -> Option<Seen> {
        let key = ObjectKey::namespaced(&requested.namespace, &requested.name);
        match self.shared.client.api::<PodCertificateRequest>().find(&key) {
            Ok(Some(request)) => Some(Seen::There(Box::new(request))),
            Ok(None) => Some(Seen::Gone),
            Err(status) => {
                tracing::warn!(request = requested.full_name(), %status, "a pod's certificate request can not be read");
                None
            }
        }
    }

    fn ask_for_certificate(&mut self, place: Place, wanted: PodCertificateProjection) {
        let (shared, pod) = (self.shared.clone(), self.pod.clone());
        self.jobs.spawn(async move {
            let outcome = pod_certificates::request(&shared, &pod, &wanted).await;
            Done::CertificateRequested { place, outcome }
        });
    }

    pub(super) fn certificate_requested(&mut self, place: &Place, outcome: Result<Requested, Refusal>) {
        let now = self.now();
        let delay = match &outcome {
            Ok(_) => std::time::Duration::ZERO,
            Err(_) => self.memory.backoffs.next(&backoff_key(place), now, now),
        };
        // who waits for it is told why it does not come
        if matches!(outcome, Err(Refusal::ForGood(_))) {
            self.sources_changed();
        }
        let all = &self.shared.certificates;
        all.with(pod::uid(&self.pod), place, |certificate| certificate.asked(outcome, now, delay));
    }
}

/// A blank is in no container's name.
fn backoff_key(place: &Place) -> String {
    format!("certificate {} {}", place.volume, place.source)
}
