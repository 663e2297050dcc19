//! Which FlowSchema a request belongs to, and which flow of it: upstream's `apf_filter.go` and `rule.go`.

use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

const ALL: &str = "*";
const ACCOUNT: &str = "system:serviceaccount:";
/// A schema without a precedence has this one.
const PRECEDENCE: i32 = 1000;

/// What is known of a request before anything is done for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    pub user: &'a str,
    pub groups: &'a [String],
    pub verb: &'a str,
    /// `None` for what is no resource: `/healthz`.
    pub resource: Option<ResourceAsked<'a>>,
    pub path: &'a str,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct ResourceAsked<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    /// Empty where there is none.
    pub subresource: &'a str,
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
}

/// A FlowSchema, ready to be asked.
pub(crate) struct Schema {
    pub(crate) name: Arc<str>,
    pub(crate) uid: Arc<str>,
    /// Of its priority level.
    pub(crate) level: String,
    flows_by: Flows,
    rules: Vec<PolicyRulesWithSubjects>,
    precedence: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flows {
    /// All requests are one flow.
    One,
    ByUser,
    ByNamespace,
}

impl Schema {
    pub(crate) fn of(object: &FlowSchema) -> Self {
        let spec = object.spec.clone();
        let method = spec.distinguisher_method.as_ref().map(|method| method.type_.as_str());
        Schema {
            name: object.metadata.name.as_deref().unwrap_or_default().into(),
            uid: object.metadata.uid.as_deref().unwrap_or_default().into(),
            level: spec.priority_level_configuration.name,
            flows_by: match method {
                Some("ByUser") => Flows::ByUser,
                Some("ByNamespace") => Flows::ByNamespace,
                _ => Flows::One,
            },
            rules: spec.rules.unwrap_or_default(),
            precedence: spec.matching_precedence.unwrap_or(PRECEDENCE),
        }
    }

    /// The lower the sooner; names decide where two are equal.
    pub(crate) fn order(&self) -> (i32, Arc<str>) {
        (self.precedence, self.name.clone())
    }

    pub(crate) fn matches(&self, asked: &Asked<'_>) -> bool {
        self.rules.iter().any(|rule| {
            let is_about = match asked.resource {
                Some(resource) => {
                    rule.resource_rules.iter().flatten().any(|rule| covers(rule, asked.verb, resource))
                }
                None => rule.non_resource_rules.iter().flatten().any(|rule| covers_path(rule, asked)),
            };
            is_about && rule.subjects.iter().any(|subject| is_subject(subject, asked))
        })
    }

    /// Requests of one flow wait behind each other.
    pub(crate) fn flow(&self, asked: &Asked<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&*self.name, self.distinguisher(asked)).hash(&mut hasher);
        hasher.finish()
    }

    /// What tells one flow of the schema from another.
    pub(crate) fn distinguisher<'a>(&self, asked: &Asked<'a>) -> &'a str {
        match self.flows_by {
            Flows::One => "",
            Flows::ByUser => asked.user,
            Flows::ByNamespace => asked.resource.and_then(|of| of.namespace).unwrap_or_default(),
        }
    }
}

fn is_subject(subject: &Subject, asked: &Asked<'_>) -> bool {
    if let Some(user) = &subject.user {
        return user.name == ALL || user.name == asked.user;
    }
    if let Some(group) = &subject.group {
        return group.name == ALL || asked.groups.contains(&group.name);
    }
    let Some(account) = &subject.service_account else { return false };
    let Some((namespace, name)) = asked.user.strip_prefix(ACCOUNT).and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    account.namespace == namespace && (account.name == ALL || account.name == name)
}

fn covers(rule: &ResourcePolicyRule, verb: &str, of: ResourceAsked<'_>) -> bool {
    let full = match of.subresource {
        "" => of.resource.to_owned(),
        part => format!("{}/{part}", of.resource),
    };
    let in_scope = match of.namespace {
        None => rule.cluster_scope == Some(true),
        Some(namespace) => holds(rule.namespaces.as_deref().unwrap_or_default(), namespace),
    };
    in_scope && holds(&rule.verbs, verb) && holds(&rule.api_groups, of.group) && holds(&rule.resources, &full)
}

fn covers_path(rule: &NonResourcePolicyRule, asked: &Asked<'_>) -> bool {
    let covers = |url: &String| match url.strip_suffix('*') {
        Some(prefix) => asked.path.starts_with(prefix),
        None => url == asked.path,
    };
    holds(&rule.verbs, asked.verb) && rule.non_resource_urls.iter().any(covers)
}

fn holds(all: &[String], one: &str) -> bool {
    all.iter().any(|known| known == ALL || known == one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn schema(subject: Value, rule: Value) -> Schema {
        let kind = if rule.get("nonResourceURLs").is_some() { "nonResourceRules" } else { "resourceRules" };
        let spec = json!({"priorityLevelConfiguration": {"name": "l"}, "rules": [{"subjects": [subject], kind: [rule]}]});
        Schema::of(&serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": spec})).unwrap())
    }

    #[test]
    fn a_schema_matches_who_asks_and_what_is_asked_for() {
        let groups = ["dev".to_owned(), "system:authenticated".to_owned()];
        let user = |name: &str| json!({"kind": "User", "user": {"name": name}});
        let group = |name: &str| json!({"kind": "Group", "group": {"name": name}});
        let account = |namespace: &str, name: &str| json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}});
        let all = || json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]});
        let rule = |field: &str, value: Value| {
            let mut rule = all();
            rule[field] = value;
            rule
        };
        let of =
            |resource, namespace| Some(ResourceAsked { resource, namespace, ..ResourceAsked::default() });
        let pods = of("pods", Some("shop"));
        let log = pods.map(|of| ResourceAsked { subresource: "log", ..of });
        let nodes = of("nodes", None);
        let by = |user, resource| Asked { user, groups: &groups, verb: "get", resource, path: "/healthz/a" };
        for (subject, rule, asked, want) in [
            (user("jane"), all(), by("jane", pods), true),
            (user("*"), all(), by("jane", pods), true),
            (user("joe"), all(), by("jane", pods), false),
            (group("dev"), all(), by("jane", pods), true),
            (group("ops"), all(), by("jane", pods), false),
            (account("shop", "web"), all(), by("system:serviceaccount:shop:web", pods), true),
            (account("shop", "*"), all(), by("system:serviceaccount:shop:web", pods), true),
            (account("other", "*"), all(), by("system:serviceaccount:shop:web", pods), false),
            (account("shop", "*"), all(), by("jane", pods), false),
            (user("*"), rule("verbs", json!(["list"])), by("jane", pods), false),
            (user("*"), rule("apiGroups", json!(["apps"])), by("jane", pods), false),
            (user("*"), rule("resources", json!(["pods"])), by("jane", pods), true),
            (user("*"), rule("resources", json!(["pods"])), by("jane", log), false),
            (user("*"), rule("resources", json!(["pods/log"])), by("jane", log), true),
            (user("*"), rule("namespaces", json!(["other"])), by("jane", pods), false),
            (user("*"), rule("clusterScope", json!(false)), by("jane", pods), true),
            (user("*"), rule("clusterScope", json!(false)), by("jane", nodes), false),
            (user("*"), all(), by("jane", None), false),
            (user("*"), json!({"verbs": ["get"], "nonResourceURLs": ["/healthz*"]}), by("jane", None), true),
            (user("*"), json!({"verbs": ["get"], "nonResourceURLs": ["/healthz"]}), by("jane", None), false),
            (user("*"), json!({"verbs": ["get"], "nonResourceURLs": ["*"]}), by("jane", pods), false),
        ] {
            assert_eq!(
                schema(subject.clone(), rule.clone()).matches(&asked),
                want,
                "{subject} {rule} {asked:?}"
            );
        }
    }

    #[test]
    fn flows_are_told_apart_as_the_schema_says() {
        let flow = |method: Value, user: &str, namespace: &str| {
            let spec = json!({"priorityLevelConfiguration": {"name": "l"}, "distinguisherMethod": method});
            let schema: FlowSchema =
                serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": spec})).unwrap();
            let resource = Some(ResourceAsked { namespace: Some(namespace), ..ResourceAsked::default() });
            Schema::of(&schema).flow(&Asked { user, resource, ..Asked::default() })
        };
        let (by_user, by_namespace) = (json!({"type": "ByUser"}), json!({"type": "ByNamespace"}));
        assert_eq!(flow(Value::Null, "a", "x"), flow(Value::Null, "b", "y"));
        assert_eq!(flow(by_user.clone(), "a", "x"), flow(by_user.clone(), "a", "y"));
        assert_ne!(flow(by_user.clone(), "a", "x"), flow(by_user, "b", "x"));
        assert_ne!(flow(by_namespace.clone(), "a", "x"), flow(by_namespace, "a", "y"));
    }
}
