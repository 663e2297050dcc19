//! Which headers are about a connection, and not about the request or the answer that came over it: who passes one on does not
//! pass them on (RFC 9110, 7.6.1).

use http::{HeaderMap, HeaderName, header};

/// `Proxy-Connection` is in no RFC; clients send it to a proxy all the same.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Whether the header is always about the connection.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// The headers that this request or answer says to be about its connection.
pub fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers).filter_map(|name| name.parse().ok()).collect()
}

/// Whether the connection is to change to the protocol that `Upgrade` names.
pub fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Takes away what is about the connection, always or by its own word.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = named_by_connection(headers);
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_is_about_the_connection_goes() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Mine"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("x-mine", "1"),
            ("x-other", "1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(named_by_connection(&headers), ["keep-alive", "x-mine", "upgrade"]);
        assert!(asks_for_upgrade(&headers));
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-other"]);
        assert!(!asks_for_upgrade(&headers));
    }
}
