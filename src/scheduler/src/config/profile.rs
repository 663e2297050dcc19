//! A profile as it is meant: lists that a decision goes through, and numbers that it counts with.

use super::args::Args;
use super::file::ProfileFile;
use super::plugins::{self, Enabled, Point};
use super::{DEFAULT_NAME, args_file};
use crate::Plugin;
use kinds::ErrorList;
use std::collections::BTreeMap;

/// How the pods of one scheduler name are placed: upstream's `KubeSchedulerProfile`, with all that is not said filled in. The
/// default is upstream's.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What pods say in `spec.schedulerName`.
    pub name: String,
    enabled: Enabled,
    /// Of all nodes so many are found before they are compared; 0 where it follows from how many there are.
    pub(crate) percentage: usize,
    pub(crate) args: Args,
}

impl Profile {
    /// `percentage` is for a profile that says none itself.
    pub(super) fn of(given: ProfileFile, percentage: usize, at: &str, errors: &mut ErrorList) -> Self {
        let name = given.scheduler_name.unwrap_or_default();
        if name.is_empty() {
            errors.required(format_args!("{at}.schedulerName"), "");
        }
        let percentage = match given.percentage_of_nodes_to_score {
            None => percentage,
            own => super::percentage(own, &format!("{at}.percentageOfNodesToScore"), errors),
        };
        let mut enabled = plugins::resolve(&given.plugins, &name, &format!("{at}.plugins"), errors);
        // it scores by the sizes of volumes where a feature is on that upstream has off
        enabled.scores.retain(|(plugin, _)| *plugin != Plugin::VolumeBinding);
        let args = args_file::read(given.plugin_config, &format!("{at}.pluginConfig"), errors);
        Profile { name, enabled, percentage, args }
    }

    /// Those that may refuse a node, in the order in which they are asked.
    pub(crate) fn filters(&self) -> &[Plugin] {
        &self.enabled.filters
    }

    /// Those that say what a node is worth, with their weights.
    pub(crate) fn scores(&self) -> &[(Plugin, i64)] {
        &self.enabled.scores
    }

    pub(crate) fn has(&self, plugin: Plugin, point: Point) -> bool {
        self.enabled.at.contains(&(point, plugin))
    }

    /// Whether claims that wait for a pod are told where it goes before it is bound.
    pub(crate) fn binds_volumes(&self) -> bool {
        [Point::Filter, Point::Reserve, Point::PreBind]
            .into_iter()
            .all(|point| self.has(Plugin::VolumeBinding, point))
    }
}

impl Default for Profile {
    fn default() -> Self {
        let enabled = plugins::resolve(&BTreeMap::new(), DEFAULT_NAME, "", &mut ErrorList::default());
        let mut profile =
            Profile { name: DEFAULT_NAME.to_owned(), enabled, percentage: 0, args: Args::default() };
        profile.enabled.scores.retain(|(plugin, _)| *plugin != Plugin::VolumeBinding);
        profile
    }
}
