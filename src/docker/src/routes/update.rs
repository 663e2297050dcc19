//! `docker update`: other limits, another restart policy.

use crate::call::{Answer, Call, json};
use crate::model::{Limits, RestartPolicy};
use crate::record::Record;
use crate::refusal::{Refusal, Result};
use crate::{plan, verify};
use serde::Deserialize;
use serde_json::json as value;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Update {
    #[serde(flatten)]
    limits: Limits,
    restart_policy: Option<RestartPolicy>,
}

pub(super) async fn update(mut call: Call) -> Answer {
    let container = call.engine.container(call.name())?;
    let update: Update = call.json().await?;
    let mut update = update;
    if update.limits.memory_swap != 0 && update.limits.memory == 0 {
        // memory and swap together mean something only beside memory
        update.limits.memory = container.see(|r| r.host.limits.memory);
    }
    let warnings = verify::limits(&mut update.limits, &call.engine.machine)?;
    if let Some(policy) = &update.restart_policy {
        verify::restart_policy(policy)?;
    }
    let id = container.see(|r| r.id.clone());
    let cannot = |why: Refusal| Refusal {
        status: why.status,
        message: format!("Cannot update container {id}: {}", why.message),
    };
    container.see(|r| fits(r, &update)).map_err(cannot)?;
    if let Some(running) = container.see(|r| r.running().cloned()) {
        let limits = plan::resources(&update.limits);
        call.engine
            .runtime
            .limit_container(&running.container, &limits)
            .await
            .map_err(|e| cannot(e.into()))?;
    }
    container.change(|r| {
        merge(&mut r.host.limits, update.limits);
        if let Some(policy) = update.restart_policy.filter(|policy| !policy.name.is_empty()) {
            r.host.restart_policy = policy;
        }
        true
    });
    call.engine.events.container("update", &container.record(), &[]);
    json(&value!({"Warnings": warnings}))
}

/// Whether it can be so with what it has already.
fn fits(record: &Record, update: &Update) -> Result<()> {
    let (own, said) = (&record.host.limits, &update.limits);
    if said.memory > own.memory_swap && said.memory_swap == 0 && said.memory > 0 && own.memory_swap != -1 {
        return Err(Refusal::bad(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    let is_policy = update.restart_policy.as_ref().is_some_and(|p| !matches!(p.name.as_str(), "" | "no"));
    if record.host.auto_remove && is_policy {
        return Err(Refusal::bad(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    Ok(())
}

/// What is zero was not said.
fn merge(own: &mut Limits, said: Limits) {
    fn take<T: PartialEq + Default>(own: &mut T, said: T) {
        if said != T::default() {
            *own = said;
        }
    }
    take(&mut own.memory, said.memory);
    take(&mut own.memory_swap, said.memory_swap);
    take(&mut own.memory_reservation, said.memory_reservation);
    take(&mut own.nano_cpus, said.nano_cpus);
    take(&mut own.cpu_shares, said.cpu_shares);
    take(&mut own.cpu_quota, said.cpu_quota);
    take(&mut own.cpu_period, said.cpu_period);
    take(&mut own.cpuset_cpus, said.cpuset_cpus);
    take(&mut own.cpuset_mems, said.cpuset_mems);
    take(&mut own.blkio_weight, said.blkio_weight);
    take(&mut own.pids_limit, said.pids_limit);
}
