//! How many pods a metric asks for: upstream's replica calculator. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kinds::pod as ask;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the CPU that a pod uses may be that of its start.
const CPU_INITIALIZATION: Duration = Duration::from_secs(5 * 60);
/// A pod that was not ready by then, and is not, never was.
const INITIAL_READINESS_DELAY: Duration = Duration::from_secs(30);

/// In thousandths: of cores, of bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PodMetric {
    pub value: i64,
    pub end: Timestamp,
    pub window: Duration,
}

/// By the pod's name.
pub(super) type Metrics = BTreeMap<String, PodMetric>;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// Percent of what the pods request.
    Utilization(i32),
    /// In thousandths, of each pod.
    AverageValue(i64),
}

/// How far a ratio may be from 1 until something is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    pub down: f64,
    pub up: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Tolerance { down: 0.1, up: 0.1 }
    }
}

impl Tolerance {
    fn covers(self, ratio: f64) -> bool {
        (1.0 - self.down..=1.0 + self.up).contains(&ratio)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Proposal {
    pub replicas: i32,
    pub utilization: Option<i32>,
    /// In thousandths, of each pod.
    pub average: i64,
}

/// What the metric is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured<'m> {
    /// `cpu`, `memory`
    pub resource: &'m str,
    /// Of one container; `None` is of the whole pod.
    pub container: Option<&'m str>,
}

#[derive(Debug, Default)]
struct Groups {
    ready: usize,
    unready: Vec<String>,
    missing: Vec<String>,
    ignored: Vec<String>,
}

/// # Errors
/// In upstream's words: no pods, no metrics, no requests.
pub(super) fn replicas(
    current: i32,
    target: Target,
    of: Measured<'_>,
    pods: &[Arc<Pod>],
    mut metrics: Metrics,
    tolerance: Tolerance,
    now: Timestamp,
) -> Result<Proposal, String> {
    if pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let groups = group(pods, &metrics, of.resource, now);
    for name in groups.ignored.iter().chain(&groups.unready) {
        metrics.remove(name);
    }
    let requests = match target {
        Target::Utilization(_) => requests(pods, of)?,
        Target::AverageValue(_) => BTreeMap::new(),
    };
    if metrics.is_empty() {
        return Err("did not receive metrics for any ready pods".to_owned());
    }
    let (ratio, proposal) = ratio(&metrics, &requests, target)?;
    let stay = Proposal { replicas: current, ..proposal };
    let rebalance = !groups.unready.is_empty() && ratio > 1.0;
    if !rebalance && groups.missing.is_empty() {
        return Ok(match tolerance.covers(ratio) {
            true => stay,
            false => Proposal { replicas: ceil(ratio * groups.ready as f64), ..proposal },
        });
    }
    // what is not known is taken to be what changes least
    let assumed = |value: i64| PodMetric { value, end: now, window: Duration::ZERO };
    for name in &groups.missing {
        let value = match target {
            _ if ratio > 1.0 => 0,
            Target::Utilization(_) if ratio < 1.0 => requests.get(name).copied().unwrap_or(0),
            Target::AverageValue(value) => value,
            Target::Utilization(_) => continue,
        };
        metrics.insert(name.clone(), assumed(value));
    }
    if rebalance {
        metrics.extend(groups.unready.iter().map(|name| (name.clone(), assumed(0))));
    }
    let (again, _) = self::ratio(&metrics, &requests, target)?;
    let turns = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
    if tolerance.covers(again) || turns {
        return Ok(stay);
    }
    let replicas = ceil(again * metrics.len() as f64);
    if (again < 1.0 && replicas > current) || (again > 1.0 && replicas < current) {
        return Ok(stay);
    }
    Ok(Proposal { replicas, ..proposal })
}

/// Of one value that all pods together are to bring near another: upstream's `getUsageRatioReplicaCount`.
pub(super) fn by_ratio(
    current: i32,
    value: i64,
    target: i64,
    pods: &[Arc<Pod>],
    tolerance: Tolerance,
) -> i32 {
    let ratio = value as f64 / target.max(1) as f64;
    match current {
        // nobody is there whose share it could be
        0 => ceil(ratio),
        current if tolerance.covers(ratio) => current,
        _ => ceil(ratio * pods.iter().filter(|pod| is_ready(pod)).count() as f64),
    }
}

/// Of one value of which each pod is to have so much. With it, how much each has now.
pub(super) fn by_average(current: i32, value: i64, target: i64, tolerance: Tolerance) -> (i32, i64) {
    let (there, target) = (f64::from(current.max(0)), target.max(1) as f64);
    let replicas = match there > 0.0 && tolerance.covers(value as f64 / (target * there)) {
        true => current,
        false => ceil(value as f64 / target),
    };
    let each = if current > 0 { (value as f64 / there).ceil() as i64 } else { value };
    (replicas, each)
}

fn is_ready(pod: &Pod) -> bool {
    let is_ready = ask::condition(pod, "Ready").is_some_and(|condition| condition.status == "True");
    ask::phase(pod) == "Running" && is_ready && !ask::is_deleting(pod)
}

fn ceil(count: f64) -> i32 {
    count.ceil().clamp(0.0, f64::from(i32::MAX)) as i32
}

fn ratio(
    metrics: &Metrics,
    requests: &BTreeMap<String, i64>,
    target: Target,
) -> Result<(f64, Proposal), String> {
    match target {
        Target::Utilization(percent) => {
            let known =
                metrics.iter().filter_map(|(name, metric)| Some((metric.value, *requests.get(name)?)));
            let (used, asked, count) = known
                .fold((0i64, 0i64, 0i64), |(used, asked, count), (u, r)| (used + u, asked + r, count + 1));
            if asked == 0 {
                return Err("no metrics returned matched known pods".to_owned());
            }
            let utilization = i32::try_from(used.saturating_mul(100) / asked).unwrap_or(i32::MAX);
            let proposal = Proposal { replicas: 0, utilization: Some(utilization), average: used / count };
            Ok((f64::from(utilization) / f64::from(percent.max(1)), proposal))
        }
        Target::AverageValue(value) => {
            let used: i64 = metrics.values().map(|metric| metric.value).sum();
            let average = used / metrics.len().max(1) as i64;
            let proposal = Proposal { replicas: 0, utilization: None, average };
            Ok((average as f64 / value.max(1) as f64, proposal))
        }
    }
}

/// Upstream's `groupPods`.
fn group(pods: &[Arc<Pod>], metrics: &Metrics, resource: &str, now: Timestamp) -> Groups {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.metadata.name.clone().unwrap_or_default();
        if ask::is_deleting(pod) || ask::phase(pod) == "Failed" {
            groups.ignored.push(name);
        } else if ask::phase(pod) == "Pending" {
            groups.unready.push(name);
        } else {
            match metrics.get(&name) {
                None => groups.missing.push(name),
                Some(metric) if resource == "cpu" && is_starting(pod, metric, now) => {
                    groups.unready.push(name)
                }
                Some(_) => groups.ready += 1,
            }
        }
    }
    groups
}

/// Whether the CPU that it used may be that of its start.
fn is_starting(pod: &Pod, metric: &PodMetric, now: Timestamp) -> bool {
    let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    let (Some(condition), Some(started)) = (ask::condition(pod, "Ready"), started) else { return true };
    let changed = condition.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0);
    let unready = condition.status == "False";
    match started.0 + CPU_INITIALIZATION > now {
        true => unready || metric.end < changed + metric.window,
        false => unready && started.0 + INITIAL_READINESS_DELAY > changed,
    }
}

/// In thousandths, by the pod's name.
fn requests(pods: &[Arc<Pod>], of: Measured<'_>) -> Result<BTreeMap<String, i64>, String> {
    let mut all = BTreeMap::new();
    for pod in pods {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let Some(spec) = &pod.spec else { continue };
        // what the pod says for itself as a whole is shared by its containers, which may then say nothing
        let of_whole = spec.resources.as_ref().and_then(|whole| whole.requests.as_ref());
        if of.container.is_none() && of_whole.is_some_and(|requests| !requests.is_empty()) {
            let Some(asked) = ask::requests(spec).get(of.resource).map(|asked| asked.milli()) else {
                return Err(format!("missing pod-level request for {} in Pod {name}", of.resource));
            };
            all.insert(name, asked);
            continue;
        }
        let mut sum = 0i64;
        for container in ask::lasting_containers(spec) {
            if of.container.is_some_and(|only| only != container.name) {
                continue;
            }
            let asked = container.resources.as_ref().and_then(|r| r.requests.as_ref());
            let Some(asked) = ask::quantity(asked, of.resource) else {
                let (what, which) = (of.resource, &container.name);
                return Err(format!("missing request for {what} in container {which} of Pod {name}"));
            };
            sum = sum.saturating_add(asked.milli());
        }
        all.insert(name, sum);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 10_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What becomes of a pod in these tests.
    #[derive(Clone, Copy, PartialEq)]
    enum Is {
        /// Uses so many thousandths.
        Ready(i64),
        /// The same, and is not ready yet since it started a minute ago.
        Starting(i64),
        Pending,
        /// Nobody measured it.
        Missing,
        Failed,
        Deleting,
    }
    use Is::{Deleting, Failed, Missing, Pending, Ready, Starting};

    fn pod(index: usize, is: Is) -> Arc<Pod> {
        let (phase, ready, started) = match is {
            Pending => ("Pending", "False", NOW),
            Failed => ("Failed", "False", 0),
            Starting(_) => ("Running", "False", NOW - 60),
            _ => ("Running", "True", 0),
        };
        serde_json::from_value(json!({
            "metadata": {"name": format!("p{index}"), "deletionTimestamp": (is == Deleting).then_some("1970-01-01T00:00:00Z")},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": phase, "startTime": at(started).to_string(), "conditions": [
                {"type": "Ready", "status": ready, "lastTransitionTime": at(started).to_string()}]},
        }))
        .map(Arc::new)
        .unwrap()
    }

    fn proposed(current: i32, target: Target, all: &[Is]) -> Result<Proposal, String> {
        let pods: Vec<Arc<Pod>> = all.iter().enumerate().map(|(index, is)| pod(index, *is)).collect();
        let measured = all.iter().enumerate().filter_map(|(index, is)| match is {
            Ready(value) | Starting(value) => Some((format!("p{index}"), *value)),
            Deleting | Failed => Some((format!("p{index}"), 100_000)),
            _ => None,
        });
        let metric = |value| PodMetric { value, end: at(NOW), window: Duration::from_secs(15) };
        let metrics = measured.map(|(name, value)| (name, metric(value))).collect();
        let of = Measured { resource: "cpu", container: None };
        replicas(current, target, of, &pods, metrics, Tolerance::default(), at(NOW))
    }

    #[test]
    fn utilization_asks_for_pods_as_upstream_s_calculator_does() {
        // (name, pods, target percent, wanted pods, utilization); each requests a core
        let cases: &[(&str, &[Is], i32, i32, i32)] = &[
            ("scale up", &[Ready(300), Ready(500), Ready(700)], 30, 5, 50),
            ("scale up, one is not ready", &[Starting(300), Ready(500), Ready(700)], 30, 4, 60),
            ("two are not ready: nothing", &[Starting(400), Starting(500), Ready(700)], 30, 3, 70),
            ("one is pending", &[Pending, Ready(500), Ready(700)], 30, 4, 60),
            ("one has failed", &[Ready(500), Ready(700), Failed], 30, 4, 60),
            ("one goes", &[Ready(500), Ready(700), Deleting], 30, 4, 60),
            ("scale down", &[Ready(100), Ready(300), Ready(500), Ready(250), Ready(250)], 50, 3, 28),
            (
                "scale down, those that start do not count",
                &[Ready(100), Ready(300), Ready(500), Starting(250), Starting(250)],
                50,
                2,
                30,
            ),
            ("within the tolerance", &[Ready(1010), Ready(1030), Ready(1020)], 100, 3, 102),
            ("missing, and more would be asked for", &[Ready(1000), Missing], 50, 2, 100),
            ("missing, and less", &[Ready(100), Ready(100), Missing, Ready(100)], 100, 2, 10),
            ("missing turns it round", &[Ready(400), Missing], 50, 2, 40),
        ];
        for (name, all, percent, want, utilization) in cases {
            let got = proposed(all.len() as i32, Target::Utilization(*percent), all).unwrap();
            assert_eq!((got.replicas, got.utilization), (*want, Some(*utilization)), "{name}");
        }
    }

    #[test]
    fn a_pod_that_asks_as_a_whole_is_measured_by_that() {
        let asked = |whole: serde_json::Value, of: Measured<'_>| {
            let container = json!({"name": "c", "resources": {"requests": {"memory": "1Gi"}}});
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"name": "p"},
                "spec": {"containers": [container, {"name": "d"}], "resources": {"requests": whole}},
            }))
            .unwrap();
            requests(&[Arc::new(pod)], of).map(|all| all["p"])
        };
        let of = |resource, container| Measured { resource, container };
        let two = || json!({"cpu": "2"});
        assert_eq!(asked(two(), of("cpu", None)), Ok(2000));
        assert_eq!(
            asked(two(), of("memory", None)),
            Ok((1 << 30) * 1000),
            "what it does not say its containers do"
        );
        let missing = |why: &str| -> Result<i64, String> { Err(why.to_owned()) };
        let of_whole = missing("missing pod-level request for cpu in Pod p");
        assert_eq!(asked(json!({"memory": "2Gi"}), of("cpu", None)), of_whole);
        let of_container = missing("missing request for cpu in container c of Pod p");
        assert_eq!(
            asked(two(), of("cpu", Some("c"))),
            of_container,
            "a container's share of it nobody knows"
        );
        assert_eq!(asked(json!({}), of("cpu", None)), of_container);
    }

    #[test]
    fn averages_ask_for_pods_too() {
        for (name, all, value, want, average) in [
            ("scale up", vec![Ready(300), Ready(500), Ready(700)], 300, 5, 500),
            ("scale down", vec![Ready(100), Ready(100), Ready(100)], 300, 1, 100),
            ("tolerance", vec![Ready(310), Ready(290)], 300, 2, 300),
            ("missing", vec![Ready(600), Missing], 300, 2, 600),
        ] {
            let got = proposed(all.len() as i32, Target::AverageValue(value), &all).unwrap();
            assert_eq!((got.replicas, got.average, got.utilization), (want, average, None), "{name}");
        }
    }

    #[test]
    fn values_of_others_ask_for_pods() {
        let three = [pod(0, Ready(1)), pod(1, Ready(1)), pod(2, Pending)];
        let ratio = |current, value| by_ratio(current, value, 100, &three, Tolerance::default());
        // two are ready
        assert_eq!([ratio(3, 300), ratio(3, 105), ratio(3, 50), ratio(0, 250)], [6, 3, 1, 3]);
        let average = |current, value| by_average(current, value, 100, Tolerance::default());
        assert_eq!(
            [average(2, 500), average(2, 210), average(4, 100), average(0, 150)],
            [(5, 250), (2, 105), (1, 25), (2, 150)]
        );
    }

    #[test]
    fn what_can_not_be_told_is_an_error_in_upstream_s_words() {
        let half = Target::Utilization(50);
        let none = proposed(0, half, &[]).unwrap_err();
        assert_eq!(none, "no pods returned by selector while calculating replica count");
        let unmeasured = proposed(1, half, &[Missing]).unwrap_err();
        assert_eq!(unmeasured, "did not receive metrics for any ready pods");
        let mut plain = Arc::unwrap_or_clone(pod(0, Ready(1)));
        plain.spec.as_mut().unwrap().containers[0].resources = None;
        let metric = PodMetric { value: 1, end: at(NOW), window: Duration::ZERO };
        let of = Measured { resource: "cpu", container: None };
        let metrics = [("p0".to_owned(), metric)].into();
        let refused = replicas(1, half, of, &[Arc::new(plain)], metrics, Tolerance::default(), at(NOW));
        assert_eq!(refused.unwrap_err(), "missing request for cpu in container c of Pod p0");
    }
}
