//! CSINodes: the storage drivers of a node.

use super::checks::list;
use super::csi_driver::driver_name;
use super::{name_of, names};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::storage::v1::CSINode;
use serde_json::json;

const LONGEST_ID: usize = 192;

impl TypedKind for CSINode {
    const SINGULAR: &'static str = "csinode";
    const PLURAL: &'static str = "csinodes";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Drivers", "integer", "How many drivers the node has"), Column::AGE];

    fn validate(&self, errors: &mut ErrorList) {
        let drivers = &self.spec.drivers;
        for (index, driver) in drivers.iter().enumerate() {
            let at = format!("spec.drivers[{index}]");
            driver_name(&driver.name, &format!("{at}.name"), errors);
            if drivers[..index].iter().any(|other| other.name == driver.name) {
                errors.duplicate(format_args!("{at}.name"), driver.name.as_str());
            }
            match driver.node_id.len() {
                0 => errors.required(format_args!("{at}.nodeID"), ""),
                length if length > LONGEST_ID => {
                    let why = format!("must be {LONGEST_ID} characters or less");
                    errors.invalid(format_args!("{at}.nodeID"), driver.node_id.as_str(), why);
                }
                _ => {}
            }
            let count = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count);
            if let Some(count) = count.filter(|count| *count < 0) {
                errors.invalid(format_args!("{at}.allocatable.count"), count, super::checks::NOT_NEGATIVE);
            }
            let keys = list(&driver.topology_keys);
            for (index, key) in keys.iter().enumerate() {
                if keys[..index].contains(key) {
                    errors.duplicate(format_args!("{at}.topologyKeys"), key.as_str());
                }
                if let Err(why) = names::qualified(key) {
                    errors.invalid(format_args!("{at}.topologyKeys"), key.as_str(), why);
                }
            }
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        for driver in &old.spec.drivers {
            let new = self.spec.drivers.iter().find(|other| other.name == driver.name);
            let mut new = new.cloned();
            if let Some(new) = &mut new {
                new.allocatable.clone_from(&driver.allocatable);
            }
            if new.as_ref().is_some_and(|new| new != driver) {
                let why = "field is immutable";
                errors.invalid("spec.drivers", json!(new), why);
            }
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let age = age(self.metadata.creation_timestamp.as_ref(), now);
        vec![name_of(&self.metadata), self.spec.drivers.len().into(), age]
    }
}
