//! One webhook: what it is asked, and what it says.

use expressions::{Budget, Outcome, Program, Variables};
use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const REQUEST: &str = "request";

#[derive(Debug)]
pub struct Webhook {
    pub name: String,
    /// For how long an answer that allows is good; `None` where each question is asked again.
    pub authorized_ttl: Option<Duration>,
    /// The same of all other answers.
    pub unauthorized_ttl: Option<Duration>,
    /// Of one question, however often it is tried.
    pub timeout: Duration,
    /// Where it is, and as whom it is asked; read as a [`crate::Connection`].
    pub kubeconfig: PathBuf,
    /// Whether what can not be asked is denied; otherwise the next authorizer is asked.
    pub denies_on_failure: bool,
    pub(crate) is_beta: bool,
    pub(crate) conditions: Vec<Program>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    Allow,
    Deny,
    NoOpinion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub ruling: Ruling,
    /// In the webhook's words.
    pub reason: String,
}

#[derive(Deserialize)]
struct Review {
    #[serde(default)]
    status: ReviewStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReviewStatus {
    allowed: bool,
    denied: bool,
    reason: String,
    evaluation_error: String,
}

impl Webhook {
    /// Whether it is asked this: all of its conditions are true. One that is false settles it, whatever others fail.
    ///
    /// # Errors
    /// Conditions that have no answer.
    pub fn wants(&self, question: &SubjectAccessReviewSpec) -> Result<bool, String> {
        if self.conditions.is_empty() {
            return Ok(true);
        }
        let variables = Variables::default().json(REQUEST, &request(question));
        let (mut budget, mut failed) = (Budget::MATCH_CONDITIONS, None);
        for condition in &self.conditions {
            match condition.evaluate(&variables, &mut budget) {
                Ok(Outcome::Bool(false)) => return Ok(false),
                Ok(_) => {}
                Err(why) => failed = Some(why.to_string()),
            }
        }
        failed.map_or(Ok(true), |why| Err(format!("webhook match condition: {why}")))
    }

    /// What it is sent.
    pub fn review(&self, question: &SubjectAccessReviewSpec) -> Vec<u8> {
        let mut spec = json!(question);
        let version = if self.is_beta { "v1beta1" } else { "v1" };
        if self.is_beta
            && let Value::Object(fields) = &mut spec
            && let Some(groups) = fields.remove("groups")
        {
            fields.insert("group".to_owned(), groups);
        }
        let review = json!({
            "kind": "SubjectAccessReview", "apiVersion": format!("authorization.k8s.io/{version}"),
            "metadata": {"creationTimestamp": null}, "spec": spec,
        });
        review.to_string().into_bytes()
    }

    /// # Errors
    /// What is no review, and what contradicts itself.
    pub fn answer(&self, body: &[u8]) -> Result<Answer, String> {
        let review: Review = serde_json::from_slice(body).map_err(|why| why.to_string())?;
        let status = review.status;
        let ruling = match (status.allowed, status.denied) {
            (true, true) => {
                let why = "webhook subject access review returned both allow and deny response";
                return Err(why.to_owned());
            }
            (true, false) => Ruling::Allow,
            (false, true) => Ruling::Deny,
            (false, false) => Ruling::NoOpinion,
        };
        let reason = match (status.reason.is_empty(), ruling) {
            (true, Ruling::Deny | Ruling::NoOpinion) => status.evaluation_error,
            _ => status.reason,
        };
        Ok(Answer { ruling, reason })
    }

    /// For how long this is known.
    pub fn good_for(&self, answer: &Answer) -> Option<Duration> {
        if answer.ruling == Ruling::Allow { self.authorized_ttl } else { self.unauthorized_ttl }
    }
}

/// The question as conditions see it: upstream's `convertObjectToUnstructured`, where a text that is empty is there too.
fn request(question: &SubjectAccessReviewSpec) -> Value {
    let mut request = json!(question);
    fill(&mut request, json!({"user": "", "groups": [], "uid": "", "extra": {}}));
    if let Some(path) = request.get_mut("nonResourceAttributes") {
        fill(path, json!({"path": "", "verb": ""}));
    }
    if let Some(resource) = request.get_mut("resourceAttributes") {
        let texts = ["namespace", "verb", "group", "version", "resource", "subresource", "name"];
        fill(resource, texts.into_iter().map(|field| (field, "")).collect());
        for selector in ["fieldSelector", "labelSelector"] {
            let terms = resource.get_mut(selector).and_then(|of| of.get_mut("requirements"));
            for term in terms.and_then(Value::as_array_mut).into_iter().flatten() {
                fill(term, json!({"values": []}));
            }
        }
    }
    request
}

fn fill(object: &mut Value, defaults: Value) {
    if let (Value::Object(object), Value::Object(defaults)) = (object, defaults) {
        for (field, default) in defaults {
            object.entry(field).or_insert(default);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;
    use crate::configuration::tests::with_webhook;
    use k8s_openapi::api::authorization::v1::{
        FieldSelectorAttributes, LabelSelectorAttributes, ResourceAttributes,
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
        FieldSelectorRequirement, LabelSelectorRequirement,
    };

    fn asked(fields: &str, question: &SubjectAccessReviewSpec) -> Result<bool, String> {
        Configuration::parse(&with_webhook(fields)).unwrap().webhooks().next().unwrap().wants(question)
    }

    fn question() -> SubjectAccessReviewSpec {
        SubjectAccessReviewSpec {
            user: Some("jane".to_owned()),
            groups: Some(vec!["dev".to_owned()]),
            resource_attributes: Some(ResourceAttributes {
                namespace: Some("shop".to_owned()),
                verb: Some("get".to_owned()),
                resource: Some("pods".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        }
    }

    #[test]
    fn conditions_say_what_it_is_asked() {
        let condition = |of: &str| format!("matchConditions: [{of}]");
        let of_shop = "{expression: \"request.resourceAttributes.namespace == 'shop'\"}";
        let of_system = "{expression: \"!('system:masters' in request.groups)\"}";
        let no_path = "{expression: \"request.nonResourceAttributes.path == '/x'\"}";
        let never = "{expression: 'false'}";
        let guarded = "{expression: \"has(request.resourceAttributes) && request.user == 'jane'\"}";
        for (name, conditions, want) in [
            ("none", vec![], Ok(true)),
            ("true", vec![of_shop, of_system, guarded], Ok(true)),
            ("false", vec![of_shop, never], Ok(false)),
            ("fails", vec![no_path], Err(())),
            ("fails, and is settled anyhow", vec![no_path, never], Ok(false)),
        ] {
            let found = asked(&condition(&conditions.join(", ")), &question());
            assert_eq!(found.map_err(drop), want, "{name}");
        }
    }

    #[test]
    fn conditions_see_selectors_and_what_is_empty() {
        let mut selecting = question();
        let resource = selecting.resource_attributes.as_mut().unwrap();
        let (key, values) = ("spec.nodeName".to_owned(), Some(vec!["n1".to_owned()]));
        let node = FieldSelectorRequirement { key, operator: "In".to_owned(), values };
        resource.field_selector =
            Some(FieldSelectorAttributes { requirements: Some(vec![node]), raw_selector: None });
        let has =
            LabelSelectorRequirement { key: "app".to_owned(), operator: "Exists".to_owned(), values: None };
        resource.label_selector =
            Some(LabelSelectorAttributes { requirements: Some(vec![has]), raw_selector: None });
        let of_node = "has(request.resourceAttributes.fieldSelector) && request.resourceAttributes.fieldSelector.requirements.exists(r, r.key == 'spec.nodeName' && r.operator == 'In' && r.values == ['n1'])";
        let of_label = "has(request.resourceAttributes.labelSelector) && request.resourceAttributes.labelSelector.requirements.all(r, size(r.values) == 0)";
        let empty = "request.resourceAttributes.name == '' && request.uid == '' && size(request.extra) == 0";
        for (name, expression, of_selecting, of_plain) in [
            ("fields", of_node, true, false),
            ("labels", of_label, true, false),
            ("what is empty", empty, true, true),
        ] {
            let condition = format!("matchConditions: [{{expression: \"{expression}\"}}]");
            assert_eq!(asked(&condition, &selecting), Ok(of_selecting), "{name}");
            assert_eq!(asked(&condition, &question()), Ok(of_plain), "{name}");
        }
    }

    #[test]
    fn an_answer_means_what_upstream_reads() {
        let file = Configuration::parse(&with_webhook("")).unwrap();
        let webhook = file.webhooks().next().unwrap();
        for (status, want) in [
            (r#"{"allowed":true,"reason":"r"}"#, Ok((Ruling::Allow, "r"))),
            (r#"{"allowed":false,"denied":true,"reason":"r"}"#, Ok((Ruling::Deny, "r"))),
            (r#"{"allowed":false}"#, Ok((Ruling::NoOpinion, ""))),
            (r#"{"allowed":false,"evaluationError":"e"}"#, Ok((Ruling::NoOpinion, "e"))),
            (r#"{"allowed":true,"denied":true}"#, Err(())),
            (r#"{"allowed":"yes"}"#, Err(())),
        ] {
            let answer = webhook.answer(format!("{{\"status\":{status}}}").as_bytes());
            let found = answer.as_ref().map(|found| (found.ruling, found.reason.as_str())).map_err(|_| ());
            assert_eq!(found, want, "{status}");
        }
        assert!(webhook.answer(b"").is_err());
        assert_eq!(webhook.answer(b"{}").unwrap().ruling, Ruling::NoOpinion);
    }

    #[test]
    fn the_older_form_of_a_review_says_group() {
        let review = |fields: &str| {
            let file = Configuration::parse(&with_webhook(fields)).unwrap();
            let sent = file.webhooks().next().unwrap().review(&question());
            serde_json::from_slice::<Value>(&sent).unwrap()
        };
        assert_eq!(review("")["spec"]["groups"], json!(["dev"]));
        let beta = review("subjectAccessReviewVersion: v1beta1");
        assert_eq!(beta["apiVersion"], "authorization.k8s.io/v1beta1");
        assert_eq!((&beta["spec"]["group"], &beta["spec"]["groups"]), (&json!(["dev"]), &Value::Null));
    }
}
