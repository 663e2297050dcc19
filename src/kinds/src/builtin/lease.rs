//! Leases: who holds something and for how long. They are renewed all the time, so that a write does not wait for the disk.

use super::checks::{judged, not_negative, text};
use super::{name_of, names};
use crate::{Cell, Column, Durability, ErrorList, TypedKind, age};
use k8s_openapi::api::coordination::v1::Lease;

/// Of coordinated leader election, the one strategy that upstream knows.
const OLDEST_VERSION: &str = "OldestEmulationVersion";

impl TypedKind for Lease {
    const SINGULAR: &'static str = "lease";
    const PLURAL: &'static str = "leases";
    const CREATED_BY_UPDATE: bool = true;
    const UPDATED_UNCONDITIONALLY: bool = false;
    const DURABILITY: Durability = Durability::Lazy;
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Holder", "string", "Identity of the current holder"), Column::AGE];

    fn validate(&self, errors: &mut ErrorList) {
        let Some(spec) = &self.spec else { return };
        if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
            errors.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
        }
        not_negative(spec.lease_transitions.unwrap_or(0).into(), "spec.leaseTransitions", errors);
        let strategy = text(&spec.strategy);
        match spec.strategy.as_deref() {
            None | Some(OLDEST_VERSION) => {}
            Some(custom) if custom.contains('/') => {
                judged(names::qualified, custom, "spec.strategy.strategy", errors);
            }
            Some(other) => errors.not_supported("spec.strategy.strategy", other, &[OLDEST_VERSION]),
        }
        if !text(&spec.preferred_holder).is_empty() && strategy.is_empty() {
            let why = "may only be specified if `strategy` is defined";
            errors.forbidden("spec.preferredHolder", why);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let holder = self.spec.as_ref().and_then(|s| s.holder_identity.clone()).unwrap_or_default();
        vec![name_of(&self.metadata), holder.into(), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}
