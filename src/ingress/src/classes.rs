//! Whose an ingress is.

use cluster::INGRESS_CONTROLLER;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kinds::annotations::INGRESS_CLASS;

/// Ours are those of a class that names us, those that name no class, and those of a class that nobody has declared: no
/// other controller waits for them.
pub(crate) fn is_ours(ingress: &Ingress, class_named: impl Fn(&str) -> Option<String>) -> bool {
    let spec = ingress.spec.as_ref();
    let annotations = ingress.metadata.annotations.as_ref();
    let named = spec
        .and_then(|spec| spec.ingress_class_name.as_deref())
        .or_else(|| annotations.and_then(|all| all.get(INGRESS_CLASS)).map(String::as_str));
    match named.map(class_named) {
        Some(Some(controller)) => controller == INGRESS_CONTROLLER,
        Some(None) | None => true,
    }
}

pub(crate) fn controller(class: &IngressClass) -> String {
    class.spec.as_ref().and_then(|spec| spec.controller.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_class_belongs_to_its_controller() {
        let classes = |name: &str| match name {
            "monopod" => Some(INGRESS_CONTROLLER.to_owned()),
            "installed" => Some("k8s.io/ingress-nginx".to_owned()),
            _ => None,
        };
        for (name, ingress, ours) in [
            ("our class", json!({"spec": {"ingressClassName": "monopod"}}), true),
            ("no class", json!({"spec": {}}), true),
            ("a class that nobody declared", json!({"spec": {"ingressClassName": "nginx"}}), true),
            ("another controller's", json!({"spec": {"ingressClassName": "installed"}}), false),
            ("by annotation", json!({"metadata": {"annotations": {INGRESS_CLASS: "installed"}}}), false),
        ] {
            let mut ingress = ingress;
            ingress["metadata"]["name"] = "web".into();
            assert_eq!(is_ours(&serde_json::from_value(ingress).unwrap(), classes), ours, "{name}");
        }
    }
}
