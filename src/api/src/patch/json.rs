//! JSON patch (RFC 6902), within bounds: a few hundred bytes of `copy` operations double a document until it fills the
//! machine, or nest it until whoever writes it out runs out of stack. The bounds are upstream's (`patch.go`,
//! `AccumulatedCopySizeLimit`), but for the depth, which is that of what we read.

use crate::{Reason, Status};
use json_patch::{PatchError, PatchErrorKind, PatchOperation};
use serde_json::{Map, Value};
use std::io;

/// Upstream's `maxJSONPatchOperations`.
const MOST_OPERATIONS: usize = 10_000;
/// Of all copies of one patch together, as JSON; upstream takes its limit of a request's body.
const MOST_COPIED: usize = 3 * 1024 * 1024;
/// What a patch makes is read again, and `serde_json` reads nothing deeper.
const DEEPEST: usize = 127;
/// Values that are gone through to see how deep they are: a patch may move one large value there and back ten thousand times.
const MOST_LOOKED_AT: usize = 1 << 22;
/// Items of lists that come to stand one place further on or back, in all operations together: some seconds, and ten thousand
/// operations at the beginning of a list of twenty-five thousand.
const MOST_SHIFTED: usize = 1 << 28;

/// A patch that has been read.
#[derive(Debug, Clone)]
pub struct JsonPatch(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Operation(PatchOperation),
    /// None that there is, and why: it is told when its turn comes, as upstream's library looks at one only then.
    Unknown(String),
}

impl JsonPatch {
    /// # Errors
    /// `BadRequest` for what is no list of objects, `RequestEntityTooLarge` for one with too many operations.
    pub fn parse(body: &[u8]) -> Result<Self, Status> {
        let refused = |why: serde_json::Error| Status::bad_request(format!("error decoding patch: {why}"));
        // of a key that stands twice the last counts, as Go reads it
        let operations: Vec<Map<String, Value>> = serde_json::from_slice(body).map_err(refused)?;
        let count = operations.len();
        if count > MOST_OPERATIONS {
            return Err(Status::new(
                Reason::RequestEntityTooLarge,
                format!("The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {count}"),
            ));
        }
        Ok(JsonPatch(operations.into_iter().map(step).collect()))
    }

    /// Whether it has no operation.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// `Invalid` for a patch that does not fit the target, has an operation that there is not, or makes more than is allowed.
    pub fn apply(&self, target: Value) -> Result<Value, Status> {
        self.run(target).map_err(Failed::into_status)
    }

    /// `None` where a `test` of the patch does not hold: then nothing is to be changed.
    ///
    /// # Errors
    /// As [`JsonPatch::apply`].
    pub fn apply_if_tests_hold(&self, target: Value) -> Result<Option<Value>, Status> {
        match self.run(target) {
            Ok(patched) => Ok(Some(patched)),
            Err(Failed::Operation(error)) if matches!(error.kind, PatchErrorKind::TestFailed) => Ok(None),
            Err(failed) => Err(failed.into_status()),
        }
    }

    fn run(&self, mut target: Value) -> Result<Value, Failed> {
        let (mut copied, mut looks, mut shifted) = (0, MOST_LOOKED_AT, 0);
        for (index, step) in self.0.iter().enumerate() {
            let operation = match step {
                Step::Operation(operation) => operation,
                Step::Unknown(why) => return Err(Failed::Unknown(format!("operation '/{index}': {why}"))),
            };
            copied += bounded(&target, operation, copied, &mut looks).map_err(Failed::Bound)?;
            shifted += shifts(&target, operation);
            if shifted > MOST_SHIFTED {
                let why = format!("the patch moves items of lists more than {MOST_SHIFTED} times");
                return Err(Failed::Bound(rejected(why)));
            }
            if is_test_of_nothing(&target, operation) {
                continue;
            }
            json_patch::patch_unsafe(&mut target, std::slice::from_ref(operation)).map_err(|mut error| {
                error.operation = index;
                Failed::Operation(error)
            })?;
        }
        Ok(target)
    }
}

/// Without a value it is `null`, as upstream's library has it: Go's clients leave a value out that is nil.
fn step(mut fields: Map<String, Value>) -> Step {
    match fields.get("op").and_then(Value::as_str).unwrap_or("unknown") {
        "add" | "replace" | "test" => {
            fields.entry("value").or_insert(Value::Null);
        }
        "remove" | "move" | "copy" => {}
        other => return Step::Unknown(format!("Unexpected kind: {other}")),
    }
    match serde_json::from_value(Value::Object(fields)) {
        Ok(operation) => Step::Operation(operation),
        Err(why) => Step::Unknown(why.to_string()),
    }
}

/// What an object has not is `null` to a test, as upstream's library has it: so operators ask that nobody else has set a field.
fn is_test_of_nothing(target: &Value, operation: &PatchOperation) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    let Some((object, field)) = test.path.split_back() else { return false };
    let object = target.pointer(object.as_str()).and_then(Value::as_object);
    test.value.is_null() && object.is_some_and(|object| !object.contains_key(&*field.decoded()))
}

enum Failed {
    Bound(Status),
    Operation(PatchError),
    Unknown(String),
}

impl Failed {
    fn into_status(self) -> Status {
        let why = match self {
            Failed::Bound(status) => return status,
            Failed::Operation(error) => error.to_string(),
            Failed::Unknown(why) => why,
        };
        rejected(format!("the server rejected our request due to an error in our request: {why}"))
    }
}

/// No cause beside it: kubectl prints causes in the place of the message, each with the field that it has not.
fn rejected(message: impl Into<String>) -> Status {
    Status::new(Reason::Invalid, message)
}

/// How many bytes the operation copies. What it names and there is not is not for this to say.
fn bounded(
    target: &Value,
    operation: &PatchOperation,
    copied: usize,
    looks: &mut usize,
) -> Result<usize, Status> {
    let (value, size) = match operation {
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return Ok(0),
        PatchOperation::Add(add) => (Some(&add.value), 0),
        PatchOperation::Replace(replace) => (Some(&replace.value), 0),
        // what comes no deeper than it was is not gone through
        PatchOperation::Move(moved) if moved.path.tokens().count() <= moved.from.tokens().count() => {
            return Ok(0);
        }
        PatchOperation::Move(moved) => (target.pointer(moved.from.as_str()), 0),
        PatchOperation::Copy(copy) => {
            let value = target.pointer(copy.from.as_str());
            (value, value.map_or(0, size_of))
        }
    };
    if copied + size > MOST_COPIED {
        return Err(rejected(format!(
            "Unable to complete the copy, the accumulated size increase of copy is {}, exceeding the limit {MOST_COPIED}",
            copied + size
        )));
    }
    let above = operation.path().tokens().count();
    let fits = value.is_none_or(|value| fits(value, DEEPEST.saturating_sub(above), looks));
    if *looks == 0 {
        return Err(rejected(format!("the patch moves more than {MOST_LOOKED_AT} values")));
    }
    if !fits {
        return Err(rejected(format!("the patch nests values deeper than {DEEPEST}")));
    }
    Ok(size)
}

/// How many items of lists stand behind what the operation puts in or takes out, at most.
fn shifts(target: &Value, operation: &PatchOperation) -> usize {
    let behind = |path: &str| {
        let Some((list, place)) = path.rsplit_once('/') else { return 0 };
        // at the end
        if place == "-" {
            return 0;
        }
        let items = target.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
        items.saturating_sub(place.parse().unwrap_or(0))
    };
    match operation {
        PatchOperation::Replace(_) | PatchOperation::Test(_) => 0,
        PatchOperation::Add(add) => behind(add.path.as_str()),
        PatchOperation::Remove(remove) => behind(remove.path.as_str()),
        PatchOperation::Copy(copy) => behind(copy.path.as_str()),
        PatchOperation::Move(moved) => behind(moved.from.as_str()) + behind(moved.path.as_str()),
    }
}

/// As JSON.
fn size_of(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // neither the writer nor a value that was read can fail
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Whether no more than `levels` of lists and objects are nested in it, as far as there are `looks`.
fn fits(value: &Value, levels: usize, looks: &mut usize) -> bool {
    *looks = looks.saturating_sub(1);
    match value {
        _ if *looks == 0 => false,
        Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1, looks)),
        Value::Object(fields) => levels > 0 && fields.values().all(|field| fits(field, levels - 1, looks)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patch(operations: &Value) -> JsonPatch {
        JsonPatch::parse(operations.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_patch_that_does_not_fit_says_where() {
        let patch = patch(&json!([
            {"op": "test", "path": "/replicas", "value": 2},
            {"op": "test", "path": "/replicas", "value": 9},
        ]));
        let status = patch.apply(json!({"replicas": 2})).unwrap_err();
        assert_eq!((status.code, status.causes.len()), (422, 0));
        assert!(status.message.contains("operation '/1' failed at path '/replicas'"), "{status}");
    }

    #[test]
    fn long_lists_are_not_moved_along_for_minutes() {
        let list = |items: usize| json!({"list": vec![0; items], "other": {}});
        let many = |operation: Value| patch(&Value::from(vec![operation; MOST_OPERATIONS]));
        let round = json!({"op": "move", "from": "/list/0", "path": "/list/0"});
        let cases = [
            ("the first of many", json!({"op": "add", "path": "/list/0", "value": 1}), 90_000, false),
            ("the first of a few", json!({"op": "add", "path": "/list/0", "value": 1}), 1_000, true),
            ("behind many", json!({"op": "add", "path": "/list/-", "value": 1}), 90_000, true),
            ("taken out", json!({"op": "remove", "path": "/list/0"}), 90_000, false),
            ("out and in again", round, 90_000, false),
            ("into an object", json!({"op": "copy", "from": "/list/0", "path": "/other/a"}), 90_000, true),
        ];
        for (name, operation, items, is_done) in cases {
            let begun = std::time::Instant::now();
            let done = many(operation).apply(list(items));
            assert_eq!(done.is_ok(), is_done, "{name}: {:?}", done.err());
            assert!(begun.elapsed().as_secs() < 60, "{name}: {:?}", begun.elapsed());
        }
    }

    #[test]
    fn what_there_is_not_is_null_to_a_test() {
        let cases = [
            ("a field", "/metadata/finalizers", true),
            ("a field with a slash", "/metadata/a~1b", true),
            ("null", "/nothing", true),
            ("something", "/metadata/name", false),
            ("below nothing", "/spec/replicas", false),
            ("past the end of a list", "/list/3", false),
        ];
        for (name, path, holds) in cases {
            let patch = patch(&json!([{"op": "test", "path": path, "value": null}]));
            let target = json!({"metadata": {"name": "a"}, "nothing": null, "list": []});
            assert_eq!(patch.apply(target.clone()).ok(), holds.then_some(target), "{name}");
        }
        let patch = patch(&json!([{"op": "test", "path": "/a", "value": false}]));
        assert!(patch.apply(json!({})).is_err(), "null is not false");
    }

    #[test]
    fn an_operation_without_a_value_has_null() {
        for (op, given, want) in [
            ("add", json!({}), Some(json!({"a": null}))),
            ("add", json!({"a": 1}), Some(json!({"a": null}))),
            ("replace", json!({"a": 1}), Some(json!({"a": null}))),
            ("test", json!({"a": null}), Some(json!({"a": null}))),
            ("test", json!({}), Some(json!({}))),
            ("test", json!({"a": 1}), None),
        ] {
            let patched = patch(&json!([{"op": op, "path": "/a"}])).apply(given.clone());
            assert_eq!(patched.ok(), want, "{op} {given}");
        }
    }

    #[test]
    fn copies_are_bounded_together() {
        let mut operations = vec![json!({"op": "add", "path": "/a", "value": ["x".repeat(1000)]})];
        operations.extend((0..40).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"})));
        let status = patch(&operations.into()).apply(json!({})).unwrap_err();
        assert_eq!(status.code, 422);
        assert!(status.message.starts_with("Unable to complete the copy, the accumulated size"), "{status}");
        assert!(status.message.ends_with("exceeding the limit 3145728"), "{status}");
    }

    #[test]
    fn one_large_value_is_not_moved_thousands_of_times() {
        let there = |from: &str, path: &str| json!({"op": "move", "from": from, "path": path});
        let target = json!({"a": vec![0; 50_000], "b": {}});
        // as deep as it was: nobody looks at it
        let renamed: Vec<Value> = (0..5000).flat_map(|_| [there("/a", "/c"), there("/c", "/a")]).collect();
        assert_eq!(patch(&renamed.into()).apply(target.clone()).unwrap(), target);
        let deeper: Vec<Value> = (0..5000).flat_map(|_| [there("/a", "/b/a"), there("/b/a", "/a")]).collect();
        let few = Value::from(deeper[..100].to_vec());
        assert_eq!(patch(&few).apply(target.clone()).unwrap(), target);
        let status = patch(&deeper.into()).apply(target).unwrap_err();
        assert_eq!(status.message, "the patch moves more than 4194304 values");
    }

    #[test]
    fn copies_do_not_nest_without_end() {
        let mut leaf = String::from("/a");
        let mut operations = Vec::new();
        for _ in 0..18 {
            operations.push(json!({"op": "copy", "from": "", "path": leaf}));
            leaf = leaf.repeat(2);
        }
        let status = patch(&operations.into()).apply(json!({"a": {}})).unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (422, "the patch nests values deeper than 127"));
    }

    #[test]
    fn an_operation_that_there_is_not_is_told_of_when_its_turn_comes() {
        for (name, operation, want) in [
            ("another word", json!({"op": "increase", "path": "/a"}), "Unexpected kind: increase"),
            ("of another type", json!({"op": 1, "path": "/a"}), "Unexpected kind: unknown"),
            ("no operation", json!({"path": "/a"}), "Unexpected kind: unknown"),
            ("no path", json!({"op": "add"}), "missing field `path`"),
            ("from nowhere", json!({"op": "copy", "path": "/a"}), "missing field `from`"),
        ] {
            let first = json!({"op": "test", "path": "/a", "value": 1});
            let patch = patch(&json!([first, operation]));
            let status = patch.apply(json!({"a": 1})).unwrap_err();
            assert_eq!(status.code, 422, "{name}");
            assert!(status.message.contains("operation '/1': "), "{name}: {status}");
            assert!(status.message.ends_with(want), "{name}: {status}");
            assert_eq!(patch.apply_if_tests_hold(json!({"a": 2})).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn what_a_patch_may_be() {
        let remove = json!({"op": "remove", "path": "/a"});
        let many = |count: usize| Value::from(vec![remove.clone(); count]).to_string();
        for (name, body, code) in [
            ("as many operations as upstream takes", many(10_000), 0),
            ("one more", many(10_001), 413),
            ("no list", "{}".to_owned(), 400),
            ("no object", r#"["remove"]"#.to_owned(), 400),
            ("an operation that there is not", r#"[{"op": "increase", "path": "/a"}]"#.to_owned(), 0),
            ("no JSON", "[".to_owned(), 400),
        ] {
            let outcome = JsonPatch::parse(body.as_bytes());
            assert_eq!(outcome.err().map_or(0, |status| status.code), code, "{name}");
        }
    }
}
