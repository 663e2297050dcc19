//! CSIStorageCapacities: how much a driver can still make of a class, and where.

use super::checks::{immutable, label_selector, required};
use super::pod_warnings::old_node_label;
use super::{name_of, names};
use crate::{Cell, Column, ErrorList, TypedKind};
use api::quantity::{Quantity, canonical};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;

impl TypedKind for CSIStorageCapacity {
    const SINGULAR: &'static str = "csistoragecapacity";
    const PLURAL: &'static str = "csistoragecapacities";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("StorageClassName", "string", "The class of the volumes"),
        Column::new("Capacity", "string", "How much can be made"),
    ];

    /// Amounts are written as upstream writes them.
    fn set_defaults(&mut self) {
        for amount in [&mut self.capacity, &mut self.maximum_volume_size].into_iter().flatten() {
            amount.0 = canonical(&amount.0).unwrap_or_else(|_| std::mem::take(&mut amount.0));
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        required(names::dns_subdomain, &self.storage_class_name, "storageClassName", errors);
        label_selector(self.node_topology.as_ref(), "nodeTopology", errors);
        for (field, amount) in
            [("capacity", &self.capacity), ("maximumVolumeSize", &self.maximum_volume_size)]
        {
            let Some(amount) = amount else { continue };
            if amount.0.parse::<Quantity>().map_or(true, Quantity::is_negative) {
                errors.invalid(field, amount.0.as_str(), super::checks::NOT_NEGATIVE);
            }
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.node_topology, &old.node_topology, "nodeTopology", errors);
        immutable(&self.storage_class_name, &old.storage_class_name, "storageClassName", errors);
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let Some(topology) = &self.node_topology else { return Vec::new() };
        let expressions = topology.match_expressions.iter().flatten().enumerate();
        let expressions = expressions.filter_map(|(index, expression)| {
            let why = old_node_label(&expression.key)?;
            Some(format!("nodeTopology.matchExpressions[{index}].key: {} is {why}", expression.key))
        });
        let labels = topology.match_labels.iter().flatten();
        let labels = labels
            .filter_map(|(key, _)| Some(format!("nodeTopology.matchLabels.{key}: {}", old_node_label(key)?)));
        expressions.chain(labels).collect()
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        let capacity = self.capacity.as_ref().map_or("<unset>", |capacity| capacity.0.as_str());
        vec![name_of(&self.metadata), self.storage_class_name.clone().into(), capacity.into()]
    }
}
