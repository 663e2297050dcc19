//! FlowSchemas: which requests belong to which priority level. The validation is upstream's `ValidateFlowSchema`.

use super::checks::{judged, list, text};
use super::flow_control::{EXEMPT, fixed_flow};
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaStatus, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

const DEFAULT_PRECEDENCE: i32 = 1000; // upstream's FlowSchemaDefaultMatchingPrecedence
const LAST_PRECEDENCE: i32 = 10000; // upstream's FlowSchemaMaxMatchingPrecedence
const VERBS: [&str; 10] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch", ALL];
const ALL: &str = "*";

impl TypedKind for FlowSchema {
    const SINGULAR: &'static str = "flowschema";
    const PLURAL: &'static str = "flowschemas";
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("PriorityLevel", "string", "The priority level of its requests"),
        Column::new("MatchingPrecedence", "integer", "The lower, the sooner it is asked"),
        Column::new("DistinguisherMethod", "string", "What makes a flow of its requests"),
        Column::AGE,
        Column::new("MissingPL", "string", "Whether its priority level does not exist"),
    ];

    super::spec_and_status!(FlowSchemaStatus);

    fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
        crate::keep_all_metadata(new, old);
    }
    fn set_defaults(&mut self) {
        fill::number(&mut self.spec.matching_precedence, DEFAULT_PRECEDENCE);
    }
    fn validate(&self, errors: &mut ErrorList) {
        let name = text(&self.metadata.name);
        let spec = &self.spec;
        let precedence = spec.matching_precedence.unwrap_or(0);
        let field = "spec.matchingPrecedence";
        if precedence <= 0 {
            errors.invalid(field, precedence, "must be a positive value");
        } else if precedence > LAST_PRECEDENCE {
            errors.invalid(field, precedence, format_args!("must not be greater than {LAST_PRECEDENCE}"));
        } else if precedence == 1 && name != EXEMPT {
            let why = "only the schema named 'exempt' may have matchingPrecedence 1";
            errors.invalid(field, precedence, why);
        }
        if let Some(method) = &spec.distinguisher_method
            && !["ByNamespace", "ByUser"].contains(&method.type_.as_str())
        {
            errors.not_supported(
                "spec.distinguisherMethod",
                method.type_.as_str(),
                &["ByNamespace", "ByUser"],
            );
        }
        let level = spec.priority_level_configuration.name.as_str();
        match level {
            "" => errors.required("spec.priorityLevelConfiguration.name", "must reference a priority level"),
            level => judged(names::dns_subdomain, level, "spec.priorityLevelConfiguration.name", errors),
        }
        for (index, rule) in list(&spec.rules).iter().enumerate() {
            policy(rule, &format!("spec.rules[{index}]"), errors);
        }
        if fixed_flow(name).is_some_and(|fixed| fixed != self.spec) {
            let why = format!("spec of '{name}' must equal the fixed value");
            errors.invalid("spec", json!(self.spec), why);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let spec = &self.spec;
        let method = spec.distinguisher_method.as_ref().map_or("<none>", |method| &method.type_);
        let conditions = self.status.iter().flat_map(|status| list(&status.conditions));
        let mut dangling = conditions.filter(|c| c.type_ == "Dangling");
        vec![
            name_of(&self.metadata),
            spec.priority_level_configuration.name.as_str().into(),
            spec.matching_precedence.unwrap_or(0).into(),
            method.into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
            dangling.next().and_then(|c| c.status.as_deref()).unwrap_or("?").into(),
        ]
    }
}

fn policy(rule: &PolicyRulesWithSubjects, at: &str, errors: &mut ErrorList) {
    if rule.subjects.is_empty() {
        errors.required(format_args!("{at}.subjects"), "subjects must contain at least one value");
    }
    for (index, of) in rule.subjects.iter().enumerate() {
        subject(of, &format!("{at}.subjects[{index}]"), errors);
    }
    let (resources, urls) = (list(&rule.resource_rules), list(&rule.non_resource_rules));
    if resources.is_empty() && urls.is_empty() {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.required(at, why);
    }
    for (index, rule) in resources.iter().enumerate() {
        resource_rule(rule, &format!("{at}.resourceRules[{index}]"), errors);
    }
    for (index, rule) in urls.iter().enumerate() {
        url_rule(rule, &format!("{at}.nonResourceRules[{index}]"), errors);
    }
}

fn subject(of: &Subject, at: &str, errors: &mut ErrorList) {
    let parts = [
        ("ServiceAccount", "serviceAccount", of.service_account.is_some()),
        ("User", "user", of.user.is_some()),
        ("Group", "group", of.group.is_some()),
    ];
    if !parts.iter().any(|(kind, ..)| *kind == of.kind) {
        return errors.not_supported(
            format_args!("{at}.kind"),
            of.kind.as_str(),
            &["Group", "ServiceAccount", "User"],
        );
    }
    for (kind, field, given) in parts {
        match (kind == of.kind, given) {
            (true, false) => {
                let why = format!("{field} is required when subject kind is '{kind}'");
                errors.required(format_args!("{at}.{field}"), &why);
            }
            (false, true) => {
                let why = format!("{field} is forbidden when subject kind is not '{kind}'");
                errors.forbidden(format_args!("{at}.{field}"), why);
            }
            _ => {}
        }
    }
    let name = |name: &str, field: &str, errors: &mut ErrorList| {
        if name.is_empty() {
            errors.required(format_args!("{at}.{field}.name"), "");
        }
    };
    if let Some(user) = &of.user {
        name(&user.name, "user", errors);
    }
    if let Some(group) = &of.group {
        name(&group.name, "group", errors);
    }
    if let Some(account) = &of.service_account {
        name(&account.name, "serviceAccount", errors);
        if !account.name.is_empty() && account.name != ALL {
            judged(names::dns_subdomain, &account.name, format_args!("{at}.serviceAccount.name"), errors);
        }
        let field = format!("{at}.serviceAccount.namespace");
        match account.namespace.as_str() {
            "" => errors.required(field, "must specify namespace for service account"),
            namespace => judged(names::dns_label, namespace, field, errors),
        }
    }
}

/// `*` stands alone, and there is something.
fn some(values: &[String], at: &str, field: &str, word: &str, errors: &mut ErrorList) {
    let at = format!("{at}.{field}");
    if values.is_empty() {
        errors.required(at, &format!("{word} must contain at least one value"));
    } else if values.len() > 1 && values.iter().any(|value| value == ALL) {
        let why = format!("if '*' is present, must not specify other {word}");
        errors.invalid(at, json!(values), why);
    }
}

fn verbs(values: &[String], at: &str, errors: &mut ErrorList) {
    some(values, at, "verbs", "verbs", errors);
}

fn resource_rule(rule: &ResourcePolicyRule, at: &str, errors: &mut ErrorList) {
    verbs(&rule.verbs, at, errors);
    if let Some(unknown) = rule.verbs.iter().find(|verb| !VERBS.contains(&verb.as_str())) {
        errors.not_supported(format_args!("{at}.verbs"), unknown.as_str(), &VERBS);
    }
    some(&rule.api_groups, at, "apiGroups", "api groups", errors);
    some(&rule.resources, at, "resources", "resources", errors);
    let namespaces = list(&rule.namespaces);
    if namespaces.is_empty() && rule.cluster_scope != Some(true) {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.required(format_args!("{at}.namespaces"), why);
    } else if namespaces.len() > 1 && namespaces.iter().any(|name| name == ALL) {
        let why = "if '*' is present, must not specify other namespaces";
        errors.invalid(format_args!("{at}.namespaces"), json!(namespaces), why);
    }
    for (index, namespace) in namespaces.iter().enumerate().filter(|(_, namespace)| *namespace != ALL) {
        judged(names::dns_label, namespace, format_args!("{at}.namespaces[{index}]"), errors);
    }
}

fn url_rule(rule: &NonResourcePolicyRule, at: &str, errors: &mut ErrorList) {
    verbs(&rule.verbs, at, errors);
    some(&rule.non_resource_urls, at, "nonResourceURLs", "non-resource URLs", errors);
    for (index, url) in rule.non_resource_urls.iter().enumerate().filter(|(_, url)| *url != ALL) {
        if !url.starts_with('/') {
            let why = "must start with slash";
            errors.invalid(format_args!("{at}.nonResourceURLs[{index}]"), url.as_str(), why);
        }
    }
}
