//! Limits in the spec's words, for libcontainer where it sees to the cgroups. It turns shares into weights where there
//! is only cgroup v2.

use super::{Parts, devices};
use cri::IoRate;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBlockIo, LinuxBlockIoBuilder, LinuxCpu, LinuxCpuBuilder, LinuxMemory, LinuxMemoryBuilder,
    LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder, LinuxThrottleDevice, LinuxThrottleDeviceBuilder,
};

pub(super) fn build(parts: &Parts<'_>) -> Result<LinuxResources, OciSpecError> {
    let wanted = &parts.container.resources;
    let mut resources =
        LinuxResourcesBuilder::default().devices(devices::rules(parts.container, parts.devices)?).build()?;
    resources.set_cpu(cpu(wanted)?);
    resources.set_memory(memory(wanted, parts.host.swap)?);
    resources.set_block_io(block_io(wanted)?);
    let pids = wanted.pids_limit.filter(|p| *p > 0);
    resources.set_pids(pids.map(|p| LinuxPidsBuilder::default().limit(p).build()).transpose()?);
    Ok(resources)
}

fn block_io(wanted: &cri::Resources) -> Result<Option<LinuxBlockIo>, OciSpecError> {
    let none = LinuxBlockIoBuilder::default().build()?;
    let mut all = none.clone();
    all.set_weight(wanted.blkio_weight.filter(|w| *w > 0));
    let of = |what| {
        let limits = wanted.io_limits.iter().filter(|limit| limit.what == what);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let limits: Vec<LinuxThrottleDevice> = limits
            .map(|limit| {
                LinuxThrottleDeviceBuilder::default()
                    .major(number(limit.major))
                    .minor(number(limit.minor))
                    .rate(limit.rate)
                    .build()
            })
            .collect::<Result<_, _>>()?;
        Ok::<_, OciSpecError>(Some(limits).filter(|limits| !limits.is_empty()))
    };
    all.set_throttle_read_bps_device(of(IoRate::ReadBytes)?);
    all.set_throttle_write_bps_device(of(IoRate::WriteBytes)?);
    all.set_throttle_read_iops_device(of(IoRate::ReadOperations)?);
    all.set_throttle_write_iops_device(of(IoRate::WriteOperations)?);
    Ok(Some(all).filter(|all| *all != none))
}

fn cpu(wanted: &cri::Resources) -> Result<Option<LinuxCpu>, OciSpecError> {
    let mut cpu = LinuxCpuBuilder::default().build()?;
    cpu.set_shares(wanted.cpu_shares.filter(|s| *s > 0));
    cpu.set_quota(wanted.cpu_quota);
    cpu.set_period(wanted.cpu_period);
    cpu.set_mems(wanted.cpuset_mems.clone().filter(|m| !m.is_empty()));
    cpu.set_cpus(wanted.cpuset_cpus.clone().filter(|c| !c.is_empty()));
    let none = LinuxCpuBuilder::default().build()?;
    Ok(Some(cpu).filter(|c| *c != none))
}

/// Where the kernel does not account swap there is no file to write its limit to.
fn memory(wanted: &cri::Resources, swap: bool) -> Result<Option<LinuxMemory>, OciSpecError> {
    let none = LinuxMemoryBuilder::default().build()?;
    let mut memory = none;
    let limit = wanted.memory_limit.filter(|m| *m > 0);
    memory.set_limit(limit);
    memory.set_swap(wanted.memory_swap_limit.filter(|_| swap && limit.is_some()));
    memory.set_reservation(wanted.memory_reservation.filter(|m| *m > 0));
    memory.set_swappiness(wanted.memory_swappiness);
    memory.set_disable_oom_killer(wanted.oom_kill_disable.then_some(true));
    Ok(Some(memory).filter(|m| *m != none))
}
