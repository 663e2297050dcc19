use super::name_of;
use crate::{Cell, Column, Errors, Kind, Scope, age};
use k8s_openapi::api::networking::v1::IngressClass;

const LONGEST_CONTROLLER: usize = 250;

impl Kind for IngressClass {
    const SINGULAR: &'static str = "ingressclass";
    const PLURAL: &'static str = "ingressclasses";
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Controller", "string", "Who serves ingresses of this class"),
        Column::new("Parameters", "string", "What configures the controller for this class"),
        Column::AGE,
    ];

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn validate(&self, errors: &mut Errors) {
        let controller = self.controller();
        if controller.len() > LONGEST_CONTROLLER {
            errors.too_long("spec.controller", LONGEST_CONTROLLER);
        } else if let Err(why) = super::names::qualified(controller) {
            errors.invalid("spec.controller", controller, why);
        } else if !controller.contains('/') {
            errors.invalid(
                "spec.controller",
                controller,
                "must be a domain-prefixed path (such as \"acme.io/foo\")",
            );
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if self.controller() != old.controller() {
            errors.invalid("spec.controller", self.controller(), "field is immutable");
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let parameters = self.spec.as_ref().and_then(|spec| spec.parameters.as_ref());
        let shown = parameters.map(|p| match p.api_group.as_deref().filter(|group| !group.is_empty()) {
            Some(group) => format!("{}.{group}/{}", p.kind, p.name),
            None => format!("{}/{}", p.kind, p.name),
        });
        vec![
            name_of(&self.metadata),
            self.controller().into(),
            shown.unwrap_or_else(|| "<none>".to_owned()).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

/// What is asked of a class in more than one place.
trait Ask {
    fn controller(&self) -> &str;
}

impl Ask for IngressClass {
    fn controller(&self) -> &str {
        self.spec.as_ref().and_then(|spec| spec.controller.as_deref()).unwrap_or_default()
    }
}
