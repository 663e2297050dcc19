//! Which versions of CSI a driver speaks, and which driver of a name stays: upstream's `ValidatePlugin`. Pure.

use std::fmt;

/// Numbers between dots.
#[derive(Debug, Clone)]
pub(super) struct Version(Vec<u64>);

impl Version {
    /// Upstream's `ParseGeneric`: two numbers or more, and anything after them.
    fn parse(text: &str) -> Result<Self, String> {
        let rest = text.trim_start();
        let rest = rest.strip_prefix('v').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let numbers = rest[..end].split('.').map_while(|number| number.parse().ok()).collect::<Vec<u64>>();
        match numbers.len() {
            0 => Err(format!("could not parse {text:?} as version")),
            1 => Err(format!("illegal version string {text:?}")),
            _ => Ok(Version(numbers)),
        }
    }

    fn is_less(&self, other: &Version) -> bool {
        self.significant() < other.significant()
    }

    /// What is not said is zero.
    fn significant(&self) -> &[u64] {
        let end = self.0.iter().rposition(|number| *number != 0).map_or(0, |last| last + 1);
        &self.0[..end]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// Upstream's `highestSupportedVersion`: the highest up to 1, and that is some version 1.
fn highest(versions: &[String]) -> Result<Version, String> {
    let mut why = "<nil>".to_owned();
    let mut highest: Option<Version> = None;
    for text in versions.iter().rev() {
        match Version::parse(text) {
            Ok(version) if version.0[0] > 1 => {}
            Ok(version) if highest.as_ref().is_none_or(|known| known.is_less(&version)) => {
                highest = Some(version);
            }
            Ok(_) => {}
            Err(error) => why = error,
        }
    }
    let Some(highest) = highest else {
        let all = versions.join(" ");
        return Err(format!(
            "could not find a highest supported version from versions ([{all}]) reported by this driver: {why}"
        ));
    };
    match highest.0[0] {
        1 => Ok(highest),
        _ => Err(format!("highest supported version reported by driver is {highest}, must be v1.x")),
    }
}

/// `other`: the version of another driver of that name, which stays unless this one is newer.
pub(super) fn check_versions(
    name: &str,
    versions: &[String],
    other: Option<&Version>,
) -> Result<Version, String> {
    let failed =
        |why: String| format!("kubernetes.io/csi: ValidatePlugin for CSI driver \"{name}\" failed. {why}");
    if versions.is_empty() {
        return Err(failed("Plugin returned an empty list for supported versions".to_owned()));
    }
    let highest = highest(versions).map_err(|why| {
        let all: Vec<String> = versions.iter().map(|version| format!("{version:?}")).collect();
        failed(format!("None of the versions specified [{}] are supported. err={why}", all.join(" ")))
    })?;
    match other.filter(|other| !other.is_less(&highest)) {
        Some(other) => Err(failed(format!(
            "Another driver with the same name is already registered with a higher supported version: \"{other}\""
        ))),
        None => Ok(highest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let of = |text: &str| Version::parse(text).unwrap();
        // (versions, another driver's, the highest or why not)
        let cases: [(&[&str], Option<&str>, Result<&str, &str>); 12] = [
            (&["1.0.0"], None, Ok("1.0.0")),
            (&["0.3.0", "1.12.0", "1.2.0"], None, Ok("1.12.0")),
            (&["v1.0.0-rc1"], None, Ok("1.0.0")),
            (&["2.0.0", "1.1"], None, Ok("1.1")),
            (&["1.1.0"], Some("1.0.0"), Ok("1.1.0")),
            (
                &["1.0.0"],
                Some("1.0"),
                Err(
                    "Another driver with the same name is already registered with a higher supported version: \"1.0\"",
                ),
            ),
            (
                &["1.9.0"],
                Some("1.10.0"),
                Err(
                    "Another driver with the same name is already registered with a higher supported version: \"1.10.0\"",
                ),
            ),
            (
                &["0.3.0"],
                None,
                Err(
                    "None of the versions specified [\"0.3.0\"] are supported. err=highest supported version reported by driver is 0.3.0, must be v1.x",
                ),
            ),
            (
                &["10.0.0"],
                None,
                Err(
                    "None of the versions specified [\"10.0.0\"] are supported. err=could not find a highest supported version from versions ([10.0.0]) reported by this driver: <nil>",
                ),
            ),
            (
                &["1"],
                None,
                Err(
                    "None of the versions specified [\"1\"] are supported. err=could not find a highest supported version from versions ([1]) reported by this driver: illegal version string \"1\"",
                ),
            ),
            (
                &["latest"],
                None,
                Err(
                    "None of the versions specified [\"latest\"] are supported. err=could not find a highest supported version from versions ([latest]) reported by this driver: could not parse \"latest\" as version",
                ),
            ),
            (&[], None, Err("Plugin returned an empty list for supported versions")),
        ];
        for (versions, other, want) in cases {
            let owned: Vec<String> = versions.iter().map(|version| (*version).to_owned()).collect();
            let got = check_versions("d", &owned, other.map(of).as_ref()).map(|version| version.to_string());
            let want = want.map(str::to_owned).map_err(|why| {
                format!("kubernetes.io/csi: ValidatePlugin for CSI driver \"d\" failed. {why}")
            });
            assert_eq!(got, want, "{versions:?}");
        }
    }
}
