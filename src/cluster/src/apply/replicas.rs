//! Who has the replicas of an object. A scale is one number, wherever a version of the kind has it: who sets it by a scale, by the object
//! and by another version of that sets the same, and they are in each other's way. So what others have in another place is taken
//! for the place of the version that is written while it is written, as by upstream's `ScaleHandler`, and put back afterwards.

use crate::Target;
use ::api::Gvk;
use kinds::{Registry, Subresource};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where the versions of a kind have the number that a scale shows.
pub(crate) struct ReplicasPaths {
    own: Vec<String>,
    /// Of those versions that have it elsewhere, by `GROUP/VERSION`.
    others: BTreeMap<String, Vec<String>>,
}

impl ReplicasPaths {
    /// Of those versions by which somebody has fields of the object. `None` where no scale is written, or all have it in one place.
    pub(crate) fn of<'v>(
        registry: &Registry,
        target: &Target,
        api_versions: impl Iterator<Item = &'v str>,
    ) -> Option<Self> {
        if target.subresource != Some(Subresource::Scale) {
            return None;
        }
        let owned = |path: Vec<&str>| path.into_iter().map(str::to_owned).collect::<Vec<String>>();
        let gvk = &target.version.info().gvk;
        let (own, own_version) = (owned(target.version.replicas_path()?), gvk.api_version());
        let elsewhere = |version: &str| {
            let path = owned(registry.by_gvk(&Gvk::parse(version, &gvk.kind))?.replicas_path()?);
            (path != own).then(|| (version.to_owned(), path))
        };
        let others: BTreeMap<_, _> =
            api_versions.filter(|version| *version != own_version).filter_map(elsewhere).collect();
        (!others.is_empty()).then_some(ReplicasPaths { own, others })
    }

    /// What an entry of that version has of the replicas, in the place of the version that is written.
    pub(crate) fn to_own(&self, api_version: &str, fields: &mut Value) {
        if let Some(theirs) = self.others.get(api_version) {
            move_field(fields, theirs, &self.own);
        }
    }

    /// And back.
    pub(crate) fn to_theirs(&self, api_version: &str, fields: &mut Value) {
        if let Some(theirs) = self.others.get(api_version) {
            move_field(fields, &self.own, theirs);
        }
    }

    /// All entries of an object.
    pub(crate) fn each_entry(&self, object: &mut Value, change: fn(&Self, &str, &mut Value)) {
        let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            let version = entry["apiVersion"].as_str().unwrap_or_default().to_owned();
            if let Some(fields) = entry.get_mut("fieldsV1") {
                change(self, &version, fields);
            }
        }
    }
}

/// Of a set of fields, as `fieldsV1` has it. It stays as it is where it has not the first.
fn move_field(fields: &mut Value, from: &[String], to: &[String]) {
    if take(fields, from) {
        let place = to.iter().fold(fields, |at, name| {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            &mut at[format!("f:{name}")]
        });
        *place = Value::Object(Map::new());
    }
}

/// Whether it was there. What is above it goes with it where it has nothing else: empty, it would be a field itself.
fn take(fields: &mut Value, path: &[String]) -> bool {
    let (Some((name, below)), Some(all)) = (path.split_first(), fields.as_object_mut()) else { return false };
    let name = format!("f:{name}");
    let Some(at) = all.get_mut(&name) else { return false };
    let taken = below.is_empty() || take(at, below);
    if taken && (below.is_empty() || at.as_object().is_some_and(Map::is_empty)) {
        all.remove(&name);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_of_one_version_is_that_of_another() {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let paths = ReplicasPaths {
            own: path("spec.replicas"),
            others: [("example.com/v1".to_owned(), path("spec.size.count"))].into(),
        };
        for (name, theirs, ours) in [
            ("alone", json!({"f:spec": {"f:size": {"f:count": {}}}}), json!({"f:spec": {"f:replicas": {}}})),
            (
                "among others",
                json!({"f:spec": {".": {}, "f:size": {"f:count": {}, "f:unit": {}}}, "f:status": {}}),
                json!({"f:spec": {".": {}, "f:size": {"f:unit": {}}, "f:replicas": {}}, "f:status": {}}),
            ),
            (
                "not there",
                json!({"f:spec": {"f:size": {"f:unit": {}}}}),
                json!({"f:spec": {"f:size": {"f:unit": {}}}}),
            ),
        ] {
            let mut object = json!({"metadata": {"managedFields": [
                {"apiVersion": "example.com/v1", "fieldsV1": theirs}, {"apiVersion": "example.com/v2", "fieldsV1": theirs}]}});
            let before = object.clone();
            paths.each_entry(&mut object, ReplicasPaths::to_own);
            let entries = &object["metadata"]["managedFields"];
            assert_eq!((&entries[0]["fieldsV1"], &entries[1]["fieldsV1"]), (&ours, &theirs), "{name}");
            paths.each_entry(&mut object, ReplicasPaths::to_theirs);
            assert_eq!(object, before, "{name}");
        }
    }
}
