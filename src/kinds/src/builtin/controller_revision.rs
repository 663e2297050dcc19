//! ControllerRevisions: what a DaemonSet or StatefulSet was, for those who roll back.

use super::name_of;
use crate::{Cell, Column, ErrorList, TypedKind, age};
use k8s_openapi::api::apps::v1::ControllerRevision;

impl TypedKind for ControllerRevision {
    const SINGULAR: &'static str = "controllerrevision";
    const PLURAL: &'static str = "controllerrevisions";
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Controller", "string", "Whose revision it is"),
        Column::new("Revision", "integer", "Its number"),
        Column::AGE,
    ];

    fn validate(&self, errors: &mut ErrorList) {
        let revision = self.revision.unwrap_or(0);
        if revision < 0 {
            errors.invalid("revision", revision, "must be greater than or equal to 0");
        }
        if self.data.0.is_null() {
            errors.required("data", "data is mandatory");
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if self.data != old.data {
            errors.invalid("data", serde_json::json!(self.data), "field is immutable");
        }
    }

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let owners = self.metadata.owner_references.iter().flatten();
        let controller = owners.into_iter().find(|owner| owner.controller == Some(true)).map(|owner| {
            let kind = api::Gvk::parse(&owner.api_version, &owner.kind).to_string();
            format!("{}/{}", kind.to_lowercase(), owner.name)
        });
        vec![
            name_of(&self.metadata),
            controller.unwrap_or_else(|| "<none>".to_owned()).into(),
            self.revision.unwrap_or(0).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
