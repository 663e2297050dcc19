//! `/livez`, `/readyz` and `/healthz`, whole, with each check named (`?verbose`), and one check alone (`/livez/etcd`). Upstream's
//! names stand for what is known here; what it asks of parts that there are not is no check.

use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use parking_lot::Mutex;
use std::collections::BTreeMap;

use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

/// Upstream's for its store.
const PATIENCE: Duration = Duration::from_secs(2);
/// For so long the store's answer is everybody's: whoever asks takes a turn of the thread that writes.
const FRESH: Duration = Duration::from_secs(1);
const ENDPOINTS: [&str; 3] = ["healthz", "livez", "readyz"];
/// Of a process that is to be let live.
const ALIVE: [&str; 2] = ["ping", "etcd"];
/// What was done before the first request was let in (`Cluster::bootstrap`).
const STARTED: [&str; 5] = [
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/start-kubernetes-service-controller",
    "poststarthook/start-system-namespaces-controller",
];
/// Of one that is to be sent requests. An informer is filled when it is made.
const READY: [&str; 3] = ["informer-sync", "node", "shutdown"];

/// What the checks have said.
#[derive(Default)]
pub(crate) struct Health {
    store: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
    /// Those that fail, and why.
    failing: Mutex<BTreeMap<&'static str, String>>,
}

impl Health {
    /// What `ask` says, or what it has said a moment ago. Who comes while it is asked waits for the same answer.
    async fn of_store(&self, ask: impl Future<Output = Result<(), String>>) -> Result<(), String> {
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

    fn tell(&self, name: &'static str, outcome: &Result<(), String>) {
        match outcome {
            _ if !self.is_news(name, outcome) => {}
            Ok(()) => tracing::info!(check = name, "a health check passes again"),
            Err(why) => tracing::warn!(check = name, %why, "a health check failed"),
        }
    }
}

/// A check's name, and what came of it: `None` where it was not to be asked.
type Check<'n> = (&'n str, Option<Result<(), String>>);

fn names(endpoint: &str) -> Vec<&'static str> {
    let ready: &[&str] = if endpoint == "readyz" { &READY } else { &[] };
    ALIVE.iter().chain(&STARTED).chain(ready).copied().collect()
}

/// Of all that there is to ask.
pub(crate) fn paths() -> impl Iterator<Item = String> {
    ENDPOINTS.into_iter().flat_map(|endpoint| {
        let one = names(endpoint).into_iter().map(move |name| format!("/{endpoint}/{name}"));
        std::iter::once(format!("/{endpoint}")).chain(one)
    })
}

/// `None` for a path that is none of these.
pub(crate) async fn answer(edge: &ServerState, request: &Request, segments: &[&str]) -> Option<Response> {
    let (endpoint, one) = segments.split_first()?;
    let endpoint = ENDPOINTS.into_iter().find(|known| known == endpoint)?;
    let names = names(endpoint);
    if !one.is_empty() {
        let one = one.join("/");
        let name = names.into_iter().find(|name| *name == one)?;
        return Some(match check(edge, name).await {
            Ok(()) => responses::text(200, "ok"),
            Err(why) => responses::text(500, format!("internal server error: {why}\n")),
        });
    }
    let excluded = request.values("exclude");
    let mut checks = Vec::new();
    for name in names {
        let outcome = match excluded.contains(&name) {
            true => None,
            false => Some(check(edge, name).await),
        };
        checks.push((name, outcome));
    }
    let is_verbose = request.query.iter().any(|(key, _)| key == "verbose");
    let (code, text) = report(endpoint, &checks, &excluded, is_verbose);
    Some(responses::text(code, text))
}

/// Probes come every few seconds for as long as something fails: the log has it once.
async fn check(edge: &ServerState, name: &'static str) -> Result<(), String> {
    let outcome = outcome(edge, name).await;
    edge.health.tell(name, &outcome);
    outcome
}

async fn outcome(edge: &ServerState, name: &str) -> Result<(), String> {
    match name {
        "etcd" => {
            let store = edge.cluster.store();
            let ask = async { store.answers().await.map_err(|error| error.to_string()) };
            edge.health.of_store(ask).await
        }
        "node" if !*edge.ready.borrow() => Err("the node has not registered yet".to_owned()),
        "shutdown" if edge.stop.get().is_some_and(CancellationToken::is_cancelled) => {
            Err("process is shutting down".to_owned())
        }
        _ => Ok(()),
    }
}

/// Upstream's words (`handleRootHealth`): everybody may ask, so the reason is told only to who may ask for the one check.
fn report(endpoint: &str, checks: &[Check<'_>], excluded: &[&str], is_verbose: bool) -> (u16, String) {
    let mut text = String::new();
    for (name, outcome) in checks {
        text += &match outcome {
            None => format!("[+]{name} excluded: ok\n"),
            Some(Ok(())) => format!("[+]{name} ok\n"),
            Some(Err(_)) => format!("[-]{name} failed: reason withheld\n"),
        };
    }
    let mut unknown: Vec<String> = excluded
        .iter()
        .filter(|asked| !checks.iter().any(|(name, _)| name == *asked))
        .map(|asked| format!("{asked:?}"))
        .collect();
    unknown.sort();
    unknown.dedup();
    if !unknown.is_empty() {
        text +=
            &format!("warn: some health checks cannot be excluded: no matches for {}\n", unknown.join(","));
    }
    match (checks.iter().any(|(_, outcome)| matches!(outcome, Some(Err(_)))), is_verbose) {
        (true, _) => (500, format!("{text}{endpoint} check failed\n")),
        (false, true) => (200, format!("{text}{endpoint} check passed\n")),
        (false, false) => (200, "ok".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_its_checks_where_asked_or_where_one_failed() {
        let well = [("ping", Some(Ok(())))];
        let ill = [("ping", Some(Ok(()))), ("node", Some(Err("gone".to_owned())))];
        let excluded = [("ping", Some(Ok(()))), ("node", None)];
        let warned = "[+]ping ok\n[+]node excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"a\",\"b\"\nreadyz check passed\n";
        let cases: [(&[Check<'_>], &[&str], bool, u16, &str); 5] = [
            (&well, &[], false, 200, "ok"),
            (&well, &[], true, 200, "[+]ping ok\nreadyz check passed\n"),
            (&ill, &[], false, 500, "[+]ping ok\n[-]node failed: reason withheld\nreadyz check failed\n"),
            (&excluded, &["node"], false, 200, "ok"),
            (&excluded, &["b", "node", "a", "b"], true, 200, warned),
        ];
        for (checks, excluded, verbose, code, text) in cases {
            let got = report("readyz", checks, excluded, verbose);
            assert_eq!(got, (code, text.to_owned()), "{checks:?} {verbose}");
        }
    }

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

    #[test]
    fn whether_requests_can_be_sent_is_asked_of_readiness_alone() {
        assert!(!names("livez").contains(&"node") && names("readyz").contains(&"node"));
        let paths: Vec<String> = paths().collect();
        for path in ["/healthz", "/healthz/etcd", "/livez/ping", "/readyz/poststarthook/rbac/bootstrap-roles"]
        {
            assert!(paths.iter().any(|known| known == path), "{path}");
        }
    }
}
