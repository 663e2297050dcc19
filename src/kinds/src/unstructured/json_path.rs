//! JSONPath as kubectl has it (`client-go/util/jsonpath`), in which printer columns, selectable fields and scales are written:
//! fields, slices, unions, filters and the search below, as in `.status.conditions[?(@.type=="Ready")].status`.

mod parse;

use serde_json::Value;
use std::cmp::Ordering;

/// Searches within searches, and unions within unions, find the same values again and again; beyond this the path finds nothing.
const MOST_FOUND: usize = 10_000;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// The values of an object or a list.
    All,
    Items(Slice),
    Union(Vec<JsonPath>),
    /// Everything that is not empty, from the value itself on down.
    Below,
    /// Items of which the left side is there, or compares so with the right side.
    Where {
        left: Operand,
        compared: Option<(Comparison, Operand)>,
    },
}

/// `[from:to:step]`; what is negative counts from the end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slice {
    from: i64,
    to: Option<i64>,
    /// Of an index, `to` was not written: it is the next.
    is_index: bool,
    step: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Path(JsonPath),
    Value(Value),
    /// A word without quotes, with which nothing compares.
    Word,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// What is there, in order. Nothing where the path does not fit the value: an index that is out of bounds, a filter of
    /// what is no list or has items without the field, as kubectl refuses it.
    pub fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        self.walk(&[value]).unwrap_or_default()
    }

    fn walk<'v>(&self, from: &[&'v Value]) -> Option<Vec<&'v Value>> {
        self.0.iter().try_fold(from.to_vec(), |found, step| step.of(&found))
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
    fn of<'v>(&self, values: &[&'v Value]) -> Option<Vec<&'v Value>> {
        let mut found = Vec::new();
        if let Step::Union(paths) = self {
            for path in paths {
                found.extend(path.walk(values)?);
                within_bounds(&found)?;
            }
            return Some(found);
        }
        for value in values {
            self.add(value, &mut found)?;
            within_bounds(&found)?;
        }
        Some(found)
    }

    fn add<'v>(&self, value: &'v Value, found: &mut Vec<&'v Value>) -> Option<()> {
        match (self, value) {
            (Step::Field(name), Value::Object(fields)) => found.extend(fields.get(name)),
            (Step::All, Value::Object(fields)) => found.extend(fields.values()),
            (Step::All, Value::Array(items)) => found.extend(items),
            (Step::Items(slice), Value::Array(items)) => found.extend(slice.of(items)?),
            (Step::Below, value) => below(value, found)?,
            (Step::Where { left, compared }, Value::Array(items)) => {
                for item in items {
                    if passes(item, left, compared.as_ref())? {
                        found.push(item);
                    }
                }
            }
            (Step::Field(_) | Step::All | Step::Union(_), _) | (Step::Items(_), Value::Null) => {}
            (Step::Items(_) | Step::Where { .. }, _) => return None,
        }
        Some(())
    }
}

fn within_bounds(found: &[&Value]) -> Option<()> {
    (found.len() <= MOST_FOUND).then_some(())
}

fn below<'v>(value: &'v Value, found: &mut Vec<&'v Value>) -> Option<()> {
    let is_empty = match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    };
    if is_empty {
        return Some(());
    }
    found.push(value);
    within_bounds(found)?;
    match value {
        Value::Object(fields) => fields.values().try_for_each(|value| below(value, found)),
        Value::Array(items) => items.iter().try_for_each(|value| below(value, found)),
        _ => Some(()),
    }
}

impl Slice {
    fn of<'v>(&self, items: &'v [Value]) -> Option<Vec<&'v Value>> {
        let length = i64::try_from(items.len()).ok()?;
        let from = if self.from < 0 { self.from + length } else { self.from };
        let to = match self.to {
            Some(to) if to < 0 || (to == 0 && self.is_index) => to + length,
            Some(to) => to,
            None => length,
        };
        if from == to {
            return Some(Vec::new());
        }
        let part = items.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)?;
        let step = usize::try_from(self.step.unwrap_or(1)).ok().filter(|step| *step > 0)?;
        Some(part.iter().step_by(step).collect())
    }
}

fn passes(item: &Value, left: &Operand, compared: Option<&(Comparison, Operand)>) -> Option<bool> {
    let Some((comparison, right)) = compared else {
        return Some(left.of(item).is_some_and(|found| !found.is_empty()));
    };
    comparison.holds(left.one_of(item)?, right.one_of(item)?)
}

impl Operand {
    fn of<'v>(&'v self, item: &'v Value) -> Option<Vec<&'v Value>> {
        match self {
            Operand::Path(path) => path.walk(&[item]),
            Operand::Value(value) => Some(vec![value]),
            Operand::Word => None,
        }
    }

    fn one_of<'v>(&'v self, item: &'v Value) -> Option<&'v Value> {
        match self.of(item)?[..] {
            [one] => Some(one),
            _ => None,
        }
    }
}

impl Comparison {
    /// Only of two values of one kind, as Go's templates have it.
    fn holds(self, left: &Value, right: &Value) -> Option<bool> {
        if let (Value::Bool(left), Value::Bool(right)) = (left, right) {
            return match self {
                Comparison::Equal => Some(left == right),
                Comparison::NotEqual => Some(left != right),
                _ => None,
            };
        }
        let order = order(left, right)?;
        Some(match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        })
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(path: &str, object: &Value) -> Vec<Value> {
        JsonPath::parse(path).unwrap().find(object).into_iter().cloned().collect()
    }

    #[test]
    fn paths_find_what_kubectl_finds() {
        let object = json!({"spec": {"a": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2, "more": true}, {"n": "z", "v": 3}],
                "dotted.name": true, "empty": []},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]}});
        let cases = [
            (".spec.a", vec![json!(1)]),
            ("{.spec.a}", vec![json!(1)]),
            (".", vec![]),
            (".spec.none", vec![]),
            (".spec.none.deeper[0]", vec![]),
            (".spec.list[0].n", vec![json!("x")]),
            (".spec.list[-1].n", vec![json!("z")]),
            (".spec.list[7].n", vec![]),
            (".spec.list[*].v", vec![json!(1), json!(2), json!(3)]),
            (".spec.list[-1:].n", vec![json!("z")]),
            (".spec.list[:2].n", vec![json!("x"), json!("y")]),
            (".spec.list[::2].n", vec![json!("x"), json!("z")]),
            (".spec.list[2:1].n", vec![]),
            (".spec.list[0,2].n", vec![json!("x"), json!("z")]),
            (".spec.empty[*]", vec![]),
            (".spec.a[0]", vec![]),
            (".spec['a','dotted\\.name']", vec![json!(1), json!(true)]),
            (".spec..n", vec![json!("x"), json!("y"), json!("z")]),
            ("..conditions[0].type", vec![json!("Ready")]),
            (r#".status.conditions[?(@.type=="Ready")].status"#, vec![json!("True")]),
            (r#".status.conditions[?( @.type == "Ready" )].status"#, vec![json!("True")]),
            (r#".status.conditions[?(@.type!='Ready')].status"#, vec![json!("False")]),
            (".spec.list[?(@.v>=2)].n", vec![json!("y"), json!("z")]),
            (".spec.list[?(@.v<2)].n", vec![json!("x")]),
            (".spec.list[?(@.more)].n", vec![json!("y")]),
            // an item without the field, a text against a number, a word without quotes
            (".spec.list[?(@.more==true)].n", vec![]),
            (".spec.list[?(@.v=='2')].n", vec![]),
            (".spec.list[?(@.n==y)].v", vec![]),
            (r".spec.dotted\.name", vec![json!(true)]),
            (r".spec['dotted\.name']", vec![json!(true)]),
            (".spec['dotted.name']", vec![]),
        ];
        for (path, want) in cases {
            assert_eq!(found(path, &object), want, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in [
            "spec",
            ".a[",
            ".a[x]",
            ".a[\"b\"]",
            ".a[1:2:3:4]",
            ".a....b",
            ".a[?(@.b]",
            ".a[?(@.b==)]",
            ".a,b",
        ] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_search_within_searches_ends() {
        let mut deep = json!({});
        for _ in 0..100 {
            deep = json!({"a": deep, "b": 1});
        }
        assert!(found(&"...*".repeat(20), &deep).is_empty());
        assert!(found(&"['a','a']".repeat(40), &deep).is_empty());
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
