use super::name_of;
use crate::{Cell, Column, Kind, age};
use k8s_openapi::api::core::v1::ServiceAccount;

impl Kind for ServiceAccount {
    const SINGULAR: &'static str = "serviceaccount";
    const PLURAL: &'static str = "serviceaccounts";
    const SHORT_NAMES: &'static [&'static str] = &["sa"];
    const SUBRESOURCES: &'static [&'static str] = &["token"];
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Secrets", "string", "Number of secrets"), Column::AGE];

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let secrets = self.secrets.as_ref().map_or(0, Vec::len);
        vec![name_of(&self.metadata), secrets.into(), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}
