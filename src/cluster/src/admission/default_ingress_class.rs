//! Upstream's DefaultIngressClass: an ingress that names no class gets the default one.

use crate::Cluster;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kinds::{Instance, TypedKind};
use store::Resource;

/// On the class that is the default.
pub(crate) const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
/// How classes were named before there was a field for them.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

pub(super) fn admit(cluster: &Cluster, object: &mut dyn Instance) {
    let Some(ingress) = object.downcast_mut::<Ingress>() else { return };
    let has_old = ingress.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(OLD_CLASS));
    let spec = ingress.spec.get_or_insert_default();
    if has_old || spec.ingress_class_name.is_some() {
        return;
    }
    let resource = Resource::from(&IngressClass::info().storage);
    let snapshot = cluster.store().snapshot();
    let classes =
        snapshot.list(&resource, None, None).filter_map(|object| object.decode::<IngressClass>().ok());
    // the newest, where there are several
    let default = classes.filter(is_default).max_by_key(|class| class.metadata.creation_timestamp.clone());
    spec.ingress_class_name = default.and_then(|class| class.metadata.name);
}

fn is_default(class: &IngressClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(DEFAULT_CLASS)).is_some_and(|value| value == "true")
}
