//! Answers that are made here: pages, refusals in words, and the headers that all of them carry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use sha2::{Digest, Sha256};

const ALWAYS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(crate) fn answer(code: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    set(headers, header::CONTENT_TYPE, content_type);
    set(headers, header::CONTENT_SECURITY_POLICY, &policy(None));
    set(headers, header::CACHE_CONTROL, "no-store");
    response
}

/// A page of one sentence, for eyes.
pub(crate) fn notice(code: StatusCode, title: &str, sentence: &str) -> Response<Bytes> {
    let html = include_str!("notice.html").replace("{title}", title).replace("{sentence}", sentence);
    answer(code, "text/html; charset=utf-8", html)
}

/// The same for programs, as the API says it.
pub(crate) fn status(code: StatusCode, reason: &str, sentence: &str) -> Response<Bytes> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": sentence, "reason": reason, "code": code.as_u16(),
    });
    answer(code, "application/json", body.to_string())
}

pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Nothing from elsewhere, nothing inline: but for the one script in `page`, by its hash (an import map can not be a file), and
/// styles, which the terminal writes as it goes.
pub(crate) fn policy(page: Option<&str>) -> String {
    let inline = page.and_then(inline_script).map_or_else(String::new, |script| {
        format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes())))
    });
    format!(
        "default-src 'none'; script-src 'self'{inline}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn inline_script(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<script type=\"importmap\">")?;
    Some(rest.split_once("</script>")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_import_map_is_let_in_by_its_hash() {
        let page = "<script type=\"importmap\">{}</script>";
        // printf '{}' | openssl dgst -sha256 -binary | base64
        let hash = "'sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o='";
        assert!(policy(Some(page)).contains(&format!("script-src 'self' {hash};")), "{}", policy(Some(page)));
        assert!(policy(None).contains("script-src 'self';"));
        assert!(!policy(Some(page)).contains("'unsafe-eval'"));
    }
}
