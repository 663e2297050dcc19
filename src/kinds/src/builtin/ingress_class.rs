//! IngressClasses: which controller serves the Ingresses that name the class. Who the controller is stays as it was made.

use super::checks::{domain_prefixed_path, immutable, judged, required, text};
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassParametersReference};

const LONGEST_CONTROLLER: usize = 250;

impl TypedKind for IngressClass {
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
    fn set_defaults(&mut self) {
        if let Some(parameters) = self.spec.as_mut().and_then(|spec| spec.parameters.as_mut()) {
            fill::text(&mut parameters.scope, "Cluster");
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        validate_controller(self.controller(), errors);
        if let Some(parameters) = self.spec.as_ref().and_then(|spec| spec.parameters.as_ref()) {
            validate_parameters(parameters, "spec.parameters", errors);
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.controller(), &old.controller(), "spec.controller", errors);
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

fn validate_controller(controller: &str, errors: &mut ErrorList) {
    let field = "spec.controller";
    if controller.len() > LONGEST_CONTROLLER {
        errors.too_long(field, LONGEST_CONTROLLER);
    }
    domain_prefixed_path(controller, field, errors);
}

fn validate_parameters(parameters: &IngressClassParametersReference, at: &str, errors: &mut ErrorList) {
    if let Some(group) = &parameters.api_group {
        judged(names::dns_subdomain, group, format_args!("{at}.apiGroup"), errors);
    }
    required(names::path_segment, &parameters.kind, format_args!("{at}.kind"), errors);
    required(names::path_segment, &parameters.name, format_args!("{at}.name"), errors);
    let field = format!("{at}.namespace");
    match (text(&parameters.scope), &parameters.namespace) {
        ("", _) => errors.required(format_args!("{at}.scope"), ""),
        ("Namespace", None) => {
            errors.required(field, "`parameters.scope` is set to 'Namespace'");
        }
        ("Namespace", Some(namespace)) => judged(names::dns_label, namespace, field, errors),
        ("Cluster", Some(_)) => {
            errors.forbidden(field, "`parameters.scope` is set to 'Cluster'");
        }
        ("Cluster", None) => {}
        (other, _) => {
            errors.not_supported(format_args!("{at}.scope"), other, &["Cluster", "Namespace"]);
        }
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
