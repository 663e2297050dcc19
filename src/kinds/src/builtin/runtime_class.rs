//! RuntimeClasses: a handler, which stays, what it costs beside the containers, and where such pods may run.

use super::amounts::round_up_all;
use super::checks::{immutable, required};
use super::pod_validation::{overhead, tolerations};
use super::pod_warnings::old_node_label;
use super::{name_of, names};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::node::v1::RuntimeClass;

impl TypedKind for RuntimeClass {
    const SINGULAR: &'static str = "runtimeclass";
    const PLURAL: &'static str = "runtimeclasses";
    const CREATED_BY_UPDATE: bool = true;
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Handler", "string", "How the runtime runs its pods"), Column::AGE];

    fn set_defaults(&mut self) {
        round_up_all(self.overhead.as_mut().and_then(|overhead| overhead.pod_fixed.as_mut()));
    }
    fn validate(&self, errors: &mut ErrorList) {
        required(names::dns_label, &self.handler, "handler", errors);
        if let Some(fixed) = self.overhead.as_ref().and_then(|o| o.pod_fixed.as_ref()) {
            overhead(fixed, "overhead.podFixed", errors);
        }
        let Some(scheduling) = &self.scheduling else { return };
        crate::meta::labels(scheduling.node_selector.as_ref(), "scheduling.nodeSelector", errors);
        tolerations(scheduling.tolerations.as_deref().unwrap_or_default(), "scheduling.tolerations", errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.handler, &old.handler, "handler", errors);
    }
    fn warnings(&self, _old: Option<&Self>) -> Vec<String> {
        let scheduling = self.scheduling.as_ref();
        let labels =
            scheduling.and_then(|scheduling| scheduling.node_selector.as_ref()).into_iter().flatten();
        let old = labels.filter_map(|(key, _)| old_node_label(key));
        old.map(|why| format!("scheduling.nodeSelector: {why}")).collect()
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![
            name_of(&self.metadata),
            self.handler.as_str().into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
