//! Add-ons of the user's: a directory, a file or a URL of manifests, applied as the administrator and remembered, so that
//! `disable` removes what `enable` made.
//!
//! Every manifest is read, and everything that can be tried without a trace is tried, before the first object is written.
//! What is written down comes first, so that an add-on whose apply broke off can be disabled whole.
//!
//! Some manifests come with the program, and are named instead of a place: what acts upon them is there already, and costs
//! nothing until they are applied.

mod apply;
mod enabled;
mod manifests;
#[cfg(test)]
mod tests;

pub(crate) use enabled::EnabledAddons;
pub use enabled::{Addon, AddonObject};
pub(crate) use manifests::{parse, read};

use api::{Reason, Status};
use apply::{apply_in_time, exists, object_of, target, try_out};
use cluster::{Actor, Cluster, DeleteOptions, Propagation};
use manifests::{Faults, Manifest};
use serde_json::Value;
use std::fmt;
use std::io;

/// Manifests that come with the program, by name.
const BUNDLED: [(&str, &str); 1] =
    [("volumesnapshots", include_str!("../../../assets/addons/volumesnapshots.yaml"))];

/// Whether the add-on of this name comes with the program.
pub fn is_bundled_addon(name: &str) -> bool {
    bundled(name).is_some()
}

pub(crate) fn bundled(name: &str) -> Option<&'static str> {
    BUNDLED.iter().find(|(known, _)| *known == name).map(|(_, manifests)| *manifests)
}

/// Why an add-on is not, or not wholly, there.
#[derive(Debug)]
pub(crate) enum AddonError {
    /// Nothing was written.
    Faults(Faults),
    /// These were applied before that one was refused.
    BrokeOff {
        applied: Vec<AddonObject>,
        at: AddonObject,
        why: Box<Status>,
    },
    Record(io::Error),
    Unknown(String),
    /// These would not go; the others are gone.
    Left(Vec<String>),
}

impl fmt::Display for AddonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddonError::Faults(faults) => write!(f, "nothing was applied:\n  {}", faults.join("\n  ")),
            AddonError::BrokeOff { applied, at, why } => {
                let names: Vec<String> = applied.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{at}: {why}\n  applied before it, and removed by `addons disable`: {}",
                    names.join(", ")
                )
            }
            AddonError::Record(error) => write!(f, "what is enabled can not be kept: {error}"),
            AddonError::Unknown(name) => write!(f, "no add-on {name:?} was enabled from manifests"),
            AddonError::Left(left) => write!(f, "not removed:\n  {}", left.join("\n  ")),
        }
    }
}

/// Applies the manifests and remembers them under `name`; what an earlier version of the add-on had and this one has not is
/// removed.
///
/// # Errors
/// See [`AddonError`].
pub(crate) async fn enable(
    cluster: &Cluster,
    enabled: &EnabledAddons,
    name: &str,
    source: &str,
    manifests: Vec<Manifest>,
) -> Result<Vec<AddonObject>, AddonError> {
    let mut manifests = manifests;
    // what others live in, or are of, comes first
    manifests.sort_by_key(|manifest| rank(&manifest.value));
    let before = enabled.read().map_err(AddonError::Record)?.remove(name);
    if let Some(other) = before.as_ref().filter(|addon| addon.source != source) {
        let why = format!(
            "{name} is enabled from {}: disable it first, or give this one another name",
            other.source
        );
        return Err(AddonError::Faults(vec![why]));
    }
    let old: Vec<AddonObject> = before.map(|addon| addon.objects).unwrap_or_default();
    let faults = try_out(cluster, &manifests, &old).await;
    if !faults.is_empty() {
        return Err(AddonError::Faults(faults));
    }
    let wanted: Vec<AddonObject> =
        manifests.iter().map(|manifest| object_of(cluster, &manifest.value)).collect();
    // a namespace that was there is not the add-on's to remove
    let made: Vec<AddonObject> = wanted
        .iter()
        .filter(|o| o.kind != "Namespace" || old.contains(o) || !exists(cluster, o))
        .cloned()
        .collect();
    let gone: Vec<AddonObject> = old.into_iter().filter(|object| !wanted.contains(object)).collect();
    let all = made.iter().chain(&gone).cloned().collect();
    let keep = |objects: Vec<AddonObject>, incomplete| {
        enabled
            .change(|all| {
                all.insert(name.to_owned(), Addon { source: source.to_owned(), objects, incomplete });
            })
            .map_err(AddonError::Record)
    };
    keep(all, true)?;
    let mut applied = Vec::new();
    for (manifest, object) in manifests.iter().zip(&wanted) {
        if let Err(why) = apply_in_time(cluster, &manifest.value).await {
            return Err(AddonError::BrokeOff { applied, at: object.clone(), why: why.into() });
        }
        applied.push(object.clone());
    }
    remove(cluster, &gone).await?;
    // whether the kinds that came along have namespaces is known by now
    let known = |manifest: &Manifest| object_of(cluster, &manifest.value);
    let of_addon = manifests.iter().zip(&wanted).filter(|(_, object)| made.contains(object));
    keep(of_addon.map(|(manifest, _)| known(manifest)).collect(), false)?;
    Ok(manifests.iter().map(known).collect())
}

/// # Errors
/// See [`AddonError`]; what is left is still remembered then.
pub(crate) async fn disable(
    cluster: &Cluster,
    enabled: &EnabledAddons,
    name: &str,
) -> Result<Vec<AddonObject>, AddonError> {
    let known = enabled.read().map_err(AddonError::Record)?.remove(name);
    let addon = known.ok_or_else(|| AddonError::Unknown(name.to_owned()))?;
    remove(cluster, &addon.objects).await?;
    enabled.change(|all| drop(all.remove(name))).map_err(AddonError::Record)?;
    Ok(addon.objects)
}

/// In the reverse of the order in which they were made.
async fn remove(cluster: &Cluster, objects: &[AddonObject]) -> Result<(), AddonError> {
    let mut left = Vec::new();
    for object in objects.iter().rev() {
        // a kind that is served no more took its objects along
        let Some(target) = target(cluster, object) else { continue };
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        match cluster.delete(&Actor::root(), &target, &options).await {
            Ok(_) => {}
            Err(status) if status.is(Reason::NotFound) => {}
            Err(status) => left.push(format!("{object}: {status}")),
        }
    }
    if left.is_empty() { Ok(()) } else { Err(AddonError::Left(left)) }
}

fn rank(value: &Value) -> u8 {
    match value.get("kind").and_then(Value::as_str) {
        Some("Namespace" | "CustomResourceDefinition" | "PriorityClass") => 0,
        Some("ServiceAccount" | "ClusterRole" | "Role" | "ClusterRoleBinding" | "RoleBinding") => 1,
        Some("ConfigMap" | "Secret") => 2,
        _ => 3,
    }
}
