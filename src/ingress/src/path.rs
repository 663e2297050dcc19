//! A request's path in the one form that is matched and passed on. A rule for `/public` must not be reached by what the pod
//! behind it reads as `/admin`: RFC 3986, 6.2.2, and what cannot be read in one way only is refused.

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// For the rules: slashes in a row are one, as nginx matches them.
    pub(crate) matched: String,
    /// For the pod: the same with its slashes, which may be part of a name in it (`/proxy/http://…`).
    pub(crate) passed: String,
}

/// `None` for what is no path, leads above the root, or leads elsewhere for whoever decodes it once more.
pub(crate) fn normalised(path: &str) -> Option<Path> {
    let encoded = encoded(path)?;
    let passed = without_dots(&encoded)?;
    let matched = merged(&passed);
    let same = without_dots(&merged(&encoded))? == matched;
    (same && !hides_dots(&passed)).then_some(Path { matched, passed })
}

/// A rule's path with letters as requests have them.
pub(crate) fn of_rule(path: &str) -> String {
    encoded(path).unwrap_or_else(|| path.to_owned())
}

/// What needs no escape has none, and what has one has it in capital letters.
fn encoded(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let decoded = (digit(rest.next()?)? * 16 + digit(rest.next()?)?) as u8;
                if decoded == 0 {
                    return None;
                }
                if !is_unreserved(decoded) {
                    escape(decoded, &mut out);
                    continue;
                }
                decoded
            }
            byte => byte,
        };
        match is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte) {
            true => out.push(char::from(byte)),
            false => escape(byte, &mut out),
        }
    }
    Some(out)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn escape(byte: u8, out: &mut String) {
    *out += &format!("%{byte:02X}");
}

/// RFC 3986, 5.2.4; above the root there is nothing.
fn without_dots(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(kept.pop()?),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    Some(format!("/{}", kept.join("/")))
}

fn merged(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !out.ends_with('/') {
            out.push(letter);
        }
    }
    out
}

/// Whether escaped slashes have dots between them, `..%2f`, also those of Windows, and with parameters, `..;x`.
fn hides_dots(path: &str) -> bool {
    let decoded = path.replace("%2F", "/").replace("%5C", "/");
    let mut segments = decoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    segments.any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_meaning() {
        for (path, want) in [
            ("/", Some(("/", "/"))),
            ("/a/b", Some(("/a/b", "/a/b"))),
            ("/a/b/", Some(("/a/b/", "/a/b/"))),
            ("/%61%2Db/%c3%a9", Some(("/a-b/%C3%A9", "/a-b/%C3%A9"))),
            ("/caf\u{e9}", Some(("/caf%C3%A9", "/caf%C3%A9"))),
            ("/public/../admin", Some(("/admin", "/admin"))),
            ("/public/%2e%2E/admin", Some(("/admin", "/admin"))),
            ("/a/./b/.", Some(("/a/b/", "/a/b/"))),
            ("/a/b/..", Some(("/a/", "/a/"))),
            ("//admin", Some(("/admin", "//admin"))),
            (
                "/proxy/http://example.com/x",
                Some(("/proxy/http:/example.com/x", "/proxy/http://example.com/x")),
            ),
            ("/projects/group%2fproject", Some(("/projects/group%2Fproject", "/projects/group%2Fproject"))),
            ("/a;v=1/b", Some(("/a;v=1/b", "/a;v=1/b"))),
            ("/a%252e%252e/b", Some(("/a%252e%252e/b", "/a%252e%252e/b"))),
            ("/...", Some(("/...", "/..."))),
            // with its slashes it is /public/admin, without them /admin
            ("/public//../admin", None),
            ("/..", None),
            ("/a/../../b", None),
            ("/public/..%2fadmin", None),
            ("/public/%2e%2e%2fadmin", None),
            ("/public/..%5cadmin", None),
            ("/public%2f..%2fadmin", None),
            ("/public\\..\\admin", None),
            ("/public/..;/admin", None),
            ("/a%00b", None),
            ("/a%", None),
            ("/a%2", None),
            ("/a%zz", None),
            ("*", None),
            ("", None),
        ] {
            let got = normalised(path);
            let got = got.as_ref().map(|path| (path.matched.as_str(), path.passed.as_str()));
            assert_eq!(got, want, "{path}");
        }
    }

    #[test]
    fn what_has_its_form_keeps_it() {
        for path in ["/a/b", "//a", "/%C3%A9/", "/x%2Fy", "/a%252e"] {
            let once = normalised(path).unwrap();
            assert_eq!(normalised(&once.passed), Some(once.clone()), "{path}");
        }
    }
}
