//! The built pages, inside the program.

use crate::answers;
use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Response, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";

/// The page at `path`, or the index for a path that is no file. `headers` are the request's: what it has already, and whether it
/// takes gzip.
pub(crate) fn page(path: &str, headers: &HeaderMap) -> Response<Bytes> {
    let asked = path.trim_start_matches('/');
    let name = if is_page(asked) { asked } else { INDEX };
    let Some(plain) = Dist::get(name) else { return not_built() };
    let tag = format!("\"{}\"", hex(&plain.metadata.sha256_hash()[..16]));
    let fresh = list(headers, header::IF_NONE_MATCH).any(|known| known.trim_start_matches("W/") == tag);
    let packed = takes_gzip(headers).then(|| Dist::get(&format!("{name}.gz"))).flatten();
    let policy = answers::policy(std::str::from_utf8(&plain.data).ok().filter(|_| name == INDEX));
    let (code, body) = match (fresh, &packed) {
        (true, _) => (StatusCode::NOT_MODIFIED, Bytes::new()),
        (false, Some(packed)) => (StatusCode::OK, bytes_of(packed)),
        (false, None) => (StatusCode::OK, bytes_of(&plain)),
    };
    let mut response = answers::answer(code, content_type(name), body);
    let headers = response.headers_mut();
    answers::set(headers, header::CONTENT_SECURITY_POLICY, &policy);
    // a newer monopod has newer pages: ask each time, which costs a 304
    answers::set(headers, header::CACHE_CONTROL, "no-cache");
    answers::set(headers, header::ETAG, &tag);
    answers::set(headers, header::VARY, "Accept-Encoding");
    if packed.is_some() && !fresh {
        answers::set(headers, header::CONTENT_ENCODING, "gzip");
    }
    response
}

fn is_page(name: &str) -> bool {
    !name.ends_with(".gz") && Dist::get(name).is_some()
}

fn not_built() -> Response<Bytes> {
    answers::notice(
        StatusCode::SERVICE_UNAVAILABLE,
        "This monopod was built without its dashboard",
        "Run <code>npm ci --ignore-scripts &amp;&amp; node build.mjs</code> in <code>web/</code>, and build it again.",
    )
}

fn bytes_of(file: &EmbeddedFile) -> Bytes {
    match &file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::copy_from_slice(data),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    list(headers, header::ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let cases = [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("br, GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("identity", false),
            ("", false),
        ];
        for (given, want) in cases {
            assert_eq!(takes_gzip(&headers(&[(header::ACCEPT_ENCODING, given)])), want, "{given}");
        }
    }

    #[test]
    fn every_page_has_its_type_and_tag_and_an_unknown_path_is_the_index() {
        if Dist::get(INDEX).is_none() {
            let answer = page("/", &HeaderMap::new());
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(String::from_utf8_lossy(answer.body()).contains("node build.mjs"));
            println!("SKIPPED: web/dist is not built, so there are no pages to look at");
            return;
        }
        for name in Dist::iter().filter(|name| !name.ends_with(".gz")) {
            let answer = page(&format!("/{name}"), &HeaderMap::new());
            assert_eq!(answer.status(), StatusCode::OK, "{name}");
            assert!(answer.headers().contains_key(header::ETAG), "{name}");
            assert_ne!(answer.headers()[header::CONTENT_TYPE], "application/octet-stream", "{name}");
        }
        let index = page("/", &HeaderMap::new());
        assert!(index.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("'sha256-"));
        for lost in ["/no/such/page", "/index.html.gz", "/../Cargo.toml", "/%2e%2e/Cargo.toml"] {
            assert_eq!(page(lost, &HeaderMap::new()).body(), index.body(), "{lost}");
        }
    }

    #[test]
    fn who_has_it_already_gets_304_and_who_takes_gzip_gets_less() {
        if Dist::get(INDEX).is_none() {
            println!("SKIPPED: web/dist is not built, so there are no pages to look at");
            return;
        }
        let plain = page("/", &HeaderMap::new());
        let tag = plain.headers()[header::ETAG].to_str().unwrap();
        for known in [tag.to_owned(), format!("\"other\", W/{tag}")] {
            let again = page("/", &headers(&[(header::IF_NONE_MATCH, &known)]));
            assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        }
        assert_eq!(page("/", &headers(&[(header::IF_NONE_MATCH, "\"other\"")])).status(), StatusCode::OK);
        let packed = page("/", &headers(&[(header::ACCEPT_ENCODING, "gzip")]));
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(packed.body().len() < plain.body().len());
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    }
}
