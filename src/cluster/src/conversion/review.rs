//! `ConversionReview`: the question, and what an answer says (apiextensions.k8s.io/v1), in the words of upstream's
//! `webhook_converter.go`.

use api::values;
use serde_json::{Map, Value, json};

/// In which words it is asked; the fields are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReviewVersion {
    V1,
    V1beta1,
}

impl ReviewVersion {
    /// The first that is spoken here.
    pub(super) fn of(wanted: &[String]) -> Option<Self> {
        wanted.iter().find_map(|version| match version.as_str() {
            "v1" => Some(ReviewVersion::V1),
            "v1beta1" => Some(ReviewVersion::V1beta1),
            _ => None,
        })
    }

    fn api_version(self) -> &'static str {
        match self {
            ReviewVersion::V1 => "apiextensions.k8s.io/v1",
            ReviewVersion::V1beta1 => "apiextensions.k8s.io/v1beta1",
        }
    }
}

pub(super) fn encode(version: ReviewVersion, uid: &str, wanted: &str, objects: &[Value]) -> Vec<u8> {
    let review = json!({
        "kind": "ConversionReview", "apiVersion": version.api_version(),
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects},
    });
    review.to_string().into_bytes()
}

/// As Go prints a GroupVersionKind.
pub(super) fn kind_of(object: &Value) -> String {
    format!("{}, Kind={}", text(&object["apiVersion"]), text(&object["kind"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The converted objects, each with the metadata that it had.
///
/// # Errors
/// What is wrong with the answer, or what the webhook says that it could not do.
pub(super) fn read(
    version: ReviewVersion,
    uid: &str,
    wanted: &str,
    objects: &[Value],
    answer: &[u8],
) -> Result<Vec<Value>, String> {
    let failed = |why: String| format!("failed: {why}");
    let mut review: Value = serde_json::from_slice(answer).map_err(|why| failed(why.to_string()))?;
    if version == ReviewVersion::V1 {
        let want = format!("{}, Kind=ConversionReview", version.api_version());
        let given = kind_of(&review);
        if given != want {
            return Err(failed(format!("expected webhook response of {want}, got {given}")));
        }
    }
    let response = &mut review["response"];
    if !response.is_object() {
        return Err(failed("no response provided".to_owned()));
    }
    if version == ReviewVersion::V1 && text(&response["uid"]) != uid {
        let given = text(&response["uid"]);
        return Err(failed(format!("expected response.uid={uid:?}, got {given:?}")));
    }
    let result = &response["result"];
    match (text(&result["status"]), text(&result["message"])) {
        ("Success", _) => {}
        (status, "") => {
            return Err(failed(format!("response.result.status was '{status}', not 'Success'")));
        }
        (_, message) => return Err(failed(message.to_owned())),
    }
    let converted = match response["convertedObjects"].take() {
        Value::Array(converted) => converted,
        _ => Vec::new(),
    };
    if converted.len() != objects.len() {
        return Err(format!("returned {} objects, expected {}", converted.len(), objects.len()));
    }
    let each = converted.into_iter().zip(objects).enumerate();
    each.map(|(index, (converted, original))| checked(converted, original, wanted, index, objects.len() > 1))
        .collect()
}

fn checked(
    mut converted: Value,
    original: &Value,
    wanted: &str,
    index: usize,
    is_list: bool,
) -> Result<Value, String> {
    let (what, place) =
        if is_list { ("converted object", format!(" at index {index}")) } else { ("object", String::new()) };
    let invalid = |why: String| format!("returned invalid {what}{place}: {why}");
    let given = text(&converted["apiVersion"]);
    if given != wanted {
        return Err(invalid(format!("invalid groupVersion (expected {wanted}, received {given})")));
    }
    if text(&converted["kind"]) != text(&original["kind"]) {
        let (expected, received) = (text(&original["kind"]), text(&converted["kind"]));
        return Err(invalid(format!("invalid kind (expected {expected}, received {received})")));
    }
    for (name, field) in [("name", "name"), ("namespace", "namespace"), ("UID", "uid")] {
        let (before, after) = (text(&original["metadata"][field]), text(&converted["metadata"][field]));
        if before != after {
            return Err(invalid(format!("must have the same {name}: {before} != {after}")));
        }
    }
    let metadata = restored(&original["metadata"], &converted["metadata"]).map_err(|why| match is_list {
        true => format!("returned invalid metadata in object{place}: {why}"),
        false => format!("returned invalid metadata: {why}"),
    })?;
    converted["metadata"] = metadata;
    // as of an object that somebody writes: its text says little of what it takes while it is answered
    values::check_growth(values::count(original), &converted).map_err(|status| invalid(status.message))?;
    Ok(converted)
}

/// Of the metadata a webhook changes labels and annotations; all else is as it was.
fn restored(original: &Value, converted: &Value) -> Result<Value, String> {
    if converted.is_null() {
        return Err("missing metadata in converted object".to_owned());
    }
    let given = converted.as_object().ok_or("invalid metadata in converted object")?;
    let mut metadata: Map<String, Value> = original.as_object().cloned().unwrap_or_default();
    for field in ["labels", "annotations"] {
        match given.get(field) {
            None | Some(Value::Null) => drop(metadata.remove(field)),
            Some(Value::Object(pairs)) => {
                if let Some((key, _)) = pairs.iter().find(|(_, value)| !value.is_string()) {
                    return Err(format!("metadata.{field}[{key}] must be a string in converted object"));
                }
                if metadata.get(field).and_then(Value::as_object) != Some(pairs) {
                    judged(field, pairs)?;
                }
                metadata.insert(field.to_owned(), Value::Object(pairs.clone()));
            }
            Some(_) => return Err(format!("invalid metadata.{field} in converted object")),
        }
    }
    Ok(Value::Object(metadata))
}

fn judged(field: &str, pairs: &Map<String, Value>) -> Result<(), String> {
    let named = |(key, value): (&String, &Value)| {
        kinds::builtin::names::qualified(&key.to_lowercase())?;
        if field == "labels" { kinds::builtin::names::label_value(text(value)) } else { Ok(()) }
    };
    pairs.iter().try_for_each(|pair| {
        named(pair).map_err(|why| format!("metadata.{field}: Invalid value: {:?}: {why}", pair.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(version: &str, spec: Value) -> Value {
        json!({"apiVersion": format!("example.com/{version}"), "kind": "Host",
               "metadata": {"name": "a", "namespace": "d", "uid": "u", "labels": {"x": "y"}, "generation": 3}, "spec": spec})
    }

    fn answered(converted: Vec<Value>) -> Value {
        json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1",
               "response": {"uid": "1", "result": {"status": "Success"}, "convertedObjects": converted}})
    }

    fn read_v1(originals: &[Value], answer: &Value) -> Result<Vec<Value>, String> {
        read(ReviewVersion::V1, "1", "example.com/v2", originals, answer.to_string().as_bytes())
    }

    #[test]
    fn of_the_metadata_only_labels_and_annotations_change() {
        let original = object("v1", json!({"host": "h"}));
        let mut converted = object("v2", json!({"hosts": ["h"]}));
        converted["metadata"] = json!({"name": "a", "namespace": "d", "uid": "u", "generation": 9, "finalizers": ["f"],
                                       "annotations": {"was": "v1"}});
        let got = read_v1(&[original], &answered(vec![converted])).unwrap();
        let want = json!({"apiVersion": "example.com/v2", "kind": "Host", "spec": {"hosts": ["h"]},
                          "metadata": {"name": "a", "namespace": "d", "uid": "u", "generation": 3, "annotations": {"was": "v1"}}});
        assert_eq!(got, [want]);
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_told_in_upstreams_words() {
        let original = || object("v1", json!({}));
        let with = |path: &str, value: Value| {
            let mut converted = object("v2", json!({}));
            *converted.pointer_mut(path).unwrap() = value;
            answered(vec![converted])
        };
        let mut other_uid = answered(vec![]);
        other_uid["response"]["uid"] = json!("2");
        let mut failed = answered(vec![]);
        failed["response"]["result"] = json!({"status": "Failed", "message": "no such version"});
        let mut silent = failed.clone();
        silent["response"]["result"] = json!({"status": "Failed"});
        let cases = [
            (
                json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1"}),
                "failed: no response provided",
            ),
            (
                json!({"kind": "Other", "apiVersion": "v1"}),
                "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got v1, Kind=Other",
            ),
            (other_uid, "failed: expected response.uid=\"1\", got \"2\""),
            (failed, "failed: no such version"),
            (silent, "failed: response.result.status was 'Failed', not 'Success'"),
            (answered(vec![]), "returned 0 objects, expected 1"),
            (
                with("/apiVersion", json!("example.com/v3")),
                "returned invalid object: invalid groupVersion (expected example.com/v2, received example.com/v3)",
            ),
            (
                with("/kind", json!("Other")),
                "returned invalid object: invalid kind (expected Host, received Other)",
            ),
            (with("/metadata/name", json!("b")), "returned invalid object: must have the same name: a != b"),
            (
                with("/metadata/uid", json!("forged")),
                "returned invalid object: must have the same UID: u != forged",
            ),
            (
                with("/metadata/labels", json!({"x": 1})),
                "returned invalid metadata: metadata.labels[x] must be a string in converted object",
            ),
        ];
        for (answer, want) in cases {
            assert_eq!(read_v1(&[original()], &answer).unwrap_err(), want);
        }
        let many = answered(vec![object("v2", vec![json!([]); 150_000].into())]);
        let want = "returned invalid object: Request entity too large: limit is 150000 values of an object";
        assert_eq!(read_v1(&[original()], &many).unwrap_err(), want);
        let as_many = object("v1", vec![json!([]); 150_000].into());
        assert!(read_v1(&[as_many], &many).is_ok(), "what is stored is shown");
        let two = answered(vec![object("v2", json!({})), object("v1", json!({}))]);
        let want = "returned invalid converted object at index 1: invalid groupVersion (expected example.com/v2, received example.com/v1)";
        assert_eq!(read_v1(&[original(), original()], &two).unwrap_err(), want);
    }
}
