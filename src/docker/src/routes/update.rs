//! `docker update`: other limits, another restart policy.

use crate::error::{ApiError, Result};
use crate::model::{Limits, RestartPolicy};
use crate::record::Record;
use crate::request::{ApiRequest, ApiResponse, json};
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

pub(super) async fn update(mut request: ApiRequest) -> ApiResponse {
    let mut update: Update = request.json().await?;
    if request.version < (1, 40) {
        update.limits.pids_limit = None;
    }
    // zero and below are: no limit
    update.limits.pids_limit = update.limits.pids_limit.map(|pids| pids.max(0));
    let container = request.engine.container(request.name())?;
    if update.limits.memory_swap != 0 && update.limits.memory == 0 {
        // memory and swap together mean something only beside memory
        update.limits.memory = container.see(|r| r.host.limits.memory);
    }
    let warnings = verify::limits(&mut update.limits, &request.engine.machine)?;
    if let Some(policy) = &update.restart_policy {
        verify::restart_policy(policy)?;
    }
    let id = container.see(|r| r.id.clone());
    let cannot = |why: ApiError| ApiError {
        status: why.status,
        message: format!("Cannot update container {id}: {}", why.message),
    };
    container.see(|r| fits(r, &update)).map_err(cannot)?;
    if let Some(running) = container.see(|r| r.running().cloned()) {
        let mut limits = plan::resources(&update.limits);
        if update.limits.pids_limit == Some(0) {
            limits.pids_limit = Some(-1);
        }
        request
            .engine
            .runtime
            .limit_container(&running.container, &limits)
            .await
            .map_err(|e| cannot(e.into()))?;
    }
    let written = container.change_on_disk(|r| {
        merge(&mut r.host.limits, update.limits);
        if let Some(policy) = update.restart_policy.filter(|policy| !policy.name.is_empty()) {
            r.host.restart_policy = policy;
        }
    });
    written.map_err(|e| cannot(ApiError::failed("write the container's record", e)))?;
    request.engine.events.container("update", &container.record(), &[]);
    json(&value!({"Warnings": warnings}))
}

/// Whether it can be so with what it has already.
fn fits(record: &Record, update: &Update) -> Result<()> {
    let (own, said) = (&record.host.limits, &update.limits);
    let conflicts = [
        (
            said.nano_cpus > 0 && own.cpu_period > 0,
            "Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            said.nano_cpus > 0 && own.cpu_quota > 0,
            "Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            said.cpu_period > 0 && own.nano_cpus > 0,
            "CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            said.cpu_quota > 0 && own.nano_cpus > 0,
            "CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ];
    if let Some((_, why)) = conflicts.iter().find(|(conflicting, _)| *conflicting) {
        return Err(ApiError::conflict(format_args!("Conflicting options: {why}")));
    }
    if said.memory > own.memory_swap && said.memory_swap == 0 && said.memory > 0 && own.memory_swap != -1 {
        return Err(ApiError::conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    let is_policy = update.restart_policy.as_ref().is_some_and(|p| !matches!(p.name.as_str(), "" | "no"));
    if record.host.auto_remove && is_policy {
        return Err(ApiError::conflict(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use serde_json::json;

    #[test]
    fn what_does_not_go_with_what_it_has() {
        let rm = |r: &mut Record| r.host.auto_remove = true;
        let nano = |r: &mut Record| r.host.limits.nano_cpus = 1_000_000_000;
        let quota = |r: &mut Record| r.host.limits.cpu_quota = 50_000;
        let period = |r: &mut Record| r.host.limits.cpu_period = 50_000;
        let memory = |r: &mut Record| r.host.limits.memory_swap = 64 << 20;
        let nothing = |_: &mut Record| ();
        type Change = fn(&mut Record);
        for (own, said, want) in [
            (nothing as Change, json!({"NanoCpus": 1_000_000_000}), ""),
            (
                quota,
                json!({"NanoCpus": 1_000_000_000}),
                "Nano CPUs cannot be updated as CPU Quota has already been set",
            ),
            (
                period,
                json!({"NanoCpus": 1_000_000_000}),
                "Nano CPUs cannot be updated as CPU Period has already been set",
            ),
            (
                nano,
                json!({"CpuQuota": 50_000}),
                "CPU Quota cannot be updated as NanoCPUs has already been set",
            ),
            (
                nano,
                json!({"CpuPeriod": 50_000}),
                "CPU Period cannot be updated as NanoCPUs has already been set",
            ),
            (nano, json!({"NanoCpus": 500_000_000}), ""),
            (memory, json!({"Memory": 128 << 20}), "update the memoryswap at the same time"),
            (memory, json!({"Memory": 128 << 20, "MemorySwap": -1}), ""),
            (
                rm,
                json!({"RestartPolicy": {"Name": "always"}}),
                "because AutoRemove is enabled for the container",
            ),
            (rm, json!({"RestartPolicy": {"Name": "no"}}), ""),
        ] {
            let mut web = record("web");
            own(&mut web);
            let update: Update = serde_json::from_value(said.clone()).unwrap();
            let why = fits(&web, &update).err();
            let (status, why) = why.map_or((409, String::new()), |why| (why.status.as_u16(), why.message));
            assert!(
                status == 409 && why.ends_with(want) && why.is_empty() == want.is_empty(),
                "{said}: {why}"
            );
        }
    }

    #[test]
    fn no_limit_of_pids_takes_the_one_away_that_there_was() {
        let mut own = Limits { pids_limit: Some(32), ..Limits::default() };
        merge(&mut own, Limits::default());
        assert_eq!(own.pids_limit, Some(32));
        merge(&mut own, Limits { pids_limit: Some(0), ..Limits::default() });
        assert_eq!(own.pids_limit, Some(0));
    }
}
