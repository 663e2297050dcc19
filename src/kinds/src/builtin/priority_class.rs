use super::name_of;
use crate::{Cell, Column, Errors, Kind, Scope, age};
use k8s_openapi::api::scheduling::v1::PriorityClass;

const HIGHEST_OF_USERS: i32 = 1_000_000_000;

impl Kind for PriorityClass {
    const SINGULAR: &'static str = "priorityclass";
    const PLURAL: &'static str = "priorityclasses";
    const SHORT_NAMES: &'static [&'static str] = &["pc"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Value", "integer", "The priority"),
        Column::new("Global-Default", "boolean", "Whether pods without a class have it"),
        Column::AGE,
        Column::new("PreemptionPolicy", "string", "Whether its pods push others away"),
    ];

    fn set_defaults(&mut self) {
        self.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
    }
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn validate(&self, errors: &mut Errors) {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        if self.value.unwrap_or(0) > HIGHEST_OF_USERS && !name.starts_with("system-") {
            errors.forbidden(
                "value",
                format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"),
            );
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if self.value != old.value {
            errors.forbidden("value", "may not be changed in an update.");
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.value.into(),
            self.global_default.unwrap_or(false).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
            self.preemption_policy.clone().unwrap_or_default().into(),
        ]
    }
}
