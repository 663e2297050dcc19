//! Which requests are told of, and how much of them: the first rule that matches decides. As upstream's `audit/policy`.

use serde::{Deserialize, Serialize};
use std::fmt;

const VERSION: &str = "audit.k8s.io/v1";

/// How much is told; each holds what those before it hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    None,
    /// Who, what and when.
    Metadata,
    /// And what the client sent.
    Request,
    /// And what it was answered.
    RequestResponse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Before anything is done.
    RequestReceived,
    /// The head of an answer that goes on: a watch, an exec.
    ResponseStarted,
    ResponseComplete,
    Panic,
}

/// `audit.k8s.io/v1`, kind `Policy`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: Option<serde_json::Value>,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<GroupResources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    omit_managed_fields: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupResources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// What a policy looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    pub user: &'a str,
    pub groups: &'a [String],
    pub verb: &'a str,
    /// `None` for what is no resource: `/healthz`.
    pub resource: Option<ResourceOf<'a>>,
    pub path: &'a str,
}

/// Empty texts for what is not there.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResourceOf<'a> {
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// What is told of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub level: Level,
    omit_stages: Vec<Stage>,
    pub omit_managed_fields: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("{0}")]
    Unreadable(String),
    #[error("its apiVersion is {found:?}, and only {VERSION} is known")]
    Version { found: String },
    #[error("its kind is {found:?} and not Policy")]
    Kind { found: String },
    #[error("loaded illegal policy with 0 rules")]
    NoRules,
    #[error("rules[{rule}].{why}")]
    Rule { rule: usize, why: String },
}

impl Policy {
    /// From YAML or JSON.
    ///
    /// # Errors
    /// What is no policy, and rules that can not be meant.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Policy =
            serde_saphyr::from_str(text).map_err(|e| PolicyError::Unreadable(e.to_string()))?;
        if policy.api_version != VERSION {
            let found = policy.api_version;
            return Err(PolicyError::Version { found });
        }
        if policy.kind != "Policy" {
            return Err(PolicyError::Kind { found: policy.kind });
        }
        if policy.rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        for (rule, of) in policy.rules.iter().enumerate() {
            of.check().map_err(|why| PolicyError::Rule { rule, why })?;
        }
        Ok(policy)
    }

    pub fn decide(&self, subject: &Subject<'_>) -> Decision {
        match self.rules.iter().find(|rule| rule.matches(subject)) {
            Some(rule) => Decision {
                level: rule.level,
                omit_stages: self.omit_stages.iter().chain(&rule.omit_stages).copied().collect(),
                omit_managed_fields: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields),
            },
            None => Decision { level: Level::None, omit_stages: Vec::new(), omit_managed_fields: false },
        }
    }
}

impl Decision {
    pub fn tells(&self, stage: Stage) -> bool {
        self.level > Level::None && !self.omit_stages.contains(&stage)
    }
}

impl Rule {
    /// Upstream's `validatePolicyRule`.
    fn check(&self) -> Result<(), String> {
        let is_of_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if is_of_resources && !self.non_resource_urls.is_empty() {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            return Err(format!(
                "nonResourceURLs: Invalid value: {}: {why}",
                listed(&self.non_resource_urls)
            ));
        }
        for (at, url) in self.non_resource_urls.iter().enumerate() {
            let why = match url.as_str() {
                "*" => continue,
                url if !url.starts_with('/') => "non-resource URL rules must begin with a '/' character",
                url if url[..url.len() - 1].contains('*') => {
                    "non-resource URL wildcards '*' must be the final character of the rule"
                }
                _ => continue,
            };
            return Err(format!("nonResourceURLs[{at}]: Invalid value: {url:?}: {why}"));
        }
        for (at, of) in self.resources.iter().enumerate() {
            // the group's version is no part of it: a mistake that people make
            if of.group.contains('/') {
                let why = "a group has no version";
                return Err(format!("resources[{at}].group: Invalid value: {:?}: {why}", of.group));
            }
            if !of.resource_names.is_empty() && of.resources.is_empty() {
                let why = "using resourceNames requires at least one resource";
                let names = listed(&of.resource_names);
                return Err(format!("resources[{at}].resourceNames: Invalid value: {names}: {why}"));
            }
        }
        Ok(())
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        let Subject { user, groups, verb, resource, path } = *subject;
        let is_for = self.users.is_empty() && self.user_groups.is_empty()
            || self.users.iter().any(|known| known == user)
            || groups.iter().any(|group| self.user_groups.contains(group));
        if !is_for || !all_or(&self.verbs, verb) {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return resource.is_some_and(|of| self.matches_resource(of));
        }
        if !self.non_resource_urls.is_empty() {
            return resource.is_none() && self.non_resource_urls.iter().any(|url| covers(url, path));
        }
        true
    }

    fn matches_resource(&self, of: ResourceOf<'_>) -> bool {
        all_or(&self.namespaces, of.namespace)
            && (self.resources.is_empty() || self.resources.iter().any(|known| known.matches(of)))
    }
}

impl GroupResources {
    fn matches(&self, of: ResourceOf<'_>) -> bool {
        if self.group != of.group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        if !all_or(&self.resource_names, of.name) {
            return false;
        }
        self.resources.iter().any(|known| match known.split_once('/') {
            None => known == "*" || (of.subresource.is_empty() && known == of.resource),
            Some(("*", part)) => part == of.subresource,
            Some((resource, "*")) => resource == of.resource,
            Some((resource, part)) => resource == of.resource && part == of.subresource,
        })
    }
}

/// An empty list is of everything.
fn all_or(of: &[String], one: &str) -> bool {
    of.is_empty() || of.iter().any(|known| known == one)
}

fn covers(url: &str, path: &str) -> bool {
    match url.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => url == path,
    }
}

/// As upstream prints a list of texts.
fn listed(all: &[String]) -> String {
    format!("[{}]", all.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(","))
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n";

    fn policy(rules: &str) -> Policy {
        Policy::parse(&format!("{ALL}{rules}")).unwrap()
    }

    fn pods<'a>(subresource: &'a str, name: &'a str) -> Option<ResourceOf<'a>> {
        Some(ResourceOf { group: "", resource: "pods", subresource, namespace: "shop", name })
    }

    #[test]
    fn a_rule_matches_what_it_names() {
        let groups = ["dev".to_owned(), "system:authenticated".to_owned()];
        let asks = |resource, path| Subject { user: "jane", groups: &groups, verb: "get", resource, path };
        let pod = asks(pods("", "web"), "/api/v1/namespaces/shop/pods/web");
        let log = asks(pods("log", "web"), "/api/v1/namespaces/shop/pods/web/log");
        let health = asks(None, "/healthz/ping");
        for (rule, subject, want) in [
            ("", pod, true),
            ("users: [jane]", pod, true),
            ("users: [joe]", pod, false),
            ("userGroups: [ops, dev]", pod, true),
            ("userGroups: [ops]", pod, false),
            // either is enough
            ("users: [joe]\n  userGroups: [dev]", pod, true),
            ("verbs: [get, list]", pod, true),
            ("verbs: [list]", pod, false),
            ("namespaces: [shop]", pod, true),
            ("namespaces: [other]", pod, false),
            // the empty one is of what is in none
            ("namespaces: [\"\"]", pod, false),
            ("namespaces: [shop]", health, false),
            ("resources: [{group: \"\"}]", pod, true),
            ("resources: [{group: apps}]", pod, false),
            ("resources: [{resources: [pods]}]", pod, true),
            ("resources: [{resources: [pods]}]", log, false),
            ("resources: [{resources: [pods/log]}]", log, true),
            ("resources: [{resources: [pods/*]}]", log, true),
            ("resources: [{resources: [pods/*]}]", pod, true),
            ("resources: [{resources: [\"*/log\"]}]", log, true),
            ("resources: [{resources: [\"*/log\"]}]", pod, false),
            ("resources: [{resources: [\"*\"]}]", log, true),
            ("resources: [{resources: [pods], resourceNames: [web]}]", pod, true),
            ("resources: [{resources: [pods], resourceNames: [db]}]", pod, false),
            ("nonResourceURLs: [/healthz*]", health, true),
            ("nonResourceURLs: [/healthz]", health, false),
            ("nonResourceURLs: [\"*\"]", health, true),
            ("nonResourceURLs: [\"*\"]", pod, false),
        ] {
            let text = format!("- level: Metadata\n  {rule}\n");
            let want = if want { Level::Metadata } else { Level::None };
            assert_eq!(policy(&text).decide(&subject).level, want, "{rule} of {}", subject.path);
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = "- level: None\n  verbs: [watch]\n- level: Request\n  omitStages: [ResponseComplete]\n  omitManagedFields: false\nomitStages: [RequestReceived]\nomitManagedFields: true\n";
        let asks = |verb| policy(rules).decide(&Subject { verb, path: "/api", ..Subject::default() });
        assert_eq!(asks("watch").level, Level::None);
        assert!(!asks("watch").tells(Stage::ResponseComplete));
        let get = asks("get");
        assert_eq!((get.level, get.omit_managed_fields), (Level::Request, false));
        let told = [Stage::RequestReceived, Stage::ResponseStarted, Stage::ResponseComplete, Stage::Panic];
        assert_eq!(told.map(|stage| get.tells(stage)), [false, true, false, true]);
        assert!(
            policy("- level: Metadata\nomitManagedFields: true\n")
                .decide(&Subject::default())
                .omit_managed_fields
        );
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (text, want) in [
            ("apiVersion: audit.k8s.io/v1\nkind: Policy\n", "loaded illegal policy with 0 rules"),
            (
                "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]",
                "its apiVersion is \"audit.k8s.io/v1beta1\", and only audit.k8s.io/v1 is known",
            ),
            (
                "apiVersion: audit.k8s.io/v1\nkind: Pod\nrules: [{level: None}]",
                "its kind is \"Pod\" and not Policy",
            ),
            (
                &format!("{ALL}- level: None\n- level: None\n  namespaces: [a]\n  nonResourceURLs: [/a]\n"),
                "rules[1].nonResourceURLs: Invalid value: [\"/a\"]: rules cannot apply to both regular resources and non-resource URLs",
            ),
            (
                &format!("{ALL}- level: None\n  nonResourceURLs: [/a, b]\n"),
                "rules[0].nonResourceURLs[1]: Invalid value: \"b\": non-resource URL rules must begin with a '/' character",
            ),
            (
                &format!("{ALL}- level: None\n  nonResourceURLs: [/a*b]\n"),
                "rules[0].nonResourceURLs[0]: Invalid value: \"/a*b\": non-resource URL wildcards '*' must be the final character of the rule",
            ),
            (
                &format!("{ALL}- level: None\n  resources: [{{group: apps/v1}}]\n"),
                "rules[0].resources[0].group: Invalid value: \"apps/v1\": a group has no version",
            ),
            (
                &format!("{ALL}- level: None\n  resources: [{{resourceNames: [a]}}]\n"),
                "rules[0].resources[0].resourceNames: Invalid value: [\"a\"]: using resourceNames requires at least one resource",
            ),
        ] {
            assert_eq!(Policy::parse(text).unwrap_err().to_string(), want, "{text}");
        }
        for text in [
            format!("{ALL}- level: All\n"),
            format!("{ALL}- {{}}\n"),
            format!("{ALL}- level: None\n  verb: [get]\n"),
            format!("{ALL}- level: None\n  omitStages: [Never]\n"),
            "{".to_owned(),
        ] {
            let why = Policy::parse(&text).unwrap_err();
            assert!(matches!(why, PolicyError::Unreadable(_)), "{text}: {why}");
        }
    }
}
