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
mod tests;
