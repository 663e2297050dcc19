//! PriorityClasses: users have values up to a billion, and the names that begin with `system-` are two classes that every
//! cluster has.

use super::checks::{immutable, one_of, text};
use super::name_of;
use super::pod_validation::PREEMPTION_POLICIES;
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::scheduling::v1::PriorityClass;

const HIGHEST_OF_USERS: i32 = 1_000_000_000;
const SYSTEM_PREFIX: &str = "system-";
/// Those that every cluster has.
const OF_THE_SYSTEM: [(&str, i32); 2] = [
    ("system-cluster-critical", 2 * HIGHEST_OF_USERS),
    ("system-node-critical", 2 * HIGHEST_OF_USERS + 1000),
];

impl TypedKind for PriorityClass {
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
    fn validate(&self, errors: &mut ErrorList) {
        let name = text(&self.metadata.name);
        if name.starts_with(SYSTEM_PREFIX) {
            if let Err(why) = system_class(name, self) {
                errors.forbidden(
                    "metadata.name",
                    format_args!("priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"),
                );
            }
        } else if self.value.unwrap_or(0) > HIGHEST_OF_USERS {
            errors.forbidden(
                "value",
                format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"),
            );
        }
        if let Some(policy) = self.preemption_policy.as_deref() {
            one_of(policy, &PREEMPTION_POLICIES, "preemptionPolicy", errors);
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if self.value != old.value {
            errors.forbidden("value", "may not be changed in an update.");
        }
        immutable(&self.preemption_policy, &old.preemption_policy, "preemptionPolicy", errors);
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

fn system_class(name: &str, class: &PriorityClass) -> Result<(), String> {
    let Some((_, value)) = OF_THE_SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Err(format!("{name} is not a known system priority class"));
    };
    if class.value != Some(*value) {
        return Err(format!("value of {name} PriorityClass must be {value}"));
    }
    if class.global_default == Some(true) {
        return Err(format!("globalDefault of {name} PriorityClass must be false"));
    }
    Ok(())
}
