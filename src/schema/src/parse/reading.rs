//! One schema on its way from OpenAPI: what is wrong with it, its patterns, and how much it may be.

use super::{Level, node};
use crate::re2::KeptPattern;
use crate::{ErrorList, Schema, Type};
use serde_json::Value;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

/// Nodes of a definition, of all its versions together. The largest in use, those that hold whole pods a few times over, have some twenty
/// thousand.
const MOST_NODES: usize = 1 << 16;
/// Bytes that a definition's patterns may be compiled to, each counted once. An everyday one takes a few thousand.
const MOST_COMPILED: usize = 32 << 20;
/// A pattern that is too large is known to be so after a quarter of a second.
const MOST_ERRORS_COMPILED: usize = 10;

/// How large the schemas of one definition may still be, all versions together.
#[derive(Debug)]
pub struct Allowance {
    nodes: usize,
    compiled: usize,
    /// By its text, each that was compiled: the words of the one that is none.
    patterns: HashMap<String, Result<KeptPattern, String>>,
    exceeded: Option<String>,
}

impl Default for Allowance {
    fn default() -> Self {
        Allowance { nodes: MOST_NODES, compiled: MOST_COMPILED, patterns: HashMap::new(), exceeded: None }
    }
}

impl Allowance {
    /// In words for the definition's author: of what there was more.
    pub fn exceeded(&self) -> Option<&str> {
        self.exceeded.as_deref()
    }

    fn count_node(&mut self) {
        match self.nodes.checked_sub(1) {
            Some(left) => self.nodes = left,
            None => self.exceed(|| {
                format!("must have at most {MOST_NODES} schemas in all versions together, those of fields, items and junctors counted")
            }),
        }
    }

    fn exceed(&mut self, why: impl FnOnce() -> String) {
        self.exceeded.get_or_insert_with(why);
    }

    fn pattern(&mut self, text: &str) -> Result<KeptPattern, String> {
        if let Some(known) = self.patterns.get(text) {
            return known.clone();
        }
        // where there is too much already, its form alone is looked at
        if self.exceeded.is_some() {
            return KeptPattern::of_stored(text);
        }
        let measured = KeptPattern::measured(text);
        if let Ok((_, size)) = &measured {
            match self.compiled.checked_sub(*size) {
                Some(left) => self.compiled = left,
                None => self.exceed(|| {
                    format!(
                        "must have patterns that are compiled to at most {} MiB in all versions together",
                        MOST_COMPILED >> 20
                    )
                }),
            }
        }
        let found = measured.map(|(pattern, _)| pattern);
        self.patterns.insert(text.to_owned(), found.clone());
        found
    }
}

/// Collects what is wrong, as the list that it is of.
pub(super) struct Reading<'a> {
    errors: ErrorList,
    /// `None`: it was accepted before, and is neither counted nor compiled again.
    allowance: Option<&'a mut Allowance>,
}

impl Deref for Reading<'_> {
    type Target = ErrorList;

    fn deref(&self) -> &ErrorList {
        &self.errors
    }
}

impl DerefMut for Reading<'_> {
    fn deref_mut(&mut self) -> &mut ErrorList {
        &mut self.errors
    }
}

impl Reading<'_> {
    pub(super) fn count_node(&mut self) {
        if let Some(allowance) = &mut self.allowance {
            allowance.count_node();
        }
    }

    /// `None` where it is not looked at: what is refused for so many reasons already need not be compiled.
    pub(super) fn pattern(&mut self, text: &str) -> Option<Result<KeptPattern, String>> {
        if self.errors.len() >= MOST_ERRORS_COMPILED {
            return None;
        }
        Some(match &mut self.allowance {
            Some(allowance) => allowance.pattern(text),
            None => KeptPattern::of_stored(text),
        })
    }

    fn read(mut self, schema: &Value, at: &str) -> Result<Schema, ErrorList> {
        let parsed = node(schema, at, Level::Root, 0, &mut self);
        if parsed.kind != Type::Object && self.errors.is_empty() {
            self.errors.invalid(format!("{at}.type"), schema["type"].clone(), "must be object at the root");
        }
        if self.errors.is_empty() { Ok(parsed) } else { Err(self.errors) }
    }
}

/// `at` is the schema's own path in the definition, for the messages.
///
/// # Errors
/// All that is not structural, each with its path.
pub fn from_openapi(schema: &Value, at: &str) -> Result<Schema, ErrorList> {
    from_openapi_within(schema, at, &mut Allowance::default())
}

/// The same for one of several versions. That there is more than `allowance` has is said there: what was stored with more is
/// served, and can be changed elsewhere.
///
/// # Errors
/// All that is not structural, each with its path.
pub fn from_openapi_within(schema: &Value, at: &str, allowance: &mut Allowance) -> Result<Schema, ErrorList> {
    Reading { errors: ErrorList::default(), allowance: Some(allowance) }.read(schema, at)
}

/// Of a definition that was accepted: its patterns are compiled when an object is first held against them.
///
/// # Errors
/// All that is not structural, each with its path.
pub fn from_stored(schema: &Value, at: &str) -> Result<Schema, ErrorList> {
    Reading { errors: ErrorList::default(), allowance: None }.read(schema, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn with_fields(count: usize, of: impl Fn(usize) -> Value) -> Value {
        let fields: Map<String, Value> =
            (0..count).map(|number| (format!("f{number}"), of(number))).collect();
        json!({"type": "object", "properties": fields})
    }

    #[test]
    fn versions_share_what_a_definition_may_have() {
        let half = with_fields(MOST_NODES / 2, |_| json!({"type": "string"}));
        let mut allowance = Allowance::default();
        from_openapi_within(&half, "one", &mut allowance).unwrap();
        assert_eq!(allowance.exceeded(), None);
        from_openapi_within(&half, "two", &mut allowance).unwrap();
        let why = allowance.exceeded().unwrap();
        assert!(why.starts_with("must have at most 65536 schemas in all versions together"), "{why}");
        assert!(from_stored(&half, "stored").is_ok());
    }

    #[test]
    fn a_pattern_counts_once_however_often_it_stands_there() {
        let same = with_fields(100, |_| json!({"type": "string", "pattern": "^[a-z]+$"}));
        let each = with_fields(100, |n| json!({"type": "string", "pattern": format!("^[a-z]+{n}$")}));
        let room = 32 * (16 << 10);
        let exceeds = |schema: &Value| {
            let mut allowance = Allowance { compiled: room, ..Allowance::default() };
            from_openapi_within(schema, "schema", &mut allowance).unwrap();
            allowance.exceeded().map(str::to_owned)
        };
        assert_eq!(exceeds(&same), None);
        let why = exceeds(&each).unwrap();
        assert_eq!(why, "must have patterns that are compiled to at most 32 MiB in all versions together");
    }
}
