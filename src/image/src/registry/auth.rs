//! Reads the challenges in which a registry says how it wants to be asked.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use std::collections::BTreeMap;

/// What a registry wants to see (RFC 9110, section 11.6.1, and the distribution token specification).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// All challenges of an answer, in order; schemes that nobody here speaks are left out.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).flat_map(parse).collect()
}

fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let word_end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        let is_parameter = after.trim_start().starts_with('=');
        rest = match (is_parameter, found.last_mut()) {
            (true, Some((_, parameters))) => {
                let (value, after) = parse_value(after.trim_start()[1..].trim_start());
                parameters.insert(word.to_ascii_lowercase(), value);
                after
            }
            // a parameter of nothing
            (true, None) => return Vec::new(),
            (false, _) => {
                found.push((word.to_ascii_lowercase(), BTreeMap::new()));
                after
            }
        };
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    found.into_iter().filter_map(|(scheme, parameters)| challenge(&scheme, parameters)).collect()
}

fn challenge(scheme: &str, mut parameters: BTreeMap<String, String>) -> Option<Challenge> {
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        }),
        _ => None,
    }
}

/// A token or a quoted string, and what comes after it.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        }
    }

    #[test]
    fn challenges_are_understood() {
        for (name, text, want) in [
            (
                "Docker Hub",
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/busybox:pull"),
                )],
            ),
            (
                "a comma inside quotes",
                r#"Bearer realm="r",scope="a:pull,push""#,
                vec![bearer("r", None, Some("a:pull,push"))],
            ),
            ("basic", r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("bare", "basic", vec![Challenge::Basic]),
            ("spaces and case", r#"BEARER Realm = "r" , Service=s"#, vec![bearer("r", Some("s"), None)]),
            (
                "two in one line",
                r#"Basic realm="x", Bearer realm="r""#,
                vec![Challenge::Basic, bearer("r", None, None)],
            ),
            ("an escaped quote", r#"Bearer realm="a\"b""#, vec![bearer("a\"b", None, None)]),
            ("an unknown scheme beside a known one", r#"Negotiate, Basic realm="x""#, vec![Challenge::Basic]),
            ("no realm", r#"Bearer service="s""#, vec![]),
            ("an open quote", r#"Bearer realm="abc"#, vec![bearer("abc", None, None)]),
            ("nonsense", r#"="x""#, vec![]),
            ("nothing", "", vec![]),
        ] {
            assert_eq!(parse(text), want, "{name}");
        }
    }
}
