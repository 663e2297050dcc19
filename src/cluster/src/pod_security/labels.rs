//! What a namespace's labels say.

use kinds::ErrorList;
use std::collections::BTreeMap;
use std::fmt;

const PREFIX: &str = "pod-security.kubernetes.io/";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Level {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LevelVersion {
    pub(crate) level: Level,
    /// Of `v1.N`; `None` is the latest.
    pub(crate) minor: Option<u32>,
}

/// What is refused, what is warned of, and what the audit log alone hears of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Policy {
    pub(crate) enforce: LevelVersion,
    pub(crate) audit: LevelVersion,
    pub(crate) warn: LevelVersion,
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.minor {
            Some(minor) => write!(f, "{level}:v1.{minor}"),
            None => write!(f, "{level}:latest"),
        }
    }
}

impl Policy {
    /// Always a policy, also of labels that make no sense: what is enforced is then the strictest, and nothing is warned of.
    pub(crate) fn of(labels: Option<&BTreeMap<String, String>>) -> (Policy, ErrorList) {
        let mut errors = ErrorList::default();
        let mut mode = |mode: &str, otherwise: Level| {
            let label = |suffix: &str| format!("{PREFIX}{mode}{suffix}");
            let value = |label: &String| labels.and_then(|all| all.get(label));
            let mut parsed = LevelVersion::default();
            if let Some(given) = value(&label("")) {
                parsed.level = level(given).unwrap_or_else(|| {
                    let why = "must be one of privileged, baseline, restricted";
                    errors.invalid(format!("metadata.labels[{}]", label("")), given.as_str(), why);
                    otherwise
                });
            }
            if let Some(given) = value(&label("-version")) {
                parsed.minor = version(given).unwrap_or_else(|| {
                    let why = r#"must be "latest" or "v1.x""#;
                    errors.invalid(format!("metadata.labels[{}]", label("-version")), given.as_str(), why);
                    None
                });
            }
            parsed
        };
        let enforce = mode("enforce", Level::Restricted);
        let audit = mode("audit", Level::Privileged);
        let warn = mode("warn", Level::Privileged);
        (Policy { enforce, audit, warn }, errors)
    }
}

fn level(text: &str) -> Option<Level> {
    match text {
        "privileged" => Some(Level::Privileged),
        "baseline" => Some(Level::Baseline),
        "restricted" => Some(Level::Restricted),
        _ => None,
    }
}

fn version(text: &str) -> Option<Option<u32>> {
    if text == "latest" {
        return Some(None);
    }
    let minor = text.strip_prefix("v1.")?;
    let plain = minor.bytes().all(|b| b.is_ascii_digit()) && (minor == "0" || !minor.starts_with('0'));
    plain.then(|| minor.parse().ok()).flatten().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_make_no_sense_enforce_the_strictest() {
        let of = |pairs: &[(&str, &str)]| {
            let labels =
                pairs.iter().map(|(mode, value)| (format!("{PREFIX}{mode}"), (*value).to_owned())).collect();
            let (policy, errors) = Policy::of(Some(&labels));
            let errors: Vec<String> = errors
                .into_causes()
                .into_iter()
                .map(|cause| format!("{}: {}", cause.field, cause.message))
                .collect();
            (policy.enforce.to_string(), policy.warn.to_string(), errors)
        };
        let fine = |enforce: &str, warn: &str| (enforce.to_owned(), warn.to_owned(), Vec::<String>::new());
        assert_eq!(of(&[]), fine("privileged:latest", "privileged:latest"));
        assert_eq!(
            of(&[("enforce", "baseline"), ("enforce-version", "v1.24")]),
            fine("baseline:v1.24", "privileged:latest")
        );
        assert_eq!(
            of(&[("warn", "restricted"), ("warn-version", "latest")]),
            fine("privileged:latest", "restricted:latest")
        );
        let (enforce, warn, errors) = of(&[("enforce", "strict"), ("warn", ""), ("audit-version", "v1.024")]);
        assert_eq!((enforce.as_str(), warn.as_str()), ("restricted:latest", "privileged:latest"));
        assert_eq!(
            errors,
            [
                "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted",
                "metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: \"v1.024\": must be \"latest\" or \"v1.x\"",
                "metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"\": must be one of privileged, baseline, restricted",
            ]
        );
    }
}
