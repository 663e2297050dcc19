//! From requests and limits to weights, quotas, OOM scores and cgroups, as upstream computes them.

use crate::pod;
use crate::quantity::{milli_of, value_of};
use cri::Resources;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use std::fmt;

const LEAST_SHARES: u64 = 2; // the kernel's own bounds
const MOST_SHARES: u64 = 262_144;
const QUOTA_PERIOD: u64 = 100_000; // microseconds; CFS's default
const LEAST_QUOTA: i64 = 1000; // the kernel refuses less than a millisecond
/// The kernel's `max_cfs_runtime`, in microseconds: 2^44 nanoseconds; nobody has as many processors.
const MOST_QUOTA: i64 = (1 << 44) / 1000;
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

pub fn qos(spec: &PodSpec) -> Qos {
    match kinds::pod::qos_class(spec) {
        "Guaranteed" => Qos::Guaranteed,
        "Burstable" => Qos::Burstable,
        _ => Qos::BestEffort,
    }
}

/// Of all pods, below the profile's own cgroup; upstream's name.
pub const CGROUP_ROOT: &str = "kubepods";

/// Below the profile's own cgroup, by upstream's names: `kubepods/burstable/pod<uid>`.
pub fn cgroup_parent(pod: &Pod) -> String {
    let uid = pod::uid(pod);
    match qos(pod::spec(pod)) {
        Qos::Guaranteed => format!("{CGROUP_ROOT}/pod{uid}"),
        Qos::Burstable => format!("{CGROUP_ROOT}/burstable/pod{uid}"),
        Qos::BestEffort => format!("{CGROUP_ROOT}/besteffort/pod{uid}"),
    }
}

/// Limits of one container. Where it has none of its own it has the pod's, which is what programs read in their cgroup: upstream's
/// `getCPULimit` and `getMemoryLimit`.
pub fn of_container(spec: &PodSpec, container: &Container, memory_capacity: u64) -> Resources {
    let (requests, limits) = amounts(container);
    let whole = spec.resources.as_ref().and_then(|whole| whole.limits.as_ref());
    let limit_cpu = milli_of(limits, "cpu").filter(|m| *m > 0).or_else(|| milli_of(whole, "cpu"));
    let memory = value_of(limits, "memory").filter(|m| *m > 0);
    let memory = memory.or_else(|| value_of(whole, "memory").filter(|m| *m > 0));
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
        ..Resources::default()
    }
}

/// Limits of the pod as a whole, where every container has one: upstream's `ResourceConfigForPod`.
pub fn of_pod(spec: &PodSpec) -> Resources {
    let whole = spec.resources.as_ref();
    let requested = |c: &Container| {
        let (requests, limits) = amounts(c);
        milli_of(requests, "cpu").or(milli_of(limits, "cpu")).unwrap_or(0)
    };
    let request = whole.and_then(|w| milli_of(w.requests.as_ref(), "cpu"));
    let cpu = whole.and_then(|w| milli_of(w.limits.as_ref(), "cpu"));
    let cpu = cpu.or_else(|| limit(spec, |c| milli_of(amounts(c).1, "cpu")));
    let memory = whole.and_then(|w| value_of(w.limits.as_ref(), "memory"));
    Resources {
        cpu_shares: Some(shares(request.unwrap_or_else(|| most_at_once(spec, requested)))),
        cpu_quota: cpu.map(quota),
        cpu_period: cpu.map(|_| QUOTA_PERIOD),
        memory_limit: memory.or_else(|| limit(spec, |c| value_of(amounts(c).1, "memory"))),
        ..Resources::default()
    }
}

/// `None` where a container is not limited.
fn limit(spec: &PodSpec, of: impl Fn(&Container) -> Option<i64>) -> Option<i64> {
    let amount = |c: &Container| of(c).unwrap_or(0);
    pod::all_containers(spec).all(|c| amount(c) > 0).then(|| most_at_once(spec, amount))
}

/// An init container runs alone but for the sidecars that began before it; the others run together; KEP 753.
fn most_at_once(spec: &PodSpec, of: impl Fn(&Container) -> i64) -> i64 {
    let (mut sidecars, mut most) = (0_i64, 0);
    for init in pod::init_containers(spec) {
        let with_it = of(init).saturating_add(sidecars);
        most = most.max(with_it);
        if pod::is_sidecar(init) {
            sidecars = with_it;
        }
    }
    most.max(spec.containers.iter().map(of).fold(sidecars, i64::saturating_add))
}

fn amounts(container: &Container) -> (Option<&Amounts>, Option<&Amounts>) {
    let resources = container.resources.as_ref();
    (resources.and_then(|r| r.requests.as_ref()), resources.and_then(|r| r.limits.as_ref()))
}

type Amounts = std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>;

fn shares(milli: i64) -> u64 {
    u64::try_from(milli.saturating_mul(1024) / 1000).unwrap_or(0).clamp(LEAST_SHARES, MOST_SHARES)
}

fn quota(milli: i64) -> i64 {
    (milli.saturating_mul(QUOTA_PERIOD as i64) / 1000).clamp(LEAST_QUOTA, MOST_QUOTA)
}

/// Who asks for much memory is killed late; who asks for none, first.
fn oom_score(spec: &PodSpec, container: &Container, capacity: u64) -> i32 {
    if pod::is_critical(spec) {
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
    fn a_container_without_limits_has_those_of_its_pod() {
        let mut spec = spec(json!([
            {"name": "none"},
            {"name": "own", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}},
            {"name": "one", "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "32Mi"}}},
        ]));
        let given = |spec: &PodSpec, of: usize| {
            let given = of_container(spec, &spec.containers[of], 1 << 30);
            (given.cpu_quota, given.cpu_shares, given.memory_limit, given.memory_swap_limit)
        };
        assert_eq!(given(&spec, 0), (None, Some(2), None, None));
        spec.resources =
            Some(serde_json::from_value(json!({"limits": {"cpu": "1", "memory": "100Mi"}})).unwrap());
        let bytes = |mebibytes: i64| Some(mebibytes << 20);
        assert_eq!(given(&spec, 0), (Some(100_000), Some(1024), bytes(100), bytes(100)));
        assert_eq!(given(&spec, 1), (Some(25_000), Some(256), bytes(64), bytes(64)));
        assert_eq!(given(&spec, 2), (Some(100_000), Some(102), bytes(32), bytes(32)));
    }

    #[test]
    fn what_nobody_has_is_as_much_as_there_is() {
        let all = json!({"name": "a", "resources": {"limits": {"cpu": "1e16", "memory": "8Ei"}}});
        let whole = of_pod(&spec(json!([all, all])));
        assert_eq!((whole.cpu_quota, whole.cpu_shares), (Some(MOST_QUOTA), Some(MOST_SHARES)));
        assert_eq!(whole.memory_limit, Some(i64::MAX));
    }

    #[test]
    fn a_limit_becomes_a_quota_and_the_pod_has_one_when_all_containers_do() {
        let limited = json!({"name": "a", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}});
        let both = of_pod(&spec(json!([limited, limited])));
        assert_eq!((both.cpu_quota, both.memory_limit), (Some(50_000), Some(128 << 20)));
        let one = of_pod(&spec(json!([limited, {"name": "b"}])));
        assert_eq!((one.cpu_quota, one.memory_limit), (None, None));
    }

    #[test]
    fn init_containers_and_sidecars_fit_into_the_pod() {
        let limited = |name: &str, cpu: &str, policy: Option<&str>| json!({"name": name, "restartPolicy": policy, "resources": {"limits": {"cpu": cpu, "memory": "1Mi"}}});
        let side = Some("Always");
        let cases = [
            ("a larger init container", vec![limited("i", "500m", None)], Some(50_000)),
            ("a smaller one", vec![limited("i", "50m", None)], Some(10_000)),
            ("a sidecar", vec![limited("s", "300m", side)], Some(40_000)),
            ("after a sidecar", vec![limited("s", "300m", side), limited("i", "200m", None)], Some(50_000)),
            ("before a sidecar", vec![limited("i", "200m", None), limited("s", "300m", side)], Some(40_000)),
            ("one without a limit", vec![json!({"name": "i"})], None),
        ];
        for (name, init, want) in cases {
            let mut spec = spec(json!([limited("a", "100m", None)]));
            spec.init_containers = Some(serde_json::from_value(json!(init)).unwrap());
            assert_eq!(of_pod(&spec).cpu_quota, want, "{name}");
        }
    }
}
