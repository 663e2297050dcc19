//! A webhook as it is configured: what it wants to be asked about.

use super::DEFAULT_TIMEOUT;
use super::review::{Question, Version};
use ::api::LabelSelector;
use expressions::{Budget, Outcome, Program, Variables};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, RuleWithOperations, ValidatingWebhook, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use kinds::ResourceInfo;
use kinds::builtin::webhooks::CONDITION_VARIABLES;
use std::time::Duration;

pub(super) struct Hook {
    pub(super) name: String,
    pub(super) client: WebhookClientConfig,
    pub(super) rules: Vec<Rule>,
    pub(super) namespaces: LabelSelector,
    pub(super) objects: LabelSelector,
    conditions: Vec<Condition>,
    pub(super) is_exact: bool,
    pub(super) ignores_failure: bool,
    pub(super) is_dry_run_safe: bool,
    pub(super) if_needed: bool,
    pub(super) timeout: Duration,
    pub(super) version: Version,
}

struct Condition {
    name: String,
    program: Result<Program, String>,
}

pub(super) struct Rule(RuleWithOperations);

impl Rule {
    pub(super) fn fits(&self, operation: &str, info: &ResourceInfo, part: &str, is_namespaced: bool) -> bool {
        let among = |values: &Option<Vec<String>>, wanted: &str| {
            values.iter().flatten().any(|value| value == "*" || value == wanted)
        };
        let scope = match self.0.scope.as_deref() {
            Some("Cluster") => !is_namespaced,
            Some("Namespaced") => is_namespaced,
            _ => true,
        };
        let named = |pattern: &String| {
            let (resource, below) = pattern.split_once('/').unwrap_or((pattern, ""));
            (resource == "*" || resource == info.gvr.resource) && (below == part || below == "*")
        };
        scope
            && among(&self.0.operations, operation)
            && among(&self.0.api_groups, &info.gvr.group)
            && among(&self.0.api_versions, &info.gvr.version)
            && self.0.resources.iter().flatten().any(named)
    }
}

impl Hook {
    /// Where its Service, or its address, is asked.
    pub(super) fn url(&self) -> String {
        let seconds = self.timeout.as_secs();
        match &self.client.service {
            Some(service) => {
                let (name, namespace, port) =
                    (&service.name, &service.namespace, service.port.unwrap_or(443));
                let path = service.path.as_deref().unwrap_or_default();
                let slash = if path.starts_with('/') { "" } else { "/" };
                format!("https://{name}.{namespace}.svc:{port}{slash}{path}?timeout={seconds}s")
            }
            None => format!("{}?timeout={seconds}s", self.client.url.as_deref().unwrap_or_default()),
        }
    }

    /// One that is false outweighs one that fails.
    pub(super) fn conditions_hold(&self, question: &Question) -> Result<bool, String> {
        if self.conditions.is_empty() {
            return Ok(true);
        }
        let null = serde_json::Value::Null;
        let variables = Variables::default()
            .json("object", question.object.as_ref().unwrap_or(&null))
            .json("oldObject", question.old.as_ref().unwrap_or(&null))
            .json("request", &question.request);
        let mut budget = Budget::MATCH_CONDITIONS;
        let mut failed = None;
        for Condition { name, program } in &self.conditions {
            let outcome = match program {
                Ok(program) => program.evaluate(&variables, &mut budget).map_err(|fault| fault.to_string()),
                Err(why) => Err(why.clone()),
            };
            match outcome {
                Ok(Outcome::Bool(true)) => {}
                Ok(Outcome::Bool(false)) => return Ok(false),
                Ok(_) => failed = failed.or(Some(format!("expression {name:?} is not a truth value"))),
                Err(why) => failed = failed.or(Some(format!("expression {name:?} resulted in error: {why}"))),
            }
        }
        failed.map_or(Ok(true), Err)
    }
}

/// A selector that can not be read selects nothing less than everything: validation has refused it.
fn selector(of: Option<meta::LabelSelector>) -> LabelSelector {
    of.and_then(|of| kinds::selectors::from_object(&of).ok()).unwrap_or_else(LabelSelector::everything)
}

fn conditions(of: Option<Vec<MatchCondition>>) -> Vec<Condition> {
    let compiled = |condition: MatchCondition| Condition {
        program: Program::compile(&condition.expression, &CONDITION_VARIABLES),
        name: condition.name,
    };
    of.into_iter().flatten().map(compiled).collect()
}

fn timeout(seconds: Option<i32>) -> Duration {
    seconds.and_then(|s| u64::try_from(s).ok()).map_or(DEFAULT_TIMEOUT, Duration::from_secs)
}

macro_rules! from {
    ($hook:expr, $if_needed:expr) => {
        Hook {
            if_needed: $if_needed,
            rules: $hook.rules.into_iter().flatten().map(Rule).collect(),
            namespaces: selector($hook.namespace_selector),
            objects: selector($hook.object_selector),
            conditions: conditions($hook.match_conditions),
            is_exact: $hook.match_policy.as_deref() == Some("Exact"),
            ignores_failure: $hook.failure_policy.as_deref() == Some("Ignore"),
            is_dry_run_safe: matches!($hook.side_effects.as_str(), "None" | "NoneOnDryRun"),
            timeout: timeout($hook.timeout_seconds),
            version: Version::of(&$hook.admission_review_versions),
            name: $hook.name,
            client: $hook.client_config,
        }
    };
}

impl From<MutatingWebhook> for Hook {
    fn from(hook: MutatingWebhook) -> Self {
        let if_needed = hook.reinvocation_policy.as_deref() == Some("IfNeeded");
        from!(hook, if_needed)
    }
}

impl From<ValidatingWebhook> for Hook {
    fn from(hook: ValidatingWebhook) -> Self {
        from!(hook, false)
    }
}
