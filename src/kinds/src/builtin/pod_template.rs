//! PodTemplates: a pod's template alone, completed and judged as those of the workloads are.

use super::name_of;
use super::workloads::container_cells;
use crate::{Cell, Column, ErrorList, TypedKind, age, selectors};
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec};

impl TypedKind for PodTemplate {
    const SINGULAR: &'static str = "podtemplate";
    const PLURAL: &'static str = "podtemplates";
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Containers", "string", "Names of the containers"),
        Column::new("Images", "string", "Images of the containers"),
        Column::new("Pod Labels", "string", "Labels of the pods"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        super::pod_defaults::template(self.template.get_or_insert_default());
    }
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.template != old.template
    }
    fn pod_template(&self) -> Option<(&'static str, &PodTemplateSpec)> {
        Some(("template", self.template.as_ref()?))
    }
    fn validate(&self, errors: &mut ErrorList) {
        let none = PodTemplateSpec::default();
        super::pod_validation::any_template(self.template.as_ref().unwrap_or(&none), "template", errors);
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let template = self.template.as_ref();
        let [names, images] = container_cells(template.and_then(|t| t.spec.as_ref()).map(|s| &s.containers));
        let labels = template.and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.as_ref());
        vec![
            name_of(&self.metadata),
            names,
            images,
            selectors::print_map(labels).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
