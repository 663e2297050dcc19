//! Whether the rules of a schema may cost too much, each and together, and their patterns too much memory, in upstream's words (apiextensions'
//! `validation/cel_validation.go`).

use super::compilation::shown;
use super::{Compiled, Rules};
use crate::sizes::Sizes;
use crate::types::Place;
use schema::{ErrorList, Schema, Type};

/// Of one expression, evaluated as often as it may be for one object.
const LIMIT: u64 = 10_000_000;
/// Of all expressions of a schema.
const TOTAL_LIMIT: u64 = 100_000_000;
/// So many are named when all together are too expensive, unless they are below a hundredth of the limit.
const MOST_NAMED: usize = 4;

pub(super) fn costs(rules: &Rules, schema: &Schema, at: &str) -> ErrorList {
    let mut walk =
        Walk { sizes: Sizes::default(), total: 0, expensive: Vec::new(), errors: ErrorList::default() };
    walk.node(rules, Place::Resource(schema), schema, at, Some(1));
    let Walk { total, mut expensive, mut errors, .. } = walk;
    if total > TOTAL_LIMIT {
        expensive.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        for (place, _) in expensive.into_iter().take(MOST_NAMED) {
            let why =
                "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            errors.forbidden(place, why);
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        errors.forbidden(at, exceeds(what, total, TOTAL_LIMIT));
    }
    errors
}

struct Walk {
    sizes: Sizes,
    total: u64,
    expensive: Vec<(String, u64)>,
    errors: ErrorList,
}

impl Walk {
    /// `times` is how often the node can be there in one object; `None` where nothing says it.
    fn node(&mut self, rules: &Rules, place: Place<'_>, schema: &Schema, at: &str, times: Option<u64>) {
        let below = times.and_then(|times| Some(times.saturating_mul(times_below(schema)?)));
        if let (Some(rules), Some(schema)) = (rules.additional.as_deref(), schema.additional.as_deref()) {
            self.node(rules, Place::of(schema), schema, &format!("{at}.additionalProperties"), below);
        }
        for (name, rules) in &rules.fields {
            if let Some(schema) = schema.properties.get(name) {
                self.node(rules, Place::of(schema), schema, &format!("{at}.properties[{name}]"), below);
            }
        }
        if let (Some(rules), Some(schema)) = (rules.items.as_deref(), schema.items.as_deref()) {
            self.node(rules, Place::of(schema), schema, &format!("{at}.items"), below);
        }
        let times = times.unwrap_or_else(|| self.sizes.cardinality(place));
        for compiled in &rules.own {
            self.rule(compiled, &format!("{at}.x-kubernetes-validations[{}]", compiled.index), times);
        }
    }

    fn rule(&mut self, compiled: &Compiled, at: &str, times: u64) {
        self.patterns(compiled, at);
        let cost = compiled.cost.saturating_mul(times);
        self.expression("estimated rule cost", format!("{at}.rule"), cost);
        if compiled.message.is_some() {
            let at = format!("{at}.messageExpression");
            self.expression("estimated messageExpression cost", at, compiled.message_cost);
        }
    }

    /// What a pattern is compiled to costs memory, and is refused with whom it is written.
    fn patterns(&mut self, compiled: &Compiled, at: &str) {
        let Compiled { rule, program, message, .. } = compiled;
        if let Err(why) = program.as_ref().map_or(Ok(()), |program| program.node.patterns_fit()) {
            self.errors.invalid(format!("{at}.rule"), shown(rule), format!("compilation failed: {why}"));
        }
        if let Err(why) = message.as_ref().map_or(Ok(()), |message| message.node.patterns_fit()) {
            let why = format!("messageExpression compilation failed: {why}");
            self.errors.invalid(format!("{at}.messageExpression"), shown(rule), why);
        }
    }

    fn expression(&mut self, what: &str, at: String, cost: u64) {
        if cost > LIMIT {
            self.errors.forbidden(&at, exceeds(what, cost, LIMIT));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= TOTAL_LIMIT / 100 {
            self.expensive.push((at, cost));
        }
    }
}

/// How many of what is below there may be in one of this; `None` where it has no bound. As upstream's `extractMaxElements`, it
/// does not look into `allOf`.
fn times_below(schema: &Schema) -> Option<u64> {
    match schema.kind {
        Type::Array => schema.bounds().max_items,
        Type::Object if schema.additional.is_some() => schema.bounds().max_properties,
        _ => Some(1),
    }
}

fn exceeds(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        _ if factor > 100.0 => "more than 100x".to_owned(),
        // rounded, it would seem to be no more than the limit
        _ if factor < 1.5 => format!("{factor:.6}x"),
        _ => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength \
         where arrays, maps, and strings are declared)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(schema: &Value) -> Vec<String> {
        let schema = schema::from_openapi(schema, "at").unwrap_or_else(|e| panic!("{:?}", e.into_causes()));
        let (rules, errors) = Rules::compile(&schema, "at");
        assert!(errors.is_empty(), "{:?}", errors.into_causes());
        let causes = rules.costs(&schema, "at").into_causes();
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    fn object(properties: Value) -> Value {
        json!({"type": "object", "properties": properties})
    }

    const HINT: &str = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and \
                        strings are declared)";

    #[test]
    fn a_pattern_that_is_too_large_is_refused_with_its_rule() {
        let long = "\\\\pL{1000}".repeat(2);
        let of = |rule: &str, message: &str| {
            let rule = json!({"rule": rule, "messageExpression": message});
            object(json!({"t": {"type": "string", "maxLength": 5, "x-kubernetes-validations": [rule]}}))
        };
        let (plain, large) = ("self.matches('^a')".to_owned(), format!("self.matches('{long}')"));
        let at = "at.properties[t].x-kubernetes-validations[0]";
        for (name, rule, message, want) in [
            ("none", plain.clone(), "'no'".to_owned(), String::new()),
            ("in the rule", large.clone(), "'no'".to_owned(), format!("{at}.rule: Invalid value: ")),
            (
                "in the message",
                plain,
                format!("{large} ? 'a' : 'b'"),
                format!("{at}.messageExpression: Invalid value: "),
            ),
        ] {
            let told = refused(&of(&rule, &message)).join("; ");
            let is_it =
                told.starts_with(&want) && told.contains("error parsing regexp: expression too large");
            assert!(if want.is_empty() { told.is_empty() } else { is_it }, "{name}: {told}");
        }
    }

    #[test]
    fn a_rule_that_may_cost_too_much_is_refused() {
        let texts = |rule: &str, most: Option<u64>| json!({"type": "array", "maxItems": most, "items": {"type": "string", "x-kubernetes-validations": [{"rule": rule}]}});
        let of_list = json!({"type": "array", "items": {"type": "integer"},
            "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x == y))"}]});
        let at = |below: &str| format!("at.properties[{below}.x-kubernetes-validations[0].rule");
        // the whole, and who has part in it
        let whole = |place: &str| {
            [
                format!(
                    "{place}: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
                ),
                format!(
                    "at: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by \
                     factor of more than 100x {HINT}"
                ),
            ]
        };
        let single = |place: &str, factor: &str| {
            format!("{place}: Forbidden: estimated rule cost exceeds budget by factor of {factor} {HINT}")
        };
        let cases = [
            ("a list twice", object(json!({"l": of_list})), at("l]"), "more than 100x", true),
            (
                "as often as it fits",
                object(json!({"l": texts("self.contains('keyword')", None)})),
                at("l].items"),
                "more than 100x",
                true,
            ),
            (
                "more often than it may",
                object(json!({"l": texts("self.contains('keyword')", Some(40))})),
                at("l].items"),
                "1.258296x",
                false,
            ),
            (
                "bounded in a junctor, which does not count",
                object(
                    json!({"l": {"type": "array", "allOf": [{"maxItems": 1, "items": {"maxLength": 1}}], "items": {
                    "type": "string", "x-kubernetes-validations": [{"rule": "self.contains('keyword')"}]}}}),
                ),
                at("l].items"),
                "more than 100x",
                true,
            ),
            (
                "twice as often",
                object(json!({"l": texts("self.contains('keyword')", Some(64))})),
                at("l].items"),
                "2.0x",
                false,
            ),
        ];
        for (name, schema, place, factor, is_whole) in cases {
            let mut want = vec![single(&place, factor)];
            want.extend(whole(&place).into_iter().filter(|_| is_whole));
            assert_eq!(refused(&schema), want, "{name}");
        }
        let fine = [
            object(json!({"l": texts("self.contains('keyword')", Some(30))})),
            object(
                json!({"s": {"type": "string", "x-kubernetes-validations": [{"rule": "self.contains('keyword')"}]}}),
            ),
            object(json!({"l": {"type": "array", "maxItems": 100, "items": {"type": "integer"},
                "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x == y))"}]}})),
            object(json!({"m": {"type": "object", "additionalProperties": {"type": "integer",
                "x-kubernetes-validations": [{"rule": "self > 50 && self < 100"}]}}})),
        ];
        for schema in fine {
            assert!(refused(&schema).is_empty(), "{schema}: {:?}", refused(&schema));
        }
    }

    #[test]
    fn what_is_dear_together_is_refused_by_the_whole() {
        let text = json!({"type": "string", "x-kubernetes-validations": [{"rule": "self.contains('a long keyword that is looked for')"}]});
        let list = json!({"type": "array", "maxItems": 7, "items": text});
        let fields: serde_json::Map<String, Value> =
            (0..14).map(|n| (format!("f{n:02}"), list.clone())).collect();
        let told = refused(&object(fields.into()));
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told[..4].iter().all(|why| why.ends_with(
            "Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        )));
        assert!(
            told[4].contains("total for entire OpenAPIv3 schema exceeds budget by factor of 1.23"),
            "{told:?}"
        );
    }

    #[test]
    fn a_message_counts_once() {
        let rule =
            json!({"rule": "true", "messageExpression": "self.map(x, self.map(y, y).join(',')).join(',')"});
        let of = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [rule]});
        let told = refused(&object(json!({"l": of})));
        assert_eq!(
            told[0],
            format!(
                "at.properties[l].x-kubernetes-validations[0].messageExpression: Forbidden: estimated messageExpression cost exceeds \
                 budget by factor of more than 100x {HINT}"
            )
        );
        assert!(told[1].starts_with(
            "at.properties[l].x-kubernetes-validations[0].messageExpression: Forbidden: contributed"
        ));
    }
}
