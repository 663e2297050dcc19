//! Links in answers: those that lead to the backend's own root lead through the proxy instead, or a page behind it would
//! send its reader to the API server's own paths. Pure; upstream's `Transport.rewriteURL`.

/// What tells a link to the backend from one that leads elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The path of the proxied object, up to `proxy`, without a slash at its end.
    pub(super) prefix: String,
    /// Where the backend is: address and port.
    pub(super) backend: String,
    /// The `Host` that the client asked for, and the backend saw.
    pub(super) host: String,
}

impl Origin {
    /// The link as it leads through the proxy; links to other hosts and relative ones stay.
    pub(super) fn through_proxy(&self, link: &str) -> String {
        let (base, authority, rest) = split(link);
        let is_elsewhere = !authority.is_empty() && authority != self.backend && authority != self.host;
        if is_elsewhere || !rest.starts_with('/') {
            return link.to_owned();
        }
        // what names the host that the client knows, still names it
        let base = if !authority.is_empty() && authority == self.host { base } else { "" };
        match self.has(rest) {
            true => format!("{base}{rest}"),
            false => format!("{base}{}{rest}", self.prefix),
        }
    }

    /// Whether a path leads through the proxy already.
    fn has(&self, path: &str) -> bool {
        let behind = path.strip_prefix(self.prefix.as_str());
        behind.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

/// Scheme and authority together, the authority alone, and what follows.
fn split(link: &str) -> (&str, &str, &str) {
    let scheme = link.find("://").filter(|at| {
        let scheme = &link[..*at];
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    let start = match scheme {
        Some(at) => at + 3,
        None if link.starts_with("//") => 2,
        None => return ("", "", link),
    };
    let end = link[start..].find(['/', '?', '#']).map_or(link.len(), |at| start + at);
    (&link[..end], &link[start..end], &link[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_backend_lead_through_the_proxy() {
        let origin = Origin {
            prefix: "/api/v1/namespaces/a/services/web/proxy".to_owned(),
            backend: "10.1.0.5:8080".to_owned(),
            host: "localhost:8001".to_owned(),
        };
        let through = "/api/v1/namespaces/a/services/web/proxy";
        let cases = [
            ("/login", format!("{through}/login")),
            ("/", format!("{through}/")),
            ("/a?next=/b#c", format!("{through}/a?next=/b#c")),
            ("relative", "relative".to_owned()),
            ("../up", "../up".to_owned()),
            ("", String::new()),
            ("#here", "#here".to_owned()),
            ("http://10.1.0.5:8080/x", format!("{through}/x")),
            ("https://10.1.0.5:8080/x", format!("{through}/x")),
            ("//10.1.0.5:8080/x", format!("{through}/x")),
            ("http://localhost:8001/x", format!("http://localhost:8001{through}/x")),
            ("http://localhost:8001", "http://localhost:8001".to_owned()),
            ("http://example.com/x", "http://example.com/x".to_owned()),
            ("//example.com/x", "//example.com/x".to_owned()),
            ("http://10.1.0.5/x", "http://10.1.0.5/x".to_owned()),
            ("mailto:me@example.com", "mailto:me@example.com".to_owned()),
            ("javascript:void(0)", "javascript:void(0)".to_owned()),
            ("/api/v1/namespaces/a/services/web/proxy/x", format!("{through}/x")),
            (
                "/api/v1/namespaces/a/services/web/proxy2",
                format!("{through}/api/v1/namespaces/a/services/web/proxy2"),
            ),
        ];
        for (link, want) in cases {
            assert_eq!(origin.through_proxy(link), want, "{link}");
        }
    }
}
