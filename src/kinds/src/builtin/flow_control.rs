//! The flow schemas and priority levels that every cluster has, as upstream has them (KEP-1040). The mandatory ones can
//! not be otherwise; the suggested ones are the user's to change.

use k8s_openapi::api::flowcontrol::v1::{
    ExemptPriorityLevelConfiguration, FlowDistinguisherMethod, FlowSchema, FlowSchemaSpec, GroupSubject,
    LimitResponse, LimitedPriorityLevelConfiguration, NonResourcePolicyRule, PolicyRulesWithSubjects,
    PriorityLevelConfiguration, PriorityLevelConfigurationReference, PriorityLevelConfigurationSpec,
    QueuingConfiguration, ResourcePolicyRule, ServiceAccountSubject, Subject, UserSubject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(crate) const EXEMPT: &str = "exempt";
pub(crate) const CATCH_ALL: &str = "catch-all";
/// Of objects that are the cluster's as long as it says `true`.
const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";
const BY_USER: Option<&str> = Some("ByUser");
const BY_NAMESPACE: Option<&str> = Some("ByNamespace");
const ALL: &str = "*";

/// Name, shares, what may be lent of them in percent, and the queues: how many, how many each flow is dealt, how long.
type Level = (&'static str, i32, i32, Option<(i32, i32, i32)>);

const LEVELS: [Level; 6] = [
    ("system", 30, 33, Some((64, 6, 50))),
    ("node-high", 40, 25, Some((64, 6, 50))),
    ("leader-election", 10, 0, Some((16, 4, 50))),
    ("workload-high", 40, 50, Some((128, 6, 50))),
    ("workload-low", 100, 90, Some((128, 6, 50))),
    ("global-default", 20, 50, Some((128, 6, 50))),
];

/// Of the mandatory objects.
pub(crate) fn fixed_level(name: &str) -> Option<PriorityLevelConfigurationSpec> {
    match name {
        EXEMPT => {
            let exempt = ExemptPriorityLevelConfiguration {
                nominal_concurrency_shares: Some(0),
                lendable_percent: Some(0),
            };
            Some(PriorityLevelConfigurationSpec {
                type_: "Exempt".to_owned(),
                exempt: Some(exempt),
                limited: None,
            })
        }
        CATCH_ALL => Some(limited(5, 0, None)),
        _ => None,
    }
}

/// Of the mandatory objects.
pub(crate) fn fixed_flow(name: &str) -> Option<FlowSchemaSpec> {
    match name {
        EXEMPT => Some(flow(1, EXEMPT, None, vec![everything(vec![group("system:masters")])])),
        CATCH_ALL => Some(flow(10000, CATCH_ALL, BY_USER, vec![everything(everybody())])),
        _ => None,
    }
}

pub fn priority_levels() -> Vec<PriorityLevelConfiguration> {
    let mandatory = [EXEMPT, CATCH_ALL].into_iter().filter_map(|name| Some((name, fixed_level(name)?)));
    let suggested = LEVELS.map(|(name, shares, lendable, queues)| (name, limited(shares, lendable, queues)));
    mandatory
        .chain(suggested)
        .map(|(name, spec)| PriorityLevelConfiguration { metadata: metadata(name), spec, status: None })
        .collect()
}

pub fn flow_schemas() -> Vec<FlowSchema> {
    let mandatory = [EXEMPT, CATCH_ALL].into_iter().filter_map(|name| Some((name, fixed_flow(name)?)));
    mandatory
        .chain(suggested_flows())
        .map(|(name, spec)| FlowSchema { metadata: metadata(name), spec, status: None })
        .collect()
}

fn suggested_flows() -> Vec<(&'static str, FlowSchemaSpec)> {
    let nodes = || vec![group("system:nodes")];
    let of_node = vec![
        resources(&[ALL], "", &["nodes", "nodes/status"], &[], true),
        resources(&[ALL], "coordination.k8s.io", &["leases"], &[ALL], false),
    ];
    let probes = PolicyRulesWithSubjects {
        subjects: everybody(),
        resource_rules: None,
        non_resource_rules: Some(vec![NonResourcePolicyRule {
            verbs: texts(&["get"]),
            non_resource_urls: texts(&["/healthz", "/readyz", "/livez"]),
        }]),
    };
    let election = |subjects, core: &[&str], namespaces: &[&str]| PolicyRulesWithSubjects {
        subjects,
        resource_rules: Some(vec![
            resources(&["get", "create", "update"], "", core, namespaces, false),
            resources(&["get", "create", "update"], "coordination.k8s.io", &["leases"], &[ALL], false),
        ]),
        non_resource_rules: None,
    };
    let system_leaders =
        vec![user("system:kube-controller-manager"), user("system:kube-scheduler"), system_account(ALL)];
    let endpoint_writes = PolicyRulesWithSubjects {
        subjects: vec![
            user("system:kube-controller-manager"),
            system_account("endpoint-controller"),
            system_account("endpointslicemirroring-controller"),
        ],
        resource_rules: Some(vec![resources(
            &["get", "create", "update"],
            "",
            &["endpoints"],
            &[ALL],
            false,
        )]),
        non_resource_rules: None,
    };
    let node_high = PolicyRulesWithSubjects {
        subjects: nodes(),
        resource_rules: Some(of_node),
        non_resource_rules: None,
    };
    let all_of = |subjects| vec![everything(subjects)];
    let leaders = election(system_leaders, &["endpoints", "configmaps"], &["kube-system"]);
    let workload_leaders = election(vec![system_account(ALL)], &["endpoints", "configmaps"], &[ALL]);
    vec![
        ("probes", flow(2, EXEMPT, None, vec![probes])),
        ("system-leader-election", flow(100, "leader-election", BY_USER, vec![leaders])),
        ("endpoint-controller", flow(150, "workload-high", BY_USER, vec![endpoint_writes])),
        ("workload-leader-election", flow(200, "leader-election", BY_USER, vec![workload_leaders])),
        ("system-node-high", flow(400, "node-high", BY_USER, vec![node_high])),
        ("system-nodes", flow(500, "system", BY_USER, all_of(nodes()))),
        (
            "kube-controller-manager",
            flow(800, "workload-high", BY_NAMESPACE, all_of(vec![user("system:kube-controller-manager")])),
        ),
        (
            "kube-scheduler",
            flow(800, "workload-high", BY_NAMESPACE, all_of(vec![user("system:kube-scheduler")])),
        ),
        (
            "kube-system-service-accounts",
            flow(900, "workload-high", BY_NAMESPACE, all_of(vec![system_account(ALL)])),
        ),
        (
            "service-accounts",
            flow(9000, "workload-low", BY_USER, all_of(vec![group("system:serviceaccounts")])),
        ),
        ("global-default", flow(9900, "global-default", BY_USER, all_of(everybody()))),
    ]
}

fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        annotations: Some([(AUTO_UPDATE.to_owned(), "true".to_owned())].into()),
        ..ObjectMeta::default()
    }
}

fn limited(shares: i32, lendable: i32, queues: Option<(i32, i32, i32)>) -> PriorityLevelConfigurationSpec {
    let queuing = queues.map(|(queues, hand_size, length)| QueuingConfiguration {
        queues: Some(queues),
        hand_size: Some(hand_size),
        queue_length_limit: Some(length),
    });
    let kind = if queuing.is_some() { "Queue" } else { "Reject" };
    PriorityLevelConfigurationSpec {
        type_: "Limited".to_owned(),
        exempt: None,
        limited: Some(LimitedPriorityLevelConfiguration {
            nominal_concurrency_shares: Some(shares),
            lendable_percent: Some(lendable),
            borrowing_limit_percent: None,
            limit_response: LimitResponse { type_: kind.to_owned(), queuing },
        }),
    }
}

fn flow(
    precedence: i32,
    level: &str,
    distinguisher: Option<&str>,
    rules: Vec<PolicyRulesWithSubjects>,
) -> FlowSchemaSpec {
    FlowSchemaSpec {
        priority_level_configuration: PriorityLevelConfigurationReference { name: level.to_owned() },
        matching_precedence: Some(precedence),
        distinguisher_method: distinguisher.map(|by| FlowDistinguisherMethod { type_: by.to_owned() }),
        rules: Some(rules),
    }
}

fn everything(subjects: Vec<Subject>) -> PolicyRulesWithSubjects {
    PolicyRulesWithSubjects {
        subjects,
        resource_rules: Some(vec![resources(&[ALL], ALL, &[ALL], &[ALL], true)]),
        non_resource_rules: Some(vec![NonResourcePolicyRule {
            verbs: texts(&[ALL]),
            non_resource_urls: texts(&[ALL]),
        }]),
    }
}

fn resources(
    verbs: &[&str],
    group: &str,
    resources: &[&str],
    namespaces: &[&str],
    cluster_scope: bool,
) -> ResourcePolicyRule {
    ResourcePolicyRule {
        verbs: texts(verbs),
        api_groups: texts(&[group]),
        resources: texts(resources),
        namespaces: (!namespaces.is_empty()).then(|| texts(namespaces)),
        cluster_scope: cluster_scope.then_some(true),
    }
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn everybody() -> Vec<Subject> {
    vec![group("system:unauthenticated"), group("system:authenticated")]
}

fn group(name: &str) -> Subject {
    let group = Some(GroupSubject { name: name.to_owned() });
    Subject { kind: "Group".to_owned(), group, ..Subject::default() }
}

fn user(name: &str) -> Subject {
    let user = Some(UserSubject { name: name.to_owned() });
    Subject { kind: "User".to_owned(), user, ..Subject::default() }
}

fn system_account(name: &str) -> Subject {
    let account = ServiceAccountSubject { name: name.to_owned(), namespace: "kube-system".to_owned() };
    Subject { kind: "ServiceAccount".to_owned(), service_account: Some(account), ..Subject::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorList, TypedKind};

    #[test]
    fn what_every_cluster_has_is_as_it_would_be_stored() {
        for mut flow in flow_schemas() {
            let (before, mut errors) = (flow.clone(), ErrorList::default());
            TypedKind::set_defaults(&mut flow);
            flow.validate(&mut errors);
            assert!(flow == before && errors.is_empty(), "{:?}", (flow.metadata.name, errors));
        }
        for mut level in priority_levels() {
            let (before, mut errors) = (level.clone(), ErrorList::default());
            TypedKind::set_defaults(&mut level);
            level.validate(&mut errors);
            assert!(level == before && errors.is_empty(), "{:?}", (level.metadata.name, errors));
        }
        let levels = priority_levels();
        for flow in flow_schemas() {
            let named = flow.spec.priority_level_configuration.name;
            assert!(levels.iter().any(|level| level.metadata.name.as_ref() == Some(&named)), "{named}");
        }
    }
}
