//! Which group a client finds first, and which version of it.

use crate::builtin::computed::METRICS_GROUP;
use api::VersionPriority;

/// Upstream's `apiVersionPriorities`: those of a group, and of the version in it.
const PRIORITIES: [(&str, &str, i32, i32); 23] = [
    ("", "v1", 18_000, 1),
    ("apps", "v1", 17_800, 15),
    ("events.k8s.io", "v1", 17_750, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("autoscaling", "v1", 17_500, 15),
    ("autoscaling", "v2", 17_500, 30),
    ("batch", "v1", 17_400, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("networking.k8s.io", "v1", 17_200, 15),
    ("policy", "v1", 17_100, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("storage.k8s.io", "v1", 16_800, 15),
    ("apiextensions.k8s.io", "v1", 16_700, 15),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    ("scheduling.k8s.io", "v1", 16_600, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("node.k8s.io", "v1", 16_300, 15),
    ("discovery.k8s.io", "v1", 16_200, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
    ("resource.k8s.io", "v1", 15_900, 21),
    ("storagemigration.k8s.io", "v1", 15_800, 15),
    ("apiregistration.k8s.io", "v1", 20_000, 100),
];
/// Of a group that the table does not have.
const OTHERS: ApiPriority = ApiPriority { of_group: 15_000, of_version: 10 };
/// Upstream's for custom resources.
const CUSTOM: ApiPriority = ApiPriority { of_group: 1_000, of_version: 100 };
/// Those with which the metrics server brings its APIService.
const METRICS: ApiPriority = ApiPriority { of_group: 100, of_version: 100 };

/// What an APIService says of a version's place: the highest `groupPriorityMinimum` of its versions is a group's place among
/// all, `versionPriority` is the version's in its group. kubectl takes a name that several groups have for that of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiPriority {
    pub of_group: i32,
    pub of_version: i32,
}

impl ApiPriority {
    /// Of a version that the cluster serves itself; `is_custom` where a definition made it.
    pub fn of_own(group: &str, version: &str, is_custom: bool) -> Self {
        let of_table = PRIORITIES.iter().find(|(g, v, ..)| *g == group && *v == version);
        match of_table {
            _ if is_custom => CUSTOM,
            _ if group == METRICS_GROUP => METRICS,
            Some((_, _, of_group, of_version)) => {
                ApiPriority { of_group: *of_group, of_version: *of_version }
            }
            None => OTHERS,
        }
    }

    /// By which a group's versions are sorted, the greatest first (upstream's `ByVersionPriority`).
    pub fn in_group(self, version: &str) -> (i32, VersionPriority) {
        (self.of_version, VersionPriority::of(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_version_has_its_place() {
        for info in crate::all().resources() {
            let (group, version) = (info.gvr.group.as_ref(), info.gvr.version.as_ref());
            if group != METRICS_GROUP {
                assert_ne!(ApiPriority::of_own(group, version, false), OTHERS, "{group}/{version}");
            }
        }
    }

    #[test]
    fn a_definition_puts_nothing_before_what_is_built_in() {
        let least = PRIORITIES.iter().map(|(_, _, of_group, _)| *of_group).min();
        assert!(least > Some(ApiPriority::of_own("apps", "v1", true).of_group));
        let (old, new) = (
            ApiPriority::of_own("autoscaling", "v1", false),
            ApiPriority::of_own("autoscaling", "v2", false),
        );
        assert!(new.in_group("v2") > old.in_group("v1"));
        assert!(CUSTOM.in_group("v1") > CUSTOM.in_group("v2beta1"), "equals go by their names");
    }
}
