//! The selectors of an access review: whether they may be asked so (upstream's `validateResourceAttributes`), and what of them is
//! understood. All requirements must hold, so one that is left out asks for more, and nothing is allowed by it.

use api::selector::{FieldRequirement, Operator, Requirement};
use api::{FieldSelector, LabelSelector};
use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, ResourceAttributes,
};
use kinds::ErrorList;
use kinds::builtin::names;

const AT: &str = "spec.resourceAttributes";

/// A requirement of either kind.
struct Term<'t> {
    key: &'t str,
    operator: &'t str,
    values: &'t [String],
}

/// A selector of either kind, as it was given.
struct Given<'g> {
    /// `field` or `label`
    kind: &'static str,
    raw: &'g str,
    terms: Vec<Term<'g>>,
}

/// The types of the two kinds have the same fields, and no more than that in common.
macro_rules! given {
    ($kind:literal, $selector:expr) => {{
        let selector = $selector;
        let terms = selector.requirements.iter().flatten().map(|of| Term {
            key: &of.key,
            operator: &of.operator,
            values: of.values.as_deref().unwrap_or_default(),
        });
        Given {
            kind: $kind,
            raw: selector.raw_selector.as_deref().unwrap_or_default(),
            terms: terms.collect(),
        }
    }};
}

impl<'g> From<&'g FieldSelectorAttributes> for Given<'g> {
    fn from(selector: &'g FieldSelectorAttributes) -> Self {
        given!("field", selector)
    }
}

impl<'g> From<&'g LabelSelectorAttributes> for Given<'g> {
    fn from(selector: &'g LabelSelectorAttributes) -> Self {
        given!("label", selector)
    }
}

pub(crate) fn check(asked: &ResourceAttributes, errors: &mut ErrorList) {
    if let Some(given) = &asked.field_selector {
        Given::from(given).check(check_field, errors);
    }
    if let Some(given) = &asked.label_selector {
        Given::from(given).check(check_label, errors);
    }
}

fn check_field(term: &Term<'_>, at: &str, errors: &mut ErrorList) {
    if term.key.is_empty() {
        errors.required(format_args!("{at}.key"), "must be specified");
    }
}

fn check_label(term: &Term<'_>, at: &str, errors: &mut ErrorList) {
    if let Err(why) = names::qualified(term.key) {
        errors.invalid(format_args!("{at}.key"), term.key, why);
    }
    for (index, value) in term.values.iter().enumerate() {
        if let Err(why) = names::label_value(value) {
            errors.invalid(format_args!("{at}.values[{index}]"), value.as_str(), why);
        }
    }
}

impl Given<'_> {
    fn check(&self, check_names: fn(&Term<'_>, &str, &mut ErrorList), errors: &mut ErrorList) {
        let (at, raw) = (format!("{AT}.{}Selector", self.kind), self.raw);
        match (raw.is_empty(), self.terms.is_empty()) {
            (false, false) => {
                let why = "may not specified at the same time as requirements";
                errors.invalid(format_args!("{at}.rawSelector"), raw, why);
            }
            (true, true) => {
                let why = format!("when {at} is specified, requirements or rawSelector is required");
                errors.required(format_args!("{at}.requirements"), &why);
            }
            _ => {}
        }
        for (index, term) in self.terms.iter().enumerate() {
            let at = format!("{at}.requirements[{index}]");
            match (term.operator, term.values) {
                ("In" | "NotIn", []) => errors.required(
                    format_args!("{at}.values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                ),
                ("Exists" | "DoesNotExist", [_, ..]) => errors.forbidden(
                    format_args!("{at}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ),
                // a newer client may know more of them
                _ => {}
            }
            check_names(term, &at, errors);
        }
    }

    /// What is understood of the text or, where there are some, of the requirements; for the rest there is a sentence in `ignored`.
    fn read<S: Default, R>(
        &self,
        parse: fn(&str) -> Result<S, String>,
        one: fn(&Term<'_>) -> Option<R>,
        selector: fn(Vec<R>) -> S,
        ignored: &mut Vec<String>,
    ) -> S {
        let (read, understood, given) = match self.terms.as_slice() {
            [] => {
                let parsed = parse(self.raw);
                let understood = usize::from(parsed.is_ok());
                (parsed.unwrap_or_default(), understood, 1)
            }
            terms => {
                let requirements: Vec<R> = terms.iter().filter_map(one).collect();
                let understood = requirements.len();
                (selector(requirements), understood, terms.len())
            }
        };
        if understood < given {
            let partially = if understood > 0 { "partially " } else { "" };
            ignored.push(format!("{AT}.{}Selector {partially}ignored due to parse error", self.kind));
        }
        read
    }
}

pub(crate) fn fields(given: Option<&FieldSelectorAttributes>, ignored: &mut Vec<String>) -> FieldSelector {
    let Some(given) = given else { return FieldSelector::default() };
    let selector = |requirements| FieldSelector { requirements };
    Given::from(given).read(FieldSelector::parse, field, selector, ignored)
}

pub(crate) fn labels(given: Option<&LabelSelectorAttributes>, ignored: &mut Vec<String>) -> LabelSelector {
    let Some(given) = given else { return LabelSelector::default() };
    let selector = |requirements| LabelSelector { requirements };
    Given::from(given).read(LabelSelector::parse, label, selector, ignored)
}

/// A field has one value.
fn field(term: &Term<'_>) -> Option<FieldRequirement> {
    match (term.operator, term.values) {
        ("In" | "NotIn", [value]) => Some(FieldRequirement {
            field: term.key.to_owned(),
            value: value.clone(),
            equal: term.operator == "In",
        }),
        _ => None,
    }
}

fn label(term: &Term<'_>) -> Option<Requirement> {
    let operator = match term.operator {
        "In" => Operator::In(term.values.to_vec()),
        "NotIn" => Operator::NotIn(term.values.to_vec()),
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        _ => return None,
    };
    Some(Requirement { key: term.key.to_owned(), operator })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn attributes(fields: Value, labels: Value) -> ResourceAttributes {
        serde_json::from_value(json!({"fieldSelector": fields, "labelSelector": labels})).unwrap()
    }

    #[test]
    fn what_can_not_be_meant_is_refused_by_field() {
        let term = |key: &str, operator: &str, values: &[&str]| json!({"requirements": [{"key": key, "operator": operator, "values": values}]});
        let none = || Value::Null;
        for (fields, labels, want) in [
            (term("spec.nodeName", "In", &["a"]), none(), vec![]),
            (json!({"rawSelector": "a=b"}), json!({"rawSelector": "what ever"}), vec![]),
            // of a client that knows more
            (term("a", "Near", &[]), term("a", "Near", &["b"]), vec![]),
            (
                json!({}),
                json!({"rawSelector": "a", "requirements": [{"key": "a", "operator": "Exists"}]}),
                vec![
                    "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
                    "spec.resourceAttributes.labelSelector.rawSelector: Invalid value: \"a\": may not specified at the same time as requirements",
                ],
            ),
            (
                term("", "In", &[]),
                term("a", "Exists", &["b"]),
                vec![
                    "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
                    "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified",
                    "spec.resourceAttributes.labelSelector.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ],
            ),
        ] {
            let mut errors = ErrorList::default();
            check(&attributes(fields, labels), &mut errors);
            let causes = errors.into_causes();
            let told: Vec<String> =
                causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
            assert_eq!(told, want);
        }
        let mut errors = ErrorList::default();
        check(&attributes(none(), term("-", "In", &["b c"])), &mut errors);
        let fields: Vec<String> = errors.into_causes().into_iter().map(|cause| cause.field).collect();
        let at = "spec.resourceAttributes.labelSelector.requirements[0]";
        assert_eq!(fields, [format!("{at}.key"), format!("{at}.values[0]")]);
    }

    #[test]
    fn what_is_not_understood_is_left_out_and_it_is_said() {
        let requirements = |all: Value| json!({"requirements": all});
        let exists = json!({"key": "c", "operator": "Exists"});
        let is_in = |values: &[&str]| json!({"key": "c", "operator": "In", "values": values});
        let is_not = json!({"key": "d", "operator": "NotIn", "values": ["x"]});
        let near = json!({"key": "e", "operator": "Near"});
        let (all, part) = ("ignored due to parse error", "partially ignored due to parse error");
        for (name, fields_given, labels_given, want, ignored) in [
            ("nothing", Value::Null, Value::Null, (0, ""), vec![]),
            (
                "texts",
                json!({"rawSelector": "a=b,c!=d"}),
                json!({"rawSelector": "x in (y)"}),
                (2, "x=y"),
                vec![],
            ),
            (
                "texts that say nothing",
                json!({"rawSelector": "a"}),
                json!({"rawSelector": "a b"}),
                (0, ""),
                vec![("field", all), ("label", all)],
            ),
            (
                "requirements",
                requirements(json!([is_in(&["x"]), is_not])),
                requirements(json!([is_in(&["x", "y"]), is_not, exists])),
                (2, "c in (x,y),d!=x,c"),
                vec![],
            ),
            (
                "fields have one value",
                requirements(json!([is_in(&["x", "y"]), exists])),
                Value::Null,
                (0, ""),
                vec![("field", all)],
            ),
            (
                "some of each",
                requirements(json!([near, is_not])),
                requirements(json!([near, exists])),
                (1, "c"),
                vec![("field", part), ("label", part)],
            ),
        ] {
            let given = attributes(fields_given, labels_given);
            let mut told = Vec::new();
            let fields = fields(given.field_selector.as_ref(), &mut told).requirements.len();
            let labels = labels(given.label_selector.as_ref(), &mut told).to_string();
            assert_eq!((fields, labels.as_str()), want, "{name}");
            let ignored: Vec<String> =
                ignored.iter().map(|(kind, how)| format!("{AT}.{kind}Selector {how}")).collect();
            assert_eq!(told, ignored, "{name}");
        }
    }
}
