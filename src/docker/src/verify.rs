//! What Docker refuses when a container is made or its limits are changed, and what it warns of. Pure.

use crate::error::{ApiError, Result};
use crate::machine::{Machine, numbers};
use crate::model::{Config, HostConfig, Limits, RestartPolicy};
use crate::networks::HOST;
use crate::{capabilities, mount_spec, seccomp};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::Ipv6Addr;

/// The least that Docker lets a container have.
const LEAST_MEMORY: i64 = 6 << 20;

fn refuse<T>(why: impl Display) -> Result<T> {
    Err(ApiError::bad(why))
}

/// # Errors
/// The first thing that can not be. What this machine has not is taken out, with a warning.
pub(crate) fn container(config: &Config, host: &mut HostConfig, machine: &Machine) -> Result<Vec<String>> {
    itself(config)?;
    elsewhere(host)?;
    restart_policy(&host.restart_policy)?;
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return refuse("can't create 'AutoRemove' container with restart policy");
    }
    let mut warnings = limits(&mut host.limits, machine)?;
    warnings.extend(memory_of_v1(host, machine)?);
    warnings.extend(block_devices(host, machine));
    warnings.extend(discarded(host));
    warnings.extend(seccomp::warnings(host));
    if host.shm_size < 0 {
        return refuse("SHM size can not be less than 0");
    }
    let score = host.limits.oom_score_adj;
    if !(-1000..=1000).contains(&score) {
        return refuse(format_args!("Invalid value {score}, range for oom score adj is [-1000, 1000]"));
    }
    modes(config, host)?;
    for (field, names) in [("CapAdd", &host.cap_add), ("CapDrop", &host.cap_drop)] {
        if let Some(name) =
            names.iter().map(|name| capabilities::full(name)).find(|n| !capabilities::is_known(n))
        {
            return refuse(format_args!("invalid {field}: unknown capability: \"{name}\""));
        }
    }
    if !matches!(host.runtime.as_str(), "" | "runc" | "io.containerd.runc.v2") {
        return refuse(format_args!("unknown or invalid runtime name: {}", host.runtime));
    }
    if !host.storage_opt.is_empty() {
        return refuse("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
    }
    Ok(warnings)
}

/// What this engine can not do at all: other platforms' options, and those that need what only a Docker engine's host has.
fn elsewhere(host: &HostConfig) -> Result<()> {
    if !matches!(host.isolation.to_ascii_lowercase().as_str(), "" | "default") {
        return refuse(format_args!(
            "invalid isolation: {:?} - linux only supports 'default'",
            host.isolation
        ));
    }
    if host.io_maximum_bandwidth != 0 || host.io_maximum_iops != 0 {
        return refuse(
            "invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
        );
    }
    if host.cpu_realtime_period != 0 || host.cpu_realtime_runtime != 0 {
        // no cgroup of a profile has any real-time budget to give
        return refuse("kernel does not support CPU real-time scheduler");
    }
    if !host.cgroup_parent.is_empty() {
        return refuse(format_args!(
            "invalid cgroup-parent: {:?}: containers live below the profile's own cgroup",
            host.cgroup_parent
        ));
    }
    if host.annotations.keys().any(String::is_empty) {
        return refuse("invalid Annotations: the empty string is not permitted as an annotation key");
    }
    let of_mounts =
        host.mounts.iter().filter_map(|mount| mount.volume_options.as_ref()?.driver_config.as_ref());
    // it makes the volumes of `-v NAME:PATH`; where there are none nobody asks for it
    let makes_volumes = host.binds.iter().any(|bind| !bind.starts_with(['/', '.', '~']));
    of_mounts
        .map(|driver| &driver.name)
        .chain(Some(&host.volume_driver).filter(|_| makes_volumes))
        .try_for_each(|name| mount_spec::is_driver(name))
}

/// Takes out what the machine's block I/O controller has not.
fn block_devices(host: &mut HostConfig, machine: &Machine) -> Vec<String> {
    let mut warnings = Vec::new();
    if !host.blkio_weight_device.is_empty() {
        host.blkio_weight_device.clear();
        warnings.push(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded."
                .to_owned(),
        );
    }
    for (what, how, limits) in [
        ("BPS Block I/O read", "BPS read", &mut host.blkio_device_read_bps),
        ("BPS Block I/O write", "BPS write", &mut host.blkio_device_write_bps),
        ("IOPS Block I/O read", "IOPS read", &mut host.blkio_device_read_iops),
        ("IOPS Block I/O write", "IOPS write", &mut host.blkio_device_write_iops),
    ] {
        if !limits.is_empty() && !machine.blkio_throttle {
            limits.clear();
            warnings.push(format!(
                "Your kernel does not support {what} limit or the cgroup is not mounted. Block I/O {how} limit discarded."
            ));
        }
    }
    warnings
}

/// Takes out what nobody has any more, and what was never of Linux.
fn discarded(host: &mut HostConfig) -> Vec<String> {
    const KERNEL: &str = "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.";
    let mut warnings = Vec::new();
    let mut discard = |value: &mut i64, warning: &str| {
        if std::mem::take(value) != 0 {
            warnings.push(warning.to_owned());
        }
    };
    discard(&mut host.kernel_memory, KERNEL);
    discard(
        &mut host.kernel_memory_tcp,
        "Your kernel does not support kernel memory TCP limit capabilities or the cgroup is not mounted. Limitation discarded.",
    );
    discard(&mut host.cpu_percent, "linux does not support CPU percent. Percent discarded.");
    discard(&mut host.cpu_count, "linux does not support CPU count. Count discarded.");
    if host.network_mode == HOST && (host.publish_all_ports || !host.port_bindings.is_empty()) {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    warnings.extend(unreached(host));
    warnings
}

/// Ports at an address of IPv6: the container runs all the same, since many a compose file names `[::1]` beside `127.0.0.1`. `[::]` means
/// every address, and works for those of IPv4.
fn unreached(host: &HostConfig) -> impl Iterator<Item = String> {
    let bindings = host.port_bindings.values().flatten().flatten();
    let addresses = bindings.filter_map(|binding| binding.host_ip.parse::<Ipv6Addr>().ok());
    let addresses: BTreeSet<_> = addresses.filter(|address| !address.is_unspecified()).collect();
    addresses.into_iter().map(|address| format!("IPv6 is not offered: nothing is published at [{address}]"))
}

fn itself(config: &Config) -> Result<()> {
    let dir = &config.working_dir;
    if !dir.is_empty() && !dir.starts_with('/') {
        return refuse(format_args!(
            "the working directory '{dir}' is invalid, it needs to be an absolute path"
        ));
    }
    if let Some(entry) = config.env.iter().find(|entry| entry.is_empty() || entry.starts_with('=')) {
        return refuse(format_args!("invalid environment variable: {entry}"));
    }
    let Some(check) = &config.healthcheck else { return Ok(()) };
    let spans = [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ];
    const LEAST: i64 = 1_000_000; // nanoseconds
    if let Some((name, _)) = spans.iter().find(|(_, span)| *span != 0 && *span < LEAST) {
        return refuse(format_args!("{name} in Healthcheck cannot be less than 1ms"));
    }
    if check.retries < 0 {
        return refuse("Retries in Healthcheck cannot be negative");
    }
    Ok(())
}

pub(crate) fn restart_policy(policy: &RestartPolicy) -> Result<()> {
    let (name, most) = (policy.name.as_str(), policy.maximum_retry_count);
    if !matches!(name, "" | "no" | "always" | "on-failure" | "unless-stopped") {
        return refuse(format_args!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        ));
    }
    if most != 0 && name != "on-failure" {
        return refuse("invalid restart policy: maximum retry count can only be used with 'on-failure'");
    }
    if most < 0 {
        return refuse("invalid restart policy: maximum retry count cannot be negative");
    }
    Ok(())
}

fn modes(config: &Config, host: &HostConfig) -> Result<()> {
    let is_other = |mode: &str| mode.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    let (pid, ipc) = (host.pid_mode.as_str(), host.ipc_mode.as_str());
    if !matches!(pid, "" | "host") && !is_other(pid) {
        return refuse(format_args!("invalid PID mode: {pid}"));
    }
    if !matches!(ipc, "" | "none" | "private" | "shareable" | "host") && !is_other(ipc) {
        return refuse(format_args!("invalid IPC mode: {ipc}"));
    }
    for (what, mode, known) in [
        ("UTS", host.uts_mode.as_str(), &["", "host"][..]),
        ("user namespace", host.userns_mode.as_str(), &["", "host"]),
        ("cgroup namespace", host.cgroupns_mode.as_str(), &["", "host", "private"]),
    ] {
        if !known.contains(&mode) {
            return refuse(format_args!("invalid {what} mode: {mode}"));
        }
    }
    if host.uts_mode == HOST && !config.hostname.is_empty() {
        return refuse("conflicting options: hostname and the UTS mode");
    }
    Ok(())
}

/// Of an update as well.
pub(crate) fn limits(limits: &mut Limits, machine: &Machine) -> Result<Vec<String>> {
    memory(limits)?;
    processors(limits, machine)?;
    sets(limits, machine)?;
    let mut warnings = Vec::new();
    if limits.blkio_weight != 0 && !machine.blkio_weight {
        limits.blkio_weight = 0;
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
                .into(),
        );
    }
    if limits.blkio_weight != 0 && !(10..=1000).contains(&limits.blkio_weight) {
        return refuse("Range of blkio weight is from 10 to 1000");
    }
    if limits.memory > 0 && limits.memory_swap > 0 && !machine.swap {
        limits.memory_swap = -1;
        warnings.push(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without \
             swap."
                .into(),
        );
    }
    Ok(warnings)
}

fn memory(limits: &Limits) -> Result<()> {
    let (memory, swap, reservation) = (limits.memory, limits.memory_swap, limits.memory_reservation);
    if memory > 0 && memory < LEAST_MEMORY {
        return refuse("Minimum memory limit allowed is 6MB");
    }
    if memory > 0 && swap > 0 && swap < memory {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if memory == 0 && swap > 0 {
        return refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if reservation > 0 && reservation < LEAST_MEMORY {
        return refuse("Minimum memory reservation allowed is 6MB");
    }
    if memory > 0 && reservation > 0 && memory < reservation {
        return refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    Ok(())
}

fn memory_of_v1(host: &mut HostConfig, machine: &Machine) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let swappiness = host.memory_swappiness.filter(|s| *s != -1);
    if let Some(swappiness) = swappiness.filter(|s| !(0..=100).contains(s)) {
        return refuse(format_args!("Invalid value: {swappiness}, valid memory swappiness range is 0-100"));
    }
    if swappiness.is_some() && machine.unified {
        host.memory_swappiness = None;
        warnings.push(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness \
             discarded."
                .into(),
        );
    }
    if host.oom_kill_disable == Some(true) && machine.unified {
        host.oom_kill_disable = None;
        warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".into());
    }
    if host.oom_kill_disable == Some(true) && host.limits.memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running \
             out of resources."
                .into(),
        );
    }
    Ok(warnings)
}

fn processors(limits: &Limits, machine: &Machine) -> Result<()> {
    let (nano, most) = (limits.nano_cpus, machine.cpus);
    if limits.cpu_shares < 0 {
        return refuse(format_args!(
            "invalid CPU shares ({}): value must be a positive integer",
            limits.cpu_shares
        ));
    }
    for (name, is_said) in [("Period", limits.cpu_period > 0), ("Quota", limits.cpu_quota > 0)] {
        if nano > 0 && is_said {
            return refuse(format_args!("Conflicting options: Nano CPUs and CPU {name} cannot both be set"));
        }
    }
    let too_many = i64::try_from(most).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    if nano != 0 && !(10_000_000..=too_many).contains(&nano) {
        return refuse(format_args!(
            "range of CPUs is from 0.01 to {most}.00, as there are only {most} CPUs available"
        ));
    }
    if limits.cpu_period > 0 && !(1_000..=1_000_000).contains(&limits.cpu_period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if limits.cpu_quota > 0 && limits.cpu_quota < 1_000 {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    Ok(())
}

fn sets(limits: &Limits, machine: &Machine) -> Result<()> {
    for (name, things, wanted, have) in [
        ("cpuset cpus", "CPUs", &limits.cpuset_cpus, &machine.cpuset_cpus),
        ("cpuset mems", "memory nodes", &limits.cpuset_mems, &machine.cpuset_mems),
    ] {
        let Some(asked) = numbers(wanted) else {
            return refuse(format_args!("Invalid value {wanted} for {name}: invalid format: {wanted}"));
        };
        let there = numbers(have).unwrap_or_default();
        if !have.is_empty() && !asked.is_subset(&there) {
            return refuse(format_args!(
                "Requested {things} are not available - requested {wanted}, available: {have}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
