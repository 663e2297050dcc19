//! How much memory a schema takes, and which nodes need none of their own. A definition has up to some ten thousand nodes, and a
//! cluster up to some thousand definitions.

use crate::checks::Checks;
use crate::{Link, ListType, Schema, Type};
use serde_json::Value;

/// A name and a link in a map's node, and what the allocator adds to both.
const ENTRY: usize = 96;
/// What the allocator and the counts of an `Arc` add to a piece.
const PIECE: usize = 32;
/// What a byte of a rule becomes: a name of a few bytes is a node of some hundred.
const COMPILED_BYTE: usize = 48;

impl Type {
    /// How many there are.
    pub(crate) const COUNT: usize = Type::Duration as usize + 1;
}

impl Schema {
    /// Whether it says a type and nothing else.
    pub(crate) fn is_plain(&self) -> bool {
        let Schema { kind: _, nullable, default, properties, additional, items, .. } = self;
        let Schema { preserve_unknown, embedded, list, merge, name, atomic, off, .. } = self;
        let Schema { checks, identity, rules, .. } = self;
        let is_marked = *nullable || *preserve_unknown || *embedded || *atomic || *off;
        !is_marked
            && default.is_none()
            && properties.is_empty()
            && additional.is_none()
            && items.is_none()
            && *list == ListType::Atomic
            && merge.is_none()
            && name.is_empty()
            && checks.is_empty()
            && identity.is_none()
            && rules.is_empty()
    }

    /// About how many bytes it takes, with all that is below it. What its patterns are compiled to has a bound of its own.
    pub fn footprint(&self) -> usize {
        let fields = self.properties.iter().map(|(name, link)| ENTRY + name.len() + of_link(link));
        let below = self.additional.iter().chain(&self.items).map(of_link);
        let identity = self.identity.iter().flat_map(|all| all.values()).map(of_checks);
        let rules = self.rules.iter().map(|rule| {
            let texts = [&rule.message, &rule.reason, &rule.field_path].map(String::len);
            let compiled = (rule.rule.len() + rule.message_expression.len()) * COMPILED_BYTE;
            size_of_val(rule) + texts.iter().sum::<usize>() + compiled
        });
        let default = self.default.as_deref().map_or(0, of_value);
        let checks = if self.checks.is_empty() { 0 } else { of_checks(&self.checks) };
        let parts = fields.chain(below).chain(identity).chain(rules);
        PIECE + size_of::<Schema>() + default + checks + parts.sum::<usize>()
    }
}

fn of_link(link: &Link) -> usize {
    link.own().map_or(0, Schema::footprint)
}

fn of_checks(checks: &Checks) -> usize {
    let names = checks.required.iter().map(|name| PIECE + size_of::<String>() + name.len());
    let values = checks.one_of_values.iter().map(of_value);
    let pattern = checks.pattern.iter().map(|pattern| 2 * PIECE + pattern.as_str().len());
    let junctors = [&checks.all_of, &checks.any_of, &checks.one_of].into_iter().flatten().map(of_checks);
    let one = checks.not.iter().chain(&checks.items).map(|checks| of_checks(checks));
    let fields = checks.fields.iter().map(|(name, checks)| ENTRY + name.len() + of_checks(checks));
    let parts = names.chain(values).chain(pattern).chain(junctors).chain(one).chain(fields);
    PIECE + size_of::<Checks>() + parts.sum::<usize>()
}

fn of_value(value: &Value) -> usize {
    let inside: usize = match value {
        Value::String(text) => PIECE + text.len(),
        Value::Array(items) => PIECE + items.iter().map(of_value).sum::<usize>(),
        Value::Object(fields) => {
            PIECE + fields.iter().map(|(name, value)| ENTRY + name.len() + of_value(value)).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_stored;
    use serde_json::json;

    /// What `{"type": "object", "properties": {"spec": …}}` takes for a field of `spec` that is `of`.
    fn a_field_takes(of: &Value) -> usize {
        let with = |count: usize| {
            let fields: serde_json::Map<String, Value> =
                (0..count).map(|number| (format!("field{number:05}"), of.clone())).collect();
            let spec = json!({"type": "object", "properties": fields});
            let schema = json!({"type": "object", "properties": {"spec": spec}});
            from_stored(&schema, "schema").unwrap().footprint()
        };
        (with(2000) - with(1000)) / 1000
    }

    #[test]
    fn a_node_is_small_and_a_plain_one_is_none() {
        assert!(size_of::<Schema>() <= 208, "{}", size_of::<Schema>());
        assert_eq!(size_of::<crate::NodeChecks>(), size_of::<usize>());
        for (name, of, most) in [
            ("plain", json!({"type": "string", "description": "A text."}), 120),
            ("plain object", json!({"type": "object"}), 120),
            ("nullable", json!({"type": "string", "nullable": true}), 400),
            ("checked", json!({"type": "string", "maxLength": 5}), 1000),
        ] {
            let takes = a_field_takes(&of);
            assert!(takes <= most, "{name}: {takes}");
        }
    }

    #[test]
    fn plain_fields_are_one_node_and_others_their_own() {
        let fields = json!({
            "a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "integer"},
            "d": {"type": "string", "maxLength": 3}, "e": {"type": "string", "default": "x"}});
        let schema = from_stored(&json!({"type": "object", "properties": fields}), "schema").unwrap();
        let node = |name: &str| schema.field(name).unwrap();
        assert!(std::ptr::eq(node("a"), node("b")));
        assert_eq!(node("c").kind, Type::Integer);
        assert!(!std::ptr::eq(node("a"), node("d")) && !std::ptr::eq(node("a"), node("e")));
        assert_eq!(node("d").bounds().max_length, Some(3));
        assert_eq!(node("e").default.as_deref(), Some(&json!("x")));
        assert_eq!(node("a").bounds().max_length, None);
    }
}
