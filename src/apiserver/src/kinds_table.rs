//! `docs/kinds.md`, made of what is served.

use kinds::{Scope, VERBS};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Who acts on the objects of a kind. A kind that stands here without anybody is served as an API, and nothing comes of it.
const ACTED_ON_BY: &[(&str, &str, &str)] = &[
    ("", "bindings", "API server"),
    ("", "componentstatuses", "API server"),
    ("", "configmaps", "kubelet (volumes, environment)"),
    ("", "endpoints", "endpoint slice mirroring"),
    ("", "events", ""),
    ("", "limitranges", "admission"),
    ("", "namespaces", "namespace controller, admission"),
    ("", "nodes", "kubelet, node lifecycle controller, scheduler"),
    ("", "persistentvolumeclaims", "volume binder, provisioner, expansion, kubelet"),
    ("", "persistentvolumes", "volume binder, provisioner, kubelet, attach/detach controller"),
    ("", "pods", "scheduler, kubelet, garbage collector"),
    ("", "podtemplates", ""),
    ("", "replicationcontrollers", "replication controller"),
    ("", "resourcequotas", "quota controller, admission"),
    ("", "secrets", "kubelet (volumes, environment, pulls), token controller"),
    ("", "serviceaccounts", "service account controller, admission, authentication"),
    ("", "services", "address allocation, endpoint slice controller, proxy, DNS"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", "admission"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "admission"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "admission"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "admission"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", "admission"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "admission"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "custom resource controller"),
    ("apiregistration.k8s.io", "apiservices", "API server, registration controller"),
    ("apps", "controllerrevisions", "daemon set and stateful set controllers"),
    ("apps", "daemonsets", "daemon set controller"),
    ("apps", "deployments", "deployment controller"),
    ("apps", "replicasets", "replica set controller"),
    ("apps", "statefulsets", "stateful set controller"),
    ("authentication.k8s.io", "selfsubjectreviews", "API server"),
    ("authentication.k8s.io", "tokenreviews", "API server"),
    ("authorization.k8s.io", "localsubjectaccessreviews", "API server"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "API server"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "API server"),
    ("authorization.k8s.io", "subjectaccessreviews", "API server"),
    ("autoscaling", "horizontalpodautoscalers", "horizontal pod autoscaler"),
    ("batch", "cronjobs", "cron job controller"),
    ("batch", "jobs", "job controller, TTL controller"),
    ("certificates.k8s.io", "certificatesigningrequests", "certificate controller"),
    ("certificates.k8s.io", "clustertrustbundles", "trust bundle publisher, kubelet (volumes)"),
    ("certificates.k8s.io", "podcertificaterequests", "kubelet (volumes), cleaner"),
    ("coordination.k8s.io", "leases", "kubelet, node lifecycle controller"),
    ("discovery.k8s.io", "endpointslices", "proxy, DNS, ingress"),
    ("events.k8s.io", "events", ""),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "API server"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "API server"),
    ("metrics.k8s.io", "nodes", "API server"),
    ("metrics.k8s.io", "pods", "API server"),
    ("networking.k8s.io", "ingressclasses", "ingress, admission"),
    ("networking.k8s.io", "ingresses", "ingress"),
    ("networking.k8s.io", "ipaddresses", "address allocation"),
    ("networking.k8s.io", "networkpolicies", "network policies, in nftables"),
    ("networking.k8s.io", "servicecidrs", "service CIDR controller"),
    ("node.k8s.io", "runtimeclasses", "admission"),
    ("policy", "poddisruptionbudgets", "disruption controller, eviction"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "authorization"),
    ("rbac.authorization.k8s.io", "clusterroles", "authorization, role aggregation controller"),
    ("rbac.authorization.k8s.io", "rolebindings", "authorization"),
    ("rbac.authorization.k8s.io", "roles", "authorization"),
    ("resource.k8s.io", "deviceclasses", ""),
    ("resource.k8s.io", "devicetaintrules", ""),
    ("resource.k8s.io", "resourceclaims", ""),
    ("resource.k8s.io", "resourceclaimtemplates", ""),
    ("resource.k8s.io", "resourceslices", ""),
    ("scheduling.k8s.io", "priorityclasses", "admission"),
    ("storage.k8s.io", "csidrivers", "kubelet, attach/detach controller, scheduler"),
    ("storage.k8s.io", "csinodes", "kubelet, scheduler"),
    ("storage.k8s.io", "csistoragecapacities", "scheduler"),
    ("storage.k8s.io", "storageclasses", "provisioner, volume binder, admission"),
    ("storage.k8s.io", "volumeattachments", "attach/detach controller, kubelet"),
    ("storage.k8s.io", "volumeattributesclasses", ""),
    ("storagemigration.k8s.io", "storageversionmigrations", "storage version migrator"),
];

const HEAD: &str = "# Kinds

Every kind that is served, made from the registry: `UPDATE_GOLDEN=1 cargo nextest run --workspace -E 'test(kinds_table)'` writes this page
anew, and the same test without it fails where the page is behind. Custom kinds come with their definitions and are not listed.

All verbs are create, delete, deletecollection, get, list, patch, update and watch. Where nobody acts on a kind it is *API only*: its
objects are checked, stored, watched and owned as upstream's are, and nothing of this program does anything because of them; whoever
brings a controller or a driver for them finds them as it expects.

| group | versions | kind | resource | short names | scope | verbs | subresources | acted on by |
|---|---|---|---|---|---|---|---|---|
";

#[derive(Default)]
struct Row {
    versions: Vec<String>,
    kind: String,
    short_names: String,
    is_namespaced: bool,
    verbs: String,
    subresources: String,
}

fn rows() -> BTreeMap<(String, String), Row> {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    for info in kinds::all().resources() {
        let row = rows.entry((info.gvr.group.to_string(), info.gvr.resource.to_string())).or_default();
        row.versions.push(info.gvr.version.to_string());
        row.kind = info.gvk.kind.to_string();
        row.short_names = info.short_names.join(", ");
        row.is_namespaced = info.scope == Scope::Namespaced;
        row.verbs = verbs(info.verbs);
        row.subresources = info.subresources.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
    }
    rows
}

fn verbs(of: &[&str]) -> String {
    if of == VERBS { "all".to_owned() } else { of.join(", ") }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for ((group, resource), mut row) in rows() {
        row.versions.sort_by_key(|version| std::cmp::Reverse(api::VersionPriority::of(version)));
        let known = ACTED_ON_BY.iter().find(|(g, r, _)| *g == group && *r == resource);
        let (.., by) = known.unwrap_or_else(|| panic!("ACTED_ON_BY says nothing of {resource} in {group:?}"));
        let Row { versions, kind, short_names, is_namespaced, verbs, subresources } = row;
        let scope = if is_namespaced { "namespace" } else { "cluster" };
        let by = if by.is_empty() { "API only" } else { by };
        let group = if group.is_empty() { "core" } else { &group };
        let _ = writeln!(
            page,
            "| {group} | {} | {kind} | {resource} | {short_names} | {scope} | {verbs} | {subresources} | {by} |",
            versions.join(", ")
        );
    }
    page
}

#[test]
fn kinds_table_says_what_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kinds.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(path, page).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    let differs = stored.lines().zip(page.lines()).find(|(stored, made)| stored != made);
    assert!(
        stored == page,
        "docs/kinds.md is behind ({differs:?}): UPDATE_GOLDEN=1 with this test writes it anew"
    );
    let served = rows();
    let gone = ACTED_ON_BY
        .iter()
        .find(|(group, resource, _)| !served.contains_key(&((*group).to_owned(), (*resource).to_owned())));
    assert!(gone.is_none(), "ACTED_ON_BY has what is not served: {gone:?}");
}
