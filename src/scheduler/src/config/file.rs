//! The file as it is written: which fields there are, of which types, and the values that are looked at.
//!
//! The fields stand in one table, so that a type that does not fit and a field that is not known are told as upstream's strict
//! decoder tells them; types of the API (a node affinity) are those of the table of the built-in types.

use schema::{Link, Schema, Type, table};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const CONFIGURATION: &str = "config.v1.KubeSchedulerConfiguration";

/// A type, a field of it, and the type of its values.
const FIELDS: &[(&str, &str, &str)] = &[
    (CONFIGURATION, "parallelism", "int32"),
    (CONFIGURATION, "leaderElection", "config.v1alpha1.LeaderElectionConfiguration"),
    (CONFIGURATION, "clientConnection", "config.v1alpha1.ClientConnectionConfiguration"),
    (CONFIGURATION, "enableProfiling", "bool"),
    (CONFIGURATION, "enableContentionProfiling", "bool"),
    (CONFIGURATION, "percentageOfNodesToScore", "int32"),
    (CONFIGURATION, "podInitialBackoffSeconds", "int64"),
    (CONFIGURATION, "podMaxBackoffSeconds", "int64"),
    (CONFIGURATION, "profiles", "[]config.v1.KubeSchedulerProfile"),
    (CONFIGURATION, "extenders", "[]raw"),
    (CONFIGURATION, "delayCacheUntilActive", "bool"),
    ("config.v1alpha1.LeaderElectionConfiguration", "leaderElect", "bool"),
    ("config.v1alpha1.LeaderElectionConfiguration", "leaseDuration", "duration"),
    ("config.v1alpha1.LeaderElectionConfiguration", "renewDeadline", "duration"),
    ("config.v1alpha1.LeaderElectionConfiguration", "retryPeriod", "duration"),
    ("config.v1alpha1.LeaderElectionConfiguration", "resourceLock", "string"),
    ("config.v1alpha1.LeaderElectionConfiguration", "resourceName", "string"),
    ("config.v1alpha1.LeaderElectionConfiguration", "resourceNamespace", "string"),
    ("config.v1alpha1.ClientConnectionConfiguration", "kubeconfig", "string"),
    ("config.v1alpha1.ClientConnectionConfiguration", "acceptContentTypes", "string"),
    ("config.v1alpha1.ClientConnectionConfiguration", "contentType", "string"),
    ("config.v1alpha1.ClientConnectionConfiguration", "qps", "float32"),
    ("config.v1alpha1.ClientConnectionConfiguration", "burst", "int32"),
    ("config.v1.KubeSchedulerProfile", "schedulerName", "string"),
    ("config.v1.KubeSchedulerProfile", "percentageOfNodesToScore", "int32"),
    ("config.v1.KubeSchedulerProfile", "plugins", "config.v1.Plugins"),
    ("config.v1.KubeSchedulerProfile", "pluginConfig", "[]config.v1.PluginConfig"),
    ("config.v1.Plugins", "preEnqueue", "config.v1.PluginSet"),
    ("config.v1.Plugins", "queueSort", "config.v1.PluginSet"),
    ("config.v1.Plugins", "preFilter", "config.v1.PluginSet"),
    ("config.v1.Plugins", "filter", "config.v1.PluginSet"),
    ("config.v1.Plugins", "postFilter", "config.v1.PluginSet"),
    ("config.v1.Plugins", "preScore", "config.v1.PluginSet"),
    ("config.v1.Plugins", "score", "config.v1.PluginSet"),
    ("config.v1.Plugins", "reserve", "config.v1.PluginSet"),
    ("config.v1.Plugins", "permit", "config.v1.PluginSet"),
    ("config.v1.Plugins", "preBind", "config.v1.PluginSet"),
    ("config.v1.Plugins", "bind", "config.v1.PluginSet"),
    ("config.v1.Plugins", "postBind", "config.v1.PluginSet"),
    ("config.v1.Plugins", "multiPoint", "config.v1.PluginSet"),
    ("config.v1.PluginSet", "enabled", "[]config.v1.Plugin"),
    ("config.v1.PluginSet", "disabled", "[]config.v1.Plugin"),
    ("config.v1.Plugin", "name", "string"),
    ("config.v1.Plugin", "weight", "int32"),
    ("config.v1.PluginConfig", "name", "string"),
    ("config.v1.PluginConfig", "args", "raw"),
    ("config.v1.DefaultPreemptionArgs", "minCandidateNodesPercentage", "int32"),
    ("config.v1.DefaultPreemptionArgs", "minCandidateNodesAbsolute", "int32"),
    ("config.v1.InterPodAffinityArgs", "hardPodAffinityWeight", "int32"),
    ("config.v1.InterPodAffinityArgs", "ignorePreferredTermsOfExistingPods", "bool"),
    ("config.v1.NodeAffinityArgs", "addedAffinity", "core.v1.NodeAffinity"),
    ("config.v1.NodeResourcesBalancedAllocationArgs", "resources", "[]config.v1.ResourceSpec"),
    ("config.v1.NodeResourcesFitArgs", "ignoredResources", "[]string"),
    ("config.v1.NodeResourcesFitArgs", "ignoredResourceGroups", "[]string"),
    ("config.v1.NodeResourcesFitArgs", "scoringStrategy", "config.v1.ScoringStrategy"),
    ("config.v1.ScoringStrategy", "type", "string"),
    ("config.v1.ScoringStrategy", "resources", "[]config.v1.ResourceSpec"),
    ("config.v1.ScoringStrategy", "requestedToCapacityRatio", "config.v1.RequestedToCapacityRatioParam"),
    ("config.v1.RequestedToCapacityRatioParam", "shape", "[]config.v1.UtilizationShapePoint"),
    ("config.v1.UtilizationShapePoint", "utilization", "int32"),
    ("config.v1.UtilizationShapePoint", "score", "int32"),
    ("config.v1.ResourceSpec", "name", "string"),
    ("config.v1.ResourceSpec", "weight", "int64"),
    ("config.v1.PodTopologySpreadArgs", "defaultConstraints", "[]core.v1.TopologySpreadConstraint"),
    ("config.v1.PodTopologySpreadArgs", "defaultingType", "string"),
    ("config.v1.VolumeBindingArgs", "bindTimeoutSeconds", "int64"),
    ("config.v1.VolumeBindingArgs", "shape", "[]config.v1.UtilizationShapePoint"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct File {
    pub(super) parallelism: Option<i32>,
    pub(super) percentage_of_nodes_to_score: Option<i32>,
    pub(super) pod_initial_backoff_seconds: Option<i64>,
    pub(super) pod_max_backoff_seconds: Option<i64>,
    pub(super) profiles: Vec<ProfileFile>,
    pub(super) extenders: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ProfileFile {
    pub(super) scheduler_name: Option<String>,
    pub(super) percentage_of_nodes_to_score: Option<i32>,
    /// By extension point.
    pub(super) plugins: BTreeMap<String, PluginSet>,
    pub(super) plugin_config: Vec<PluginConfig>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct PluginSet {
    pub(super) enabled: Vec<PluginFile>,
    pub(super) disabled: Vec<PluginFile>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct PluginFile {
    pub(super) name: String,
    pub(super) weight: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PluginConfig {
    pub(super) name: String,
    pub(super) args: Option<Value>,
}

/// A value of the type of this name (`config.v1.Plugin`). A null is as if it were not there.
///
/// # Errors
/// A type that does not fit, and fields that the type has not, as upstream's decoder says it.
pub(super) fn read<T: DeserializeOwned>(value: Value, of: &'static str) -> Result<T, String> {
    let json = serde_json::to_vec(&value).map_err(|e| e.to_string())?;
    let checked = schema::check(&json, &schema_of(of)).map_err(|wrong| wrong.to_string())?;
    if !checked.faults.is_empty() {
        return Err(checked.faults.join(", "));
    }
    serde_json::from_value(without_nulls(value)).map_err(|e| e.to_string())
}

fn schema_of(name: &'static str) -> Schema {
    if let Some(items) = name.strip_prefix("[]") {
        let items = Some(Link::from(schema_of(items)));
        return Schema { kind: Type::Array, name, items, ..Schema::default() };
    }
    let kind = match name {
        "string" => Type::String,
        "bool" => Type::Boolean,
        "int32" => Type::Int32,
        "int64" => Type::Integer,
        "float32" => Type::Number,
        "duration" => Type::Duration,
        "raw" => return Schema { kind: Type::Object, name, preserve_unknown: true, ..Schema::default() },
        name => {
            if let Some(of_api) = table::named(name) {
                return of_api.clone();
            }
            let fields = FIELDS.iter().filter(|(of, ..)| *of == name);
            let properties =
                fields.map(|&(_, field, kind)| (field.to_owned(), Link::from(schema_of(kind)))).collect();
            return Schema { kind: Type::Object, name, properties, ..Schema::default() };
        }
    };
    Schema { kind, name, ..Schema::default() }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let there = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        value => value,
    }
}
