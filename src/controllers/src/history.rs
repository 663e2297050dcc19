//! What a DaemonSet or StatefulSet was: ControllerRevisions, each a patch by which `kubectl rollout undo` goes back to it.
//! Upstream's `history` package.

use crate::owner::{Claim, adopt, candidates, claim, controller_reference, is_still};
use crate::template_hash;
use api::{LabelSelector, Reason, Status};
use cluster::roles::rule;
use cluster::{Api, Client, DeleteOptions, unless_gone};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kinds::builtin::same_template;
use kinds::{TypedKind, key_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// On pods: of which revision they are.
pub(crate) const REVISION_LABEL: &str = "controller-revision-hash";
const LONGEST_PREFIX: usize = 223; // upstream's, so that the hash has its place

/// To keep revisions.
pub(crate) fn rights() -> PolicyRule {
    rule(
        &["create", "delete", "get", "list", "patch", "update", "watch"],
        &["apps"],
        &["controllerrevisions"],
    )
}

/// The revision of now, and those before it.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) current: Arc<ControllerRevision>,
    /// By number, the oldest first.
    pub(crate) old: Vec<Arc<ControllerRevision>>,
}

/// What is the same for the sets that have a history.
pub(crate) struct Wish<'w, K> {
    pub(crate) owner: &'w K,
    pub(crate) selector: &'w LabelSelector,
    pub(crate) template: &'w PodTemplateSpec,
    /// On revisions: the hash by which they are told apart.
    pub(crate) hash_label: &'static str,
    pub(crate) collisions: i32,
}

/// A strategic merge patch that puts the template back.
fn data_of(template: &PodTemplateSpec) -> Value {
    let mut template = api::json::to_value(template).unwrap_or_default();
    if let Some(fields) = template.as_object_mut() {
        fields.insert("$patch".to_owned(), "replace".into());
    }
    json!({"spec": {"template": template}})
}

/// The template that a revision puts back.
pub(crate) fn template_of(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.0.pointer("/spec/template")?.clone();
    template.as_object_mut()?.remove("$patch");
    api::json::from_value(&template).ok()
}

pub(crate) fn number(revision: &ControllerRevision) -> i64 {
    revision.revision.unwrap_or(0)
}

pub(crate) fn name(revision: &ControllerRevision) -> &str {
    revision.metadata.name.as_deref().unwrap_or_default()
}

fn new<K: TypedKind>(wish: &Wish<'_, K>, data: Value, number: i64) -> ControllerRevision {
    let hash = template_hash::of(wish.template, wish.collisions);
    let meta = wish.owner.metadata();
    let prefix = meta.name.as_deref().unwrap_or_default();
    let prefix = &prefix[..prefix.floor_char_boundary(LONGEST_PREFIX.min(prefix.len()))];
    let mut labels = wish.template.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    labels.insert(wish.hash_label.to_owned(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{prefix}-{hash}")),
            namespace: meta.namespace.clone(),
            labels: Some(labels),
            annotations: meta.annotations.clone(),
            owner_references: Some(vec![controller_reference(wish.owner)]),
            ..ObjectMeta::default()
        },
        data: RawExtension(data),
        revision: Some(number),
    }
}

/// Of several the newest. One that was kept before a default was known, or with zeros that are not stored any more, makes the same pods:
/// they are not replaced for the sake of its words.
fn place_of(all: &[Arc<ControllerRevision>], data: &Value, template: &PodTemplateSpec) -> Option<usize> {
    let is_same = |revision: &ControllerRevision| {
        template_of(revision).is_some_and(|known| same_template(&known, template))
    };
    let in_its_words = all.iter().rposition(|revision| revision.data.0 == *data);
    in_its_words.or_else(|| all.iter().rposition(|revision| is_same(revision)))
}

/// The revision for the template, made where there is none, and numbered above all others. `None` where another object has the name
/// that a new one should have: it needs another hash. The collision is counted then, by `set_count` in the owner's status, which
/// wakes its controller.
///
/// # Errors
/// What the cluster says.
pub(crate) async fn construct<K: TypedKind>(
    client: &Client,
    owners: &Api<K>,
    wish: &Wish<'_, K>,
    set_count: impl Fn(&mut K, i32) + Send + Sync,
) -> Result<Option<History>, Status> {
    let revisions: Api<ControllerRevision> = client.api();
    let mut all = claimed(client, &revisions, owners, wish).await?;
    all.sort_by_key(|revision| (number(revision), revision.metadata.creation_timestamp.clone()));
    let data = data_of(wish.template);
    let known = place_of(&all, &data, wish.template);
    let current = known.map(|at| all.remove(at));
    let next = all.last().map_or(0, |revision| number(revision)) + 1;
    let current = match current {
        Some(current) if number(&current) >= next => current,
        Some(current) => {
            let key = key_of(&current.metadata);
            let numbered = revisions.modify(&key, |revision| {
                revision.revision = Some(next);
                Ok(())
            });
            Arc::new(numbered.await?)
        }
        None => match revisions.create(new(wish, data, next)).await {
            Ok(made) => Arc::new(made),
            Err(status) if status.is(Reason::AlreadyExists) => {
                let meta = wish.owner.metadata();
                let key = key_of(meta);
                let counted = owners.modify_status(&key, |now| {
                    is_still(now, meta)?;
                    set_count(now, wish.collisions + 1);
                    Ok(())
                });
                unless_gone(counted.await)?;
                return Ok(None);
            }
            Err(status) => return Err(status),
        },
    };
    Ok(Some(History { current, old: all }))
}

async fn claimed<K: TypedKind>(
    client: &Client,
    revisions: &Api<ControllerRevision>,
    owners: &Api<K>,
    wish: &Wish<'_, K>,
) -> Result<Vec<Arc<ControllerRevision>>, Status> {
    let mut mine = Vec::new();
    for revision in candidates::<ControllerRevision, K>(client, wish.owner, wish.selector)? {
        match claim(&revision.metadata, wish.owner, wish.selector) {
            Claim::Mine => mine.push(revision),
            Claim::Orphan if wish.owner.metadata().deletion_timestamp.is_none() => {
                if adopt(revisions, &*revision, owners, wish.owner).await? {
                    mine.push(revision);
                }
            }
            // a revision keeps its labels; who changes them takes it out of the history
            Claim::Lost | Claim::Orphan | Claim::Foreign => {}
        }
    }
    Ok(mine)
}

/// Old revisions beyond the limit that no pod is of, the oldest first.
fn surplus(
    history: &History,
    limit: usize,
    live: impl Fn(&ControllerRevision) -> bool,
) -> Vec<&Arc<ControllerRevision>> {
    let count = history.old.len().saturating_sub(limit);
    history.old.iter().filter(|revision| !live(revision)).take(count).collect()
}

/// # Errors
/// What the cluster says.
pub(crate) async fn clean_up(
    revisions: &Api<ControllerRevision>,
    history: &History,
    limit: Option<i32>,
    live: &BTreeSet<String>,
    label: &str,
) -> Result<(), Status> {
    let is_live = |revision: &ControllerRevision| {
        let hash = revision.metadata.labels.as_ref().and_then(|labels| labels.get(label));
        live.contains(name(revision)) || hash.is_some_and(|hash| live.contains(hash))
    };
    let Some(limit) = kept(limit) else { return Ok(()) };
    for revision in surplus(history, limit, is_live) {
        let gone = revisions.delete(&key_of(&revision.metadata), DeleteOptions::default()).await;
        unless_gone(gone)?;
    }
    Ok(())
}

/// How many that nobody uses; `None` is all, where less than none is said: a StatefulSet may.
fn kept(limit: Option<i32>) -> Option<usize> {
    usize::try_from(limit.unwrap_or(10)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_none_is_all() {
        assert_eq!([None, Some(0), Some(3), Some(-1)].map(kept), [Some(10), Some(0), Some(3), None]);
    }

    fn revision(name: &str, number: i64) -> Arc<ControllerRevision> {
        let mut revision = ControllerRevision { revision: Some(number), ..ControllerRevision::default() };
        revision.metadata.name = Some(name.to_owned());
        Arc::new(revision)
    }

    #[test]
    fn the_oldest_go_unless_a_pod_is_of_them() {
        let old = vec![revision("a", 1), revision("b", 2), revision("c", 3)];
        let history = History { current: revision("now", 4), old };
        // (name, limit, of which there are pods, who goes)
        let cases = [
            ("enough", 3, "", vec![]),
            ("one too many", 2, "", vec!["a"]),
            ("one too many, and its pods run", 2, "a", vec!["b"]),
            ("none is kept", 0, "", vec!["a", "b", "c"]),
            ("none is kept but the live", 0, "b", vec!["a", "c"]),
        ];
        for (what, limit, live, want) in cases {
            let gone = surplus(&history, limit, |revision| name(revision) == live);
            assert_eq!(gone.iter().map(|revision| name(revision)).collect::<Vec<_>>(), want, "{what}");
        }
    }

    #[test]
    fn pods_are_not_replaced_for_words_that_are_not_stored_any_more() {
        let template = |metadata: Value, spec: Value| -> PodTemplateSpec {
            serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
        };
        let containers = |image: &str| json!([{"name": "c", "image": image, "tty": false, "args": []}]);
        let stored = |image: &str| {
            let spec = json!({"containers": containers(image), "hostNetwork": false, "tolerations": []});
            template(json!({"annotations": {}, "labels": {"app": "a"}}), spec)
        };
        let all = ["one", "two"].map(|image| {
            let data = RawExtension(data_of(&stored(image)));
            Arc::new(ControllerRevision { data, ..ControllerRevision::default() })
        });
        for (image, want) in [("one", Some(0)), ("two", Some(1)), ("three", None)] {
            let spec = json!({"containers": [{"name": "c", "image": image}]});
            let now = template(json!({"labels": {"app": "a"}}), spec);
            assert_eq!(place_of(&all, &data_of(&now), &now), want, "{image}");
            assert_eq!(place_of(&all, &data_of(&stored(image)), &stored(image)), want, "{image}, as it was");
        }
    }

    #[test]
    fn a_revision_puts_its_template_back() {
        let template: PodTemplateSpec = serde_json::from_value(json!({
            "metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "one"}]},
        }))
        .unwrap();
        let data = data_of(&template);
        assert_eq!(data["spec"]["template"]["$patch"], "replace");
        let revision =
            ControllerRevision { data: RawExtension(data.clone()), ..ControllerRevision::default() };
        assert_eq!(template_of(&revision), Some(template));
        let now = json!({"spec": {"template": {
            "metadata": {"labels": {"app": "a", "new": "x"}},
            "spec": {"containers": [{"name": "d", "image": "two"}], "hostNetwork": true},
        }, "paused": true}});
        let back =
            api::patch::strategic_merge(now, &data, schema::table::named("apps.v1.Deployment").unwrap())
                .unwrap();
        assert_eq!(back["spec"]["template"]["spec"]["containers"], json!([{"image": "one", "name": "c"}]));
        assert_eq!(back["spec"]["template"]["spec"]["hostNetwork"], Value::Null);
        assert_eq!(back["spec"]["paused"], true);
    }
}
