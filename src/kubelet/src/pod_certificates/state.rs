//! How far one certificate of a pod is, and what is to be done next: upstream's state machine. Pure.

use crate::clock::after;
use crate::pem;
use crate::volumes::payload::Bundle;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// A certificate that has not been renewed so long after it was due is overdue.
const OVERDUE: Duration = Duration::from_secs(10 * 60);

/// A request that is stored, and the key that it is for.
#[derive(Clone)]
pub(crate) struct Requested {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// PEM.
    pub key: String,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No other try will go better.
    ForGood(String),
    ForNow(String),
}

#[derive(Default)]
pub(crate) struct Certificate {
    /// What the pod has.
    issued: Option<Issued>,
    asks: Asks,
}

struct Issued {
    bundle: Bundle,
    refresh_at: Timestamp,
    not_after: Timestamp,
    is_told_overdue: bool,
    is_told_expired: bool,
}

#[derive(Default)]
enum Asks {
    /// Nobody, until it is time.
    #[default]
    Nobody,
    /// The request is on its way.
    Asking,
    /// There is none, and the next try is then.
    Held { why: String, until: Timestamp },
    /// The signer.
    Waits(Requested),
    /// Nobody any more.
    Over(String),
}

/// What became of the request that it waits for.
pub(crate) enum Seen {
    There(Box<PodCertificateRequest>),
    Gone,
}

/// What follows from a look at it.
#[derive(Default)]
pub(crate) struct Step {
    /// A request is to be made, now.
    pub asks: bool,
    /// The volume is to be looked at again.
    pub is_decided: bool,
    /// Warnings about the pod: reason and message.
    pub told: Vec<(&'static str, String)>,
    /// The next look, whatever happens.
    pub wake_at: Option<Timestamp>,
}

impl Step {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

impl Requested {
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Certificate {
    /// # Errors
    /// Why there is none.
    pub fn bundle(&self) -> Result<Bundle, String> {
        match (&self.asks, &self.issued) {
            (Asks::Over(why), _) | (Asks::Held { why, .. }, None) => Err(why.clone()),
            (_, Some(issued)) => Ok(issued.bundle.clone()),
            (_, None) => Err("credential bundle is not issued yet".to_owned()),
        }
    }

    /// The request that it waits for, which is to be looked at before the next step.
    pub fn waits_for(&self) -> Option<Requested> {
        match &self.asks {
            Asks::Waits(requested) => Some(requested.clone()),
            _ => None,
        }
    }

    /// `jitter` delays the next request beyond what the signer says, `delay` what is tried after something failed.
    pub fn step(
        &mut self,
        seen: Option<Seen>,
        now: Timestamp,
        jitter: Duration,
        delay: impl FnOnce() -> Duration,
    ) -> Step {
        let mut step = Step::default();
        if let (Some(seen), Some(requested)) = (seen, self.waits_for()) {
            match seen {
                Seen::There(request) if request.metadata.uid.as_deref() == Some(requested.uid.as_str()) => {
                    self.judge(request.status.unwrap_or_default(), requested, jitter, &mut step);
                }
                _ => {
                    let name = requested.full_name();
                    let why = format!("PodCertificateRequest {name:?} appears to have been deleted");
                    self.asks = Asks::Held { why, until: after(now, delay()) };
                }
            }
        }
        self.tell_age(now, &mut step);
        let due = match (&self.asks, &self.issued) {
            (Asks::Nobody, None) => now,
            (Asks::Nobody, Some(issued)) => issued.refresh_at,
            (Asks::Held { until, .. }, _) => *until,
            (Asks::Asking | Asks::Waits(_) | Asks::Over(_), _) => return step,
        };
        if due <= now {
            self.asks = Asks::Asking;
            step.asks = true;
        } else {
            step.wake(due);
        }
        step
    }

    /// What the signer says, in the first condition that it has set.
    fn judge(
        &mut self,
        status: PodCertificateRequestStatus,
        requested: Requested,
        jitter: Duration,
        step: &mut Step,
    ) {
        let name = requested.full_name();
        for condition in status.conditions.iter().flatten() {
            let (reason, message) = (&condition.reason, &condition.message);
            let (kind, event, state) = match condition.type_.as_str() {
                "Denied" => ("Denied", "was denied", "permanently denied"),
                "Failed" => ("Failed", "failed", "permanently failed"),
                "Issued" => return self.take(&status, requested, jitter, step),
                _ => continue,
            };
            let told =
                format!("PodCertificateRequest {name} {event}, reason={reason:?}, message={message:?}");
            step.told.push((kind, told));
            let why = format!("PodCertificateRequest was {state}: reason={reason:?} message={message:?}");
            self.asks = Asks::Over(why);
            step.is_decided = true;
            return;
        }
    }

    fn take(
        &mut self,
        status: &PodCertificateRequestStatus,
        requested: Requested,
        jitter: Duration,
        step: &mut Step,
    ) {
        // the API server takes no certificate without them
        let at = |time: &Option<Time>| time.as_ref().map_or(Timestamp::MAX, |Time(at)| *at);
        let chain = pem::certificates(status.certificate_chain.as_deref().unwrap_or_default()).collect();
        self.issued = Some(Issued {
            bundle: Bundle { key: requested.key, chain },
            refresh_at: after(at(&status.begin_refresh_at), jitter),
            not_after: at(&status.not_after),
            is_told_overdue: false,
            is_told_expired: false,
        });
        self.asks = Asks::Nobody;
        step.is_decided = true;
    }

    /// Where nothing is asked any more nothing is said either.
    fn tell_age(&mut self, now: Timestamp, step: &mut Step) {
        let (Some(issued), false) = (&mut self.issued, matches!(self.asks, Asks::Over(_))) else { return };
        let overdue = (after(issued.refresh_at, OVERDUE), &mut issued.is_told_overdue);
        let expired = (issued.not_after, &mut issued.is_told_expired);
        for ((at, is_told), reason, message) in [
            (overdue, "CertificateOverdueForRefresh", "PodCertificate refresh overdue"),
            (expired, "CertificateExpired", "PodCertificate expired"),
        ] {
            if *is_told {
                continue;
            }
            if at > now {
                step.wake(at);
                continue;
            }
            *is_told = true;
            step.told.push((reason, message.to_owned()));
        }
    }

    /// What came of asking.
    pub fn asked(&mut self, outcome: Result<Requested, Refusal>, now: Timestamp, delay: Duration) {
        let what = if self.issued.is_some() { "refresh" } else { "initial" };
        let failed = |why: String| format!("while creating {what} PodCertificateRequest: {why}");
        self.asks = match outcome {
            Ok(requested) => Asks::Waits(requested),
            Err(Refusal::ForNow(why)) => Asks::Held { why: failed(why), until: after(now, delay) },
            Err(Refusal::ForGood(why)) => Asks::Over(failed(why)),
        };
    }

    pub fn forget_asking(&mut self) {
        if matches!(self.asks, Asks::Asking) {
            self.asks = Asks::Nobody;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const CHAIN: &str = "between\n-----BEGIN CERTIFICATE-----\nAw==\n-----END CERTIFICATE-----\n";
    const CLEAN: &str = "-----BEGIN CERTIFICATE-----\nAw==\n-----END CERTIFICATE-----\n";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn requested() -> Requested {
        let text = str::to_owned;
        Requested { namespace: text("shop"), name: text("req-a"), uid: text("u"), key: text("key\n") }
    }

    fn seen(uid: &str, status: Value) -> Option<Seen> {
        let request = json!({
            "metadata": {"name": "req-a", "uid": uid}, "status": status,
            "spec": {"signerName": "", "podName": "", "podUID": "", "serviceAccountName": "", "serviceAccountUID": "",
                     "nodeName": "", "nodeUID": "", "stubPKCS10Request": ""},
        });
        Some(Seen::There(serde_json::from_value(request).unwrap()))
    }

    fn decided(kind: &str) -> Value {
        json!({"conditions": [{"type": kind, "status": "True", "reason": "Why", "message": "that is",
                               "lastTransitionTime": "1970-01-01T00:00:00Z"}],
               "certificateChain": CHAIN, "beginRefreshAt": "1970-01-01T00:10:00Z", "notAfter": "1970-01-01T01:00:00Z"})
    }

    /// One that waits for its first certificate.
    fn waiting() -> Certificate {
        let mut certificate = Certificate::default();
        assert!(step(&mut certificate, None, 0).asks, "the first request is made at once");
        assert!(!step(&mut certificate, None, 0).asks, "and once");
        certificate.asked(Ok(requested()), at(0), Duration::ZERO);
        certificate
    }

    fn step(certificate: &mut Certificate, seen: Option<Seen>, now: i64) -> Step {
        certificate.step(seen, at(now), Duration::from_secs(60), || Duration::from_secs(10))
    }

    #[test]
    fn what_the_signer_says_is_done() {
        let not_yet = Err("credential bundle is not issued yet".to_owned());
        let refused = |how: &str| {
            Err(format!("PodCertificateRequest was permanently {how}: reason=\"Why\" message=\"that is\""))
        };
        let told = |how: &str| {
            Some(format!("PodCertificateRequest shop/req-a {how}, reason=\"Why\", message=\"that is\""))
        };
        let gone = || Err("PodCertificateRequest \"shop/req-a\" appears to have been deleted".to_owned());
        let issued = Ok(("key\n".to_owned(), CLEAN.to_owned()));
        let cases = [
            ("nothing", seen("u", json!({})), not_yet.clone(), None, None),
            ("it is not known", None, not_yet, None, None),
            ("issued", seen("u", decided("Issued")), issued, None, Some(660)),
            ("denied", seen("u", decided("Denied")), refused("denied"), told("was denied"), None),
            ("failed", seen("u", decided("Failed")), refused("failed"), told("failed"), None),
            ("it is gone", Some(Seen::Gone), gone(), None, Some(10)),
            ("another has its name", seen("v", decided("Issued")), gone(), None, Some(10)),
        ];
        for (name, seen, bundle, told, wake_at) in cases {
            let mut certificate = waiting();
            let step = step(&mut certificate, seen, 0);
            let has = certificate.bundle().map(|bundle| (bundle.key, bundle.chain));
            assert_eq!(has, bundle, "{name}");
            assert_eq!(step.told.into_iter().map(|(_, told)| told).next(), told, "{name}");
            assert_eq!(step.wake_at.map(Timestamp::as_second), wake_at, "{name}");
            assert!(!step.asks, "{name}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_when_it_is_time_and_kept_until_then() {
        let mut certificate = waiting();
        assert!(step(&mut certificate, seen("u", decided("Issued")), 0).is_decided);
        assert!(!step(&mut certificate, None, 659).asks);
        assert!(step(&mut certificate, None, 660).asks);
        certificate.asked(Err(Refusal::ForNow("no room".to_owned())), at(660), Duration::from_secs(10));
        assert!(certificate.bundle().is_ok(), "it has what it had");
        assert!(step(&mut certificate, None, 670).asks);
        certificate.asked(Ok(requested()), at(670), Duration::ZERO);
        // the signer says nothing
        let reasons = |step: Step| step.told.iter().map(|(reason, _)| *reason).collect::<Vec<_>>();
        let late = step(&mut certificate, seen("u", json!({})), 1259);
        assert_eq!((late.wake_at.map(Timestamp::as_second), reasons(late)), (Some(1260), vec![]));
        let late = step(&mut certificate, seen("u", json!({})), 1260);
        assert_eq!(late.wake_at.map(Timestamp::as_second), Some(3600));
        assert_eq!(reasons(late), ["CertificateOverdueForRefresh"]);
        let late = step(&mut certificate, seen("u", json!({})), 3600);
        assert_eq!((late.wake_at, reasons(late)), (None, vec!["CertificateExpired"]));
        assert_eq!(reasons(step(&mut certificate, seen("u", json!({})), 9999)), [""; 0], "once");
        assert!(certificate.bundle().is_ok());
        step(&mut certificate, seen("u", decided("Denied")), 9999);
        assert!(certificate.bundle().is_err());
    }

    #[test]
    fn a_request_that_can_not_be_made_says_why() {
        let why = |certificate: &Certificate| certificate.bundle().map(|_| ()).unwrap_err();
        let mut certificate = Certificate::default();
        step(&mut certificate, None, 0);
        certificate.asked(Err(Refusal::ForNow("no room".to_owned())), at(0), Duration::from_secs(20));
        assert_eq!(why(&certificate), "while creating initial PodCertificateRequest: no room");
        let held = step(&mut certificate, None, 19);
        assert_eq!((held.asks, held.wake_at.map(Timestamp::as_second)), (false, Some(20)));
        assert!(step(&mut certificate, None, 20).asks);
        certificate.asked(Err(Refusal::ForGood("no such key".to_owned())), at(20), Duration::ZERO);
        assert_eq!(why(&certificate), "while creating initial PodCertificateRequest: no such key");
        let over = step(&mut certificate, None, 99_999);
        assert_eq!((over.asks, over.wake_at), (false, None));
    }

    #[test]
    fn what_nobody_will_hear_of_is_asked_again() {
        let mut certificate = Certificate::default();
        step(&mut certificate, None, 0);
        certificate.forget_asking();
        assert!(step(&mut certificate, None, 1).asks);
        let mut certificate = waiting();
        certificate.forget_asking();
        assert!(certificate.waits_for().is_some(), "what is stored is waited for");
    }
}
