//! The rules of a schema, compiled: and what is wrong with them, in upstream's words.

use super::{Compiled, Rules, programs};
use crate::check::Check;
use crate::places::{located, placed};
use crate::program::Program;
use crate::sizes::Sizes;
use crate::types::{Place, Ty};
use schema::{ErrorList, ListType, Rule, Schema};
use serde_json::{Value as Json, json};
use std::sync::Arc;

const REASONS: [&str; 4] =
    ["FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"];

pub(super) fn compile(
    schema: &Schema,
    at: &str,
    is_resource: bool,
    uncorrelatable: Option<&str>,
    sizes: &Sizes,
    errors: &mut ErrorList,
) -> Rules {
    let mut rules = Rules::default();
    for (index, rule) in schema.rules.iter().enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{index}]");
        let Some(compiled) = one((index, rule), schema, &at, is_resource, sizes, errors) else { continue };
        if let (true, Some(place)) = (compiled.uses_old, uncorrelatable) {
            let why =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {place}");
            errors.invalid(format!("{at}.rule"), rule.rule.clone(), why);
        }
        rules.own.push(compiled);
    }
    for (name, below) in &schema.properties {
        if below.has_rules() {
            let at = format!("{at}.properties[{name}]");
            let below = compile(below, &at, below.embedded, uncorrelatable, sizes, errors);
            rules.fields.insert(name.clone(), below);
        }
    }
    if let Some(below) = schema.additional.as_deref().filter(|below| below.has_rules()) {
        let at = format!("{at}.additionalProperties");
        rules.additional = Some(Box::new(compile(below, &at, below.embedded, uncorrelatable, sizes, errors)));
    }
    if let Some(below) = schema.items.as_deref().filter(|below| below.has_rules()) {
        let place = match schema.list {
            ListType::Map(_) => uncorrelatable,
            _ => uncorrelatable.or(Some(at)),
        };
        let items = format!("{at}.items");
        rules.items = Some(Box::new(compile(below, &items, below.embedded, place, sizes, errors)));
    }
    rules
}

fn one(
    (index, rule): (usize, &Rule),
    schema: &Schema,
    at: &str,
    is_resource: bool,
    sizes: &Sizes,
    errors: &mut ErrorList,
) -> Option<Compiled> {
    let shown = || shown(rule);
    if rule.rule.trim().is_empty() {
        errors.required(format!("{at}.rule"), "rule is not specified");
        return None;
    }
    check_texts(rule, schema, at, errors);
    let place = if is_resource { Place::Resource(schema) } else { Place::of(schema) };
    let compiled = |source: &str| {
        programs::compiled(source).map_err(|why| format!("compilation failed: {}", placed(source, &why)))
    };
    // what it may cost
    let judged = |program: &Result<Arc<Program>, String>, source: &str, wanted: &Ty<'_>, or: &str| {
        let program = program.as_ref().map_err(Clone::clone)?;
        let known = Check::of_rule(place, rule.optional_old_self, sizes)
            .node(&program.node)
            .map_err(|issue| format!("compilation failed: {}", located(source, &program.node, &issue)))?;
        if known.ty.fits(wanted) { Ok(known.cost.max) } else { Err(or.to_owned()) }
    };
    let program = compiled(&rule.rule);
    let cost = judged(&program, &rule.rule, &Ty::Bool, "cel expression must evaluate to a bool");
    if let Err(why) = &cost {
        errors.invalid(format!("{at}.rule"), shown(), why);
    }
    let message = Some(rule.message_expression.trim()).filter(|source| !source.is_empty());
    let (message, message_cost) = match message {
        None => (None, 0),
        Some(source) => {
            let program = compiled(source);
            let cost = judged(&program, source, &Ty::Text, "messageExpression must evaluate to a string");
            if let Err(why) = &cost {
                let why = why.replacen("compilation failed: ", "messageExpression compilation failed: ", 1);
                errors.invalid(format!("{at}.messageExpression"), shown(), why);
            }
            (program.ok(), cost.unwrap_or(0))
        }
    };
    let uses_old = program.as_ref().is_ok_and(|program| program.uses("oldSelf"));
    if rule.optional_old_self && !uses_old && program.is_ok() {
        errors.invalid(
            format!("{at}.optionalOldSelf"),
            true,
            "may not be set if oldSelf is not used in rule",
        );
    }
    let cost = cost.unwrap_or(0);
    Some(Compiled { index, rule: rule.clone(), program, message, uses_old, cost, message_cost })
}

/// What it says beside the expression itself.
fn check_texts(rule: &Rule, schema: &Schema, at: &str, errors: &mut ErrorList) {
    if rule.message.contains('\n') {
        errors.invalid(format!("{at}.message"), rule.message.clone(), "message must not contain line breaks");
    }
    if !rule.message.is_empty() && rule.message.trim().is_empty() {
        errors.invalid(
            format!("{at}.message"),
            rule.message.clone(),
            "message must be non-empty if specified",
        );
    }
    if rule.rule.trim().contains('\n') && rule.message.is_empty() {
        errors.required(format!("{at}.message"), "message must be specified if rule contains line breaks");
    }
    if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
        errors
            .required(format!("{at}.messageExpression"), "messageExpression must be non-empty if specified");
    }
    if !rule.reason.is_empty() && !REASONS.contains(&rule.reason.as_str()) {
        errors.not_supported(format!("{at}.reason"), rule.reason.clone(), &REASONS);
    }
    if !rule.field_path.is_empty() && !leads_to_a_field(&rule.field_path, schema) {
        errors.invalid(
            format!("{at}.fieldPath"),
            rule.field_path.clone(),
            "fieldPath must be a valid path: does not refer to a valid field",
        );
    }
}

/// As it is shown where it is refused.
pub(super) fn shown(rule: &Rule) -> Json {
    let mut shown = json!({"rule": rule.rule});
    let texts = [
        ("message", &rule.message),
        ("messageExpression", &rule.message_expression),
        ("reason", &rule.reason),
        ("fieldPath", &rule.field_path),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        shown[name] = text.clone().into();
    }
    shown
}

/// `.spec.replicas`, `.labels['app']`
fn leads_to_a_field(path: &str, schema: &Schema) -> bool {
    let mut node = schema;
    let mut rest = path;
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            let Some(split) = quoted.split_once("']") else { return false };
            split
        } else if let Some(named) = rest.strip_prefix('.') {
            named.split_at(named.find(['.', '[']).unwrap_or(named.len()))
        } else {
            return false;
        };
        match node.field(name) {
            Some(below) => node = below,
            None => return false,
        }
        rest = after;
    }
    true
}
