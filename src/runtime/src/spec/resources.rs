//! Limits in the spec's words. libcontainer turns shares into weights where there is only cgroup v2.

use super::{Parts, devices};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxBlockIoBuilder, LinuxCpu, LinuxCpuBuilder, LinuxMemory, LinuxMemoryBuilder, LinuxPidsBuilder,
    LinuxResources, LinuxResourcesBuilder,
};

pub(super) fn build(parts: &Parts<'_>) -> Result<LinuxResources, OciSpecError> {
    let wanted = &parts.container.resources;
    let mut resources = LinuxResourcesBuilder::default().devices(devices::rules(parts)?).build()?;
    resources.set_cpu(cpu(wanted)?);
    resources.set_memory(memory(wanted, parts.host.swap)?);
    let weight = wanted.blkio_weight.filter(|w| *w > 0);
    resources.set_block_io(weight.map(|w| LinuxBlockIoBuilder::default().weight(w).build()).transpose()?);
    let pids = wanted.pids_limit.filter(|p| *p > 0);
    resources.set_pids(pids.map(|p| LinuxPidsBuilder::default().limit(p).build()).transpose()?);
    Ok(resources)
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
