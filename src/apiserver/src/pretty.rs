//! JSON for people: indented for who asks for it, and for the programs with which people look at an API by hand.

use crate::request::Request;
use crate::{rendering, responses};
use api::Status;
use bytes::Bytes;
use cri::Asker;
use http::header;
use http_body_util::BodyExt;
use warp::reply::Response;

/// With which they introduce themselves (upstream's `isPrettyPrint`).
const OF_PEOPLE: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];
/// Documents that are sent as they are, whoever asks.
const AS_THEY_ARE: [&str; 3] = [".well-known", "openapi", "openid"];
/// And those that nobody reads but people.
const ALWAYS: &str = "version";

/// Whether the answer is to be indented.
pub(crate) fn is_asked(request: &Request) -> bool {
    match request.segments.first().map(String::as_str) {
        None | Some(ALWAYS) => return true,
        Some(first) if AS_THEY_ARE.contains(&first) => return false,
        Some(_) => {}
    }
    match request.parameter("pretty") {
        // what is no boolean is none
        Some(given) => matches!(given, "1" | "t" | "T" | "true" | "True" | "TRUE"),
        None => {
            let agent = request.header(header::USER_AGENT);
            OF_PEOPLE.iter().any(|program| agent.starts_with(program))
        }
    }
}

/// In bytes: nobody reads what is longer.
const LONGEST: u64 = 16 << 20;
/// Depth is a client's choice, and two spaces for each level of it on every line make many times the document: what becomes longer
/// than so many times its length stays as it is. Objects as people write them become two or three times theirs.
pub(crate) const MOST_TIMES: usize = 4;
/// A short one may become so long in any case.
const SHORT: usize = 64 * 1024;

/// A whole answer's JSON, indented; other answers, streams, and what is too long to be read, as they are.
pub(crate) async fn indented(response: Response) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|media| {
        // aggregated discovery says more than the format
        let format = media.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        format == b"application/json"
    });
    let size = hyper::body::Body::size_hint(response.body()).exact();
    if !is_json || size.is_none_or(|size| size == 0 || size > LONGEST) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return responses::refusal(&Status::internal(error)),
    };
    // of a large list it is work for a while
    let text = rendering::run(&head, move |client| {
        indent(&body, longest_indented(&body), client).map_or(body, Bytes::from)
    });
    let text = match text.await {
        Ok(text) => text,
        Err(error) => return responses::refusal(&Status::internal(error)),
    };
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, responses::whole(text).into_body())
}

fn longest_indented(json: &[u8]) -> usize {
    (json.len() * MOST_TIMES).max(SHORT)
}

/// JSON as Go's `MarshalIndent` writes it, two spaces for each level. Numbers, strings and the order of fields stay as they are.
/// `None` where it becomes longer than `most` bytes, or for nobody.
fn indent(json: &[u8], most: usize, client: &Asker) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len() * 3 / 2);
    let mut depth = 0_usize;
    let mut bytes = json.iter().copied().filter(is_no_space()).peekable();
    while let Some(byte) = bytes.next() {
        if out.len() > most || client.is_gone() {
            return None;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                match bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b'"' => {
                out.push(byte);
                let mut is_escaped = false;
                for byte in bytes.by_ref() {
                    out.push(byte);
                    match byte {
                        b'"' if !is_escaped => break,
                        b'\\' => is_escaped = !is_escaped,
                        _ => is_escaped = false,
                    }
                }
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

/// Space between the parts of a document, and not within its strings.
fn is_no_space() -> impl FnMut(&u8) -> bool {
    let (mut is_in_string, mut is_escaped) = (false, false);
    move |byte| {
        if !is_in_string {
            is_in_string = *byte == b'"';
            return !byte.is_ascii_whitespace();
        }
        is_in_string = is_escaped || *byte != b'"';
        is_escaped = *byte == b'\\' && !is_escaped;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn who_looks_by_hand_is_shown_lines() {
        let cases = [
            ("a program", "/api/v1/pods", "", "kubectl/v1.37.0", false),
            ("nobody in particular", "/api/v1/pods", "", "", false),
            ("curl", "/api/v1/pods", "", "curl/8.5.0", true),
            ("Wget", "/apis", "", "Wget/1.21", true),
            ("a browser", "/apis", "", "Mozilla/5.0 (X11; Linux x86_64)", true),
            ("curl that wants none", "/apis", "pretty=false", "curl/8.5.0", false),
            ("what is no boolean", "/apis", "pretty=yes", "curl/8.5.0", false),
            ("who asks for it", "/apis", "pretty=true", "kubectl/v1.37.0", true),
            ("who asks for it in short", "/apis", "pretty=1", "", true),
            ("who says nothing with it", "/apis", "pretty=", "", false),
            ("a document of OpenAPI", "/openapi/v2", "pretty=true", "curl/8.5.0", false),
            ("the version", "/version", "", "", true),
            ("the list of paths", "/", "", "", true),
        ];
        for (name, path, query, agent, want) in cases {
            let mut request = Request::for_tests("GET", path, query, Vec::new());
            request.headers.insert(header::USER_AGENT, http::HeaderValue::from_static(agent));
            assert_eq!(is_asked(&request), want, "{name}");
        }
    }

    #[test]
    fn json_is_indented_as_go_does_it() {
        let indent = |json: &[u8]| super::indent(json, usize::MAX, &Asker::default()).unwrap();
        let cases = [
            ("{}", "{}"),
            ("[]", "[]"),
            ("\"a: {b, c}\"", "\"a: {b, c}\""),
            ("[1,{\"a\":[]}]", "[\n  1,\n  {\n    \"a\": []\n  }\n]"),
            (
                "{ \"a\" : \"x \\\" , y\\\\\", \"b\":{ } }\n",
                "{\n  \"a\": \"x \\\" , y\\\\\",\n  \"b\": {}\n}",
            ),
        ];
        for (given, want) in cases {
            assert_eq!(String::from_utf8(indent(given.as_bytes())).unwrap(), want, "{given}");
        }
        let value = json!({"a": [{"b": "c\"\\ d"}, [], [[1, 2.5, null, true]]], "e": {}, "f": "\\"});
        assert_eq!(serde_json::from_slice::<Value>(&indent(value.to_string().as_bytes())).unwrap(), value);
        assert_eq!(indent(value.to_string().as_bytes()), serde_json::to_vec_pretty(&value).unwrap());
    }

    #[test]
    fn what_grows_too_long_is_not_indented() {
        let deep = format!("{}{}{}", "[".repeat(100), ["1"; 1000].join(","), "]".repeat(100));
        assert_eq!(indent(deep.as_bytes(), 100_000, &Asker::default()), None);
        assert!(indent(deep.as_bytes(), 1_000_000, &Asker::default()).is_some());
    }

    #[tokio::test]
    async fn depth_makes_no_document_many_times_its_length() {
        let list = |item: &str, length: usize| vec![item; length].join(",");
        let deep = |length: usize| format!("{}{}{}", "[".repeat(100), list("1", length), "]".repeat(100));
        let usual = format!("[{}]", list("{\"metadata\":{\"name\":\"a\"}}", 10_000));
        for (name, given, is_indented) in [
            ("short", deep(100), true),
            ("long", deep(50_000), false),
            ("long, as people write", usual, true),
        ] {
            let text = indented(responses::json_bytes(200, given.clone())).await;
            let text = text.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(text != given, is_indented, "{name}");
            assert!(text.len() <= (given.len() * MOST_TIMES).max(SHORT + 1024), "{name}: {}", text.len());
        }
    }
}
