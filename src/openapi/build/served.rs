//! Which kinds are in which document.

use k8s_openapi::Resource;
use k8s_openapi::api::{
    apps::v1 as apps, coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery,
    events::v1 as events, rbac::v1 as rbac, scheduling::v1 as scheduling,
};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One served kind.
pub struct Served {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
    /// Its definition's name.
    pub schema: String,
}

type Entry = fn(&mut SchemaGenerator) -> Served;

fn entry<K: Resource + JsonSchema>(
    plural: &'static str,
    namespaced: bool,
    generator: &mut SchemaGenerator,
) -> Served {
    generator.subschema_for::<K>();
    Served {
        group: K::GROUP,
        version: K::VERSION,
        kind: K::KIND,
        plural,
        namespaced,
        schema: K::schema_name().into_owned(),
    }
}

const ALL: &[Entry] = &[
    |g| entry::<core::ConfigMap>("configmaps", true, g),
    |g| entry::<core::Endpoints>("endpoints", true, g),
    |g| entry::<core::Event>("events", true, g),
    |g| entry::<core::Namespace>("namespaces", false, g),
    |g| entry::<core::Node>("nodes", false, g),
    |g| entry::<core::Pod>("pods", true, g),
    |g| entry::<core::ReplicationController>("replicationcontrollers", true, g),
    |g| entry::<core::Secret>("secrets", true, g),
    |g| entry::<core::Service>("services", true, g),
    |g| entry::<core::ServiceAccount>("serviceaccounts", true, g),
    |g| entry::<apps::Deployment>("deployments", true, g),
    |g| entry::<apps::ReplicaSet>("replicasets", true, g),
    |g| entry::<coordination::Lease>("leases", true, g),
    |g| entry::<discovery::EndpointSlice>("endpointslices", true, g),
    |g| entry::<events::Event>("events", true, g),
    |g| entry::<rbac::ClusterRole>("clusterroles", false, g),
    |g| entry::<rbac::ClusterRoleBinding>("clusterrolebindings", false, g),
    |g| entry::<rbac::Role>("roles", true, g),
    |g| entry::<rbac::RoleBinding>("rolebindings", true, g),
    |g| entry::<scheduling::PriorityClass>("priorityclasses", false, g),
];

/// By the document's path: `api/v1`, `apis/apps/v1`.
pub fn group_versions() -> BTreeMap<&'static str, Vec<Served>> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let mut documents: BTreeMap<&'static str, Vec<Served>> = BTreeMap::new();
    for entry in ALL {
        let served = entry(&mut generator);
        let path = match served.group {
            "" => format!("api/{}", served.version),
            group => format!("apis/{group}/{}", served.version),
        };
        documents.entry(String::leak(path)).or_default().push(served);
    }
    documents
}

/// Every schema that the kinds need, by name.
pub fn definitions() -> Map<String, Value> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    for entry in ALL {
        entry(&mut generator);
    }
    generator.take_definitions(true)
}
