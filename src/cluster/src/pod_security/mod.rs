//! The Pod Security Standards: which pods a namespace's labels allow. Pure; upstream's `k8s.io/pod-security-admission`,
//! words and versions included. Who asks, and when, is `admission/pod_security.rs`.
//!
//! Not here: upstream's relaxations for pods in a user namespace, which no pod has on this host.

mod baseline;
mod labels;
mod restricted;
mod subject;

pub(crate) use labels::{Level, LevelVersion, Policy};
use subject::{Subject, Violation};

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

type Rule = for<'s> fn(&Subject<'s>) -> Option<Violation>;

/// One thing that a level forbids. A later rule takes an earlier one's place from its version (`v1.N`) on.
struct Check {
    id: &'static str,
    level: Level,
    versions: &'static [(u32, Rule)],
    /// A baseline check that says no more where this one is asked.
    overrides: Option<&'static str>,
}

/// By level, then by id: the order in which violations are told.
const CHECKS: &[Check] = &[
    check("appArmorProfile", Level::Baseline, &[(0, baseline::app_armor_profile)]),
    check("capabilities_baseline", Level::Baseline, &[(0, baseline::capabilities)]),
    check("hostNamespaces", Level::Baseline, &[(0, baseline::host_namespaces)]),
    check("hostPathVolumes", Level::Baseline, &[(0, baseline::host_path_volumes)]),
    check("hostPorts", Level::Baseline, &[(0, baseline::host_ports)]),
    check("hostProbesAndHostLifecycle", Level::Baseline, &[(34, baseline::probe_and_lifecycle_hosts)]),
    check("privileged", Level::Baseline, &[(0, baseline::privileged)]),
    check("procMount", Level::Baseline, &[(0, baseline::proc_mount)]),
    check(
        "seLinuxOptions",
        Level::Baseline,
        &[(0, baseline::se_linux_options), (31, baseline::se_linux_options_1_31)],
    ),
    check(
        "seccompProfile_baseline",
        Level::Baseline,
        &[(0, baseline::seccomp_annotations), (19, baseline::seccomp_profile)],
    ),
    check(
        "sysctls",
        Level::Baseline,
        &[
            (0, baseline::sysctls),
            (27, baseline::sysctls_1_27),
            (29, baseline::sysctls_1_29),
            (32, baseline::sysctls_1_32),
            (37, baseline::sysctls_1_37),
        ],
    ),
    check("windowsHostProcess", Level::Baseline, &[(0, baseline::windows_host_process)]),
    check(
        "allowPrivilegeEscalation",
        Level::Restricted,
        &[(8, restricted::privilege_escalation), (25, restricted::privilege_escalation_1_25)],
    ),
    Check {
        overrides: Some("capabilities_baseline"),
        ..check(
            "capabilities_restricted",
            Level::Restricted,
            &[(22, restricted::capabilities), (25, restricted::capabilities_1_25)],
        )
    },
    Check {
        overrides: Some("hostPathVolumes"),
        ..check("restrictedVolumes", Level::Restricted, &[(0, restricted::volumes)])
    },
    check("runAsNonRoot", Level::Restricted, &[(0, restricted::run_as_non_root)]),
    check("runAsUser", Level::Restricted, &[(23, restricted::run_as_user)]),
    Check {
        overrides: Some("seccompProfile_baseline"),
        ..check(
            "seccompProfile_restricted",
            Level::Restricted,
            &[(19, restricted::seccomp_profile), (25, restricted::seccomp_profile_1_25)],
        )
    },
];

const fn check(id: &'static str, level: Level, versions: &'static [(u32, Rule)]) -> Check {
    Check { id, level, versions, overrides: None }
}

/// What is wrong with a pod under one level; never empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    /// `host namespaces, privileged`
    pub(crate) fn reasons(&self) -> String {
        let reasons: Vec<&str> = self.0.iter().map(|violation| violation.reason.as_str()).collect();
        reasons.join(", ")
    }

    /// `host namespaces (hostPID=true), privileged (container "c" must not set securityContext.privileged=true)`
    pub(crate) fn details(&self) -> String {
        let one = |violation: &Violation| match violation.detail.as_str() {
            "" => violation.reason.clone(),
            detail => format!("{} ({detail})", violation.reason),
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// `None` for a pod that the level allows.
pub(crate) fn evaluate(policy: LevelVersion, metadata: &ObjectMeta, spec: &PodSpec) -> Option<Violations> {
    if policy.level == Level::Privileged {
        return None;
    }
    let asked: Vec<(&Check, Rule)> = CHECKS
        .iter()
        .filter(|check| check.level <= policy.level)
        .filter_map(|check| Some((check, rule_of(check, policy)?)))
        .collect();
    let overridden: Vec<&str> = asked.iter().filter_map(|(check, _)| check.overrides).collect();
    let subject = Subject::new(metadata, spec);
    let rules = asked.iter().filter(|(check, _)| !overridden.contains(&check.id));
    let found: Vec<Violation> = rules.filter_map(|(_, rule)| rule(&subject)).collect();
    (!found.is_empty()).then_some(Violations(found))
}

fn rule_of(check: &Check, policy: LevelVersion) -> Option<Rule> {
    let applies = |minimum: u32| policy.minor.is_none_or(|minor| minimum <= minor);
    check.versions.iter().rev().find(|(minimum, _)| applies(*minimum)).map(|(_, rule)| *rule)
}

#[cfg(test)]
mod tests;
