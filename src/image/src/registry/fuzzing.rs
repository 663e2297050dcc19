//! For `fuzz/fuzz_targets/registry.rs`.

use super::auth::{Challenge, challenges};
use super::refusals::{Wanted, refusal};
use super::registry_domain;
use super::session::resolve;
use super::token::token_request;
use crate::{Digest, ImageRef, Platform};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

/// What a registry answers: challenges and addresses in headers, a line each, and the text of a refusal. Each line is tried as
/// the name of an image too.
///
/// # Panics
/// Where a name that was taken is not the same when it is shown and read again.
pub fn answers(bytes: &[u8]) {
    let home = Uri::from_static("https://registry.example.com/v2/");
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            let _ = resolve(&home, &value);
            headers.append(WWW_AUTHENTICATE, value);
        }
        if let Ok(text) = std::str::from_utf8(line) {
            name(text);
        }
    }
    for challenge in challenges(&headers) {
        if let Challenge::Bearer { realm, service, scope } = challenge {
            let scopes: Vec<String> = scope.into_iter().collect();
            let _ = token_request(&realm, service, &scopes, &home, None);
        }
    }
    let reference = ImageRef::parse("registry.example.com/a:x").expect("a name");
    for (wanted, status) in [
        (Wanted::Manifest, StatusCode::NOT_FOUND),
        (Wanted::Push, StatusCode::UNAUTHORIZED),
        (Wanted::Blob, StatusCode::TOO_MANY_REQUESTS),
    ] {
        let said = refusal(wanted, &reference, status, bytes).to_string();
        assert!(said.len() < 4000 && !said.contains(char::is_control), "{said:?}");
    }
}

fn name(text: &str) {
    registry_domain(text);
    if let Ok(reference) = ImageRef::parse(text) {
        assert_eq!(ImageRef::parse(&reference.to_string()).ok().as_ref(), Some(&reference), "{text:?}");
    }
    if let Ok(platform) = Platform::parse(text) {
        assert_eq!(Platform::parse(&platform.to_string()).ok().as_ref(), Some(&platform), "{text:?}");
        platform.distance(&Platform::of_this_machine());
    }
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.as_str(), text);
    }
}
