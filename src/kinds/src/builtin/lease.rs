use super::name_of;
use crate::{Cell, Column, Durability, Kind, age};
use k8s_openapi::api::coordination::v1::Lease;

impl Kind for Lease {
    const SINGULAR: &'static str = "lease";
    const PLURAL: &'static str = "leases";
    const DURABILITY: Durability = Durability::Lazy;
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Holder", "string", "Identity of the current holder"), Column::AGE];

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let holder = self.spec.as_ref().and_then(|s| s.holder_identity.clone()).unwrap_or_default();
        vec![name_of(&self.metadata), holder.into(), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}
