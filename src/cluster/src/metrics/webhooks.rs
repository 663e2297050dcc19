//! How long admission webhooks take, and how much of a request's time that is.

use super::exposition::Exposition;
use super::histogram::Histogram;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "apiserver_admission_webhook_admission_duration_seconds";
/// Seconds.
static TIMES: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];

tokio::task_local! {
    static OF_REQUEST: Arc<WebhookWait>;
}

/// One call of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// The webhook's, as it is configured.
    pub(crate) name: String,
    /// `admit` for one that may change what it sees, or `validating`.
    pub(crate) kind: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) is_rejected: bool,
}

#[derive(Default)]
pub(crate) struct WebhookMetrics(Mutex<BTreeMap<Call, Histogram>>);

impl WebhookMetrics {
    /// Beside what a webhook takes, a lock is nothing.
    pub(crate) fn count(&self, call: Call, took: Duration) {
        let mut all = self.0.lock();
        all.entry(call).or_insert_with(|| Histogram::new(&TIMES)).observe_time(took);
    }

    pub(super) fn collect(&self, out: &mut Exposition) {
        out.metric(
            NAME,
            "histogram",
            "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
        );
        for (call, times) in self.0.lock().iter() {
            let rejected = if call.is_rejected { "true" } else { "false" };
            let labels = [
                ("name", call.name.as_str()),
                ("operation", call.operation),
                ("rejected", rejected),
                ("type", call.kind),
            ];
            out.histogram(NAME, &labels, times);
        }
    }
}

/// For how long a request has waited for admission webhooks: that is not the server's own time. Those that are asked at once count
/// once.
#[derive(Default)]
pub struct WebhookWait(Mutex<Waited>);

#[derive(Default)]
struct Waited {
    /// Asked, and not answered yet.
    asked: usize,
    since: Option<Instant>,
    so_far: Duration,
}

impl WebhookWait {
    /// What `work` asks webhooks is counted here.
    pub async fn follow<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        OF_REQUEST.scope(self, work).await
    }

    pub fn so_far(&self) -> Duration {
        self.lock().so_far
    }

    fn lock(&self) -> MutexGuard<'_, Waited> {
        self.0.lock()
    }
}

/// A webhook is asked, for as long as this lives.
pub(crate) struct Asking {
    began: Instant,
    of_request: Option<Arc<WebhookWait>>,
}

impl Asking {
    pub(crate) fn begin() -> Self {
        let began = Instant::now();
        let of_request = OF_REQUEST.try_with(Arc::clone).ok();
        if let Some(wait) = &of_request {
            let mut wait = wait.lock();
            if wait.asked == 0 {
                wait.since = Some(began);
            }
            wait.asked += 1;
        }
        Asking { began, of_request }
    }

    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(wait) = &self.of_request else { return };
        let mut wait = wait.lock();
        wait.asked -= 1;
        if wait.asked == 0 {
            let waited = wait.since.take().map(|since| since.elapsed());
            wait.so_far += waited.unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_webhook_and_answer() {
        let metrics = WebhookMetrics::default();
        let call = |is_rejected| Call {
            name: "a.example.com".into(),
            kind: "admit",
            operation: "CREATE",
            is_rejected,
        };
        metrics.count(call(false), Duration::from_millis(50));
        metrics.count(call(true), Duration::from_secs(30));
        let mut out = Exposition::default();
        metrics.collect(&mut out);
        let text = out.into_text();
        for (rejected, le, count) in
            [("false", "0.025", 0), ("false", "0.1", 1), ("true", "25", 0), ("true", "+Inf", 1)]
        {
            let line = format!(
                "{NAME}_bucket{{name=\"a.example.com\",operation=\"CREATE\",rejected=\"{rejected}\",type=\"admit\",le=\"{le}\"}} {count}\n"
            );
            assert!(text.contains(&line), "no {line} in {text}");
        }
    }

    #[tokio::test]
    async fn a_request_waits_until_the_last_of_those_has_answered_that_are_asked_at_once() {
        let wait = Arc::new(WebhookWait::default());
        drop(Asking::begin());
        let asked = async {
            let (first, second) = (Asking::begin(), Asking::begin());
            drop(first);
            let before = wait.so_far();
            while second.took().is_zero() {}
            drop(second);
            before
        };
        assert_eq!(wait.clone().follow(asked).await, Duration::ZERO);
        let waited = wait.so_far();
        assert!(waited > Duration::ZERO && wait.lock().asked == 0, "{waited:?}");
        // who asks for nobody's request is nobody's wait
        drop(Asking::begin());
        assert_eq!(wait.so_far(), waited);
    }
}
