//! Which plug-ins there are, where each has a part, and which of them a profile enables, in which order.
//!
//! What is said of an extension point stands before what is said of all (`multiPoint`), and that before the default; within
//! each, what is enabled stands before what is disabled.

use super::file::{PluginFile, PluginSet};
use crate::Plugin;
use kinds::ErrorList;
use std::collections::{BTreeMap, BTreeSet};

/// Where a plug-in has a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    PreEnqueue,
    QueueSort,
    PreFilter,
    Filter,
    PostFilter,
    PreScore,
    Score,
    Reserve,
    Permit,
    PreBind,
    Bind,
    PostBind,
}

/// With the field that says something of it, and what upstream calls a plug-in there.
const POINTS: [(Point, &str, &str); 12] = [
    (Point::PreEnqueue, "preEnqueue", "PreEnqueuePlugin"),
    (Point::QueueSort, "queueSort", "QueueSortPlugin"),
    (Point::PreFilter, "preFilter", "PreFilterPlugin"),
    (Point::Filter, "filter", "FilterPlugin"),
    (Point::PostFilter, "postFilter", "PostFilterPlugin"),
    (Point::PreScore, "preScore", "PreScorePlugin"),
    (Point::Score, "score", "ScorePlugin"),
    (Point::Reserve, "reserve", "ReservePlugin"),
    (Point::Permit, "permit", "PermitPlugin"),
    (Point::PreBind, "preBind", "PreBindPlugin"),
    (Point::Bind, "bind", "BindPlugin"),
    (Point::PostBind, "postBind", "PostBindPlugin"),
];

const BOTH: &[Point] = &[Point::PreFilter, Point::Filter];
const ALL: &[Point] = &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score];

/// Each with its name, its points and its weight, in the order of upstream's default.
const KNOWN: [(Plugin, &str, &[Point], i64); 19] = [
    (Plugin::SchedulingGates, "SchedulingGates", &[Point::PreEnqueue], 0),
    (Plugin::PrioritySort, "PrioritySort", &[Point::QueueSort], 0),
    (Plugin::NodeUnschedulable, "NodeUnschedulable", &[Point::Filter], 0),
    (Plugin::NodeName, "NodeName", &[Point::Filter], 0),
    (Plugin::TaintToleration, "TaintToleration", &[Point::Filter, Point::PreScore, Point::Score], 3),
    (Plugin::NodeAffinity, "NodeAffinity", ALL, 2),
    (Plugin::NodeDeclaredFeatures, "NodeDeclaredFeatures", BOTH, 0),
    (Plugin::NodePorts, "NodePorts", BOTH, 0),
    (Plugin::NodeResourcesFit, "NodeResourcesFit", ALL, 1),
    (Plugin::VolumeRestrictions, "VolumeRestrictions", BOTH, 0),
    (Plugin::NodeVolumeLimits, "NodeVolumeLimits", BOTH, 0),
    (
        Plugin::VolumeBinding,
        "VolumeBinding",
        &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score, Point::Reserve, Point::PreBind],
        1,
    ),
    (Plugin::VolumeZone, "VolumeZone", BOTH, 0),
    (Plugin::PodTopologySpread, "PodTopologySpread", ALL, 2),
    (Plugin::InterPodAffinity, "InterPodAffinity", ALL, 2),
    (Plugin::DefaultPreemption, "DefaultPreemption", &[Point::PreEnqueue, Point::PostFilter], 0),
    (
        Plugin::NodeResourcesBalancedAllocation,
        "NodeResourcesBalancedAllocation",
        &[Point::PreScore, Point::Score],
        1,
    ),
    (Plugin::ImageLocality, "ImageLocality", &[Point::Score], 1),
    (Plugin::DefaultBinder, "DefaultBinder", &[Point::Bind], 0),
];

/// Upstream's that are not here: who disables them has what he wants.
const ABSENT: [&str; 3] = ["DeferredPodScheduling", "DynamicResources", "GangScheduling"];

/// Those that filter, or score, by what they have prepared for the pod: upstream places no pod where only the first half is
/// disabled.
const PREPARED: [(Point, Point, &[Plugin]); 2] = [
    (
        Point::PreFilter,
        Point::Filter,
        &[
            Plugin::NodeDeclaredFeatures,
            Plugin::NodePorts,
            Plugin::NodeResourcesFit,
            Plugin::VolumeRestrictions,
            Plugin::VolumeBinding,
            Plugin::PodTopologySpread,
            Plugin::InterPodAffinity,
        ],
    ),
    (
        Point::PreScore,
        Point::Score,
        &[Plugin::TaintToleration, Plugin::PodTopologySpread, Plugin::InterPodAffinity],
    ),
];

/// What a profile enables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Enabled {
    pub(super) at: BTreeSet<(Point, Plugin)>,
    /// In order.
    pub(super) filters: Vec<Plugin>,
    /// In order, with their weights.
    pub(super) scores: Vec<(Plugin, i64)>,
}

type Weighted = Vec<(Plugin, i64)>;

pub(super) fn named(name: &str) -> Option<Plugin> {
    KNOWN.iter().find(|(_, known, ..)| *known == name).map(|(plugin, ..)| *plugin)
}

pub(super) fn name(plugin: Plugin) -> &'static str {
    KNOWN.iter().find(|(known, ..)| *known == plugin).map_or("", |&(_, name, ..)| name)
}

fn has_part(plugin: Plugin, point: Point) -> bool {
    KNOWN.iter().any(|(known, _, points, _)| *known == plugin && points.contains(&point))
}

/// `sets` are by the fields of `plugins`, which stands at `at`, of the profile of this scheduler name.
pub(super) fn resolve(
    sets: &BTreeMap<String, PluginSet>,
    scheduler: &str,
    at: &str,
    errors: &mut ErrorList,
) -> Enabled {
    let none = PluginSet::default();
    let set = |field: &str| sets.get(field).unwrap_or(&none);
    let everywhere = everywhere(set("multiPoint"), &format!("{at}.multiPoint"), errors);
    let mut enabled = Enabled::default();
    for (point, field, kind) in POINTS {
        let at = format!("{at}.{field}");
        let plugins = at_point((point, kind), set(field), &everywhere, &at, errors);
        enabled.at.extend(plugins.iter().map(|(plugin, _)| (point, *plugin)));
        match point {
            Point::QueueSort if plugins.len() != 1 => {
                let count = plugins.len();
                fault(
                    &at,
                    format!(
                        "only one queue sort plugin required for profile with scheduler name {scheduler:?}, but got {count}"
                    ),
                    errors,
                );
            }
            Point::Bind if plugins.is_empty() => {
                let why = format!(
                    "at least one bind plugin is needed for profile with scheduler name {scheduler:?}"
                );
                fault(&at, why, errors);
            }
            Point::Filter => enabled.filters = plugins.into_iter().map(|(plugin, _)| plugin).collect(),
            Point::Score => enabled.scores = plugins,
            _ => {}
        }
    }
    unprepared(&enabled, at, errors);
    enabled
}

/// The default, and what `multiPoint` makes of it.
fn everywhere(set: &PluginSet, at: &str, errors: &mut ErrorList) -> Weighted {
    let disabled = disabled(set, None, at, errors);
    let mut own = enabled(set, None, at, errors);
    let mut all = Vec::new();
    for (plugin, name, _, weight) in KNOWN {
        if disabled.contains("*") || disabled.contains(name) {
            continue;
        }
        // it keeps its place, with what is said of it
        let said = own.iter().position(|(known, _)| *known == plugin).map(|index| own.remove(index));
        all.push(said.unwrap_or((plugin, weight)));
    }
    all.extend(own);
    all
}

fn at_point(
    (point, kind): (Point, &str),
    set: &PluginSet,
    everywhere: &[(Plugin, i64)],
    at: &str,
    errors: &mut ErrorList,
) -> Weighted {
    let disabled = disabled(set, Some((point, kind)), at, errors);
    let own = enabled(set, Some((point, kind)), at, errors);
    if disabled.contains("*") {
        return own;
    }
    let is_of = |all: &[(Plugin, i64)], plugin: Plugin| all.iter().any(|(known, _)| *known == plugin);
    let others = everywhere.iter().filter(|(plugin, _)| {
        has_part(*plugin, point) && !disabled.contains(name(*plugin)) && !is_of(&own, *plugin)
    });
    let others: Weighted = others.copied().collect();
    // those that are said anew come first, and those that are here only come last
    let (again, new): (Weighted, Weighted) = own
        .into_iter()
        .partition(|(plugin, _)| is_of(everywhere, *plugin) && !disabled.contains(name(*plugin)));
    [again, others, new].concat()
}

/// Those that there are, and of which none stands twice. One without a weight weighs 1.
fn enabled(set: &PluginSet, point: Option<(Point, &str)>, at: &str, errors: &mut ErrorList) -> Weighted {
    let mut all: Weighted = Vec::new();
    for (index, PluginFile { name, weight }) in set.enabled.iter().enumerate() {
        let at = format!("{at}.enabled[{index}]");
        let Some(plugin) = named(name) else {
            let kind = point.map_or("plugin", |(_, kind)| kind);
            fault(&at, format!("{kind} {name:?} does not exist"), errors);
            continue;
        };
        if all.iter().any(|(known, _)| *known == plugin) {
            let twice = match point {
                Some((_, kind)) => format!("plugin {name:?} already registered as {kind:?}"),
                None => format!("plugin {name:?} already registered"),
            };
            fault(&at, twice, errors);
            continue;
        }
        if !extends(plugin, point, &at, errors) {
            continue;
        }
        let weight = weight.filter(|weight| *weight != 0).unwrap_or(1);
        all.push((plugin, i64::from(weight)));
    }
    all
}

/// Names, or `*`.
fn disabled<'s>(
    set: &'s PluginSet,
    point: Option<(Point, &str)>,
    at: &str,
    errors: &mut ErrorList,
) -> BTreeSet<&'s str> {
    for (index, PluginFile { name, .. }) in set.disabled.iter().enumerate() {
        let at = format!("{at}.disabled[{index}]");
        match named(name) {
            Some(plugin) => _ = extends(plugin, point, &at, errors),
            None if name == "*" || ABSENT.contains(&name.as_str()) => {}
            None => fault(&at, format!("plugin {name:?} does not exist"), errors),
        }
    }
    set.disabled.iter().map(|plugin| plugin.name.as_str()).collect()
}

fn extends(plugin: Plugin, point: Option<(Point, &str)>, at: &str, errors: &mut ErrorList) -> bool {
    match point {
        Some((point, kind)) if !has_part(plugin, point) => {
            fault(at, format!("plugin {:?} does not extend {kind} plugin", name(plugin)), errors);
            false
        }
        _ => true,
    }
}

fn unprepared(enabled: &Enabled, at: &str, errors: &mut ErrorList) {
    let field =
        |point: Point| POINTS.iter().find(|(known, ..)| *known == point).map_or("", |&(_, field, _)| field);
    for (before, then, plugins) in PREPARED {
        for plugin in plugins {
            if enabled.at.contains(&(then, *plugin)) && !enabled.at.contains(&(before, *plugin)) {
                let (name, then) = (name(*plugin), field(then));
                let why =
                    format!("plugin {name:?} is enabled at {then}, and works there by what it does here");
                fault(&format!("{at}.{}", field(before)), why, errors);
            }
        }
    }
}

fn fault(at: &str, why: String, errors: &mut ErrorList) {
    errors.push("FieldValueInvalid", at, why);
}
