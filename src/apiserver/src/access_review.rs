//! What an access review asks, and whether it may be asked so: upstream's `authorization/validation`.

use crate::access_selectors;
use api::Status;
use cluster::{Actor, Attributes};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview,
    SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::ErrorList;
use serde_json::{Value, json};

/// The question, as far as it is understood.
pub(crate) struct Asked {
    pub(crate) attributes: Attributes,
    /// What of it is left out, a sentence each.
    pub(crate) ignored: Vec<String>,
}

pub(crate) fn of_self(review: &SelfSubjectAccessReview, errors: &mut ErrorList) -> Option<Asked> {
    let spec = &review.spec;
    check_empty(&review.metadata, "must be empty", errors);
    asked(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref(), errors)
}

pub(crate) fn of_cluster(review: &SubjectAccessReview, errors: &mut ErrorList) -> Option<Asked> {
    let spec = &review.spec;
    check_empty(&review.metadata, "must be empty", errors);
    asked(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref(), errors)
}

/// It answers for its own namespace only: who may create it there learns nothing of others.
///
/// # Errors
/// `BadRequest` for a body that names another namespace than the path.
pub(crate) fn of_namespace(
    review: &mut LocalSubjectAccessReview,
    namespace: &str,
    errors: &mut ErrorList,
) -> Result<Option<Asked>, Status> {
    let given = review.metadata.namespace.clone().filter(|given| !given.is_empty());
    if let Some(given) = given.filter(|given| given != namespace) {
        return Err(Status::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request: {given} != {namespace}"
        )));
    }
    review.metadata.namespace = Some(namespace.to_owned());
    let besides = ObjectMeta { namespace: None, ..review.metadata.clone() };
    check_empty(&besides, "must be empty except for namespace", errors);
    let spec = &review.spec;
    let asked = asked(spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref(), errors);
    if let Some(resource) = &spec.resource_attributes {
        let given = resource.namespace.as_deref().unwrap_or_default();
        if given != namespace {
            errors.invalid("spec.resourceAttributes.namespace", given, "must match metadata.namespace");
        }
    }
    if let Some(path) = &spec.non_resource_attributes {
        errors.invalid("spec.nonResourceAttributes", json!(path), "disallowed on this kind of request");
    }
    Ok(asked)
}

/// About whom.
pub(crate) fn subject(spec: &SubjectAccessReviewSpec, errors: &mut ErrorList) -> Actor {
    let user = spec.user.as_deref().unwrap_or_default();
    let groups: Vec<&str> = spec.groups.iter().flatten().map(String::as_str).collect();
    if user.is_empty() && groups.is_empty() {
        errors.invalid("spec.user", user, "at least one of user or group must be specified");
    }
    Actor::user(user, &groups)
}

fn check_empty(meta: &ObjectMeta, why: &str, errors: &mut ErrorList) {
    let besides = ObjectMeta { managed_fields: None, creation_timestamp: None, ..meta.clone() };
    if besides != ObjectMeta::default() {
        errors.invalid("metadata", json!(meta), why);
    }
}

fn asked(
    resource: Option<&ResourceAttributes>,
    path: Option<&NonResourceAttributes>,
    errors: &mut ErrorList,
) -> Option<Asked> {
    if let Some(asked) = resource {
        access_selectors::check(asked, errors);
    }
    match (resource, path) {
        (Some(asked), None) => {
            let mut ignored = Vec::new();
            let attributes = Attributes {
                verb: asked.verb.clone().unwrap_or_default(),
                group: asked.group.clone().unwrap_or_default(),
                // whichever
                version: asked.version.clone().filter(|v| !v.is_empty()).unwrap_or_else(|| "*".to_owned()),
                resource: asked.resource.clone().unwrap_or_default(),
                subresource: asked.subresource.clone().unwrap_or_default(),
                namespace: asked.namespace.clone().filter(|n| !n.is_empty()),
                name: asked.name.clone().filter(|n| !n.is_empty()),
                path: None,
                fields: access_selectors::fields(asked.field_selector.as_ref(), &mut ignored),
                labels: access_selectors::labels(asked.label_selector.as_ref(), &mut ignored),
            };
            Some(Asked { attributes, ignored })
        }
        (None, Some(asked)) => {
            let verb = asked.verb.as_deref().unwrap_or_default();
            let attributes = Attributes::non_resource(verb, asked.path.as_deref().unwrap_or_default());
            Some(Asked { attributes, ignored: Vec::new() })
        }
        (Some(_), Some(path)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            errors.invalid("spec.nonResourceAttributes", json!(path), why);
            None
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.invalid("spec.resourceAttributes", Value::Null, why);
            None
        }
    }
}
