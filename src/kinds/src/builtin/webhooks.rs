//! What the two kinds of webhook configurations have in common, in the words of upstream's
//! `pkg/apis/admissionregistration/validation`.

use super::checks::{among, among_if_set, judged, label_selector, list, required, text};
use super::names;
use crate::{Column, ErrorList};
use expressions::{Environment, Output, Program};
use k8s_openapi::api::admissionregistration::v1::{MatchCondition, RuleWithOperations, WebhookClientConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::HashSet;

pub(super) const COLUMNS: &[Column] =
    &[Column::NAME, Column::new("Webhooks", "integer", "How many webhooks it has"), Column::AGE];
/// Those that are spoken, the better first.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const MOST_CONDITIONS: usize = 64;
/// What a condition may name.
const CONDITION_VARIABLES: [&str; 3] = ["object", "oldObject", "request"];

/// A webhook of either kind.
pub(super) struct Hook<'h> {
    pub(super) name: &'h str,
    pub(super) client: &'h WebhookClientConfig,
    pub(super) rules: &'h [RuleWithOperations],
    pub(super) reviews: &'h [String],
    pub(super) conditions: &'h [MatchCondition],
    pub(super) namespaces: Option<&'h LabelSelector>,
    pub(super) objects: Option<&'h LabelSelector>,
    pub(super) failure: Option<&'h str>,
    pub(super) matching: Option<&'h str>,
    pub(super) side_effects: &'h str,
    pub(super) timeout: Option<i32>,
}

macro_rules! view {
    ($hook:expr) => {
        $crate::builtin::webhooks::Hook {
            name: &$hook.name,
            client: &$hook.client_config,
            rules: $hook.rules.as_deref().unwrap_or_default(),
            reviews: &$hook.admission_review_versions,
            conditions: $hook.match_conditions.as_deref().unwrap_or_default(),
            namespaces: $hook.namespace_selector.as_ref(),
            objects: $hook.object_selector.as_ref(),
            failure: $hook.failure_policy.as_deref(),
            matching: $hook.match_policy.as_deref(),
            side_effects: &$hook.side_effects,
            timeout: $hook.timeout_seconds,
        }
    };
}
pub(super) use view;

/// Upstream's `SetDefaults_…Webhook`.
macro_rules! set_defaults {
    ($hook:expr) => {{
        $crate::builtin::fill::text(&mut $hook.failure_policy, "Fail");
        $crate::builtin::fill::text(&mut $hook.match_policy, "Equivalent");
        $hook.timeout_seconds.get_or_insert(10);
        $hook.namespace_selector.get_or_insert_default();
        $hook.object_selector.get_or_insert_default();
        if let Some(service) = $hook.client_config.service.as_mut() {
            service.port.get_or_insert(443);
        }
        for rule in $hook.rules.iter_mut().flatten() {
            $crate::builtin::fill::text(&mut rule.scope, "*");
        }
    }};
}
pub(super) use set_defaults;

pub(super) fn validate(hooks: &[Hook<'_>], errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for (index, hook) in hooks.iter().enumerate() {
        let at = format!("webhooks[{index}]");
        required(names::dns_subdomain, hook.name, format!("{at}.name"), errors);
        if !hook.name.is_empty() && hook.name.split('.').count() < 3 {
            let why = "should be a domain with at least three segments separated by dots";
            errors.invalid(format!("{at}.name"), hook.name, why);
        }
        if !seen.insert(hook.name) {
            errors.duplicate(format!("{at}.name"), hook.name);
        }
        for (index, rule) in hook.rules.iter().enumerate() {
            validate_rule(rule, &format!("{at}.rules[{index}]"), errors);
        }
        among_if_set(hook.failure, &["Fail", "Ignore"], format!("{at}.failurePolicy"), errors);
        among_if_set(hook.matching, &["Equivalent", "Exact"], format!("{at}.matchPolicy"), errors);
        match hook.side_effects {
            "" => errors.required(format!("{at}.sideEffects"), "must specify one of None, NoneOnDryRun"),
            given => among(given, &["None", "NoneOnDryRun"], format!("{at}.sideEffects"), errors),
        }
        if hook.timeout.is_some_and(|seconds| !(1..=30).contains(&seconds)) {
            let why = "the timeout value must be between 1 and 30 seconds";
            errors.invalid(format!("{at}.timeoutSeconds"), hook.timeout.unwrap_or_default(), why);
        }
        label_selector(hook.namespaces, &format!("{at}.namespaceSelector"), errors);
        label_selector(hook.objects, &format!("{at}.objectSelector"), errors);
        validate_reviews(hook.reviews, &format!("{at}.admissionReviewVersions"), errors);
        validate_client(hook.client, &format!("{at}.clientConfig"), errors);
        validate_conditions(hook.conditions, &format!("{at}.matchConditions"), errors);
    }
}

fn validate_reviews(versions: &[String], at: &str, errors: &mut ErrorList) {
    if versions.is_empty() {
        return errors.required(at, "must specify one of v1, v1beta1");
    }
    let mut seen = HashSet::new();
    for (index, version) in versions.iter().enumerate() {
        judged(names::dns_label_1035, version, format!("{at}[{index}]"), errors);
        if !seen.insert(version) {
            errors.invalid(format!("{at}[{index}]"), version.as_str(), "duplicate version");
        }
    }
    if !versions.iter().any(|version| REVIEWS.contains(&version.as_str())) {
        errors.invalid(at, versions, "must include at least one of v1, v1beta1");
    }
}

pub(super) fn validate_client(client: &WebhookClientConfig, at: &str, errors: &mut ErrorList) {
    match (&client.url, &client.service) {
        (Some(_), Some(_)) | (None, None) => {
            errors.required(at, "exactly one of url or service is required");
        }
        (Some(url), None) => validate_url(url, &format!("{at}.url"), errors),
        (None, Some(service)) => {
            if service.name.is_empty() {
                errors.required(format!("{at}.service.name"), "service name is required");
            }
            if service.namespace.is_empty() {
                errors.required(format!("{at}.service.namespace"), "service namespace is required");
            }
            let port = service.port.unwrap_or(443);
            if !(1..=65535).contains(&port) {
                let why = "port is not valid: must be between 1 and 65535, inclusive";
                errors.invalid(format!("{at}.service.port"), port, why);
            }
            for why in path_faults(text(&service.path)) {
                errors.invalid(format!("{at}.service.path"), text(&service.path), why);
            }
        }
    }
}

/// Upstream's `ValidateWebhookService`, as far as it looks at the path.
fn path_faults(path: &str) -> Vec<String> {
    match path {
        "" | "/" => return Vec::new(),
        "//" => return vec!["segment[0] may not be empty".to_owned()],
        _ => {}
    }
    let Some(steps) = path.strip_prefix('/') else { return vec!["must start with a '/'".to_owned()] };
    let steps = steps.strip_suffix('/').unwrap_or(steps).split('/').enumerate();
    let faults = steps.filter_map(|(index, step)| match step {
        "" => Some(format!("segment[{index}] may not be empty")),
        step => names::dns_subdomain(step).err().map(|why| format!("segment[{index}]: {why}")),
    });
    faults.collect()
}

fn validate_url(url: &str, at: &str, errors: &mut ErrorList) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if scheme != "https" {
        errors.invalid(at, scheme, format_args!("'https' is the only allowed URL scheme{FORM}"));
    }
    let (before, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (before, query) = before.split_once('?').unwrap_or((before, ""));
    let authority = if scheme.is_empty() { "" } else { before.split('/').next().unwrap_or_default() };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        errors.invalid(at, host, format_args!("host must be specified{FORM}"));
    }
    if !user.is_empty() {
        errors.invalid(at, user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        errors.invalid(at, fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        errors.invalid(at, query, "query parameters are not permitted in the URL");
    }
}

pub(super) fn validate_rule(rule: &RuleWithOperations, at: &str, errors: &mut ErrorList) {
    let mut each = |field: &str, what: &str, values: &[String]| {
        let at = format!("{at}.{field}");
        if values.is_empty() {
            errors.required(&at, "");
        } else if values.len() > 1 && values.iter().any(|value| value == "*") {
            errors.invalid(&at, values, format_args!("if '*' is present, must not specify other {what}"));
        }
        if field != "apiGroups" {
            for (index, _) in values.iter().enumerate().filter(|(_, value)| value.is_empty()) {
                errors.required(format!("{at}[{index}]"), "");
            }
        }
    };
    each("operations", "operations", list(&rule.operations));
    each("apiGroups", "API groups", list(&rule.api_groups));
    each("apiVersions", "API versions", list(&rule.api_versions));
    let resources = list(&rule.resources);
    if resources.is_empty() {
        errors.required(format!("{at}.resources"), "");
    }
    for (index, operation) in list(&rule.operations).iter().enumerate().filter(|(_, o)| !o.is_empty()) {
        among(operation, &OPERATIONS, format!("{at}.operations[{index}]"), errors);
    }
    let whole = resources.iter().any(|resource| resource == "*/*");
    if whole && resources.len() > 1 {
        let why = "if '*/*' is present, must not specify other resources";
        errors.invalid(format!("{at}.resources"), resources, why);
    }
    let has = |resource: &str| resources.iter().any(|other| other == resource);
    if has("*") && resources.iter().any(|other| other != "*" && !other.contains('/')) {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(format!("{at}.resources"), resources, why);
    }
    for (index, resource) in resources.iter().enumerate() {
        let at = format!("{at}.resources[{index}]");
        if resource.is_empty() {
            errors.required(&at, "");
        }
        let Some((of, part)) = resource.split_once('/') else { continue };
        for every in [format!("{of}/*"), format!("*/{part}")] {
            // those before it count: of two the later one is too much
            if resources[..index].contains(&every) {
                let why = format!("if '{every}' is present, must not specify {resource}");
                errors.invalid(&at, resource.as_str(), why);
            }
        }
    }
    among_if_set(rule.scope.as_deref(), &["*", "Cluster", "Namespaced"], format!("{at}.scope"), errors);
}

fn validate_conditions(conditions: &[MatchCondition], at: &str, errors: &mut ErrorList) {
    validate_condition_names(conditions, at, errors);
    for (index, condition) in conditions.iter().enumerate() {
        let at = format!("{at}[{index}].expression");
        match condition.expression.trim() {
            "" => errors.required(at, ""),
            source => {
                if let Err(why) = compile_condition(source) {
                    errors.invalid(at, source, why);
                }
            }
        }
    }
}

/// A webhook's condition.
///
/// # Errors
/// In upstream's words.
pub fn compile_condition(source: &str) -> Result<Program, String> {
    let environment =
        Environment { variables: &CONDITION_VARIABLES, authorizer: true, ..Environment::default() };
    environment.compile(source, Output::Bool)
}

pub(super) fn validate_condition_names(conditions: &[MatchCondition], at: &str, errors: &mut ErrorList) {
    if conditions.len() > MOST_CONDITIONS {
        errors.too_many(at, conditions.len(), MOST_CONDITIONS);
    }
    let mut seen = HashSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let at = format!("{at}[{index}].name");
        required(names::qualified, &condition.name, &at, errors);
        if !condition.name.is_empty() && !seen.insert(&condition.name) {
            errors.duplicate(at, condition.name.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TypedKind;
    use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
    use serde_json::{Value, json};

    fn configuration(change: impl FnOnce(&mut Value)) -> MutatingWebhookConfiguration {
        let mut hook = json!({
            "name": "inject.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"service": {"name": "hook", "namespace": "default"}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        });
        change(&mut hook);
        let mut made: MutatingWebhookConfiguration =
            serde_json::from_value(json!({"metadata": {"name": "a"}, "webhooks": [hook]})).unwrap();
        made.set_defaults();
        made
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let made = configuration(|_| {});
        let hook = &made.webhooks.as_ref().unwrap()[0];
        assert_eq!(hook.failure_policy.as_deref(), Some("Fail"));
        assert_eq!(hook.match_policy.as_deref(), Some("Equivalent"));
        assert_eq!(hook.reinvocation_policy.as_deref(), Some("Never"));
        assert_eq!(
            (hook.timeout_seconds, hook.client_config.service.as_ref().unwrap().port),
            (Some(10), Some(443))
        );
        assert_eq!(hook.rules.as_ref().unwrap()[0].scope.as_deref(), Some("*"));
        let mut errors = ErrorList::default();
        made.validate(&mut errors);
        assert!(errors.is_empty(), "{:?}", errors.into_causes());
    }

    #[test]
    fn what_can_not_be_is_refused_in_upstreams_words() {
        let cases: [(fn(&mut Value), &str); 17] = [
            (
                |h| h["name"] = json!("short.name"),
                "should be a domain with at least three segments separated by dots",
            ),
            (|h| h["sideEffects"] = json!("Some"), "supported values: \"None\", \"NoneOnDryRun\""),
            (|h| h["timeoutSeconds"] = json!(31), "the timeout value must be between 1 and 30 seconds"),
            (|h| h["admissionReviewVersions"] = json!(["v9"]), "must include at least one of v1, v1beta1"),
            (|h| h["clientConfig"] = json!({}), "exactly one of url or service is required"),
            (
                |h| h["clientConfig"] = json!({"url": "http://a.b/c"}),
                "'https' is the only allowed URL scheme",
            ),
            (
                |h| h["clientConfig"] = json!({"url": "https://a@b/c"}),
                "user information is not permitted in the URL",
            ),
            (
                |h| h["namespaceSelector"] = json!({"matchExpressions": [{"key": "a", "operator": "Like"}]}),
                "not a valid selector operator",
            ),
            (
                |h| h["objectSelector"] = json!({"matchLabels": {"a": "b c"}}),
                "a valid label must be an empty string",
            ),
            (|h| h["failurePolicy"] = json!("Maybe"), "supported values: \"Fail\", \"Ignore\""),
            (|h| h["rules"][0]["operations"] = json!(["*", "CREATE"]), "if '*' is present"),
            (|h| h["rules"][0]["operations"] = json!(["LIST"]), "Unsupported value: \"LIST\""),
            (|h| h["rules"][0]["resources"] = json!(["*/*", "pods"]), "if '*/*' is present"),
            (|h| h["rules"][0]["resources"] = json!(["*", "pods"]), "other resources without subresources"),
            (|h| h["rules"][0]["resources"] = json!(["pods/*", "pods/log"]), "must not specify pods/log"),
            (|h| h["clientConfig"]["service"]["path"] = json!("/a//b"), "segment[1] may not be empty"),
            (
                |h| h["matchConditions"] = json!([{"name": "a", "expression": "nope.x"}]),
                "undeclared reference to 'nope'",
            ),
        ];
        for (change, want) in cases {
            let mut errors = ErrorList::default();
            configuration(change).validate(&mut errors);
            let told: Vec<String> = errors.into_causes().into_iter().map(|cause| cause.message).collect();
            assert!(told.iter().any(|message| message.contains(want)), "{want}: {told:?}");
        }
    }
}
