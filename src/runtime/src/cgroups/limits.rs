//! Limits as the files of either cgroup version want them. Pure.

use cri::{IoLimit, IoRate, Resources};

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub controller: &'static str,
    pub file: &'static str,
    pub value: String,
    /// The kernel may have been built without it.
    pub optional: bool,
}

const DEFAULT_PERIOD: u64 = 100_000; // microseconds: the kernel's own

pub fn limits(resources: &Resources, unified: bool) -> Vec<Setting> {
    if unified { v2(resources) } else { v1(resources) }
}

fn set(controller: &'static str, file: &'static str, value: impl ToString) -> Setting {
    Setting { controller, file, value: value.to_string(), optional: false }
}

fn optional(setting: Setting) -> Setting {
    Setting { optional: true, ..setting }
}

fn v1(r: &Resources) -> Vec<Setting> {
    let memory = r.memory_limit.filter(|m| *m > 0);
    let swap = r.memory_swap_limit.filter(|_| memory.is_some());
    [
        r.cpu_shares.filter(|s| *s > 0).map(|s| set("cpu", "cpu.shares", s)),
        r.cpu_period.map(|p| set("cpu", "cpu.cfs_period_us", p)),
        r.cpu_quota.map(|q| set("cpu", "cpu.cfs_quota_us", q)),
        // memory alone can not be above memory and swap together, which begin without a limit
        memory.map(|m| set("memory", "memory.limit_in_bytes", m)),
        swap.map(|s| optional(set("memory", "memory.memsw.limit_in_bytes", s))),
        r.pids_limit.map(|p| set("pids", "pids.max", if p > 0 { p.to_string() } else { "max".into() })),
        reservation(r).map(|m| set("memory", "memory.soft_limit_in_bytes", m)),
        r.memory_swappiness.map(|s| set("memory", "memory.swappiness", s)),
        r.oom_kill_disable.then(|| set("memory", "memory.oom_control", 1)),
        r.blkio_weight.filter(|w| *w > 0).map(|w| optional(set("blkio", "blkio.weight", w))),
        r.blkio_weight.filter(|w| *w > 0).map(|w| optional(set("blkio", "blkio.bfq.weight", w))),
        cpus(r),
        memory_nodes(r),
    ]
    .into_iter()
    .flatten()
    .chain(r.io_limits.iter().map(throttle))
    .collect()
}

fn throttle(limit: &IoLimit) -> Setting {
    let file = match limit.what {
        IoRate::ReadBytes => "blkio.throttle.read_bps_device",
        IoRate::WriteBytes => "blkio.throttle.write_bps_device",
        IoRate::ReadOperations => "blkio.throttle.read_iops_device",
        IoRate::WriteOperations => "blkio.throttle.write_iops_device",
    };
    set("blkio", file, format!("{}:{} {}", limit.major, limit.minor, limit.rate))
}

fn v2(r: &Resources) -> Vec<Setting> {
    let memory = r.memory_limit.filter(|m| *m > 0);
    let swap = memory.zip(r.memory_swap_limit).map(|(m, both)| match both {
        ..0 => "max".to_owned(),
        both => (both - m).max(0).to_string(),
    });
    let period = r.cpu_period.unwrap_or(DEFAULT_PERIOD);
    let quota = r.cpu_quota.map(|q| if q > 0 { q.to_string() } else { "max".into() });
    [
        r.cpu_shares.filter(|s| *s > 0).map(|s| set("cpu", "cpu.weight", weight(s))),
        quota.map(|q| set("cpu", "cpu.max", format!("{q} {period}"))),
        memory.map(|m| set("memory", "memory.max", m)),
        swap.map(|s| optional(set("memory", "memory.swap.max", s))),
        r.pids_limit.map(|p| set("pids", "pids.max", if p > 0 { p.to_string() } else { "max".into() })),
        reservation(r).map(|m| set("memory", "memory.low", m)),
        r.blkio_weight.filter(|w| *w > 0).map(|w| optional(set("io", "io.weight", io_weight(w)))),
        cpus(r),
        memory_nodes(r),
    ]
    .into_iter()
    .flatten()
    .chain(r.io_limits.iter().map(io_max))
    .collect()
}

/// What is not said of the device stays as it is.
fn io_max(limit: &IoLimit) -> Setting {
    let key = match limit.what {
        IoRate::ReadBytes => "rbps",
        IoRate::WriteBytes => "wbps",
        IoRate::ReadOperations => "riops",
        IoRate::WriteOperations => "wiops",
    };
    set("io", "io.max", format!("{}:{} {key}={}", limit.major, limit.minor, limit.rate))
}

fn reservation(r: &Resources) -> Option<i64> {
    r.memory_reservation.filter(|m| *m > 0)
}

/// 10..=1000 onto 1..=10000, as runc draws the line.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

fn memory_nodes(r: &Resources) -> Option<Setting> {
    r.cpuset_mems.as_ref().filter(|m| !m.is_empty()).map(|m| set("cpuset", "cpuset.mems", m))
}

fn cpus(r: &Resources) -> Option<Setting> {
    r.cpuset_cpus.as_ref().filter(|c| !c.is_empty()).map(|c| set("cpuset", "cpuset.cpus", c))
}

/// Shares 2..=262144 onto weights 1..=10000, as upstream's KEP 2254 draws the line.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(resources: &Resources, unified: bool) -> Vec<String> {
        limits(resources, unified).iter().map(|s| format!("{}={}", s.file, s.value)).collect()
    }

    #[test]
    fn both_versions_say_the_same() {
        let r = Resources {
            cpu_shares: Some(1024),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            memory_limit: Some(64 << 20),
            memory_swap_limit: Some(64 << 20),
            pids_limit: Some(100),
            ..Default::default()
        };
        assert_eq!(
            lines(&r, false),
            [
                "cpu.shares=1024",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "memory.limit_in_bytes=67108864",
                "memory.memsw.limit_in_bytes=67108864",
                "pids.max=100"
            ]
        );
        assert_eq!(
            lines(&r, true),
            [
                "cpu.weight=39",
                "cpu.max=50000 100000",
                "memory.max=67108864",
                "memory.swap.max=0",
                "pids.max=100"
            ]
        );
    }

    #[test]
    fn each_rate_of_a_device_is_a_line() {
        let rates = [IoRate::ReadBytes, IoRate::WriteBytes, IoRate::ReadOperations, IoRate::WriteOperations];
        let io_limits = rates.map(|what| IoLimit { what, major: 7, minor: 1, rate: 1024 }).to_vec();
        let r = Resources { io_limits, ..Default::default() };
        let throttle = |what: &str| format!("blkio.throttle.{what}_device=7:1 1024");
        assert_eq!(lines(&r, false), ["read_bps", "write_bps", "read_iops", "write_iops"].map(throttle));
        let max = |key: &str| format!("io.max=7:1 {key}=1024");
        assert_eq!(lines(&r, true)[..4], ["rbps", "wbps", "riops", "wiops"].map(max));
    }

    #[test]
    fn no_limit_writes_nothing_or_max() {
        assert!(lines(&Resources::default(), false).is_empty());
        assert!(lines(&Resources { memory_limit: Some(0), ..Default::default() }, true).is_empty());
        let none = Resources { cpu_quota: Some(-1), pids_limit: Some(0), ..Default::default() };
        assert_eq!(lines(&none, true), ["cpu.max=max 100000", "pids.max=max"]);
        assert_eq!(lines(&none, false), ["cpu.cfs_quota_us=-1", "pids.max=max"]);
        assert_eq!((weight(0), weight(2), weight(262_144)), (1, 1, 10_000));
    }
}
