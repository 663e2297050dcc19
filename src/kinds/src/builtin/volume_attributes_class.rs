//! VolumeAttributesClasses: attributes that a driver can change of a volume that is in use.

use super::checks::immutable;
use super::csi_driver::driver_name;
use super::name_of;
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::storage::v1::VolumeAttributesClass;

impl TypedKind for VolumeAttributesClass {
    const SINGULAR: &'static str = "volumeattributesclass";
    const PLURAL: &'static str = "volumeattributesclasses";
    const SHORT_NAMES: &'static [&'static str] = &["vac"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("DriverName", "string", "The driver"), Column::AGE];

    fn validate(&self, errors: &mut ErrorList) {
        driver_name(&self.driver_name, "driverName", errors);
        if self.parameters.as_ref().is_none_or(|parameters| parameters.is_empty()) {
            errors.required("parameters", "must contain at least one key/value pair");
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.driver_name, &old.driver_name, "driverName", errors);
        if self.parameters != old.parameters {
            errors.forbidden("parameters", "updates to parameters are forbidden.");
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let age = age(self.metadata.creation_timestamp.as_ref(), now);
        vec![name_of(&self.metadata), self.driver_name.clone().into(), age]
    }
}
