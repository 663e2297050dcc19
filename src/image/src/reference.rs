//! How images are named.

use crate::digest::{Digest, is_hex64};
use crate::error::{ImageError, Result};
use std::fmt;
use std::str::FromStr;

/// A full image reference, parsed as Docker parses what users type: `busybox` is `docker.io/library/busybox:latest`.
/// Where a digest is given, the tag says nothing and is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    /// `docker.io`, `localhost:5000`
    domain: String,
    /// `library/busybox`
    path: String,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Version {
    Tag(String),
    Digest(Digest),
}

const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";
/// The longest repository name that the distribution reference grammar allows.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

impl ImageRef {
    pub fn parse(text: &str) -> Result<ImageRef> {
        if is_hex64(text) {
            return Err(ImageError::InvalidName(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (name_tag, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(name_tag);
        let (domain, path) = split_domain(name);
        check_domain(&domain)?;
        check_path(&domain, &path)?;
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let version = match digest {
            Some(digest) => Version::Digest(digest),
            None => Version::Tag(tag.unwrap_or("latest").to_owned()),
        };
        Ok(ImageRef { domain, path, version })
    }

    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's name at its registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn tag(&self) -> Option<&str> {
        match &self.version {
            Version::Tag(tag) => Some(tag),
            Version::Digest(_) => None,
        }
    }

    pub fn digest(&self) -> Option<&Digest> {
        match &self.version {
            Version::Tag(_) => None,
            Version::Digest(digest) => Some(digest),
        }
    }

    /// The tag or the digest, as a registry's URL has it.
    pub fn version(&self) -> &str {
        match &self.version {
            Version::Tag(tag) => tag,
            Version::Digest(digest) => digest.as_str(),
        }
    }

    /// `docker.io/library/busybox`
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    pub fn with_digest(&self, digest: &Digest) -> ImageRef {
        ImageRef { version: Version::Digest(digest.clone()), ..self.clone() }
    }

    /// # Errors
    /// A tag that is none.
    pub fn with_tag(&self, tag: &str) -> Result<ImageRef> {
        check_tag(tag)?;
        Ok(ImageRef { version: Version::Tag(tag.to_owned()), ..self.clone() })
    }

    /// As people write it: `busybox:latest`.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    /// `busybox`
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        self.path.strip_prefix(OFFICIAL).filter(|rest| !rest.contains('/')).unwrap_or(&self.path).to_owned()
    }

    fn suffix(&self) -> String {
        match &self.version {
            Version::Tag(tag) => format!(":{tag}"),
            Version::Digest(digest) => format!("@{digest}"),
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.domain, self.path, self.suffix())
    }
}

impl FromStr for ImageRef {
    type Err = ImageError;
    fn from_str(text: &str) -> Result<ImageRef> {
        ImageRef::parse(text)
    }
}

fn refuse<T>(why: impl fmt::Display) -> Result<T> {
    Err(ImageError::InvalidName(format!("invalid reference format: {why}")))
}

/// A colon after the last slash starts the tag; one before it belongs to a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let start = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[start..].split_once(':') {
        Some((name, tag)) => (&text[..start + name.len()], Some(tag)),
        None => (text, None),
    }
}

fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, name),
    };
    let domain = if domain == "index.docker.io" { DEFAULT_DOMAIN } else { domain };
    let official = domain == DEFAULT_DOMAIN && !path.contains('/');
    (domain.to_owned(), if official { format!("{OFFICIAL}{path}") } else { path.to_owned() })
}

fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn check_domain(domain: &str) -> Result<()> {
    let (host, port) = match domain.rfind(']') {
        Some(end) => (&domain[..=end], domain[end + 1..].strip_prefix(':')),
        None => domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port))),
    };
    let port_is_fine = port.is_none_or(|p| p.parse::<u16>().is_ok() && p.bytes().all(|b| b.is_ascii_digit()));
    let host_is_fine = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_host_label),
    };
    let nothing_between = host.len() + port.map_or(0, |p| p.len() + 1) == domain.len();
    if host_is_fine && port_is_fine && nothing_between {
        Ok(())
    } else {
        refuse(format!("{domain:?} is no registry"))
    }
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn check_path(domain: &str, path: &str) -> Result<()> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return refuse(format!("repository name ({path}) must be lowercase"));
    }
    if domain.len() + 1 + path.len() > MAX_NAME {
        return refuse(format!("repository name must not be more than {MAX_NAME} characters"));
    }
    if path.split('/').all(is_path_component) { Ok(()) } else { refuse(format!("repository name {path:?}")) }
}

/// Lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes
            .split(alphanumeric)
            .all(|gap| matches!(gap, b"" | b"." | b"_" | b"__") || gap.iter().all(|b| *b == b'-'))
}

fn check_tag(tag: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fine = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    if fine { Ok(()) } else { refuse(format!("tag {tag:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_users_type_becomes_a_full_reference() {
        let digest = format!("@sha256:{HEX}");
        for (typed, full, familiar) in [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("luksa/kubia", "docker.io/luksa/kubia:latest", "luksa/kubia:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b:v1", "localhost:5000/a/b:v1"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("10.0.0.1:5000/a", "10.0.0.1:5000/a:latest", "10.0.0.1:5000/a:latest"),
            ("quay.io/a/b/c:x_Y.z-1", "quay.io/a/b/c:x_Y.z-1", "quay.io/a/b/c:x_Y.z-1"),
            ("my--app/x__y.z", "docker.io/my--app/x__y.z:latest", "my--app/x__y.z:latest"),
            ("busy:80", "docker.io/library/busy:80", "busy:80"),
            ("Reg/a", "Reg/a:latest", "Reg/a:latest"),
            (
                &format!("busybox{digest}"),
                &format!("docker.io/library/busybox{digest}"),
                &format!("busybox{digest}"),
            ),
            (&format!("r:5000/a:tag{digest}"), &format!("r:5000/a{digest}"), &format!("r:5000/a{digest}")),
        ] {
            let parsed = ImageRef::parse(typed).unwrap_or_else(|e| panic!("{typed}: {e}"));
            assert_eq!(parsed.to_string(), full, "{typed}");
            assert_eq!(parsed.familiar(), familiar, "{typed}");
            assert_eq!(ImageRef::parse(full).unwrap(), parsed, "{typed} again");
            assert_eq!(ImageRef::parse(familiar).unwrap(), parsed, "{typed} again, short");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = "a".repeat(256);
        for (name, typed) in [
            ("empty", ""),
            ("blank", " "),
            ("upper case", "Busybox"),
            ("upper case in the path", "quay.io/A/b"),
            ("a bare id", HEX),
            ("empty tag", "a:"),
            ("tag with a slash", "a:b/c:"),
            ("empty component", "a//b"),
            ("climbing", "../etc"),
            ("climbing inside", "quay.io/../b"),
            ("trailing dash", "a-"),
            ("three underscores", "a___b"),
            ("two dots", "a..b"),
            ("short digest", "a@sha256:abc"),
            ("two digests", "a@sha256:x@sha256:y"),
            ("bad port", "reg:99999/a"),
            ("signed port", "reg:+80/a"),
            ("text after an address", "[::1]x/a"),
            ("newline", "a\n"),
            ("query", "reg.io/a?x=1"),
            ("credentials", "user@reg.io/a"),
            ("long", &long),
        ] {
            assert!(matches!(ImageRef::parse(typed), Err(ImageError::InvalidName(_))), "{name}: {typed}");
        }
    }
}
