//! Which writes a webhook, a policy or a binding wants to be asked about (upstream's `webhook/predicates` and
//! `policy/matching`, which agree).

use super::attributes::{Admission, Subject};
use ::api::{LabelSelector, ObjectKey};
use expressions::{Budget, Outcome, Program, Variables};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, RuleWithOperations,
};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use kinds::builtin::admission_policies::unnamed;
use kinds::{Instance, ResourceInfo, Subresource, TypedKind, Version};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::Resource;

pub(crate) struct Matching {
    /// `None` where every write is wanted.
    rules: Option<Vec<Rule>>,
    excluded: Vec<Rule>,
    namespaces: LabelSelector,
    objects: LabelSelector,
    is_exact: bool,
}

struct Rule {
    rule: RuleWithOperations,
    /// Of which objects; none are all.
    names: Vec<String>,
}

impl Rule {
    fn fits(&self, asked: &Admission<'_>, name: Option<&str>, info: &ResourceInfo) -> bool {
        let part = asked.target.subresource.map_or("", Subresource::name);
        let among = |values: &Option<Vec<String>>, wanted: &str| {
            values.iter().flatten().any(|value| value == "*" || value == wanted)
        };
        let is_namespaced = asked.target.namespace.is_some();
        let scope = match self.rule.scope.as_deref() {
            Some("Cluster") => !is_namespaced,
            Some("Namespaced") => is_namespaced,
            _ => true,
        };
        let named = |pattern: &String| {
            let (resource, below) = pattern.split_once('/').unwrap_or((pattern, ""));
            (resource == "*" || resource == info.gvr.resource) && (below == part || below == "*")
        };
        scope
            && among(&self.rule.operations, asked.operation.name())
            && among(&self.rule.api_groups, &info.gvr.group)
            && among(&self.rule.api_versions, &info.gvr.version)
            && self.rule.resources.iter().flatten().any(named)
            && (self.names.is_empty() || name.is_some_and(|name| self.names.iter().any(|n| n == name)))
    }
}

impl From<&NamedRuleWithOperations> for Rule {
    fn from(rule: &NamedRuleWithOperations) -> Self {
        Rule { rule: unnamed(rule), names: rule.resource_names.clone().unwrap_or_default() }
    }
}

impl Matching {
    pub(crate) fn of_webhook(
        rules: Vec<RuleWithOperations>,
        namespaces: Option<meta::LabelSelector>,
        objects: Option<meta::LabelSelector>,
        policy: Option<&str>,
    ) -> Self {
        Matching {
            rules: Some(rules.into_iter().map(|rule| Rule { rule, names: Vec::new() }).collect()),
            excluded: Vec::new(),
            namespaces: selector(namespaces.as_ref()),
            objects: selector(objects.as_ref()),
            is_exact: policy == Some("Exact"),
        }
    }

    /// Where there are no rules, what is excluded and the selectors say all.
    pub(crate) fn of_resources(resources: &MatchResources) -> Self {
        let rules = |rules: &Option<Vec<NamedRuleWithOperations>>| -> Vec<Rule> {
            rules.iter().flatten().map(Rule::from).collect()
        };
        Matching {
            rules: Some(rules(&resources.resource_rules)).filter(|rules| !rules.is_empty()),
            excluded: rules(&resources.exclude_resource_rules),
            namespaces: selector(resources.namespace_selector.as_ref()),
            objects: selector(resources.object_selector.as_ref()),
            is_exact: resources.match_policy.as_deref() == Some("Exact"),
        }
    }

    /// The kind, in the version, by which a rule has it.
    pub(crate) fn matches(&self, asked: &Admission<'_>, subject: Subject<'_>) -> Option<Arc<Version>> {
        let name = asked.target.name.clone().or(subject.name());
        let named = |rules: &[Rule]| self.version(rules, asked, name.as_deref());
        if !self.excluded.is_empty() && named(&self.excluded).is_some() {
            return None;
        }
        let via = match &self.rules {
            None => asked.target.version.clone(),
            Some(rules) => named(rules)?,
        };
        // a scale has none of its object's labels
        let is_scale = asked.target.subresource == Some(Subresource::Scale);
        let labels = |instance: &dyn Instance| instance.meta().labels.clone().filter(|_| !is_scale);
        let labelled = |instance: Option<&dyn Instance>| {
            instance.is_some_and(|instance| self.objects.matches(&labels(instance).unwrap_or_default()))
        };
        let wanted = self.objects.requirements.is_empty()
            || labelled(subject.new)
            || labelled(subject.old)
            || subject.unstored.is_some_and(|what| self.selects(what));
        (wanted && self.is_in_a_wanted_namespace(asked, subject)).then_some(via)
    }

    /// Options of connections have no metadata, so that no selector selects them.
    fn selects(&self, unstored: &Value) -> bool {
        let metadata = unstored.get("metadata").filter(|metadata| metadata.is_object());
        let labels = metadata
            .map(|metadata| BTreeMap::<String, String>::deserialize(&metadata["labels"]).unwrap_or_default());
        labels.is_some_and(|labels| self.objects.matches(&labels))
    }

    fn version(&self, rules: &[Rule], asked: &Admission<'_>, name: Option<&str>) -> Option<Arc<Version>> {
        let fits = |version: &Arc<Version>| rules.iter().any(|rule| rule.fits(asked, name, version.info()));
        let own = &asked.target.version;
        if fits(own) {
            return Some(own.clone());
        }
        if self.is_exact {
            return None;
        }
        let registry = asked.cluster.registry();
        registry.kind(&own.info().storage)?.versions.iter().find(|other| fits(other)).cloned()
    }

    fn is_in_a_wanted_namespace(&self, asked: &Admission<'_>, subject: Subject<'_>) -> bool {
        if self.namespaces.requirements.is_empty() {
            return true;
        }
        let info = Namespace::info();
        if asked.target.version.info().gvr == info.gvr {
            let instance = subject.new.or(subject.old);
            let labels = instance.and_then(|i| i.meta().labels.clone()).unwrap_or_default();
            return self.namespaces.matches(&labels);
        }
        let Some(namespace) = asked.target.namespace.as_deref() else { return true };
        let snapshot = asked.cluster.store().snapshot();
        let stored = snapshot.get(&Resource::from(&info.storage), &ObjectKey::cluster(namespace));
        stored.is_some_and(|stored| self.namespaces.matches(&stored.meta().labels))
    }
}

/// A selector that can not be read selects nothing less than everything: validation has refused it.
pub(crate) fn selector(of: Option<&meta::LabelSelector>) -> LabelSelector {
    of.and_then(|of| kinds::selectors::from_object(of).ok()).unwrap_or_else(LabelSelector::everything)
}

/// `matchConditions`.
#[derive(Default)]
pub(crate) struct Conditions(Vec<Condition>);

struct Condition {
    source: String,
    program: Result<Program, String>,
}

impl Conditions {
    pub(crate) fn new(
        conditions: &[MatchCondition],
        compile: impl Fn(&str) -> Result<Program, String>,
    ) -> Self {
        let compiled = |condition: &MatchCondition| Condition {
            program: compile(&condition.expression),
            source: condition.expression.clone(),
        };
        Conditions(conditions.iter().map(compiled).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One that is false outweighs one that fails.
    ///
    /// # Errors
    /// Why one of them has no answer.
    pub(crate) fn hold(&self, variables: &Variables) -> Result<bool, String> {
        let mut budget = Budget::MATCH_CONDITIONS;
        let mut failed = None;
        for Condition { source, program } in &self.0 {
            let outcome = match program {
                Ok(program) => program.evaluate(variables, &mut budget).map_err(|fault| fault.to_string()),
                Err(why) => Err(why.clone()),
            };
            let why = match outcome {
                Ok(Outcome::Bool(true)) => continue,
                Ok(Outcome::Bool(false)) => return Ok(false),
                Ok(_) => "not a truth value".to_owned(),
                Err(why) => why,
            };
            failed = failed.or(Some(format!("expression '{source}' resulted in error: {why}")));
        }
        failed.map_or(Ok(true), Err)
    }
}
