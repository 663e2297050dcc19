//! `pluginConfig` as it is written: upstream's types and rules.

use super::args::{Args, Balanced, Candidates, Fit, PodAffinityArgs};
use super::file::{PluginConfig, read as typed};
use super::{VERSION, node_affinity, plugins};
use crate::Plugin;
use crate::allocation::{Resource, Shape, Strategy, Weighed};
use crate::spread::DefaultSpread;
use k8s_openapi::api::core::v1::{NodeAffinity, TopologySpreadConstraint};
use kinds::ErrorList;
use kinds::builtin::names;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

const LEAST_ALLOCATED: &str = "LeastAllocated";
const MOST_ALLOCATED: &str = "MostAllocated";
const RATIO: &str = "RequestedToCapacityRatio";
/// A shape's scores are from 0 to 10, a node's from 0 to 100.
const SCALE: i64 = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FitFile {
    ignored_resources: Vec<String>,
    ignored_resource_groups: Vec<String>,
    scoring_strategy: Option<StrategyFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StrategyFile {
    r#type: String,
    resources: Vec<ResourceFile>,
    requested_to_capacity_ratio: Option<RatioFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResourceFile {
    name: String,
    weight: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RatioFile {
    shape: Vec<PointFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PointFile {
    utilization: i32,
    score: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BalancedFile {
    resources: Vec<ResourceFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpreadFile {
    default_constraints: Vec<TopologySpreadConstraint>,
    defaulting_type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodAffinityFile {
    hard_pod_affinity_weight: Option<i32>,
    ignore_preferred_terms_of_existing_pods: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeAffinityFile {
    added_affinity: Option<NodeAffinity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PreemptionFile {
    min_candidate_nodes_percentage: Option<i32>,
    min_candidate_nodes_absolute: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VolumeBindingFile {
    bind_timeout_seconds: Option<i64>,
    shape: Option<Vec<PointFile>>,
}

/// `at` is where the list stands.
pub(super) fn read(given: Vec<PluginConfig>, at: &str, errors: &mut ErrorList) -> Args {
    let (mut all, mut seen) = (Args::default(), BTreeSet::new());
    for (index, PluginConfig { name, args }) in given.into_iter().enumerate() {
        let at = format!("{at}[{index}]");
        let Some(plugin) = plugins::named(&name) else {
            let why = format!("plugin {name:?} does not exist");
            errors.push("FieldValueInvalid", format_args!("{at}.name"), why);
            continue;
        };
        if !seen.insert(plugin) {
            errors.duplicate(&at, name);
            continue;
        }
        if let Some(args) = args {
            tell(&mut all, plugin, args, &format!("{at}.args"), errors);
        }
    }
    all
}

fn tell(all: &mut Args, plugin: Plugin, args: Value, at: &str, errors: &mut ErrorList) {
    let told = match plugin {
        Plugin::NodeResourcesFit => args_of(args, "config.v1.NodeResourcesFitArgs")
            .map(|file: FitFile| all.fit = fit(file, at, errors)),
        Plugin::NodeResourcesBalancedAllocation => {
            args_of(args, "config.v1.NodeResourcesBalancedAllocationArgs")
                .map(|file: BalancedFile| all.balanced = balanced(&file, at, errors))
        }
        Plugin::PodTopologySpread => args_of(args, "config.v1.PodTopologySpreadArgs")
            .map(|file: SpreadFile| all.spread = spread(file, at, errors)),
        Plugin::InterPodAffinity => args_of(args, "config.v1.InterPodAffinityArgs")
            .map(|file: PodAffinityFile| all.pod_affinity = pod_affinity(&file, at, errors)),
        Plugin::NodeAffinity => {
            args_of(args, "config.v1.NodeAffinityArgs").map(|NodeAffinityFile { added_affinity }| {
                if let Some(added) = &added_affinity {
                    node_affinity::check(added, &format!("{at}.addedAffinity"), errors);
                }
                all.added_affinity = added_affinity;
            })
        }
        Plugin::DefaultPreemption => args_of(args, "config.v1.DefaultPreemptionArgs")
            .map(|file: PreemptionFile| all.candidates = candidates(&file, at, errors)),
        Plugin::VolumeBinding => args_of(args, "config.v1.VolumeBindingArgs")
            .map(|file: VolumeBindingFile| volume_binding(&file, at, errors)),
        _ => Err(format!("Forbidden: plugin {:?} takes no arguments", plugins::name(plugin))),
    };
    if let Err(why) = told {
        errors.push("FieldValueInvalid", at, why);
    }
}

/// Arguments may say what they are; they need not.
fn args_of<T: DeserializeOwned>(args: Value, of: &'static str) -> Result<T, String> {
    let kind = of.rsplit('.').next().unwrap_or(of);
    for (field, want) in [("apiVersion", VERSION), ("kind", kind)] {
        match args.get(field) {
            Some(Value::Null) | None => {}
            Some(said) if said == want => {}
            Some(said) => return Err(format!("its {field} is {said} and not {want}")),
        }
    }
    typed(args, of)
}

fn fit(file: FitFile, at: &str, errors: &mut ErrorList) -> Fit {
    for (index, name) in file.ignored_resources.iter().enumerate() {
        label_name(name, &format!("{at}.ignoredResources[{index}]"), errors);
    }
    for (index, group) in file.ignored_resource_groups.iter().enumerate() {
        let at = format!("{at}.ignoredResourceGroups[{index}]");
        if group.contains('/') {
            errors.invalid(&at, group.as_str(), "resource group name can't contain '/'");
        }
        label_name(group, &at, errors);
    }
    let strategy = file.scoring_strategy.map(|file| strategy(file, &format!("{at}.scoringStrategy"), errors));
    Fit {
        ignored: file.ignored_resources.into_iter().collect(),
        ignored_groups: file.ignored_resource_groups.into_iter().collect(),
        strategy: strategy.unwrap_or_default(),
    }
}

fn strategy(file: StrategyFile, at: &str, errors: &mut ErrorList) -> Strategy {
    let at_ratio = format!("{at}.requestedToCapacityRatio");
    let shape = match (file.r#type.as_str(), &file.requested_to_capacity_ratio) {
        (LEAST_ALLOCATED | MOST_ALLOCATED, None) => Shape::default(),
        (RATIO, Some(ratio)) => shape(&ratio.shape, &format!("{at_ratio}.shape"), errors),
        (RATIO, None) => {
            errors.required(&at_ratio, "must be specified when type is RequestedToCapacityRatio");
            Shape::default()
        }
        (LEAST_ALLOCATED | MOST_ALLOCATED, Some(_)) => {
            errors.forbidden(&at_ratio, "must be nil when type is not RequestedToCapacityRatio");
            Shape::default()
        }
        (other, _) => {
            let known = [LEAST_ALLOCATED, MOST_ALLOCATED, RATIO];
            errors.not_supported(format_args!("{at}.type"), other, &known);
            Shape::default()
        }
    };
    let mut resources = Vec::new();
    for (index, ResourceFile { name, weight }) in file.resources.iter().enumerate() {
        let weight = if *weight == 0 { 1 } else { *weight };
        if !(1..=100).contains(&weight) {
            errors.invalid(
                format_args!("{at}.resources[{index}].weight"),
                weight,
                format_args!("resource weight of {name} not in valid range (0, 100]"),
            );
        }
        // what is no amount is not counted
        resources.extend(Resource::named(name).map(|resource| Weighed { resource, weight }));
    }
    if file.resources.is_empty() {
        resources = Strategy::default().resources().to_vec();
    }
    match file.r#type.as_str() {
        MOST_ALLOCATED => Strategy::Most(resources),
        RATIO => Strategy::Ratio(shape, resources),
        _ => Strategy::Least(resources),
    }
}

fn shape(points: &[PointFile], at: &str, errors: &mut ErrorList) -> Shape {
    if points.is_empty() {
        errors.required(at, "at least one point must be specified");
    }
    let rises = |pair: &[PointFile]| pair[0].utilization < pair[1].utilization;
    if let Some(index) = points.windows(2).position(|pair| !rises(pair)).map(|before| before + 1) {
        let field = format!("{at}[{index}].utilization");
        errors.invalid(field, points[index].utilization, "values must be sorted in increasing order");
    }
    for (index, point) in points.iter().enumerate() {
        if !(0..=100).contains(&point.utilization) {
            let field = format!("{at}[{index}].utilization");
            errors.invalid(field, point.utilization, "not in valid range [0, 100]");
        }
        if !(0..=10).contains(&point.score) {
            errors.invalid(format!("{at}[{index}].score"), point.score, "not in valid range [0, 10]");
        }
    }
    let scaled = |point: &PointFile| (i64::from(point.utilization), i64::from(point.score) * SCALE);
    Shape(points.iter().map(scaled).collect())
}

fn balanced(file: &BalancedFile, at: &str, errors: &mut ErrorList) -> Balanced {
    let mut seen = BTreeSet::new();
    for (index, resource) in file.resources.iter().enumerate() {
        let at = format!("{at}.resources[{index}]");
        if !seen.insert(&resource.name) {
            errors.duplicate(format_args!("{at}.name"), resource.name.as_str());
        }
        if !matches!(resource.weight, 0 | 1) {
            errors.invalid(format_args!("{at}.weight"), resource.weight, "must be 1");
        }
    }
    match file.resources.is_empty() {
        true => Balanced::default(),
        false => Balanced(file.resources.iter().filter_map(|of| Resource::named(&of.name)).collect()),
    }
}

fn spread(file: SpreadFile, at: &str, errors: &mut ErrorList) -> DefaultSpread {
    let at_type = format!("{at}.defaultingType");
    let given = &file.default_constraints;
    match file.defaulting_type.as_str() {
        "" | "System" if !given.is_empty() => {
            errors.invalid(&at_type, "System", "when .defaultConstraints are not empty");
        }
        "" | "System" | "List" => {}
        other => errors.not_supported(&at_type, other, &["System", "List"]),
    }
    for (index, constraint) in given.iter().enumerate() {
        let at = format!("{at}.defaultConstraints[{index}]");
        default_constraint(constraint, &at, errors);
        let (key, action) = (&constraint.topology_key, &constraint.when_unsatisfiable);
        if given[..index]
            .iter()
            .any(|known| known.topology_key == *key && known.when_unsatisfiable == *action)
        {
            errors.duplicate(&at, format!("{{{key}, {action}}}"));
        }
    }
    match file.defaulting_type.as_str() {
        "List" => DefaultSpread::List(file.default_constraints),
        _ => DefaultSpread::System,
    }
}

fn default_constraint(constraint: &TopologySpreadConstraint, at: &str, errors: &mut ErrorList) {
    if constraint.max_skew <= 0 {
        errors.invalid(format_args!("{at}.maxSkew"), constraint.max_skew, "not in valid range (0, inf)");
    }
    match constraint.topology_key.as_str() {
        "" => errors.required(format_args!("{at}.topologyKey"), "can not be empty"),
        key => label_name(key, &format!("{at}.topologyKey"), errors),
    }
    match constraint.when_unsatisfiable.as_str() {
        "DoNotSchedule" | "ScheduleAnyway" => {}
        "" => errors.required(format_args!("{at}.whenUnsatisfiable"), "can not be empty"),
        other => {
            let known = ["DoNotSchedule", "ScheduleAnyway"];
            errors.not_supported(format_args!("{at}.whenUnsatisfiable"), other, &known);
        }
    }
    if constraint.label_selector.is_some() {
        let why = "constraint must not define a selector, as they deduced for each pod";
        errors.forbidden(format_args!("{at}.labelSelector"), why);
    }
}

fn pod_affinity(file: &PodAffinityFile, at: &str, errors: &mut ErrorList) -> PodAffinityArgs {
    let weight = file.hard_pod_affinity_weight.unwrap_or(1);
    if !(0..=100).contains(&weight) {
        let field = format!("{at}.hardPodAffinityWeight");
        errors.invalid(field, weight, "not in valid range [0, 100]");
    }
    PodAffinityArgs {
        required_by_others: weight.into(),
        ignores_others: file.ignore_preferred_terms_of_existing_pods,
    }
}

fn candidates(file: &PreemptionFile, at: &str, errors: &mut ErrorList) -> Candidates {
    let percentage = file.min_candidate_nodes_percentage.unwrap_or(10);
    let least = file.min_candidate_nodes_absolute.unwrap_or(100);
    let at_percentage = format!("{at}.minCandidateNodesPercentage");
    let at_least = format!("{at}.minCandidateNodesAbsolute");
    if !(0..=100).contains(&percentage) {
        errors.invalid(&at_percentage, percentage, "not in valid range [0, 100]");
    }
    if least < 0 {
        errors.invalid(&at_least, least, "not in valid range [0, inf)");
    }
    if (percentage, least) == (0, 0) {
        let of = |other: &str| format!("cannot be zero at the same time as {other}");
        errors.invalid(&at_percentage, percentage, of("minCandidateNodesAbsolute"));
        errors.invalid(&at_least, least, of("minCandidateNodesPercentage"));
    }
    let number = |given: i32| usize::try_from(given).unwrap_or(0);
    Candidates { percentage: number(percentage), least: number(least) }
}

/// Nobody waits for a binding: the pod is tried again when its claims change.
fn volume_binding(file: &VolumeBindingFile, at: &str, errors: &mut ErrorList) {
    if let Some(seconds) = file.bind_timeout_seconds.filter(|seconds| *seconds < 0) {
        let field = format!("{at}.bindTimeoutSeconds");
        errors.invalid(field, seconds, "invalid BindTimeoutSeconds, should not be a negative value");
    }
    if file.shape.is_some() {
        errors.forbidden(format_args!("{at}.shape"), "nodes are not scored by the sizes of their volumes");
    }
}

fn label_name(name: &str, at: &str, errors: &mut ErrorList) {
    if let Err(why) = names::qualified(name) {
        errors.invalid(at, name, why);
    }
}
