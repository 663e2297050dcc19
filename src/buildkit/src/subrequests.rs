//! `docker build --check` and `--call`: what is asked about a Dockerfile instead of a build, and the answers in BuildKit's JSON, which the
//! client prints. `solve.rs` fetches the Dockerfile; the image store knows what there is to say.

use crate::errors::SourceText;
use crate::proto::errors::{SourceLine, SourceRange};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{Checked, Outline, OutlineItem, TargetStage};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::ops::RangeInclusive;
use tonic::Status;

/// The attribute that has the question.
pub(crate) const REQUEST: &str = "requestid";
/// Of all questions: how their answers look.
const VERSION: &str = "1.0.0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Check,
    Outline,
    Targets,
    /// Which questions there are.
    Describe,
}

/// As they are asked, and what each is about.
const QUESTIONS: [(&str, Question, &str); 4] = [
    ("frontend.lint", Question::Check, "Looks for mistakes in a Dockerfile"),
    ("frontend.outline", Question::Outline, "Lists what the build of a target can be given"),
    ("frontend.targets", Question::Targets, "Lists the targets that can be built"),
    ("frontend.subrequests.describe", Question::Describe, "Lists what can be asked"),
];

/// What goes with a result that is no image.
pub(crate) type Metadata = HashMap<String, Vec<u8>>;

impl Question {
    pub(crate) fn parse(request: &str) -> Result<Question, Status> {
        let known = QUESTIONS.iter().find(|(name, ..)| *name == request);
        known
            .map(|(_, question, _)| *question)
            .ok_or_else(|| Status::unimplemented(format!("unsupported request {request}")))
    }
}

/// `text` is for clients that do not know the JSON.
fn metadata(json: &Value, text: String) -> Metadata {
    [("result.json", json.to_string()), ("result.txt", text), ("version", VERSION.to_owned())]
        .map(|(name, value)| (name.to_owned(), value.into_bytes()))
        .into()
}

/// Where something stands in the only source there is.
#[derive(Serialize)]
struct Location {
    ranges: [SourceRange; 1],
}

fn location(lines: &RangeInclusive<usize>) -> Location {
    Location {
        ranges: [SourceRange {
            start: SourceLine { line: *lines.start() },
            end: SourceLine { line: *lines.end() },
        }],
    }
}

pub(crate) fn checked(checked: &Checked, source: &SourceText) -> Metadata {
    let mut text = String::new();
    let warnings = checked.findings.iter().map(|finding| {
        let (name, line) = (finding.rule.name, finding.lines.start());
        // a String takes whatever is written
        let _ = writeln!(text, "{}:{line}: {name}: {}", source.filename, finding.detail);
        json!({
            "ruleName": name,
            "description": finding.rule.description,
            "url": finding.rule.url(),
            "detail": finding.detail,
            "location": location(&finding.lines),
        })
    });
    let warnings: Vec<Value> = warnings.collect();
    let mut answer = json!({
        "warnings": warnings,
        "sources": [{
            "filename": source.filename,
            "data": STANDARD.encode(&source.text),
            "language": "Dockerfile",
        }],
    });
    if let Some((why, line)) = &checked.error {
        let _ = writeln!(text, "{}:{line}: {why}", source.filename);
        answer["buildError"] = json!({"message": why, "location": location(&(*line..=*line))});
    }
    let mut told = metadata(&answer, text);
    // what the client ends with
    let is_clean = checked.findings.is_empty() && checked.error.is_none();
    told.insert("result.statuscode".to_owned(), if is_clean { b"0" } else { b"1" }.to_vec());
    told
}

pub(crate) fn outline(outline: &Outline, source: &SourceText) -> Metadata {
    let mut answer = json!({"sources": [STANDARD.encode(&source.text)]});
    let mut text = String::new();
    for (key, value) in [("name", &outline.name), ("description", &outline.description)] {
        if !value.is_empty() {
            answer[key] = json!(value);
            let _ = writeln!(text, "{key}: {value}");
        }
    }
    for (key, id, items) in [
        ("args", "name", &outline.args),
        ("secrets", "name", &outline.secrets),
        ("ssh", "name", &outline.ssh),
        ("cache", "ID", &outline.caches),
    ] {
        if items.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{key}: {}", items.iter().map(shown).collect::<Vec<_>>().join(", "));
        answer[key] = items.iter().map(|item| item_json(item, id)).collect();
    }
    metadata(&answer, text)
}

fn shown(item: &OutlineItem) -> String {
    match &item.value {
        Some(value) => format!("{}={value}", item.name),
        None => item.name.clone(),
    }
}

fn item_json(item: &OutlineItem, id: &str) -> Value {
    let mut value = json!({"location": location(&item.lines)});
    value[id] = json!(item.name);
    if !item.description.is_empty() {
        value["description"] = json!(item.description);
    }
    if let Some(default) = &item.value {
        value["value"] = json!(default);
    }
    if item.required {
        value["required"] = json!(true);
    }
    value
}

pub(crate) fn targets(stages: &[TargetStage], source: &SourceText) -> Metadata {
    let mut text = String::new();
    let targets = stages.iter().map(|stage| {
        let mark = if stage.is_default { " (default)" } else { "" };
        let _ = writeln!(text, "{}{mark}\t{}", stage.name, stage.description);
        json!({
            "name": stage.name,
            "description": stage.description,
            "base": stage.base,
            "platform": stage.platform,
            "default": stage.is_default,
            "location": location(&stage.lines),
        })
    });
    let targets: Vec<Value> = targets.collect();
    metadata(&json!({"targets": targets, "sources": [STANDARD.encode(&source.text)]}), text)
}

pub(crate) fn described() -> Metadata {
    let results = json!([{"name": "result.json"}, {"name": "result.txt"}]);
    let mut text = String::new();
    let questions = QUESTIONS.iter().map(|(name, _, about)| {
        let _ = writeln!(text, "{name}\t{about}");
        json!({"name": name, "version": VERSION, "type": "rpc", "description": about, "metadata": results})
    });
    let questions: Vec<Value> = questions.collect();
    metadata(&Value::Array(questions), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{BuildOptions, CheckInput, ImageStore, Registries};

    const TEXT: &str = "# V is the version\nARG V=1\nFROM scratch AS all\nARG V\nCMD run it\n";

    async fn answers(question: &str) -> (Value, String) {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path(), Registries::default()).unwrap();
        let (options, source) =
            (BuildOptions::default(), SourceText { filename: "Dockerfile".into(), text: TEXT.into() });
        let metadata = match Question::parse(question).unwrap() {
            Question::Check => {
                let input = CheckInput::default();
                checked(&store.check_dockerfile(TEXT, &options, &input).await.unwrap(), &source)
            }
            Question::Outline => outline(&store.outline_dockerfile(TEXT, &options).await.unwrap(), &source),
            Question::Targets => targets(&store.dockerfile_targets(TEXT, &options).await.unwrap(), &source),
            Question::Describe => described(),
        };
        assert_eq!(metadata["version"], b"1.0.0");
        let json = serde_json::from_slice(&metadata["result.json"]).unwrap();
        (json, String::from_utf8(metadata["result.txt"].clone()).unwrap())
    }

    /// The shapes that the client reads; the names of the fields are BuildKit's.
    #[tokio::test]
    async fn answers_are_what_the_client_reads() {
        let at = |line: usize| json!({"ranges": [{"start": {"line": line}, "end": {"line": line}}]});
        let data = STANDARD.encode(TEXT);
        let (check, text) = answers("frontend.lint").await;
        let detail =
            "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals";
        assert_eq!(
            check,
            json!({
                "warnings": [{
                    "ruleName": "JSONArgsRecommended",
                    "description": "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
                    "url": "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
                    "detail": detail,
                    "location": at(5),
                }],
                "sources": [{"filename": "Dockerfile", "data": data, "language": "Dockerfile"}],
            })
        );
        assert_eq!(text, format!("Dockerfile:5: JSONArgsRecommended: {detail}\n"));
        let (outline, text) = answers("frontend.outline").await;
        let arg = json!({"name": "V", "description": "is the version", "value": "1", "location": at(2)});
        assert_eq!(outline, json!({"name": "all", "args": [arg], "sources": [data]}));
        assert_eq!(text, "name: all\nargs: V=1\n");
        let (targets, _) = answers("frontend.targets").await;
        let target = json!({
            "name": "all", "description": "", "base": "scratch", "platform": "", "default": true, "location": at(3),
        });
        assert_eq!(targets, json!({"targets": [target], "sources": [data]}));
        let (described, text) = answers("frontend.subrequests.describe").await;
        assert_eq!(described.as_array().map(Vec::len), Some(QUESTIONS.len()));
        assert!(text.contains("frontend.targets\tLists"), "{text}");
    }

    #[test]
    fn an_error_has_its_place() {
        let error = Some(("unknown instruction: RUNN".into(), 2));
        let wrong = Checked { error, ..Checked::default() };
        let source = SourceText { filename: "Dockerfile".into(), text: "FROM x\nRUNN y\n".into() };
        let answer: Value = serde_json::from_slice(&checked(&wrong, &source)["result.json"]).unwrap();
        assert_eq!(answer["warnings"], json!([]));
        assert_eq!(answer["buildError"]["message"], "unknown instruction: RUNN");
        assert_eq!(answer["buildError"]["location"]["ranges"][0]["end"]["line"], 2);
        for (found, code) in [(&wrong, b"1"), (&Checked::default(), b"0")] {
            assert_eq!(checked(found, &source)["result.statuscode"], code);
        }
    }

    #[test]
    fn other_questions_are_refused_as_buildkit_does() {
        let refusal = Question::parse("frontend.other").unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.message()),
            (tonic::Code::Unimplemented, "unsupported request frontend.other")
        );
    }
}
