//! `x-kubernetes-validations`: the rules of a schema, compiled, and what they say of an object (KEP-2876, KEP-4008).

mod estimates;
mod programs;

use crate::check::Check;
use crate::json::by_schema;
use crate::outcome::{Budget, Fault, Outcome};
use crate::places::{located, placed};
use crate::program::Program;
use crate::sizes::Sizes;
use crate::types::{Place, Ty};
use crate::values::{map_of, optional};
use crate::variables::Variables;
use kube_cel::cel::Value;
use kube_cel::cel::objects::{Key, Map};
use schema::{ErrorList, ListType, Rule, Schema, Type};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Upstream's `MaxEvaluatedMessageExpressionSizeBytes`.
const LONGEST_MESSAGE: usize = 5 * 1024;
const REASONS: [&str; 4] =
    ["FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"];
const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// The rules of a schema node and of those below it that have some.
#[derive(Debug, Default)]
pub struct Rules {
    own: Vec<Compiled>,
    fields: BTreeMap<String, Rules>,
    additional: Option<Box<Rules>>,
    items: Option<Box<Rules>>,
}

#[derive(Debug)]
struct Compiled {
    /// Its place in the list.
    index: usize,
    rule: Rule,
    /// Or why there is none.
    program: Result<Arc<Program>, String>,
    message: Option<Arc<Program>>,
    uses_old: bool,
    /// What one evaluation may cost at most, in upstream's estimate.
    cost: u64,
    message_cost: u64,
}

impl Rules {
    /// A rule that was compiled lately, or that another definition has, is not compiled again: what the validation of a write
    /// makes is there when the definition takes effect.
    ///
    /// `at` is the schema's own path in the definition, for the messages: every rule that can not be compiled, or that says
    /// what it may not. Where such a definition was stored already, those that can not be evaluated refuse all that they should
    /// judge; one whose types do not fit is evaluated as it is.
    pub fn compile(schema: &Schema, at: &str) -> (Rules, ErrorList) {
        let mut errors = ErrorList::default();
        let rules = compile(schema, at, true, None, &Sizes::default(), &mut errors);
        (rules, errors)
    }

    /// What of the schema's rules may cost too much, one by one and together. `at` is the schema's own path in the
    /// definition. What upstream has stored once it does not refuse for its cost, so that only who writes a schema asks.
    pub fn costs(&self, schema: &Schema, at: &str) -> ErrorList {
        estimates::costs(self, schema, at)
    }

    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.fields.is_empty() && self.additional.is_none() && self.items.is_none()
    }

    /// What the rules have against an object; `old` is what it was, on an update. What did not change is not refused by a
    /// rule that came later.
    pub fn validate(&self, object: &Json, old: Option<&Json>, schema: &Schema, errors: &mut ErrorList) {
        let mut walk = Walk { budget: Budget::OBJECT, errors };
        // the walk ends early where the budget is used up, and has said so
        let _ = walk.node(self, schema, object, old, true, "");
    }

    /// The same of a part that stands at `at`: a default, say, of whose schema these are the rules.
    pub fn validate_part(
        &self,
        part: &Json,
        old: Option<&Json>,
        schema: &Schema,
        at: &str,
        errors: &mut ErrorList,
    ) {
        let mut walk = Walk { budget: Budget::OBJECT, errors };
        let _ = walk.node(self, schema, part, old, schema.embedded, at);
    }
}

fn compile(
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

fn shown(rule: &Rule) -> Json {
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

/// The budget is used up: nothing more is evaluated.
struct Ended;

struct Walk<'w> {
    budget: Budget,
    errors: &'w mut ErrorList,
}

impl Walk<'_> {
    fn node(
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
        let bound =
            |value: &Json| if is_resource { resource(value, schema) } else { by_schema(value, Some(schema)) };
        let own = bound(value);
        let old = old.map(bound);
        for compiled in &rules.own {
            let rule = &compiled.rule;
            if compiled.uses_old && old.is_none() && !rule.optional_old_self {
                continue;
            }
            let mut variables = Variables::default().value("self", own.clone());
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
fn resource(value: &Json, schema: &Schema) -> Value {
    let mut entries: BTreeMap<String, Value> = match by_schema(value, Some(schema)) {
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
