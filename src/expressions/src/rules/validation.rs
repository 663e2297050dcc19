//! What compiled rules say of an object, node by node.

use super::{Compiled, Rules};
use crate::json::by_schema;
use crate::list_types::ListTypes;
use crate::outcome::{Budget, Fault, Outcome};
use crate::values::{map_of, optional};
use crate::variables::Variables;
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map};
use schema::{ErrorList, ListType, Rule, Schema, Type};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Upstream's `MaxEvaluatedMessageExpressionSizeBytes`.
const LONGEST_MESSAGE: usize = 5 * 1024;
const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// The budget is used up: nothing more is evaluated.
pub(super) struct Ended;

pub(super) struct Walk<'w> {
    pub(super) budget: Budget,
    pub(super) errors: &'w mut ErrorList,
}

impl Walk<'_> {
    pub(super) fn node(
        &mut self,
        rules: &Rules,
        schema: &Schema,
        value: &Json,
        old: Option<&Json>,
        is_resource: bool,
        path: &str,
    ) -> Result<(), Ended> {
        // a rule that must look at a null stands above it
        if value.is_null() {
            return Ok(());
        }
        if !rules.own.is_empty() {
            self.own(rules, schema, value, old.filter(|old| !old.is_null()), is_resource, path)?;
        }
        match value {
            Json::Object(fields) => {
                for (name, value) in fields {
                    let below = rules.fields.get(name).or(rules.additional.as_deref());
                    let (Some(below), Some(of)) = (below, schema.field(name)) else { continue };
                    let old = old.and_then(|old| old.get(name));
                    let path = if path.is_empty() { name.clone() } else { step(path, name, schema) };
                    self.node(below, of, value, old, of.embedded, &path)?;
                }
            }
            Json::Array(items) => {
                let (Some(below), Some(of)) = (rules.items.as_deref(), schema.items.as_deref()) else {
                    return Ok(());
                };
                for (index, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| same_item(item, old, &schema.list));
                    self.node(below, of, item, old, of.embedded, &format!("{path}[{index}]"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn own(
        &mut self,
        rules: &Rules,
        schema: &Schema,
        value: &Json,
        old: Option<&Json>,
        is_resource: bool,
        path: &str,
    ) -> Result<(), Ended> {
        let unchanged = old == Some(value);
        let mut lists = ListTypes::default();
        let mut bound = |value: &Json| match is_resource {
            true => resource(value, schema, &mut lists),
            false => by_schema(value, Some(schema), &mut lists),
        };
        let own = bound(value);
        let old = old.map(bound);
        let lists = Arc::new(lists);
        for compiled in &rules.own {
            let rule = &compiled.rule;
            if compiled.uses_old && old.is_none() && !rule.optional_old_self {
                continue;
            }
            let mut variables = Variables::default().list_types(&lists).value("self", own.clone());
            if rule.optional_old_self {
                variables = variables.value("oldSelf", optional(old.clone()));
            } else if let Some(old) = &old {
                variables = variables.value("oldSelf", old.clone());
            }
            let program = match &compiled.program {
                Ok(program) => program,
                Err(why) => {
                    self.fault(path, schema, &format!("rule compile error: {why}"));
                    continue;
                }
            };
            let asked = rule_text(rule);
            let why = match program.evaluate(&variables, &mut self.budget) {
                Ok(Outcome::Bool(true)) => continue,
                Ok(_) => {
                    // a rule that came after the object, of a part that nobody touched
                    if unchanged && !compiled.uses_old {
                        continue;
                    }
                    self.refuse(compiled, &variables, schema, path);
                    continue;
                }
                Err(Fault::Budget) => {
                    self.fault(path, schema, OUT_OF_BUDGET);
                    return Err(Ended);
                }
                Err(fault @ Fault::Cost) => {
                    let why = format!(
                        "'{fault}': no further validation rules will be run due to call cost exceeds limit for rule: {asked}"
                    );
                    self.fault(path, schema, &why);
                    return Err(Ended);
                }
                Err(Fault::Error(why)) if why == "no such overload" => format!(
                    "'{why}': call arguments did not match a supported operator, function or macro signature for rule: {asked}"
                ),
                Err(Fault::Error(why)) => format!("{why} evaluating rule: {asked}"),
            };
            self.fault(path, schema, &why);
        }
        Ok(())
    }

    fn fault(&mut self, path: &str, schema: &Schema, why: &str) {
        self.errors.invalid(path, type_name(schema), why);
    }

    fn refuse(&mut self, compiled: &Compiled, variables: &Variables, schema: &Schema, path: &str) {
        let rule = &compiled.rule;
        let place = match rule.field_path.as_str() {
            "" => path.to_owned(),
            below if path.is_empty() => below.trim_start_matches('.').to_owned(),
            below => format!("{path}{below}"),
        };
        let message = compiled.message.as_ref().and_then(|message| {
            match message.evaluate(variables, &mut self.budget) {
                Ok(Outcome::Text(text)) => usable(&text),
                _ => None,
            }
        });
        let message = message.unwrap_or_else(|| match rule.message.is_empty() {
            true => format!("failed rule: {}", rule_text(rule)),
            false => rule.message.trim().to_owned(),
        });
        match rule.reason.as_str() {
            "FieldValueForbidden" => self.errors.forbidden(place, message),
            "FieldValueRequired" => self.errors.required(place, &message),
            "FieldValueDuplicate" => self.errors.duplicate(place, type_name(schema)),
            _ => self.errors.invalid(place, type_name(schema), message),
        }
    }
}

fn usable(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n');
    fits.then(|| text.to_owned())
}

fn rule_text(rule: &Rule) -> &str {
    if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() }
}

/// Of the metadata a rule sees the name.
fn resource(value: &Json, schema: &Schema, lists: &mut ListTypes) -> Value {
    let mut entries: BTreeMap<String, Value> = match by_schema(value, Some(schema), lists) {
        Value::Map(Map { map }) => map
            .iter()
            .filter_map(|(key, value)| match key {
                Key::String(name) => Some((name.as_str().to_owned(), value.clone())),
                _ => None,
            })
            .collect(),
        other => return other,
    };
    let text = |text: &str| Value::String(Arc::new(text.to_owned()));
    for field in ["apiVersion", "kind"] {
        entries.insert(field.to_owned(), text(value[field].as_str().unwrap_or_default()));
    }
    let metadata = ["name", "generateName"].into_iter().filter_map(|field| {
        let given = value["metadata"][field].as_str()?;
        Some((field.to_owned(), text(given)))
    });
    entries.insert("metadata".to_owned(), map_of(metadata));
    map_of(entries.into_iter())
}

fn same_item<'o>(item: &Json, old: &'o Json, list: &ListType) -> Option<&'o Json> {
    let ListType::Map(keys) = list else { return None };
    old.as_array()?.iter().find(|known| keys.iter().all(|key| known.get(key) == item.get(key)))
}

fn step(path: &str, name: &str, schema: &Schema) -> String {
    // keys that are the user's stand in brackets
    if schema.additional.is_some() { format!("{path}[{name}]") } else { format!("{path}.{name}") }
}

fn type_name(schema: &Schema) -> &'static str {
    match schema.kind {
        Type::Array => "array",
        Type::Integer => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::String => "string",
        Type::Object => "object",
        _ => "",
    }
}
