//! From requests and limits to weights, quotas, OOM scores and cgroups, as upstream computes them.

use crate::pod;
use crate::quantity::{milli_of, value_of};
use cri::Resources;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use std::fmt;

const LEAST_SHARES: u64 = 2; // the kernel's own bounds
const MOST_SHARES: u64 = 262_144;
const QUOTA_PERIOD: u64 = 100_000; // microseconds; CFS's default
const LEAST_QUOTA: i64 = 1000; // the kernel refuses less than a millisecond
const CRITICAL_PRIORITY: i32 = 2_000_000_000; // system-cluster-critical and above
const OOM_GUARANTEED: i32 = -997;
const OOM_BEST_EFFORT: i32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Upstream's `ComputePodQOS`: only processor and memory count.
pub fn qos(spec: &PodSpec) -> Qos {
    let all: Vec<&ResourceRequirements> = pod::all_containers(spec)
        .map(|c| c.resources.as_ref())
        .chain([spec.resources.as_ref()])
        .flatten()
        .collect();
    let names = ["cpu", "memory"];
    let positive = |r: &ResourceRequirements| {
        names.iter().any(|n| {
            milli_of(r.requests.as_ref(), n).unwrap_or(0) > 0
                || milli_of(r.limits.as_ref(), n).unwrap_or(0) > 0
        })
    };
    if !all.iter().any(|r| positive(r)) {
        return Qos::BestEffort;
    }
    let fixed = |r: Option<&ResourceRequirements>| {
        names.iter().all(|n| {
            let limit = r.and_then(|r| milli_of(r.limits.as_ref(), n)).unwrap_or(0);
            let request = r.and_then(|r| milli_of(r.requests.as_ref(), n)).unwrap_or(limit);
            limit > 0 && limit == request
        })
    };
    let guaranteed = match &spec.resources {
        Some(whole) => fixed(Some(whole)),
        None => pod::all_containers(spec).all(|c| fixed(c.resources.as_ref())),
    };
    if guaranteed { Qos::Guaranteed } else { Qos::Burstable }
}

/// Below the profile's own cgroup, by upstream's names: `kubepods/burstable/pod<uid>`.
pub fn cgroup_parent(pod: &Pod) -> String {
    let uid = pod::uid(pod);
    match qos(pod::spec(pod)) {
        Qos::Guaranteed => format!("kubepods/pod{uid}"),
        Qos::Burstable => format!("kubepods/burstable/pod{uid}"),
        Qos::BestEffort => format!("kubepods/besteffort/pod{uid}"),
    }
}

/// Limits of one container.
pub fn of_container(spec: &PodSpec, container: &Container, memory_capacity: u64) -> Resources {
    let (requests, limits) = amounts(container);
    let limit_cpu = milli_of(limits, "cpu");
    let memory = value_of(limits, "memory").filter(|m| *m > 0);
    Resources {
        cpu_shares: Some(shares(milli_of(requests, "cpu").filter(|m| *m > 0).or(limit_cpu).unwrap_or(0))),
        cpu_quota: limit_cpu.filter(|m| *m > 0).map(quota),
        cpu_period: limit_cpu.filter(|m| *m > 0).map(|_| QUOTA_PERIOD),
        cpuset_cpus: None,
        memory_limit: memory,
        // no swap beyond the limit: upstream's NoSwap
        memory_swap_limit: memory,
        pids_limit: None,
        oom_score_adj: Some(oom_score(spec, container, memory_capacity)),
    }
}

/// Limits of the pod as a whole: sums, where every container has one.
pub fn of_pod(spec: &PodSpec) -> Resources {
    let containers: Vec<_> = spec.containers.iter().map(amounts).collect();
    let whole = spec.resources.as_ref();
    let request: i64 =
        containers.iter().map(|(r, l)| milli_of(*r, "cpu").or(milli_of(*l, "cpu")).unwrap_or(0)).sum();
    let request = whole.and_then(|w| milli_of(w.requests.as_ref(), "cpu")).unwrap_or(request);
    let cpu = whole.and_then(|w| milli_of(w.limits.as_ref(), "cpu"));
    let cpu = cpu.or_else(|| containers.iter().map(|(_, l)| milli_of(*l, "cpu").filter(|m| *m > 0)).sum());
    let memory = whole.and_then(|w| value_of(w.limits.as_ref(), "memory"));
    let memory =
        memory.or_else(|| containers.iter().map(|(_, l)| value_of(*l, "memory").filter(|m| *m > 0)).sum());
    // init containers run alone: the largest of them must fit as well
    let init = spec.init_containers.iter().flatten().filter_map(|c| value_of(amounts(c).1, "memory")).max();
    let init_is_bound =
        spec.init_containers.iter().flatten().all(|c| value_of(amounts(c).1, "memory").is_some());
    Resources {
        cpu_shares: Some(shares(request)),
        cpu_quota: cpu.map(quota),
        cpu_period: cpu.map(|_| QUOTA_PERIOD),
        memory_limit: memory.filter(|_| init_is_bound).map(|m| m.max(init.unwrap_or(0))),
        ..Resources::default()
    }
}

fn amounts(container: &Container) -> (Option<&Amounts>, Option<&Amounts>) {
    let resources = container.resources.as_ref();
    (resources.and_then(|r| r.requests.as_ref()), resources.and_then(|r| r.limits.as_ref()))
}

type Amounts = std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>;

fn shares(milli: i64) -> u64 {
    u64::try_from(milli * 1024 / 1000).unwrap_or(0).clamp(LEAST_SHARES, MOST_SHARES)
}

fn quota(milli: i64) -> i64 {
    (milli * (QUOTA_PERIOD as i64) / 1000).max(LEAST_QUOTA)
}

/// Who asks for much memory is killed late; who asks for none, first.
fn oom_score(spec: &PodSpec, container: &Container, capacity: u64) -> i32 {
    if spec.priority.is_some_and(|p| p >= CRITICAL_PRIORITY) {
        return OOM_GUARANTEED;
    }
    match qos(spec) {
        Qos::Guaranteed => OOM_GUARANTEED,
        Qos::BestEffort => OOM_BEST_EFFORT,
        Qos::Burstable => {
            let (requests, limits) = amounts(container);
            let request = value_of(requests, "memory").or(value_of(limits, "memory")).unwrap_or(0);
            let score = 1000 - (1000 * i128::from(request)) / i128::from(capacity.max(1));
            // below 3 would be as safe as a guaranteed pod, 1000 as unsafe as one without requests
            i32::try_from(score).unwrap_or(0).clamp(1000 + OOM_GUARANTEED, OOM_BEST_EFFORT - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(containers: serde_json::Value) -> PodSpec {
        serde_json::from_value(json!({ "containers": containers })).unwrap()
    }

    #[test]
    fn classes_and_scores() {
        let cases = [
            ("nothing asked", json!([{"name": "a"}]), Qos::BestEffort, 1000, 2),
            (
                "all fixed",
                json!([{"name": "a", "resources": {"limits": {"cpu": "500m", "memory": "100Mi"}}}]),
                Qos::Guaranteed,
                -997,
                512,
            ),
            (
                "some asked",
                json!([{"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "250Mi"}}}]),
                Qos::Burstable,
                750,
                102,
            ),
            (
                "one of two",
                json!([{"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Mi"}}}, {"name": "b"}]),
                Qos::Burstable,
                999,
                1024,
            ),
        ];
        for (name, containers, class, score, weight) in cases {
            let spec = spec(containers);
            assert_eq!(qos(&spec), class, "{name}");
            let resources = of_container(&spec, &spec.containers[0], 1000 << 20);
            assert_eq!(resources.oom_score_adj, Some(score), "{name}");
            assert_eq!(resources.cpu_shares, Some(weight), "{name}");
        }
    }

    #[test]
    fn a_limit_becomes_a_quota_and_the_pod_has_one_when_all_containers_do() {
        let limited = json!({"name": "a", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}});
        let both = of_pod(&spec(json!([limited, limited])));
        assert_eq!((both.cpu_quota, both.memory_limit), (Some(50_000), Some(128 << 20)));
        let one = of_pod(&spec(json!([limited, {"name": "b"}])));
        assert_eq!((one.cpu_quota, one.memory_limit), (None, None));
    }
}
