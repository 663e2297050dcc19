//! Which headers pass: what is about a connection does not (RFC 9110, 7.6.1), who the client is to the API server does not,
//! and what a backend says of other origins does not. Pure.

use crate::bearer_protocol::is_token;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use listener::{asks_for_upgrade, is_hop_by_hop, named_by_connection, remove_hop_by_hop};

/// By which a page of a pod could let another origin read through the API server with the user's credentials.
const CROSS_ORIGIN: [HeaderName; 4] = [
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
];
const IMPERSONATION: &str = "impersonate-";

/// The protocol that the client asks to change to. HTTP/2 is none: what is asked behind such a change nobody here sees, and
/// an extension API server would take it, and whom it names, for the API server's own word.
pub(super) fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = asks_for_upgrade(headers);
    headers.get(header::UPGRADE).filter(|protocol| asks && is_no_http(protocol)).cloned()
}

fn is_no_http(protocol: &HeaderValue) -> bool {
    let names = protocol.to_str().map(|names| names.split(','));
    names.is_ok_and(|mut names| names.all(|name| !name.trim().eq_ignore_ascii_case("h2c")))
}

/// Takes out what the client says to be about its connection, and his word for it: what is put in afterwards is not meant by it.
/// What asks for another protocol stays, and so does how the body comes.
pub(crate) fn sanitize_connection(headers: &mut HeaderMap) {
    let asks = upgrade_of(headers).is_some();
    for name in named_by_connection(headers).iter().filter(|name| !is_hop_by_hop(name)) {
        headers.remove(name);
    }
    headers.remove(header::CONNECTION);
    if asks {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
}

/// What the backend sees of the client's request. `forwarded` is the path that the client asked for.
pub(super) fn to_backend(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>, forwarded: Option<&str>) {
    remove_hop_by_hop(headers);
    headers.remove(header::AUTHORIZATION);
    // the body is sent at once: nobody asks again
    headers.remove(header::EXPECT);
    let impersonated: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(IMPERSONATION)).cloned().collect();
    for name in impersonated {
        headers.remove(name);
    }
    without_token(headers);
    if let Some(Ok(value)) = forwarded.map(HeaderValue::from_str) {
        headers.insert(HeaderName::from_static("x-forwarded-uri"), value);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
}

/// What the client sees of the backend's answer.
pub(super) fn to_client(headers: &mut HeaderMap, is_upgrade: bool) {
    if !is_upgrade {
        remove_hop_by_hop(headers);
    }
    for name in &CROSS_ORIGIN {
        headers.remove(name);
    }
}

fn without_token(headers: &mut HeaderMap) {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let offered: Vec<String> =
        offered.flat_map(|value| value.split(',')).map(|protocol| protocol.trim().to_owned()).collect();
    if !offered.iter().any(|protocol| is_token(protocol)) {
        return;
    }
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    let kept: Vec<&str> = offered.iter().map(String::as_str).filter(|protocol| !is_token(protocol)).collect();
    if let Ok(value) = HeaderValue::from_str(&kept.join(", "))
        && !kept.is_empty()
    {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn shown(headers: &HeaderMap) -> String {
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines.join("\n")
    }

    #[test]
    fn a_backend_never_learns_the_clients_credentials() {
        let mut given = headers(&[
            ("authorization", "Bearer secret"),
            ("impersonate-user", "jane"),
            ("impersonate-group", "a"),
            ("impersonate-extra-scopes", "b"),
            ("proxy-authorization", "Basic secret"),
            ("connection", "keep-alive, x-mine"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("cookie", "session=1"),
            ("host", "localhost:8001"),
            ("accept", "*/*"),
        ]);
        to_backend(&mut given, None, Some("/api/v1/x/proxy/"));
        assert_eq!(
            shown(&given),
            "accept: */*\ncookie: session=1\nhost: localhost:8001\nx-forwarded-uri: /api/v1/x/proxy/"
        );
    }

    #[test]
    fn an_upgrade_passes_without_its_token() {
        let mut given = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "abc"),
            ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.c2VjcmV0, chat, v2"),
        ]);
        let upgrade = upgrade_of(&given);
        assert_eq!(upgrade.as_ref().unwrap(), "websocket");
        to_backend(&mut given, upgrade.as_ref(), Some("/x"));
        assert_eq!(
            shown(&given),
            "connection: Upgrade\nsec-websocket-key: abc\nsec-websocket-protocol: chat, v2\nupgrade: websocket\nx-forwarded-uri: /x"
        );
        assert_eq!(upgrade_of(&headers(&[("upgrade", "websocket")])), None, "the connection does not ask");
    }

    #[test]
    fn nobody_changes_to_http_2() {
        for (protocol, passes) in [
            ("websocket", true),
            ("SPDY/3.1", true),
            ("tcp", true),
            ("h2c", false),
            ("H2C", false),
            ("websocket, h2c", false),
        ] {
            let asked = headers(&[
                ("connection", "Upgrade, HTTP2-Settings"),
                ("upgrade", protocol),
                ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
            ]);
            let upgrade = upgrade_of(&asked);
            assert_eq!(upgrade.is_some(), passes, "{protocol}");
            let mut given = asked.clone();
            to_backend(&mut given, upgrade.as_ref(), None);
            assert_eq!(
                (given.len(), given.contains_key("http2-settings")),
                (if passes { 2 } else { 0 }, false)
            );
        }
    }

    #[test]
    fn what_a_client_says_of_its_connection_is_about_nothing_that_comes_later() {
        let mut given = headers(&[
            ("connection", "keep-alive, X-Mine, x-later, Transfer-Encoding"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("x-mine", "1"),
            ("accept", "*/*"),
        ]);
        sanitize_connection(&mut given);
        given.insert("x-later", HeaderValue::from_static("1"));
        assert_eq!(
            shown(&given),
            "accept: */*\nconnection: Upgrade\ntransfer-encoding: chunked\nupgrade: websocket\nx-later: 1"
        );
        to_backend(&mut given, None, None);
        assert_eq!(shown(&given), "accept: */*\nx-later: 1");
        let mut plain = headers(&[("connection", "x-later")]);
        sanitize_connection(&mut plain);
        assert_eq!(shown(&plain), "");
    }

    #[test]
    fn an_answer_opens_the_api_server_to_no_other_origin() {
        let mut given = headers(&[
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET"),
            ("access-control-allow-headers", "x"),
            ("connection", "close"),
            ("content-type", "text/html"),
            ("set-cookie", "a=1"),
        ]);
        to_client(&mut given, false);
        assert_eq!(shown(&given), "content-type: text/html\nset-cookie: a=1");
    }
}
