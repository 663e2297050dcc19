//! `/livez`, `/readyz` and `/healthz`, whole, with each check named (`?verbose`), and one check alone (`/livez/etcd`). Upstream's
//! names stand for what is known here; what it asks of parts that there are not is no check.

use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use cluster::metrics::Exposition;
use tokio_util::sync::CancellationToken;
use warp::reply::Response;

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
pub(crate) async fn answer(state: &ServerState, request: &Request, segments: &[&str]) -> Option<Response> {
    let (endpoint, one) = segments.split_first()?;
    let endpoint = ENDPOINTS.into_iter().find(|known| known == endpoint)?;
    let names = names(endpoint);
    if !one.is_empty() {
        let one = one.join("/");
        let name = names.into_iter().find(|name| *name == one)?;
        return Some(match check(state, endpoint, name).await {
            Ok(()) => responses::text(200, "ok"),
            Err(why) => responses::text(500, format!("internal server error: {why}\n")),
        });
    }
    let excluded = request.values("exclude");
    let mut checks = Vec::new();
    for name in names {
        let outcome = match excluded.contains(&name) {
            true => None,
            false => Some(check(state, endpoint, name).await),
        };
        checks.push((name, outcome));
    }
    let is_verbose = request.query.iter().any(|(key, _)| key == "verbose");
    let (code, text) = report(endpoint, &checks, &excluded, is_verbose);
    Some(responses::text(code, text))
}

/// `/metrics/slis`, which kube-prometheus reads beside `/metrics`: what every check says now, and how often it has passed and failed.
pub(crate) async fn slis(state: &ServerState) -> String {
    for endpoint in ENDPOINTS {
        for name in names(endpoint) {
            // what fails is what the page tells
            let _ = check(state, endpoint, name).await;
        }
    }
    let mut page = Exposition::default();
    state.health.show(&mut page);
    page.into_text()
}

/// Probes come every few seconds for as long as something fails: the log has it once.
async fn check(state: &ServerState, endpoint: &'static str, name: &'static str) -> Result<(), String> {
    let outcome = outcome(state, name).await;
    state.health.tell(name, &outcome);
    state.health.count(endpoint, name, outcome.is_ok());
    outcome
}

async fn outcome(state: &ServerState, name: &str) -> Result<(), String> {
    match name {
        "etcd" => {
            let store = state.cluster.store();
            let ask = async { store.answers().await.map_err(|error| error.to_string()) };
            state.health.of_store(ask).await
        }
        "node" if !*state.ready.borrow() => Err("the node has not registered yet".to_owned()),
        "shutdown" if state.stop.get().is_some_and(CancellationToken::is_cancelled) => {
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
    fn whether_requests_can_be_sent_is_asked_of_readiness_alone() {
        assert!(!names("livez").contains(&"node") && names("readyz").contains(&"node"));
        let paths: Vec<String> = paths().collect();
        for path in ["/healthz", "/healthz/etcd", "/livez/ping", "/readyz/poststarthook/rbac/bootstrap-roles"]
        {
            assert!(paths.iter().any(|known| known == path), "{path}");
        }
    }
}
