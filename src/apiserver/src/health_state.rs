//! What the health checks have said: the store's answer for a moment, which checks fail, so that the log has it once, and how often
//! each has passed and failed.

use cluster::metrics::Exposition;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Upstream's for its store.
const PATIENCE: Duration = Duration::from_secs(2);
/// For so long the store's answer is everybody's: whoever asks takes a turn of the thread that writes.
const FRESH: Duration = Duration::from_secs(1);

/// What the checks have said.
#[derive(Default)]
pub(crate) struct Health {
    store: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
    /// Those that fail, and why.
    failing: Mutex<BTreeMap<&'static str, String>>,
    /// By check and endpoint.
    counts: Mutex<BTreeMap<(&'static str, &'static str), Count>>,
}

#[derive(Default)]
struct Count {
    /// The last time.
    passes: bool,
    passed: u64,
    failed: u64,
}

impl Health {
    pub(crate) fn count(&self, endpoint: &'static str, name: &'static str, passes: bool) {
        let mut counts = self.counts.lock();
        let count = counts.entry((name, endpoint)).or_default();
        count.passes = passes;
        match passes {
            true => count.passed += 1,
            false => count.failed += 1,
        }
    }

    /// Under upstream's names (KEP-3466).
    pub(crate) fn show(&self, page: &mut Exposition) {
        let counts = self.counts.lock();
        let help = "[STABLE] This metric records the result of a single healthcheck.";
        page.metric("kubernetes_healthcheck", "gauge", help);
        for ((name, endpoint), count) in counts.iter() {
            let labels = [("name", *name), ("type", *endpoint)];
            page.value("kubernetes_healthcheck", &labels, u8::from(count.passes), None);
        }
        let help = "[STABLE] This metric records the results of all healthcheck.";
        page.metric("kubernetes_healthchecks_total", "counter", help);
        for ((name, endpoint), count) in counts.iter() {
            for (status, times) in [("error", count.failed), ("success", count.passed)] {
                if times > 0 {
                    let labels = [("name", *name), ("status", status), ("type", *endpoint)];
                    page.value("kubernetes_healthchecks_total", &labels, times, None);
                }
            }
        }
    }

    /// What `ask` says, or what it has said a moment ago. Who comes while it is asked waits for the same answer.
    pub(crate) async fn of_store(&self, ask: impl Future<Output = Result<(), String>>) -> Result<(), String> {
        let mut known = self.store.lock().await;
        if let Some((_, answer)) = known.as_ref().filter(|(asked, _)| asked.elapsed() < FRESH) {
            return answer.clone();
        }
        let answer = match tokio::time::timeout(PATIENCE, ask).await {
            Ok(answer) => answer,
            Err(_) => Err("the store does not answer".to_owned()),
        };
        *known = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Whether the outcome is another than the last one of that check. What was not asked yet has not failed.
    fn is_news(&self, name: &'static str, outcome: &Result<(), String>) -> bool {
        let mut failing = self.failing.lock();
        match outcome {
            Ok(()) => failing.remove(name).is_some(),
            Err(why) => failing.insert(name, why.clone()).as_ref() != Some(why),
        }
    }

    pub(crate) fn tell(&self, name: &'static str, outcome: &Result<(), String>) {
        match outcome {
            _ if !self.is_news(name, outcome) => {}
            Ok(()) => tracing::info!(check = name, "a health check passes again"),
            Err(why) => tracing::warn!(check = name, %why, "a health check failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_told_of_when_it_turns() {
        let health = Health::default();
        let failed = |why: &str| Err(why.to_owned());
        let cases = [
            ("it passes", "node", Ok(()), false),
            ("it fails", "node", failed("gone"), true),
            ("and still does", "node", failed("gone"), false),
            ("another one", "etcd", failed("gone"), true),
            ("for another reason", "node", failed("asleep"), true),
            ("it passes again", "node", Ok(()), true),
            ("and still does so", "node", Ok(()), false),
            ("the other one does not", "etcd", failed("gone"), false),
        ];
        for (name, check, outcome, want) in cases {
            assert_eq!(health.is_news(check, &outcome), want, "{name}");
        }
    }

    #[test]
    fn what_a_check_said_is_counted_for_each_endpoint() {
        let health = Health::default();
        for (endpoint, passes) in [("livez", true), ("livez", false), ("readyz", true), ("livez", false)] {
            health.count(endpoint, "etcd", passes);
        }
        let mut page = Exposition::default();
        health.show(&mut page);
        let text = page.into_text();
        let told: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let want = [
            r#"kubernetes_healthcheck{name="etcd",type="livez"} 0"#,
            r#"kubernetes_healthcheck{name="etcd",type="readyz"} 1"#,
            r#"kubernetes_healthchecks_total{name="etcd",status="error",type="livez"} 2"#,
            r#"kubernetes_healthchecks_total{name="etcd",status="success",type="livez"} 1"#,
            r#"kubernetes_healthchecks_total{name="etcd",status="success",type="readyz"} 1"#,
        ];
        assert_eq!(told, want);
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_is_asked_once_for_all_who_come_at_a_time() {
        let (health, asked) = (Health::default(), std::cell::Cell::new(0));
        let asked = &asked;
        let ask = |answer: Result<(), String>| async move {
            asked.set(asked.get() + 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer
        };
        let both =
            tokio::join!(health.of_store(ask(Ok(()))), health.of_store(ask(Err("not asked".to_owned()))));
        assert_eq!((both, asked.get()), ((Ok(()), Ok(())), 1));
        tokio::time::advance(FRESH).await;
        let hangs = health.of_store(std::future::pending()).await;
        assert_eq!(hangs, Err("the store does not answer".to_owned()));
        assert_eq!(health.of_store(ask(Ok(()))).await, hangs, "a moment ago it did not");
        tokio::time::advance(FRESH).await;
        assert_eq!((health.of_store(ask(Ok(()))).await, asked.get()), (Ok(()), 2));
    }
}
