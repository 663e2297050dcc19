//! The file, as upstream's `AuthorizationConfiguration` has it.

use crate::duration;
use crate::webhook::Webhook;
use expressions::{Environment, Output, Program};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const VERSIONS: [&str; 2] = ["apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1"];
/// Upstream's, for answers that allow and for those that do not.
const AUTHORIZED_TTL: Duration = Duration::from_secs(5 * 60);
const UNAUTHORIZED_TTL: Duration = Duration::from_secs(30);
/// Upstream's: a client waits for it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Upstream's, of one webhook.
const MOST_CONDITIONS: usize = 64;

/// Whom to ask, one after the other, until one allows or denies.
#[derive(Debug)]
pub struct Configuration {
    pub authorizers: Vec<Authorizer>,
}

#[derive(Debug)]
pub enum Authorizer {
    AlwaysAllow,
    AlwaysDeny,
    /// What nodes may do that are clients.
    Node,
    Rbac,
    Webhook(Box<Webhook>),
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("{0}")]
    Unreadable(String),
    #[error("its apiVersion is {0:?}, and not one of {known}", known = VERSIONS.join(", "))]
    Version(String),
    #[error("its kind is {0:?} and not AuthorizationConfiguration")]
    Kind(String),
    #[error("{field}: {why}")]
    Invalid { field: String, why: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    authorizers: Vec<AuthorizerFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizerFile {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    name: String,
    webhook: Option<WebhookFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebhookFile {
    #[serde(rename = "authorizedTTL")]
    authorized_ttl: Option<String>,
    cache_authorized_requests: Option<bool>,
    #[serde(rename = "unauthorizedTTL")]
    unauthorized_ttl: Option<String>,
    cache_unauthorized_requests: Option<bool>,
    timeout: Option<String>,
    #[serde(default)]
    subject_access_review_version: String,
    #[serde(default)]
    match_condition_subject_access_review_version: String,
    #[serde(default)]
    failure_policy: String,
    #[serde(default)]
    connection_info: ConnectionInfo,
    #[serde(default)]
    match_conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConnectionInfo {
    #[serde(default)]
    r#type: String,
    kube_config_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(default)]
    expression: String,
}

impl Configuration {
    /// From YAML or JSON.
    ///
    /// # Errors
    /// What is no such file, and what can not be meant, by field.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        let file: File =
            serde_saphyr::from_str(text).map_err(|e| ConfigurationError::Unreadable(e.to_string()))?;
        if !VERSIONS.contains(&file.api_version.as_str()) {
            return Err(ConfigurationError::Version(file.api_version));
        }
        if file.kind != "AuthorizationConfiguration" {
            return Err(ConfigurationError::Kind(file.kind));
        }
        if file.authorizers.is_empty() {
            return Err(invalid(
                "authorizers",
                "Required value: at least one authorization mode must be defined",
            ));
        }
        let (mut authorizers, mut types, mut names) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for (index, given) in file.authorizers.into_iter().enumerate() {
            let at = format!("authorizers[{index}]");
            if given.r#type != "Webhook" && !types.insert(given.r#type.clone()) {
                return Err(invalid(&format!("{at}.type"), format!("Duplicate value: {:?}", given.r#type)));
            }
            check_name(&given.name, &format!("{at}.name"))?;
            if !names.insert(given.name.clone()) {
                return Err(invalid(&format!("{at}.name"), format!("Duplicate value: {:?}", given.name)));
            }
            authorizers.push(authorizer(given, &at)?);
        }
        Ok(Configuration { authorizers })
    }

    pub fn webhooks(&self) -> impl Iterator<Item = &Webhook> {
        self.authorizers.iter().filter_map(|authorizer| match authorizer {
            Authorizer::Webhook(webhook) => Some(&**webhook),
            _ => None,
        })
    }
}

fn authorizer(given: AuthorizerFile, at: &str) -> Result<Authorizer, ConfigurationError> {
    let at_webhook = format!("{at}.webhook");
    if given.webhook.is_some() && given.r#type != "Webhook" {
        return Err(invalid(&at_webhook, "Invalid value: may only be specified when type=Webhook"));
    }
    match given.r#type.as_str() {
        "" => Err(invalid(&format!("{at}.type"), "Required value")),
        "AlwaysAllow" => Ok(Authorizer::AlwaysAllow),
        "AlwaysDeny" => Ok(Authorizer::AlwaysDeny),
        "Node" => Ok(Authorizer::Node),
        "RBAC" => Ok(Authorizer::Rbac),
        "Webhook" => {
            let file = given.webhook;
            let file =
                file.ok_or_else(|| invalid(&at_webhook, "Required value: required when type=Webhook"))?;
            Ok(Authorizer::Webhook(Box::new(webhook(given.name, file, &at_webhook)?)))
        }
        other => Err(invalid(
            &format!("{at}.type"),
            format!(
                "Unsupported value: {other:?}: supported values: \"AlwaysAllow\", \"AlwaysDeny\", \"Node\", \"RBAC\", \"Webhook\""
            ),
        )),
    }
}

fn webhook(name: String, file: WebhookFile, at: &str) -> Result<Webhook, ConfigurationError> {
    let field = |name: &str| format!("{at}.{name}");
    let time = |name: &str, given: Option<&str>, default: Option<Duration>| match (given, default) {
        (None, Some(default)) => Ok(default),
        (None, None) => Err(invalid(&field(name), "Required value")),
        (Some(text), _) => match duration::parse(text) {
            Some(Duration::ZERO) | None => {
                Err(invalid(&field(name), format!("Invalid value: {text:?}: must be > 0s")))
            }
            Some(time) => Ok(time),
        },
    };
    let timeout = time("timeout", file.timeout.as_deref(), None)?;
    if timeout > LONGEST_TIMEOUT {
        let given = file.timeout.unwrap_or_default();
        return Err(invalid(&field("timeout"), format!("Invalid value: {given:?}: must be <= 30s")));
    }
    let authorized = time("authorizedTTL", file.authorized_ttl.as_deref(), Some(AUTHORIZED_TTL))?;
    let unauthorized = time("unauthorizedTTL", file.unauthorized_ttl.as_deref(), Some(UNAUTHORIZED_TTL))?;
    let version = file.subject_access_review_version;
    one_of(&version, &["v1beta1", "v1"], &field("subjectAccessReviewVersion"))?;
    let condition_version = file.match_condition_subject_access_review_version;
    if !(condition_version.is_empty() && file.match_conditions.is_empty()) {
        one_of(&condition_version, &["v1"], &field("matchConditionSubjectAccessReviewVersion"))?;
    }
    one_of(&file.failure_policy, &["NoOpinion", "Deny"], &field("failurePolicy"))?;
    one_of(&file.connection_info.r#type, &["KubeConfigFile"], &field("connectionInfo.type"))?;
    let at_file = field("connectionInfo.kubeConfigFile");
    let kubeconfig = file.connection_info.kube_config_file.unwrap_or_default();
    if kubeconfig == Path::new("") {
        return Err(invalid(&at_file, "Required value"));
    }
    if !kubeconfig.is_absolute() {
        let shown = kubeconfig.display();
        return Err(invalid(&at_file, format!("Invalid value: \"{shown}\": must be an absolute path")));
    }
    Ok(Webhook {
        name,
        authorized_ttl: file.cache_authorized_requests.unwrap_or(true).then_some(authorized),
        unauthorized_ttl: file.cache_unauthorized_requests.unwrap_or(true).then_some(unauthorized),
        timeout,
        is_beta: version == "v1beta1",
        denies_on_failure: file.failure_policy == "Deny",
        kubeconfig,
        conditions: conditions(&file.match_conditions, &field("matchConditions"))?,
    })
}

fn conditions(given: &[Condition], at: &str) -> Result<Vec<Program>, ConfigurationError> {
    if given.len() > MOST_CONDITIONS {
        let why = format!("Too many: {}: must have at most {MOST_CONDITIONS} items", given.len());
        return Err(invalid(at, why));
    }
    let (mut programs, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, Condition { expression }) in given.iter().enumerate() {
        let at = format!("{at}[{index}].expression");
        if expression.trim().is_empty() {
            return Err(invalid(&at, "Required value"));
        }
        if !seen.insert(expression) {
            return Err(invalid(&at, format!("Duplicate value: {expression:?}")));
        }
        let program = Environment::of_access_review().compile(expression, Output::Bool);
        programs.push(program.map_err(|why| invalid(&at, format!("Invalid value: {expression:?}: {why}")))?);
    }
    Ok(programs)
}

/// Names are told in metrics and logs: labels of a domain name.
fn check_name(name: &str, at: &str) -> Result<(), ConfigurationError> {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    match name {
        "" => Err(invalid(at, "Required value")),
        name if name.len() <= 253 && name.split('.').all(label) => Ok(()),
        name => Err(invalid(
            at,
            format!(
                "Invalid value: {name:?}: authorizer name is invalid: a lowercase RFC 1123 subdomain is wanted"
            ),
        )),
    }
}

fn one_of(given: &str, known: &[&str], at: &str) -> Result<(), ConfigurationError> {
    match given {
        "" => Err(invalid(at, "Required value")),
        given if known.contains(&given) => Ok(()),
        given => {
            let known: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
            let known = known.join(", ");
            Err(invalid(at, format!("Unsupported value: {given:?}: supported values: {known}")))
        }
    }
}

fn invalid(field: &str, why: impl Into<String>) -> ConfigurationError {
    ConfigurationError::Invalid { field: field.to_owned(), why: why.into() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n";

    /// A webhook with these fields in place of its own, or beside them.
    pub(crate) fn with_webhook(fields: &str) -> String {
        let mut all = vec![
            "timeout: 3s",
            "subjectAccessReviewVersion: v1",
            "matchConditionSubjectAccessReviewVersion: v1",
            "failurePolicy: NoOpinion",
            "connectionInfo: {type: KubeConfigFile, kubeConfigFile: /w.conf}",
        ];
        let key = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        all.retain(|line| !fields.lines().any(|given| key(given) == key(line)));
        all.extend(fields.lines());
        let all = all.join("\n    ");
        format!(
            "{HEAD}authorizers:\n- type: Webhook\n  name: w\n  webhook:\n    {all}\n- {{type: RBAC, name: rbac}}\n"
        )
    }

    #[test]
    fn what_can_not_be_meant_is_refused_by_field() {
        let of = |text: &str| format!("{HEAD}{text}");
        for (text, want) in [
            (of(""), "authorizers: Required value: at least one authorization mode must be defined"),
            (of("authorizers: [{name: a}]"), "authorizers[0].type: Required value"),
            (of("authorizers: [{type: ABAC, name: a}]"), "authorizers[0].type: Unsupported value: \"ABAC\""),
            (of("authorizers: [{type: RBAC}]"), "authorizers[0].name: Required value"),
            (of("authorizers: [{type: RBAC, name: A_b}]"), "authorizers[0].name: Invalid value: \"A_b\""),
            (
                of("authorizers: [{type: RBAC, name: a}, {type: RBAC, name: b}]"),
                "authorizers[1].type: Duplicate value: \"RBAC\"",
            ),
            (
                of("authorizers: [{type: RBAC, name: a}, {type: Node, name: a}]"),
                "authorizers[1].name: Duplicate value: \"a\"",
            ),
            (
                of("authorizers: [{type: Webhook, name: a}]"),
                "authorizers[0].webhook: Required value: required when type=Webhook",
            ),
            (
                of("authorizers: [{type: RBAC, name: a, webhook: {}}]"),
                "authorizers[0].webhook: Invalid value: may only be specified when type=Webhook",
            ),
            (
                with_webhook("timeout: 31s"),
                "authorizers[0].webhook.timeout: Invalid value: \"31s\": must be <= 30s",
            ),
            (
                with_webhook("timeout: x"),
                "authorizers[0].webhook.timeout: Invalid value: \"x\": must be > 0s",
            ),
            (
                with_webhook("failurePolicy: Ignore"),
                "authorizers[0].webhook.failurePolicy: Unsupported value: \"Ignore\"",
            ),
            (
                with_webhook("connectionInfo: {type: KubeConfigFile, kubeConfigFile: w.conf}"),
                "authorizers[0].webhook.connectionInfo.kubeConfigFile: Invalid value: \"w.conf\": must be an absolute path",
            ),
            (
                with_webhook("connectionInfo: {type: InClusterConfig}"),
                "authorizers[0].webhook.connectionInfo.type: Unsupported value: \"InClusterConfig\"",
            ),
            (
                with_webhook("matchConditions: [{expression: 'request.name == \"a\"'}]"),
                "authorizers[0].webhook.matchConditions[0].expression: Invalid value: ",
            ),
            (
                with_webhook("matchConditions: [{expression: '1'}]"),
                "authorizers[0].webhook.matchConditions[0].expression: Invalid value: ",
            ),
        ] {
            let why = Configuration::parse(&text).unwrap_err().to_string();
            assert!(why.starts_with(want), "{text}: {why}");
        }
        for text in ["kind: Pod", &format!("{HEAD}authorizer: []"), "{", &of("authorizers: 3")] {
            assert!(Configuration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_upstreams_where_nobody_says_otherwise() {
        let times = |fields: &str| {
            let file = Configuration::parse(&with_webhook(fields)).unwrap();
            let webhook = file.webhooks().next().unwrap();
            (webhook.timeout, webhook.authorized_ttl, webhook.unauthorized_ttl)
        };
        let seconds = Duration::from_secs;
        assert_eq!(times(""), (seconds(3), Some(seconds(300)), Some(seconds(30))));
        assert_eq!(
            times("authorizedTTL: 1m\nunauthorizedTTL: 1s"),
            (seconds(3), Some(seconds(60)), Some(seconds(1)))
        );
        assert_eq!(
            times("cacheAuthorizedRequests: false\ncacheUnauthorizedRequests: false"),
            (seconds(3), None, None)
        );
    }
}
