//! Quotas, kept: what a namespace uses is counted from the store, and a write that would use more than a quota allows is
//! refused. Upstream's ResourceQuota admission.
//!
//! Two writes that fit one by one may not fit together. So what is counted stays true until the write is committed: whoever
//! writes holds the namespace's lock from the look at the store to the commit. Namespaces without a quota have no lock, and pay
//! one look into an empty range.

use crate::reservations::Reservation;
use crate::{Cluster, Target};
use ::api::Status;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ResourceQuota, Service};
use kinds::quota::{self, Usage};
use kinds::{Instance, Subresource, TypedKind, Version};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use store::{Resource, Snapshot};
use tokio::sync::{Notify, OwnedMutexGuard};

/// By namespace.
type Locks = HashMap<String, Arc<tokio::sync::Mutex<()>>>;

#[derive(Default)]
pub(crate) struct Quotas {
    locks: Mutex<Locks>,
    /// Namespaces in which something was written since somebody counted.
    touched: Mutex<BTreeSet<String>>,
    wake: Notify,
}

/// Nothing is written into the namespace that could use up the same, while this is held.
pub(crate) struct QuotaReservation(#[allow(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

impl Reservation for QuotaReservation {
    /// What was counted is in the store: the next one counts it there.
    fn commit(self: Box<Self>) {}
}

impl Cluster {
    /// Whether a write may use up more of what a quota bounds. Of a namespace without one nothing more is asked.
    pub(crate) fn has_quota_for(
        &self,
        target: &Target,
        new: &dyn Instance,
        old: Option<&dyn Instance>,
    ) -> bool {
        // an update of others uses no more than before
        let may_use_more = match target.subresource {
            None => {
                old.is_none() || new.as_any().is::<Service>() || new.as_any().is::<PersistentVolumeClaim>()
            }
            part => part == Some(Subresource::Resize),
        };
        let namespace = target.namespace.as_deref().filter(|_| may_use_more);
        namespace.is_some_and(|namespace| has_quota(&self.store().snapshot(), namespace))
    }

    /// # Errors
    /// `Forbidden` where a quota does not allow it, or wants to know what is not said.
    pub(crate) async fn reserve_quota(
        &self,
        target: &Target,
        new: &dyn Instance,
        old: Option<&dyn Instance>,
    ) -> Result<QuotaReservation, Status> {
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let held = self.0.quotas.lock(namespace).lock_owned().await;
        let snapshot = self.store().snapshot();
        for quota in quotas(&snapshot, namespace) {
            self.check(&snapshot, &quota, target, new, old)?;
        }
        Ok(QuotaReservation(held))
    }

    fn check(
        &self,
        snapshot: &Snapshot,
        quota: &ResourceQuota,
        target: &Target,
        new: &dyn Instance,
        old: Option<&dyn Instance>,
    ) -> Result<(), Status> {
        let (info, hard) = (target.version.info(), quota::hard(quota));
        if !hard.keys().any(|name| quota::concerns(name, info)) || !quota::is_in_scope(quota, new) {
            return Ok(());
        }
        let name = quota.metadata.name.as_deref().unwrap_or_default();
        let refused = |why: String| {
            let object = new.meta().name.as_deref().unwrap_or_default();
            Err(Status::forbidden(&target.group_resource(), object, why))
        };
        if let Some(missing) = quota::unspecified(quota, new).filter(|_| old.is_none()) {
            return refused(format!("failed quota: {name}: must specify {missing}"));
        }
        let now = jiff::Timestamp::now();
        let before = old.filter(|old| quota::is_in_scope(quota, *old));
        let before = before.map(|old| quota::usage(old, info, now)).unwrap_or_default();
        let mut more = quota::bounded(&quota::usage(new, info, now), &hard);
        for (name, amount) in &mut more {
            *amount = amount.minus(before.get(name).copied().unwrap_or_default());
        }
        more.retain(|_, amount| !amount.is_zero() && !amount.is_negative());
        if more.is_empty() {
            return Ok(());
        }
        let used = used_by(snapshot, &target.version, quota, &hard, now);
        let of = |usage: &Usage, name: &str| usage.get(name).copied().unwrap_or_default();
        more.retain(|name, amount| of(&used, name).plus(*amount) > of(&hard, name));
        if more.is_empty() {
            return Ok(());
        }
        let those = |usage: &Usage| {
            quota::print(&more.keys().map(|name| (name.clone(), of(usage, name))).collect::<Usage>())
        };
        refused(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            those(&more),
            those(&used),
            those(&hard)
        ))
    }

    /// What the namespace uses of all that its quota bounds.
    pub fn quota_usage(&self, quota: &ResourceQuota) -> Usage {
        let (snapshot, hard) = (self.store().snapshot(), quota::hard(quota));
        let mut sum: Usage = hard.keys().map(|name| (name.clone(), Default::default())).collect();
        let registry = self.registry();
        let is_concerned =
            |version: &&Arc<Version>| hard.keys().any(|name| quota::concerns(name, version.info()));
        for version in registry.kinds().filter_map(|kind| kind.versions.iter().find(is_concerned)) {
            quota::add(&mut sum, &used_by(&snapshot, version, quota, &hard, jiff::Timestamp::now()));
        }
        sum
    }

    /// After a commit.
    pub(crate) fn touch_quotas(&self, target: &Target, namespace: Option<&str>) {
        let Some(namespace) = namespace.filter(|_| target.subresource != Some(Subresource::Scale)) else {
            return;
        };
        if !has_quota(&self.store().snapshot(), namespace) {
            return;
        }
        let quotas = &self.0.quotas;
        quotas.touched.lock().insert(namespace.to_owned());
        quotas.wake.notify_one();
    }

    /// Waits for a write into namespaces with quotas, and says which these are. For one who waits.
    pub async fn quotas_touched(&self) -> BTreeSet<String> {
        loop {
            let touched = {
                let mut touched = self.0.quotas.touched.lock();
                std::mem::take(&mut *touched)
            };
            if !touched.is_empty() {
                return touched;
            }
            self.0.quotas.wake.notified().await;
        }
    }
}

impl Quotas {
    fn lock(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock();
        // what nobody holds says nothing
        locks.retain(|name, lock| name == namespace || Arc::strong_count(lock) > 1);
        locks.entry(namespace.to_owned()).or_default().clone()
    }
}

fn resource() -> Resource {
    Resource::from(&ResourceQuota::info().storage)
}

fn has_quota(snapshot: &Snapshot, namespace: &str) -> bool {
    snapshot.list(&resource(), Some(namespace), None).next().is_some()
}

fn quotas(snapshot: &Snapshot, namespace: &str) -> Vec<ResourceQuota> {
    let all = snapshot.list(&resource(), Some(namespace), None);
    all.filter_map(|object| object.decode_without_managed_fields().ok()).collect()
}

/// What the objects of one kind use.
fn used_by(
    snapshot: &Snapshot,
    version: &Arc<Version>,
    quota: &ResourceQuota,
    hard: &Usage,
    now: jiff::Timestamp,
) -> Usage {
    let info = version.info();
    let namespace = quota.metadata.namespace.as_deref();
    let stored = Resource::from(&info.storage);
    let names: Vec<&String> = hard.keys().filter(|name| quota::concerns(name, info)).collect();
    let has_scopes = quota.spec.as_ref().is_some_and(|spec| {
        spec.scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) || spec.scope_selector.is_some()
    });
    let is_count = |name: &&String| {
        **name == quota::count_name(info)
            || (info.storage.resource != "pods" && **name == info.storage.resource)
    };
    if !has_scopes && names.iter().all(is_count) {
        let count = i64::try_from(snapshot.count(&stored, namespace)).unwrap_or(i64::MAX);
        let count = ::api::quantity::Quantity::from_units(count);
        return names.into_iter().map(|name| (name.clone(), count)).collect();
    }
    let mut sum = Usage::new();
    for object in snapshot.list(&stored, namespace, None) {
        let Ok(instance) = version.decode_stored(object) else { continue };
        if quota::is_in_scope(quota, &*instance) {
            quota::add(&mut sum, &quota::bounded(&quota::usage(&*instance, info, now), hard));
        }
    }
    sum
}
