//! Upstream's DefaultIngressClass: an ingress that names no class gets the default one.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::Cluster;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kinds::TypedKind;
use store::Resource;

/// On the class that is the default.
pub(crate) const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
/// How classes were named before there was a field for them.
const OLD_CLASS: &str = "kubernetes.io/ingress.class";

pub(super) struct DefaultIngressClass;

#[async_trait]
impl Plugin for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.creates::<Ingress>()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        let cluster = review.asked.cluster;
        if let Some(ingress) = review.draft.new_mut().and_then(|new| new.downcast_mut()) {
            give_class(cluster, ingress);
        }
        Ok(())
    }
}

fn give_class(cluster: &Cluster, ingress: &mut Ingress) {
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
