//! How soon Services hear of a pod. One pod may be in every Service of its namespace, and each of them has all pods of it: a small
//! write to the pod is work for seconds then, which could be asked for again at once, and no flow control sees. Where it is long it
//! waits, and what comes meanwhile is done with it. Upstream's controllers have a client that writes twenty times a second.

use super::Reconciler;
use api::{ObjectKey, Status};
use cluster::{Change, Informer, WorkQueue};
use k8s_openapi::api::core::v1::{Pod, Service};
use kinds::{key_of, selectors};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Less work than this is done at once: some hundred Services of usual size.
const SHORT: Duration = Duration::from_millis(100);
/// More is begun after so many times as long, so that it takes a part of the process only.
const PAUSES: u32 = 4;
/// Later than that nobody hears of a pod.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
pub(super) struct Pace(Arc<Mutex<HashMap<ObjectKey, Known>>>);

#[derive(Default)]
struct Known {
    /// The work with it, the last times, without what it waited for.
    took: Duration,
    /// It will be looked at, after a pause.
    waits: bool,
}

impl Reconciler {
    pub(super) async fn paced(&self, key: &ObjectKey) -> Result<(), Status> {
        self.pace.begin(key);
        let (done, took) = timed(self.reconcile(key)).await;
        match self.client.cluster().informer::<Service>().get(key) {
            Some(_) => self.pace.took(key, took),
            None => self.pace.forget(key),
        }
        done
    }
}

/// What comes of it, and how long it was at work itself. While it waits for a slow disk it takes nothing of the process: whoever counted
/// that would keep traffic going to pods that have ended, on just the machines where all is slow already.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let mut took = Duration::ZERO;
    let done = poll_fn(|context| {
        let began = Instant::now();
        let polled = work.as_mut().poll(context);
        took += began.elapsed();
        polled
    });
    (done.await, took)
}

impl Pace {
    /// The Services of the pod as it was, and as it is.
    pub(super) fn wake(
        &self,
        change: &Change<Pod>,
        services: &Informer<Service>,
        queue: &WorkQueue<ObjectKey>,
    ) {
        let concerned: BTreeSet<_> = change.versions().flat_map(|pod| services_of(pod, services)).collect();
        let (pause, concerned) = self.of_pod(concerned.into_iter().collect());
        for service in concerned {
            match pause.is_zero() {
                true => queue.add(service),
                false => queue.add_after(service, pause),
            }
        }
    }

    /// When the Services that one pod concerns are to be looked at, and which: those that do not wait already.
    pub(super) fn of_pod(&self, services: Vec<ObjectKey>) -> (Duration, Vec<ObjectKey>) {
        let mut known = self.0.lock();
        let work: Duration = services.iter().filter_map(|service| known.get(service)).map(|of| of.took).sum();
        if work < SHORT {
            return (Duration::ZERO, services);
        }
        let begins_to_wait = |service: &ObjectKey| {
            let of = known.entry(service.clone()).or_default();
            !std::mem::replace(&mut of.waits, true)
        };
        let services = services.into_iter().filter(begins_to_wait).collect();
        (work.saturating_mul(PAUSES).min(LONGEST), services)
    }

    /// What is told of its pods from now on is not in what is done now.
    pub(super) fn begin(&self, service: &ObjectKey) {
        if let Some(known) = self.0.lock().get_mut(service) {
            known.waits = false;
        }
    }

    /// A look at what has just been written takes less, and is no reason to hurry.
    pub(super) fn took(&self, service: &ObjectKey, time: Duration) {
        let mut known = self.0.lock();
        let of = known.entry(service.clone()).or_default();
        of.took = time.max(of.took * 3 / 4);
    }

    pub(super) fn forget(&self, service: &ObjectKey) {
        self.0.lock().remove(service);
    }
}

fn services_of(pod: &Pod, services: &Informer<Service>) -> Vec<ObjectKey> {
    let none = BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&none);
    let all = services.list(pod.metadata.namespace.as_deref());
    let selects = |service: &&Arc<Service>| {
        let selector = service.spec.as_ref().and_then(|s| s.selector.as_ref());
        selector.is_some_and(|selector| selectors::selects_by_map(selector, labels))
    };
    all.iter().filter(selects).map(|service| key_of(&service.metadata)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_is_no_work() {
        let minute = Duration::from_secs(60);
        let began = tokio::time::Instant::now();
        let ((), took) = timed(tokio::time::sleep(minute)).await;
        assert!(began.elapsed() >= minute && took < SHORT, "{took:?}");
        let works = async {
            let began = Instant::now();
            while began.elapsed() < SHORT {}
        };
        let ((), took) = timed(works).await;
        assert!(took >= SHORT, "{took:?}");
    }

    fn services(count: usize) -> Vec<ObjectKey> {
        (0..count).map(|number| ObjectKey::namespaced("a", &format!("s{number}"))).collect()
    }

    #[test]
    fn a_pod_of_many_services_waits_for_as_long_as_they_are_work() {
        let (pace, each) = (Pace::default(), Duration::from_millis(10));
        let all = services(300);
        assert_eq!(pace.of_pod(all.clone()), (Duration::ZERO, all.clone()), "nothing is known of them");
        all.iter().for_each(|service| pace.took(service, each));
        let few = services(9);
        assert_eq!(pace.of_pod(few.clone()), (Duration::ZERO, few), "that is soon done");
        let pause = each * 300 * PAUSES;
        assert_eq!(pace.of_pod(all.clone()), (pause, all.clone()));
        assert_eq!(pace.of_pod(all.clone()), (pause, Vec::new()), "they wait already");
        pace.begin(&all[7]);
        assert_eq!(pace.of_pod(all.clone()).1, [all[7].clone()]);
        pace.took(&all[7], Duration::from_secs(60));
        assert_eq!(pace.of_pod(all.clone()).0, LONGEST);
    }

    #[test]
    fn a_service_that_becomes_small_is_soon_looked_at_again() {
        let (pace, one) = (Pace::default(), services(1));
        pace.took(&one[0], Duration::from_secs(1));
        assert!(!pace.of_pod(one.clone()).0.is_zero());
        for _ in 0..10 {
            pace.begin(&one[0]);
            pace.took(&one[0], Duration::from_millis(1));
        }
        assert_eq!(pace.of_pod(one.clone()), (Duration::ZERO, one.clone()));
        pace.took(&one[0], Duration::from_secs(1));
        pace.forget(&one[0]);
        assert_eq!(pace.of_pod(one.clone()), (Duration::ZERO, one));
    }
}
