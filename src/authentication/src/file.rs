//! The file, as upstream's `AuthenticationConfiguration` has it.

use serde::Deserialize;

pub(crate) const VERSIONS: [&str; 3] =
    ["apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1"];

#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("{0}")]
    Unreadable(String),
    #[error("its apiVersion is {0:?}, and not one of {known}", known = VERSIONS.join(", "))]
    Version(String),
    #[error("its kind is {0:?} and not AuthenticationConfiguration")]
    Kind(String),
    #[error("{field}: {why}")]
    Invalid { field: String, why: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) api_version: String,
    #[serde(default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) jwt: Vec<Jwt>,
    pub(crate) anonymous: Option<AnonymousFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AnonymousFile {
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Jwt {
    pub(crate) issuer: IssuerFile,
    #[serde(default)]
    pub(crate) claim_validation_rules: Vec<ClaimRule>,
    #[serde(default)]
    pub(crate) claim_mappings: Mappings,
    #[serde(default)]
    pub(crate) user_validation_rules: Vec<UserRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct IssuerFile {
    pub(crate) url: String,
    #[serde(rename = "discoveryURL")]
    pub(crate) discovery_url: Option<String>,
    /// PEM.
    pub(crate) certificate_authority: Option<String>,
    #[serde(default)]
    pub(crate) audiences: Vec<String>,
    pub(crate) audience_match_policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClaimRule {
    #[serde(default)]
    pub(crate) claim: String,
    #[serde(default)]
    pub(crate) required_value: String,
    #[serde(default)]
    pub(crate) expression: String,
    #[serde(default)]
    pub(crate) message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserRule {
    pub(crate) expression: String,
    #[serde(default)]
    pub(crate) message: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mappings {
    #[serde(default)]
    pub(crate) username: Mapping,
    #[serde(default)]
    pub(crate) groups: Mapping,
    #[serde(default)]
    pub(crate) uid: Mapping,
    #[serde(default)]
    pub(crate) extra: Vec<ExtraMapping>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    #[serde(default)]
    pub(crate) claim: String,
    pub(crate) prefix: Option<String>,
    #[serde(default)]
    pub(crate) expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExtraMapping {
    pub(crate) key: String,
    pub(crate) value_expression: String,
}

pub(crate) fn invalid(field: &str, why: impl Into<String>) -> ConfigurationError {
    ConfigurationError::Invalid { field: field.to_owned(), why: why.into() }
}
