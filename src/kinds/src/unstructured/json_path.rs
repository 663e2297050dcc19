//! The part of kubectl's JSONPath that printer columns, selectable fields and scales are written in: fields, indices,
//! `[*]` and one comparison, as in `.status.conditions[?(@.type=="Ready")].status`.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// From the end where it is negative.
    Index(i64),
    All,
    /// Items whose field has the value, or has another one.
    Where {
        path: JsonPath,
        equal: bool,
        value: Value,
    },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// # Errors
    /// Where it stops to be such a path.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        let inner = text.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
        let mut steps = Vec::new();
        let mut rest = inner;
        while !rest.is_empty() {
            rest = match rest.strip_prefix('[') {
                Some(bracket) => {
                    let end = closing(bracket).ok_or_else(|| format!("unterminated array in {text:?}"))?;
                    steps.push(in_brackets(&bracket[..end], text)?);
                    &bracket[end + 1..]
                }
                None => {
                    let name =
                        rest.strip_prefix('.').ok_or_else(|| format!("{text:?} must begin with a '.'"))?;
                    let (name, after) = field(name);
                    match name.as_str() {
                        "" if after.is_empty() && steps.is_empty() => {}
                        "" => return Err(format!("an empty field name in {text:?}")),
                        "*" => steps.push(Step::All),
                        _ => steps.push(Step::Field(name)),
                    }
                    after
                }
            };
        }
        Ok(JsonPath(steps))
    }

    /// What is there, in order.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        self.0
            .iter()
            .fold(vec![value], |found, step| found.into_iter().flat_map(|value| step.of(value)).collect())
    }

    /// The fields of a path that has nothing else: `.spec.replicas`.
    pub fn fields(&self) -> Option<Vec<&str>> {
        self.0
            .iter()
            .map(|step| match step {
                Step::Field(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Puts a value at a path of fields, and makes the objects on the way. `false` for any other path, or where
    /// something on the way is no object.
    pub fn set(&self, value: &mut Value, new: Value) -> bool {
        let Some(fields) = self.fields() else { return false };
        let Some((last, way)) = fields.split_last() else { return false };
        let mut at = value;
        for name in way {
            let Some(object) = at.as_object_mut() else { return false };
            at = object.entry(*name).or_insert_with(|| Value::Object(Default::default()));
        }
        at.as_object_mut().map(|object| object.insert((*last).to_owned(), new)).is_some()
    }
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Step::Field(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
            (Step::Index(index), Value::Array(items)) => {
                let at = if *index < 0 { items.len() as i64 + index } else { *index };
                usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            (Step::All, Value::Array(items)) => items.iter().collect(),
            (Step::All, Value::Object(fields)) => fields.values().collect(),
            (Step::Where { path, equal, value }, Value::Array(items)) => items
                .iter()
                .filter(|item| path.find(item).into_iter().any(|found| found == value) == *equal)
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The name up to the next `.` or `[`, with `\.` for a dot in it, and the rest.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[at..]),
            other => name.push(other),
        }
    }
    (name, "")
}

/// Where the bracket ends, quotes and inner brackets passed over.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn in_brackets(text: &str, whole: &str) -> Result<Step, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(Step::All);
    }
    if let Some(condition) = text.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        return comparison(condition, whole);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Field(name.to_owned()));
    }
    text.parse().map(Step::Index).map_err(|_| format!("invalid array index {text:?} in {whole:?}"))
}

fn quoted(text: &str) -> Option<&str> {
    ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))
}

fn comparison(text: &str, whole: &str) -> Result<Step, String> {
    let unknown = || format!("unrecognized filter {text:?} in {whole:?}");
    let (path, equal, value) = match (text.split_once("=="), text.split_once("!=")) {
        (Some((path, value)), _) => (path, true, value),
        (None, Some((path, value))) => (path, false, value),
        (None, None) => return Err(unknown()),
    };
    let path = JsonPath::parse(path.trim().strip_prefix('@').ok_or_else(unknown)?)?;
    let value = value.trim();
    let value = match quoted(value) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(value).map_err(|_| unknown())?,
    };
    Ok(Step::Where { path, equal, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_kubectl_finds() {
        let object = json!({"spec": {"a": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "dotted.name": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]}});
        let cases = [
            (".spec.a", vec![json!(1)]),
            ("{.spec.a}", vec![json!(1)]),
            (".spec.none", vec![]),
            (".spec.list[0].n", vec![json!("x")]),
            (".spec.list[-1].n", vec![json!("y")]),
            (".spec.list[*].v", vec![json!(1), json!(2)]),
            (r#".status.conditions[?(@.type=="Ready")].status"#, vec![json!("True")]),
            (r#".status.conditions[?(@.type!='Ready')].status"#, vec![json!("False")]),
            (r".spec.dotted\.name", vec![json!(true)]),
            (".spec['dotted.name']", vec![json!(true)]),
        ];
        for (path, want) in cases {
            let found: Vec<Value> =
                JsonPath::parse(path).unwrap().find(&object).into_iter().cloned().collect();
            assert_eq!(found, want, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["spec", ".a[", ".a[x]", ".a..b", ".a[?(@.b)]"] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_is_set_where_the_path_leads() {
        let mut object = json!({"spec": {"text": "x"}});
        let set = |path: &str, object: &mut Value| JsonPath::parse(path).unwrap().set(object, json!(3));
        assert!(set(".spec.deep.replicas", &mut object));
        assert_eq!(object["spec"]["deep"]["replicas"], 3);
        assert!(!set(".spec.text.replicas", &mut object), "a text has no fields");
        assert!(!set(".spec.list[0]", &mut object));
    }
}
