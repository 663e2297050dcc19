//! What an image runs on, how people write it, and how well an image for another one serves.

use crate::error::{ImageError, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an image runs on, as `--platform` and the entries of an index say it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    pub fn of_this_machine() -> Platform {
        Platform { architecture: architecture().to_owned(), os: "linux".to_owned(), variant: None }
    }

    /// `linux/arm64/v8`, `linux/amd64`, `arm64` or `linux`; what is left out is this machine's.
    pub fn parse(text: &str) -> Result<Platform> {
        let is_word = |word: &&str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let words: Vec<&str> = text.split('/').collect();
        if words.len() > 3 || !words.iter().all(is_word) {
            return Err(ImageError::InvalidName(format!(
                "{text:?} is an invalid OS component of {text:?}: platform specifier component must match \
                 \"^[A-Za-z0-9_.-]+$\""
            )));
        }
        let this = Platform::of_this_machine();
        let (os, architecture, variant) = match words[..] {
            [os, architecture, variant] => (os, architecture, Some(variant)),
            [os, architecture] => (os, architecture, None),
            [one] if is_os(one) => (one, this.architecture.as_str(), None),
            [one] if is_architecture(one) => (this.os.as_str(), one, None),
            [one] => {
                return Err(ImageError::InvalidName(format!(
                    "{one:?}: unknown operating system or architecture: invalid argument"
                )));
            }
            _ => (this.os.as_str(), this.architecture.as_str(), None),
        };
        let (architecture, own) = usual_name(&architecture.to_ascii_lowercase());
        let variant = variant.map(str::to_ascii_lowercase).or(own.map(str::to_owned));
        let variant =
            variant.map(|v| if v.starts_with(|c: char| c.is_ascii_digit()) { format!("v{v}") } else { v });
        Ok(Platform { architecture, os: os.to_ascii_lowercase(), variant })
    }

    /// Before anybody is asked for an image.
    ///
    /// # Errors
    /// Nothing made for it can ever run here.
    pub fn check(&self) -> Result<()> {
        match self.os.as_str() {
            "linux" => Ok(()),
            _ => Err(ImageError::Refused("operating system is not supported".into())),
        }
    }

    /// Whether an image for `own` can be had for this one.
    pub fn is_served_by(&self, own: &Platform) -> bool {
        self.distance(own).is_some()
    }

    /// How well an image of `offered` serves who wants this: the less, the better; `None`: not at all.
    pub(crate) fn distance(&self, offered: &Platform) -> Option<u32> {
        let (wanted, offer) = (self.level(), offered.level());
        let (architecture, _) = usual_name(&offered.architecture);
        if self.os != offered.os || self.architecture != architecture {
            return None;
        }
        match self.architecture.as_str() {
            // a processor runs what was made for an older one; a newer one is taken only where nobody asked for less
            _ if offer <= wanted => Some(wanted - offer),
            _ if self.variant.is_none() => Some(100 + offer - wanted),
            _ => None,
        }
    }

    /// Of the architecture: `v7` of arm is 7. Without a variant it is what containerd takes for it.
    fn level(&self) -> u32 {
        let (architecture, own) = usual_name(&self.architecture);
        let usual = match architecture.as_str() {
            "arm" => 7,
            "arm64" => 8,
            _ => 1,
        };
        let variant = self.variant.as_deref().filter(|v| !v.is_empty()).or(own);
        variant.and_then(|v| v.trim_start_matches('v').parse().ok()).unwrap_or(usual)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref().filter(|variant| !variant.is_empty()) {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// What registries call this machine.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn is_os(word: &str) -> bool {
    SYSTEMS.contains(&word.to_ascii_lowercase().as_str())
}

fn is_architecture(word: &str) -> bool {
    ARCHITECTURES.contains(&usual_name(&word.to_ascii_lowercase()).0.as_str())
}

/// Go's, which is what platforms are said in.
const SYSTEMS: [&str; 18] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "macos",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const ARCHITECTURES: [&str; 24] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// Go's name for an architecture that people also call otherwise, and the variant that such a name implies.
fn usual_name(name: &str) -> (String, Option<&'static str>) {
    let (name, variant) = match name {
        "x86_64" | "x86-64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "i386" | "i486" | "i586" | "i686" | "x86" => ("386", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    };
    (name.to_owned(), variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type() {
        let here = architecture();
        for (typed, want) in [
            ("linux/arm64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64/v8"),
            ("linux/arm/7", "linux/arm/v7"),
            ("LINUX/x86_64", "linux/amd64"),
            ("armhf", "linux/arm/v7"),
            ("aarch64", "linux/arm64"),
            ("linux", &format!("linux/{here}")),
            ("windows/amd64", "windows/amd64"),
            ("foo/bar", "foo/bar"),
            ("S390X", "linux/s390x"),
            ("x86-64", "linux/amd64"),
        ] {
            assert_eq!(Platform::parse(typed).unwrap().to_string(), want, "{typed}");
        }
        for typed in ["", "linux/", "a/b/c/d", "linux/am d64", "linux//v8"] {
            assert!(Platform::parse(typed).is_err(), "{typed}");
        }
        let why = Platform::parse("foobar").unwrap_err().to_string();
        assert_eq!(why, "\"foobar\": unknown operating system or architecture: invalid argument");
    }

    #[test]
    fn the_nearest_variant_serves() {
        for (wanted, offered, want) in [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/amd64/v3", Some(102)),
            ("linux/amd64/v2", "linux/amd64", Some(1)),
            ("linux/amd64", "linux/arm64", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64/v8", "linux/arm64", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm", "linux/arm/v5", Some(2)),
        ] {
            let (wanted_platform, offered_platform) =
                (Platform::parse(wanted).unwrap(), Platform::parse(offered).unwrap());
            assert_eq!(wanted_platform.distance(&offered_platform), want, "{wanted} from {offered}");
        }
    }
}
