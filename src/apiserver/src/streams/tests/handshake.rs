use super::super::handshake::Upgrade;
use crate::request::Request;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

fn request(headers: &[(&str, &str)], query: &str) -> Request {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let body = futures::stream::empty::<Result<bytes::Bytes, std::convert::Infallible>>();
    let line = (Method::GET, "/".to_owned(), query.to_owned());
    Request::new(line, map, Default::default(), None, body)
}

const WEBSOCKET: [(&str, &str); 2] =
    [("upgrade", "websocket"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];

/// What is refused for everything but the missing connection below the test's request was negotiated.
const NEGOTIATED: &str = "Upgrade request required";

#[test]
fn what_can_not_be_upgraded_is_refused_in_upstreams_words() {
    let websocket =
        |protocol: &'static str| [&WEBSOCKET[..], &[("sec-websocket-protocol", protocol)]].concat();
    let accepts =
        "v5.channel.k8s.io v4.channel.k8s.io v4.base64.channel.k8s.io channel.k8s.io base64.channel.k8s.io ";
    let cases = [
        ("no upgrade", vec![], 400, NEGOTIATED.to_owned()),
        ("something else", vec![("upgrade", "h2c")], 400, NEGOTIATED.to_owned()),
        ("kubectl 1.34", websocket("v5.channel.k8s.io"), 400, NEGOTIATED.to_owned()),
        (
            "a browser with a token",
            websocket("v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.abc"),
            400,
            NEGOTIATED.to_owned(),
        ),
        ("without a protocol", WEBSOCKET.to_vec(), 400, NEGOTIATED.to_owned()),
        (
            "an unknown protocol",
            websocket("v9.channel.k8s.io"),
            403,
            format!(
                "unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io], server accepts [{accepts}]"
            ),
        ),
        (
            "SPDY without a version",
            vec![("upgrade", "SPDY/3.1")],
            400,
            "unable to upgrade: X-Stream-Protocol-Version is required".to_owned(),
        ),
        (
            "kubectl 1.27",
            vec![
                ("upgrade", "SPDY/3.1"),
                ("x-stream-protocol-version", "v4.channel.k8s.io"),
                ("x-stream-protocol-version", "v3.channel.k8s.io"),
            ],
            400,
            NEGOTIATED.to_owned(),
        ),
    ];
    for (name, headers, code, message) in cases {
        let status = Upgrade::process(&mut request(&headers, "")).err().expect(name);
        assert_eq!((status.code, status.message.as_str()), (code, message.as_str()), "{name}");
    }
}

#[test]
fn ports_are_checked() {
    let headers = [&WEBSOCKET[..], &[("sec-websocket-protocol", "v4.channel.k8s.io")]].concat();
    let cases = [
        (vec![], "query parameter \"ports\" is required"),
        (vec![80, 0], "0 is not a valid port"),
        (vec![80; 129], "129 ports: the most is 128"),
        (vec![80, 81], NEGOTIATED),
    ];
    for (ports, want) in cases {
        let status = Upgrade::forward(&mut request(&headers, ""), ports).err().expect(want);
        assert_eq!(status.message, want);
    }
}
