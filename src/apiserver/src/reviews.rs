//! Questions that are answered and not stored: who am I, may I.

use crate::access_review::{self, Asked};
use crate::request::{Request, typed_body};
use crate::request_info::RequestInfo;
use crate::responses::method_not_allowed;
use crate::server_state::ServerState;
use crate::{negotiate, responses};
use api::{Gvk, Status};
use cluster::{Actor, Cluster, Verdict};
use cri::blocking_while_wanted;
use http::Method;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, NonResourceRule, ResourceRule, SelfSubjectAccessReview, SelfSubjectRulesReview,
    SubjectAccessReview,
};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kinds::ErrorList;
use serde_json::{Value, json};
use warp::reply::Response;

/// Of the rules that somebody has, in bytes: whoever may write roles and bindings decides how many there are, and asks for them as
/// often as he likes. Nobody reads more.
const LISTED: usize = 256 * 1024;

pub(crate) async fn answer(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    if request.method != Method::POST {
        return Err(method_not_allowed());
    }
    negotiate::no_table(request)?;
    let answer = match info.gvr.resource.as_ref() {
        "selfsubjectreviews" => json!({
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
            "status": {"userInfo": user_info(actor)},
        }),
        "tokenreviews" => token_review(state, typed_body(request).await?).await?,
        "selfsubjectrulesreviews" => {
            let review: SelfSubjectRulesReview = typed_body(request).await?;
            rules(state, actor, review).await?
        }
        "selfsubjectaccessreviews" => {
            let review: SelfSubjectAccessReview = typed_body(request).await?;
            let mut errors = ErrorList::default();
            let asked = access_review::of_self(&review, &mut errors);
            decided(state, "SelfSubjectAccessReview", errors, actor, asked, json!(review)).await?
        }
        "localsubjectaccessreviews" => {
            let mut review: LocalSubjectAccessReview = typed_body(request).await?;
            let mut errors = ErrorList::default();
            let namespace = info.namespace.as_deref().unwrap_or_default();
            let asked = access_review::of_namespace(&mut review, namespace, &mut errors)?;
            let whom = access_review::subject(&review.spec, &mut errors);
            decided(state, "LocalSubjectAccessReview", errors, &whom, asked, json!(review)).await?
        }
        _ => {
            let review: SubjectAccessReview = typed_body(request).await?;
            let mut errors = ErrorList::default();
            let asked = access_review::of_cluster(&review, &mut errors);
            let whom = access_review::subject(&review.spec, &mut errors);
            decided(state, "SubjectAccessReview", errors, &whom, asked, json!(review)).await?
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

/// Of a token that is meant for somebody else only he may say that it is good: where no audience is named, that is us.
async fn token_review(state: &ServerState, review: TokenReview) -> Result<Value, Status> {
    if review.spec.token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let mut answer = serde_json::to_value(&review).map_err(Status::internal)?;
    let own = || vec![state.cluster.tokens().issuer().to_owned()];
    let audiences = review.spec.audiences.filter(|all| !all.is_empty()).unwrap_or_else(own);
    answer["status"] = match state.cluster.authenticate_token_for(&review.spec.token, &audiences) {
        Ok(known) => {
            json!({"authenticated": true, "user": user_info(&known.actor), "audiences": known.audiences})
        }
        Err(error) => match state.issuers.load_full().authenticate(&review.spec.token).await {
            // for us, whatever audience its issuer knows us by
            Some(Ok(actor)) if audiences.contains(&own()[0]) => {
                json!({"authenticated": true, "user": user_info(&actor), "audiences": own()})
            }
            _ => json!({"authenticated": false, "error": error.to_string(), "user": {}}),
        },
    };
    Ok(answer)
}

async fn decided(
    state: &ServerState,
    kind: &'static str,
    errors: ErrorList,
    whom: &Actor,
    asked: Option<Asked>,
    mut review: Value,
) -> Result<Value, Status> {
    let Some(asked) = asked.filter(|_| errors.is_empty()) else {
        let kind = Gvk::new("authorization.k8s.io", "v1", kind);
        return Err(Status::invalid(&kind, "", errors.into_causes()));
    };
    let decision = state.cluster.ask(whom, &asked.attributes).await;
    review["status"] = json!({"allowed": decision.is_allowed()});
    if decision.verdict == Verdict::Deny {
        review["status"]["denied"] = true.into();
    }
    if !decision.reason.is_empty() {
        review["status"]["reason"] = (*decision.reason).into();
    }
    let errors: Vec<String> = decision.error.into_iter().chain(asked.ignored).collect();
    if !errors.is_empty() {
        review["status"]["evaluationError"] = errors.join("; ").into();
    }
    Ok(review)
}

/// Milliseconds of work for rules as long as they are listed: a few at a time, beside the event loop.
async fn rules(state: &ServerState, actor: &Actor, review: SelfSubjectRulesReview) -> Result<Value, Status> {
    let turn = state.parsing.of_rules().await;
    let (cluster, actor) = (state.cluster.clone(), actor.clone());
    let listing = blocking_while_wanted(move |_| {
        let _turn = turn;
        listed(&cluster, &actor, &review)
    });
    listing.await.map_err(Status::internal)
}

fn listed(cluster: &Cluster, actor: &Actor, review: &SelfSubjectRulesReview) -> Value {
    let namespace = review.spec.namespace.as_deref().unwrap_or_default();
    let held = cluster.rules_of(actor, namespace);
    let (mut all, is_cut) = first_of(held.iter(), LISTED);
    if actor.is_in(Actor::MASTERS) {
        let star = || Some(vec!["*".to_owned()]);
        let everything = PolicyRule {
            verbs: vec!["*".into()],
            api_groups: star(),
            resources: star(),
            ..Default::default()
        };
        all.push(everything);
    }
    // by their types: what a rule does not say is left out
    let resources = all.iter().filter_map(|rule| {
        Some(ResourceRule {
            verbs: rule.verbs.clone(),
            api_groups: rule.api_groups.clone(),
            resources: Some(rule.resources.clone()?),
            resource_names: rule.resource_names.clone(),
        })
    });
    let paths = all.iter().filter_map(|rule| {
        let non_resource_urls = Some(rule.non_resource_urls.clone()?);
        Some(NonResourceRule { verbs: rule.verbs.clone(), non_resource_urls })
    });
    let (resources, paths): (Vec<_>, Vec<_>) = (resources.collect(), paths.collect());
    let mut answer = json!(review);
    answer["status"] = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
    let mut unlisted: Vec<String> = cluster.unlisted_rules_of(actor).into_iter().map(str::to_owned).collect();
    if is_cut {
        unlisted.push(format!("the rules are larger than {LISTED} bytes together: the rest is left out"));
    }
    if !unlisted.is_empty() {
        answer["status"]["incomplete"] = true.into();
        answer["status"]["evaluationError"] = unlisted.join(", ").into();
    }
    answer
}

/// Those that fit into so many bytes, and whether others do not.
fn first_of<'r>(rules: impl IntoIterator<Item = &'r PolicyRule>, most: usize) -> (Vec<PolicyRule>, bool) {
    let (mut first, mut left) = (Vec::new(), most);
    for rule in rules {
        let PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls } = rule;
        let optional = [api_groups, resources, resource_names, non_resource_urls];
        let texts = optional.into_iter().flatten().flatten().chain(verbs);
        // with its quotes and comma, and the names of the fields
        let size = texts.map(|text| text.len() + 3).sum::<usize>() + 64;
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return (first, true),
        }
        first.push(rule.clone());
    }
    (first, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinds::Scope;

    #[test]
    fn rules_are_listed_as_far_as_there_is_room() {
        let rule = |name: &str| PolicyRule {
            verbs: vec!["get".into()],
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["pods".into()]),
            resource_names: Some(vec![name.to_owned()]),
            non_resource_urls: None,
        };
        let rules: Vec<PolicyRule> = (0..1000).map(|n| rule(&n.to_string())).collect();
        assert_eq!(first_of(&rules, LISTED), (rules.clone(), false));
        let (first, is_cut) = first_of(&rules, 10_000);
        assert!(is_cut && first[..] == rules[..first.len()]);
        let text = serde_json::to_string(&first).unwrap();
        assert!((8_000..12_000).contains(&text.len()), "{}", text.len());
        assert_eq!(first_of(&[rule(&"x".repeat(1 << 20))], 10_000), (Vec::new(), true));
    }

    #[test]
    fn every_review_can_be_explained() {
        let documents = openapi::Documents::of(&kinds::all(), None);
        for group in ["authentication.k8s.io", "authorization.k8s.io"] {
            let document = documents.version_3(&format!("apis/{group}/v1")).unwrap();
            let document: Value = serde_json::from_slice(&openapi::inflate(document.packed())).unwrap();
            for info in kinds::all().resources().filter(|info| info.gvr.group == group) {
                let within = if info.scope == Scope::Namespaced { "namespaces/{namespace}/" } else { "" };
                let path = format!("/apis/{group}/v1/{within}{}", info.gvr.resource);
                let found = &document["paths"][&path]["post"]["x-kubernetes-group-version-kind"]["kind"];
                assert_eq!(*found, *info.gvk.kind, "{path}");
            }
        }
    }
}
