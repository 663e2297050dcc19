//! Label and field selectors, as queries and as objects carry them.

mod label_query;

use std::collections::BTreeMap;

/// `app=web,tier in (front,back),!legacy`. The empty selector matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    pub requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    pub fn everything() -> Self {
        Self::default()
    }

    /// Every pair must be there: a ReplicationController's or a Service's selector.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let requirements = pairs
            .into_iter()
            .map(|(key, value)| Requirement { key: key.clone(), operator: Operator::In(vec![value.clone()]) })
            .collect();
        LabelSelector { requirements }
    }

    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => value.is_some_and(|v| values.contains(v)),
            Operator::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan(bound) => number().is_some_and(|n| n > *bound),
            Operator::LessThan(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

/// `status.phase!=Failed,spec.nodeName=node-1`: pairs of field path and value, and whether they must be equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    pub requirements: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRequirement {
    pub field: String,
    pub value: String,
    pub equal: bool,
}

impl FieldSelector {
    /// The one name that can match, where the selector says so.
    pub fn exact_name(&self) -> Option<&str> {
        let named = |r: &&FieldRequirement| r.equal && r.field == "metadata.name";
        self.requirements.iter().find(named).map(|r| r.value.as_str())
    }

    /// `a=b,c!=d`; `\`, `,` and `=` in a value are escaped with `\`.
    ///
    /// # Errors
    /// Upstream's sentence for a term that is no comparison.
    pub fn parse(text: &str) -> Result<Self, String> {
        let terms = split_unescaped(text).into_iter().filter(|term| !term.is_empty());
        let requirements: Result<Vec<_>, String> = terms.map(field_requirement).collect();
        Ok(FieldSelector { requirements: requirements? })
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn field_requirement(term: &str) -> Result<FieldRequirement, String> {
    let operators = [("!=", false), ("==", true), ("=", true)];
    // the first that stands anywhere, and the longest of those that begin there
    let split = term.char_indices().find_map(|(at, _)| {
        let known = operators.into_iter().find(|(operator, _)| term[at..].starts_with(operator));
        known.map(|(operator, equal)| (&term[..at], &term[at + operator.len()..], equal))
    });
    let (field, value, equal) =
        split.ok_or_else(|| format!("invalid selector: '{term}'; can't understand '{term}'"))?;
    Ok(FieldRequirement { field: field.trim().to_owned(), value: unescape(value)?, equal })
}

/// # Errors
/// Upstream's sentence for a `\` before what needs none, and for what needs one.
fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => escaped,
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            '=' => return Err("invalid field selector: unescaped character in value: =".to_owned()),
            plain => plain,
        });
    }
    Ok(plain)
}

impl LabelSelector {
    /// A query's text: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Keys and values may be such as no object has.
    ///
    /// # Errors
    /// What can not be understood, in upstream's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        label_query::parse(text)
    }
}

impl std::fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, Requirement { key, operator }) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match operator {
                Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", values[0])?,
                Operator::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", values[0])?,
                Operator::In(values) => write!(f, "{key} in ({})", values.join(","))?,
                Operator::NotIn(values) => write!(f, "{key} notin ({})", values.join(","))?,
                Operator::Exists => f.write_str(key)?,
                Operator::DoesNotExist => write!(f, "!{key}")?,
                Operator::GreaterThan(bound) => write!(f, "{key}>{bound}")?,
                Operator::LessThan(bound) => write!(f, "{key}<{bound}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_match_what_they_say() {
        let labels: BTreeMap<String, String> =
            [("app", "web"), ("tier", "front"), ("n", "5")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let cases = [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app!=web", false),
            ("gone!=x", true),
            ("app in (a, web)", true),
            ("tier notin (front,back)", false),
            ("app,!gone", true),
            ("!app", false),
            ("n>4", true),
            ("n<5", false),
        ];
        for (text, want) in cases {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&labels), want, "{text:?}");
        }
        for bad in ["app=web,=", "a b c", "x in y", "a>b"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_field_selector_may_escape_what_divides_it() {
        let selector = FieldSelector::parse(r"metadata.name=a\,b,status.phase!=Failed").unwrap();
        assert_eq!(selector.exact_name(), Some("a,b"));
        assert!(!selector.requirements[1].equal);
        assert!(FieldSelector::parse("nothing").is_err());
    }
}
