//! A registry's refusal, in the words in which Docker shows it.

use crate::ImageRef;
use crate::error::ImageError;
use crate::printable::steers_terminal;
use http::StatusCode;
use serde::Deserialize;

/// What was wanted of a registry, for the words of its refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Manifest,
    Blob,
    Push,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<OneError>,
    /// Token servers of some registries answer with one of these instead.
    #[serde(default)]
    details: Option<String>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What Docker Hub calls its limits.
const LIMITED: &str = "toomanyrequests";

/// Turns an answer that is no success into the error that Docker shows for it.
pub(crate) fn refusal(wanted: Wanted, reference: &ImageRef, status: StatusCode, body: &[u8]) -> ImageError {
    let name = reference.familiar();
    let said = said(body);
    let suffix = said.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if wanted == Wanted::Push => {
            let said = said.unwrap_or_else(|| "denied: requested access to the resource is denied".into());
            ImageError::Unauthorized(said)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let repository = reference.familiar_name();
            ImageError::Unauthorized(format!(
                "pull access denied for {repository}, repository does not exist or may require authorization{suffix}"
            ))
        }
        StatusCode::NOT_FOUND => ImageError::Unknown(match wanted {
            Wanted::Manifest => {
                let said = said.unwrap_or_else(|| "manifest unknown".into());
                format!("manifest for {name} not found: {said}")
            }
            Wanted::Push => format!("push to {name}{suffix}"),
            Wanted::Blob => format!("blob of {name} not found{suffix}"),
        }),
        StatusCode::TOO_MANY_REQUESTS => {
            let said = said.unwrap_or_default();
            let words =
                said.strip_prefix(LIMITED).map_or(said.as_str(), |rest| rest.trim_start_matches(": "));
            ImageError::Registry(if words.is_empty() {
                LIMITED.into()
            } else {
                format!("{LIMITED}: {words}")
            })
        }
        other => ImageError::Registry(format!("received unexpected HTTP status: {other}{suffix}")),
    }
}

/// `manifest unknown: manifest unknown to registry`, or nothing where the body says nothing.
fn said(body: &[u8]) -> Option<String> {
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let mut all: Vec<String> = errors.errors.iter().map(one).collect();
    all.extend(errors.details);
    // a registry's words go into events and terminals: one line, and not a book
    let text: String = all.join("; ").chars().filter(|c| !steers_terminal(*c)).take(300).collect();
    (!text.is_empty()).then_some(text)
}

fn one(error: &OneError) -> String {
    let code = error.code.to_ascii_lowercase().replace('_', " ");
    match (code.as_str(), error.message.as_str()) {
        ("", message) => message.to_owned(),
        (code, message) if message.is_empty() || message == code => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_the_words_that_people_know() {
        let unknown =
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        let denied =
            br#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
        for (name, wanted, status, body, want) in [
            (
                "no such tag",
                Wanted::Manifest,
                404,
                &unknown[..],
                ImageError::Unknown("manifest for localhost:5000/a:x not found: manifest unknown".into()),
            ),
            (
                "a proxy's page",
                Wanted::Manifest,
                404,
                b"<html>",
                ImageError::Unknown("manifest for localhost:5000/a:x not found: manifest unknown".into()),
            ),
            (
                "denied",
                Wanted::Manifest,
                403,
                denied,
                ImageError::Unauthorized(
                    "pull access denied for localhost:5000/a, repository does not exist or may require authorization: \
                     denied: requested access to the resource is denied"
                        .into(),
                ),
            ),
            (
                "down",
                Wanted::Blob,
                503,
                b"",
                ImageError::Registry("received unexpected HTTP status: 503 Service Unavailable".into()),
            ),
            ("limited", Wanted::Manifest, 429, b"", ImageError::Registry("toomanyrequests".into())),
            (
                "limited, in its own words",
                Wanted::Manifest,
                429,
                br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#,
                ImageError::Registry("toomanyrequests: You have reached your pull rate limit.".into()),
            ),
        ] {
            let reference = ImageRef::parse("localhost:5000/a:x").unwrap();
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(wanted, &reference, status, body), want, "{name}");
        }
    }

    #[test]
    fn what_a_registry_says_is_one_short_line() {
        let body = serde_json::json!({"errors": [{"code": "", "message": format!("a\u{1b}[31m\n{}", "b".repeat(400))}]});
        let said = said(body.to_string().as_bytes()).unwrap();
        assert_eq!(said, format!("a[31m{}", "b".repeat(295)));
    }
}
