//! How kinds and resources are named: by group and version, as manifests and paths have it, and in which order versions stand.

use std::borrow::Cow;
use std::fmt;

type Text = Cow<'static, str>;

/// Group, version and kind: what a manifest names. The core group is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    pub group: Text,
    pub version: Text,
    pub kind: Text,
}

/// Group, version and plural resource: what a path names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvr {
    pub group: Text,
    pub version: Text,
    pub resource: Text,
}

/// What RBAC rules, messages and the store name; the same objects whatever the version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    pub group: Text,
    pub resource: Text,
}

impl Gvk {
    pub const fn new(group: &'static str, version: &'static str, kind: &'static str) -> Self {
        Gvk { group: Cow::Borrowed(group), version: Cow::Borrowed(version), kind: Cow::Borrowed(kind) }
    }

    /// From a manifest's two fields: `apps/v1` and `Deployment`.
    pub fn parse(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Gvk {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            kind: kind.to_owned().into(),
        }
    }

    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }
}

impl Gvr {
    pub const fn new(group: &'static str, version: &'static str, resource: &'static str) -> Self {
        Gvr {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            resource: Cow::Borrowed(resource),
        }
    }

    pub fn group_resource(&self) -> GroupResource {
        GroupResource { group: self.group.clone(), resource: self.resource.clone() }
    }

    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }
}

impl GroupResource {
    pub const fn new(group: &'static str, resource: &'static str) -> Self {
        GroupResource { group: Cow::Borrowed(group), resource: Cow::Borrowed(resource) }
    }
}

/// The order of a group's versions (`CompareKubeAwareVersionStrings`): stable ones before betas before alphas, each from
/// the newest on; what is no such version comes last. The greatest is preferred.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionPriority {
    /// 3 stable, 2 beta, 1 alpha, 0 any other
    stage: u8,
    major: u64,
    minor: u64,
    /// Other names go by the alphabet, the first one first.
    name: std::cmp::Reverse<String>,
}

impl VersionPriority {
    pub fn of(version: &str) -> Self {
        let other =
            || VersionPriority { stage: 0, major: 0, minor: 0, name: std::cmp::Reverse(version.to_owned()) };
        let parse = || {
            let rest = version.strip_prefix('v')?;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (major, rest) = rest.split_at(end);
            let (stage, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
                _ if rest.is_empty() => (3, "0"),
                (Some(minor), _) => (2, minor),
                (_, Some(minor)) => (1, minor),
                _ => return None,
            };
            let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
            Some(VersionPriority { stage, major, minor, name: std::cmp::Reverse(String::new()) })
        };
        parse().unwrap_or_else(other)
    }
}

/// `deployments.apps`, as upstream's messages name it.
impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.resource, &self.group)
    }
}

/// `Deployment.apps`
impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.kind, &self.group)
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn dotted(f: &mut fmt::Formatter<'_>, name: &str, group: &str) -> fmt::Result {
    if group.is_empty() { f.write_str(name) } else { write!(f, "{name}.{group}") }
}

#[cfg(test)]
mod tests {
    use super::VersionPriority;

    #[test]
    fn the_preferred_version_of_a_group_is_the_newest_stable_one() {
        let mut versions =
            ["v1alpha1", "foo1", "v2", "v1", "v11alpha2", "v12alpha1", "v3beta1", "v10", "foo10", "v10beta3"];
        versions.sort_by_key(|version| std::cmp::Reverse(VersionPriority::of(version)));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "v1alpha1", "foo1", "foo10"]
        );
    }
}
