//! The host that a request is for. Two answers to that are none: one of them would be what a rule is found by, and the other
//! what the pod reads (RFC 9112, 3.2).

use http::uri::Authority;
use http::{HeaderMap, Method, Uri, Version, header};

/// # Errors
/// Why it is refused, for its sender.
pub(crate) fn of_request(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
) -> Result<String, &'static str> {
    if method == Method::CONNECT {
        return Err("an ingress is no proxy for CONNECT");
    }
    let mut named = headers.get_all(header::HOST).iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return Err("the request names two hosts");
    }
    let header = first.map(|host| host.to_str().map_err(|_| "the host is no name")).transpose()?;
    let authority = uri.authority().map(Authority::as_str);
    let host = match (authority, header) {
        (Some(authority), Some(header)) if !authority.eq_ignore_ascii_case(header) => {
            return Err("the request names two hosts");
        }
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if version == Version::HTTP_10 => return Ok(String::new()),
        (None, None) => return Err("the request names no host"),
    };
    if host.is_empty() {
        return Ok(String::new());
    }
    let parsed = host.parse::<Authority>().map_err(|_| "the host is no name")?;
    match host.contains('@') || parsed.host().is_empty() {
        true => Err("the host is no name"),
        false => Ok(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_one_host() {
        let cases: [(&str, &str, &[&str], Version, Option<&str>); 14] = [
            ("plain", "/", &["a.example"], Version::HTTP_11, Some("a.example")),
            ("with a port", "/", &["a.example:8080"], Version::HTTP_11, Some("a.example:8080")),
            ("an address", "/", &["[::1]:80"], Version::HTTP_11, Some("[::1]:80")),
            ("in the URI", "http://a.example/", &[], Version::HTTP_2, Some("a.example")),
            ("in both", "http://a.example/", &["A.example"], Version::HTTP_11, Some("a.example")),
            ("before there were hosts", "/", &[], Version::HTTP_10, Some("")),
            ("empty", "/", &[""], Version::HTTP_11, Some("")),
            ("twice", "/", &["a.example", "b.example"], Version::HTTP_11, None),
            ("twice the same", "/", &["a.example", "a.example"], Version::HTTP_11, None),
            ("two in one", "/", &["a.example, b.example"], Version::HTTP_11, None),
            ("other than the URI", "http://a.example/", &["b.example"], Version::HTTP_11, None),
            ("none", "/", &[], Version::HTTP_11, None),
            ("with a user", "/", &["b.example@a.example"], Version::HTTP_11, None),
            ("with a path", "/", &["a.example/b"], Version::HTTP_11, None),
        ];
        for (name, uri, hosts, version, want) in cases {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            let got = of_request(&Method::GET, &uri.parse().unwrap(), version, &headers);
            assert_eq!(got.ok().as_deref(), want, "{name}");
        }
        let connect = of_request(
            &Method::CONNECT,
            &"a.example:1".parse().unwrap(),
            Version::HTTP_11,
            &HeaderMap::new(),
        );
        assert!(connect.is_err());
    }
}
