//! A question in the form in which others are asked it.

use super::Attributes;
use crate::Actor;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec,
};

pub(super) fn question(actor: &Actor, asked: &Attributes) -> SubjectAccessReviewSpec {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut question = SubjectAccessReviewSpec {
        user: some(&actor.name),
        uid: some(&actor.uid),
        groups: (!actor.groups.is_empty()).then(|| actor.groups.clone()),
        extra: (!actor.extra.is_empty()).then(|| actor.extra.clone()),
        ..SubjectAccessReviewSpec::default()
    };
    match &asked.path {
        Some(path) => {
            question.non_resource_attributes =
                Some(NonResourceAttributes { path: some(path), verb: some(&asked.verb) });
        }
        None => {
            question.resource_attributes = Some(ResourceAttributes {
                verb: some(&asked.verb),
                group: some(&asked.group),
                version: some(&asked.version),
                resource: some(&asked.resource),
                subresource: some(&asked.subresource),
                namespace: asked.namespace.clone(),
                name: asked.name.clone(),
                ..ResourceAttributes::default()
            });
        }
    }
    question
}
