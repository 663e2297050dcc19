//! Questions that are answered and not stored: who am I, may I.

use crate::objects::typed_body;
use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::responses;
use crate::router::method_not_allowed;
use crate::server::Edge;
use api::Status;
use cluster::{Actor, Attributes, Decision};
use http::Method;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview, SelfSubjectRulesReview,
    SubjectAccessReview,
};
use serde_json::{Value, json};
use warp::reply::Response;

/// Resource, kind, whether it is asked within a namespace.
pub(crate) fn of_group(group: &str) -> &'static [(&'static str, &'static str, bool)] {
    match group {
        "authentication.k8s.io" => {
            &[("selfsubjectreviews", "SelfSubjectReview", false), ("tokenreviews", "TokenReview", false)]
        }
        "authorization.k8s.io" => &[
            ("localsubjectaccessreviews", "LocalSubjectAccessReview", true),
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
            ("subjectaccessreviews", "SubjectAccessReview", false),
        ],
        _ => &[],
    }
}

pub(crate) fn is_review(info: &RequestInfo) -> bool {
    info.gvr.version == "v1"
        && of_group(&info.gvr.group).iter().any(|(resource, _, _)| info.gvr.resource == *resource)
}

pub(crate) async fn answer(
    edge: &Edge,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    if request.method != Method::POST {
        return Err(method_not_allowed());
    }
    let attributes = Attributes {
        verb: "create".into(),
        group: info.gvr.group.to_string(),
        resource: info.gvr.resource.to_string(),
        namespace: info.namespace.clone(),
        ..Attributes::default()
    };
    edge.cluster.authorize(actor, &attributes)?;
    let answer = match info.gvr.resource.as_ref() {
        "selfsubjectreviews" => json!({
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {"creationTimestamp": null},
            "status": {"userInfo": user_info(actor)},
        }),
        "tokenreviews" => token_review(edge, typed_body(request).await?)?,
        "selfsubjectaccessreviews" => {
            let review: SelfSubjectAccessReview = typed_body(request).await?;
            let asked = asked(
                review.spec.resource_attributes.as_ref(),
                review.spec.non_resource_attributes.as_ref(),
            )?;
            decided(json!(review), edge.cluster.decide(actor, &asked))
        }
        "selfsubjectrulesreviews" => {
            let review: SelfSubjectRulesReview = typed_body(request).await?;
            rules(edge, actor, &review)
        }
        _ => {
            let review: SubjectAccessReview = typed_body(request).await?;
            let asked = asked(
                review.spec.resource_attributes.as_ref(),
                review.spec.non_resource_attributes.as_ref(),
            )?;
            let groups: Vec<&str> = review.spec.groups.iter().flatten().map(String::as_str).collect();
            let whom = Actor::user(review.spec.user.as_deref().unwrap_or_default(), &groups);
            decided(json!(review), edge.cluster.decide(&whom, &asked))
        }
    };
    Ok(responses::json(201, &answer))
}

fn user_info(actor: &Actor) -> Value {
    let mut info = json!({"username": actor.name, "groups": actor.groups});
    if !actor.uid.is_empty() {
        info["uid"] = actor.uid.as_str().into();
    }
    if !actor.extra.is_empty() {
        info["extra"] = json!(actor.extra);
    }
    info
}

fn token_review(edge: &Edge, review: TokenReview) -> Result<Value, Status> {
    let token = review.spec.token.clone();
    let mut answer = serde_json::to_value(&review).map_err(Status::internal)?;
    answer["status"] = match edge.cluster.authenticate_token(&token) {
        Ok(actor) => {
            json!({"authenticated": true, "user": user_info(&actor), "audiences": [edge.cluster.tokens().issuer()]})
        }
        Err(_) => json!({"authenticated": false, "error": "invalid bearer token"}),
    };
    Ok(answer)
}

fn asked(
    resource: Option<&ResourceAttributes>,
    path: Option<&NonResourceAttributes>,
) -> Result<Attributes, Status> {
    match (resource, path) {
        (Some(asked), None) => Ok(Attributes {
            verb: asked.verb.clone().unwrap_or_default(),
            group: asked.group.clone().unwrap_or_default(),
            resource: asked.resource.clone().unwrap_or_default(),
            subresource: asked.subresource.clone().unwrap_or_default(),
            namespace: asked.namespace.clone().filter(|n| !n.is_empty()),
            name: asked.name.clone().filter(|n| !n.is_empty()),
            path: None,
        }),
        (None, Some(asked)) => Ok(Attributes::non_resource(
            asked.verb.as_deref().unwrap_or_default(),
            asked.path.as_deref().unwrap_or_default(),
        )),
        _ => Err(Status::bad_request(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
    }
}

fn decided(mut review: Value, decision: Decision) -> Value {
    let allowed = decision == Decision::Allow;
    review["status"] = json!({"allowed": allowed});
    review
}

fn rules(edge: &Edge, actor: &Actor, review: &SelfSubjectRulesReview) -> Value {
    let namespace = review.spec.namespace.as_deref().unwrap_or_default();
    let mut all = edge.cluster.rules_of(actor, namespace);
    if actor.is_in(Actor::MASTERS) {
        let star = || Some(vec!["*".to_owned()]);
        let everything = k8s_openapi::api::rbac::v1::PolicyRule {
            verbs: vec!["*".into()],
            api_groups: star(),
            resources: star(),
            ..Default::default()
        };
        all.push(everything);
    }
    let resources: Vec<Value> = all.iter().filter(|r| r.resources.is_some()).map(|r| json!({"verbs": r.verbs, "apiGroups": r.api_groups, "resources": r.resources, "resourceNames": r.resource_names})).collect();
    let paths: Vec<Value> = all
        .iter()
        .filter(|r| r.non_resource_urls.is_some())
        .map(|r| json!({"verbs": r.verbs, "nonResourceURLs": r.non_resource_urls}))
        .collect();
    let mut answer = json!(review);
    answer["status"] = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_review_can_be_explained() {
        for group in ["authentication.k8s.io", "authorization.k8s.io"] {
            let document = openapi::document_v3(&format!("apis/{group}/v1")).unwrap();
            let document: Value = serde_json::from_slice(&openapi::inflate(document)).unwrap();
            for (resource, kind, namespaced) in of_group(group) {
                let within = if *namespaced { "namespaces/{namespace}/" } else { "" };
                let path = format!("/apis/{group}/v1/{within}{resource}");
                let found = &document["paths"][&path]["post"]["x-kubernetes-group-version-kind"]["kind"];
                assert_eq!(found, kind, "{path}");
            }
        }
    }
}
