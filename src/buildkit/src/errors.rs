//! What went wrong, in BuildKit's words, with the lines of the Dockerfile that it is about.

use crate::proto::errors::{
    Any, SOURCE_TYPE, Source, SourceFile, SourceLine, SourceRange, Status as RpcStatus,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{BuildError, ImageError, ImageRef};
use prost::Message;
use std::ops::RangeInclusive;
use tonic::{Code, Status};

/// A Dockerfile as the client names it.
#[derive(Debug, Clone)]
pub(crate) struct SourceText {
    pub(crate) filename: String,
    pub(crate) text: String,
}

/// What BuildKit says where the builder says it otherwise.
pub(crate) fn words(error: &BuildError) -> String {
    match error {
        BuildError::Run { command, code } => {
            format!("process {command:?} did not complete successfully: exit code: {code}")
        }
        BuildError::Failed(why) => missing(why).unwrap_or_else(|| why.clone()),
        BuildError::Image(ImageError::In { what, source }) => match what.strip_prefix("pull ") {
            Some(name) => {
                let name = ImageRef::parse(name).map_or_else(|_| name.to_owned(), |name| name.to_string());
                format!("{name}: failed to resolve source metadata for {name}: {source}")
            }
            None => error.to_string(),
        },
        other => other.to_string(),
    }
}

/// A COPY of what is not there.
fn missing(why: &str) -> Option<String> {
    let file = why.split_once(" failed: file not found in build context")?.1.split_once("stat ")?.1;
    let file = file.strip_suffix(": file does not exist")?.trim_start_matches('/');
    Some(format!(
        "failed to compute cache key: failed to calculate checksum of ref context: \"/{file}\": not found"
    ))
}

/// `lines` are those of the step that failed, where one did.
pub(crate) fn of_build(
    error: &BuildError,
    source: &SourceText,
    lines: Option<RangeInclusive<usize>>,
) -> Status {
    let lines = match error {
        BuildError::Parse { line, .. } => Some(*line..=*line),
        _ => lines,
    };
    let code = match error {
        BuildError::Image(error) => match error.root() {
            ImageError::Unauthorized(_) => Code::PermissionDenied,
            _ => Code::Unknown,
        },
        _ => Code::Unknown,
    };
    let message = words(error);
    match lines {
        Some(lines) => with_source(code, message, source, lines),
        None => Status::new(code, message),
    }
}

fn with_source(code: Code, message: String, source: &SourceText, lines: RangeInclusive<usize>) -> Status {
    let detail = Source {
        info: SourceFile {
            filename: &source.filename,
            data: STANDARD.encode(&source.text),
            language: "Dockerfile",
        },
        ranges: [SourceRange {
            start: SourceLine { line: *lines.start() },
            end: SourceLine { line: *lines.end() },
        }],
    };
    let value = serde_json::to_vec(&detail).unwrap_or_default();
    let detail = Any { type_url: SOURCE_TYPE.to_owned(), value };
    let status = RpcStatus { code: code as i32, message: message.clone(), details: vec![detail] };
    Status::with_details(code, message, status.encode_to_vec().into())
}

/// What a client says that its side of the build came to.
pub(crate) fn of_client(status: RpcStatus) -> Status {
    let (code, message) = (Code::from(status.code), status.message.clone());
    Status::with_details(code, message, status.encode_to_vec().into())
}

pub(crate) fn for_history(status: &Status) -> RpcStatus {
    RpcStatus { code: status.code() as i32, message: status.message().to_owned(), details: Vec::new() }
}

pub(crate) fn of_image(error: ImageError) -> Status {
    of_build(&error.into(), &SourceText { filename: String::new(), text: String::new() }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_told_with_its_lines() {
        let source = SourceText { filename: "Dockerfile".into(), text: "FROM x\nRUN false\n".into() };
        let error = BuildError::Run { command: "/bin/sh -c false".into(), code: 1 };
        let status = of_build(&error, &source, Some(2..=2));
        let want = "process \"/bin/sh -c false\" did not complete successfully: exit code: 1";
        assert_eq!((status.code(), status.message()), (Code::Unknown, want));
        let rpc = RpcStatus::decode(status.details()).unwrap();
        assert_eq!((rpc.message.as_str(), rpc.details[0].type_url.as_str()), (want, SOURCE_TYPE));
        let detail: serde_json::Value = serde_json::from_slice(&rpc.details[0].value).unwrap();
        assert_eq!(detail["ranges"][0]["start"]["line"], 2);
        assert_eq!(detail["info"]["data"], STANDARD.encode(&source.text));
    }

    #[test]
    fn the_words_are_buildkits() {
        let missing = "COPY failed: file not found in build context or excluded by .dockerignore: stat a/b: file does not exist";
        let pull = ImageError::In {
            what: "pull x:1".into(),
            source: Box::new(ImageError::Registry("no such host".into())),
        };
        for (error, want) in [
            (
                BuildError::Failed(missing.into()),
                "failed to compute cache key: failed to calculate checksum of ref context: \"/a/b\": not found",
            ),
            (BuildError::Failed("else".into()), "else"),
            (
                pull.into(),
                "docker.io/library/x:1: failed to resolve source metadata for docker.io/library/x:1: no such host",
            ),
        ] {
            assert_eq!(words(&error), want);
        }
    }

    #[test]
    fn an_instruction_that_is_none_has_its_line() {
        let source = SourceText { filename: "Dockerfile".into(), text: "FROMM x\n".into() };
        let error = BuildError::Parse { line: 1, why: "unknown instruction: FROMM".into() };
        let status = of_build(&error, &source, None);
        assert_eq!(status.message(), "dockerfile parse error on line 1: unknown instruction: FROMM");
        assert!(!status.details().is_empty());
        assert!(of_image(ImageError::NotFound("x".into())).details().is_empty());
    }
}
