//! An informer's objects by their labels and by their controllers, so that a selector or an owner costs what belongs to it, and
//! not what else there is of the kind. Pure.

use ::api::ObjectKey;
use ::api::selector::{LabelSelector, Operator};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeSet, HashMap};

/// First and second half of a pair, and whom it leads to.
type Pairs = HashMap<String, HashMap<String, BTreeSet<ObjectKey>>>;

#[derive(Debug, Default)]
pub(crate) struct CacheIndex {
    by_label: Pairs,
    /// By the kind and the name of the controller; it is in the object's own namespace, or in none.
    by_controller: Pairs,
}

impl CacheIndex {
    pub fn of<'o>(all: impl IntoIterator<Item = (&'o ObjectKey, &'o ObjectMeta)>) -> Self {
        let mut index = CacheIndex::default();
        all.into_iter().for_each(|(key, meta)| index.insert(key, meta));
        index
    }

    /// From what an object was, where there was one, to what it is, where it still is.
    pub fn change(&mut self, key: &ObjectKey, old: Option<&ObjectMeta>, new: Option<&ObjectMeta>) {
        if let (Some(old), Some(new)) = (old, new)
            && old.labels == new.labels
            && controller(old) == controller(new)
        {
            return;
        }
        if let Some(old) = old {
            self.remove(key, old);
        }
        if let Some(new) = new {
            self.insert(key, new);
        }
    }

    fn insert(&mut self, key: &ObjectKey, meta: &ObjectMeta) {
        for (label, value) in meta.labels.iter().flatten() {
            add(&mut self.by_label, label, value, key);
        }
        if let Some((kind, name)) = controller(meta) {
            add(&mut self.by_controller, kind, name, key);
        }
    }

    fn remove(&mut self, key: &ObjectKey, meta: &ObjectMeta) {
        for (label, value) in meta.labels.iter().flatten() {
            take(&mut self.by_label, label, value, key);
        }
        if let Some((kind, name)) = controller(meta) {
            take(&mut self.by_controller, kind, name, key);
        }
    }

    /// Who may match: by the term of the selector that the fewest meet. `None` where no term names values: then anybody may.
    pub fn may_match(
        &self,
        namespace: Option<&str>,
        selector: &LabelSelector,
    ) -> Option<BTreeSet<ObjectKey>> {
        let named = selector.requirements.iter().filter_map(|requirement| match &requirement.operator {
            Operator::In(values) => {
                let of_label = self.by_label.get(&requirement.key);
                let found = values.iter().filter_map(|value| of_label?.get(value));
                Some(found.collect::<Vec<&BTreeSet<ObjectKey>>>())
            }
            _ => None,
        });
        let fewest = named.min_by_key(|found| found.iter().map(|keys| keys.len()).sum::<usize>())?;
        Some(fewest.into_iter().flat_map(|keys| within(keys, namespace)).cloned().collect())
    }

    pub fn controlled_by(&self, namespace: Option<&str>, kind: &str, name: &str) -> Vec<ObjectKey> {
        let found = self.by_controller.get(kind).and_then(|named| named.get(name));
        found.into_iter().flat_map(|keys| within(keys, namespace)).cloned().collect()
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.by_label.is_empty() && self.by_controller.is_empty()
    }
}

fn controller(meta: &ObjectMeta) -> Option<(&str, &str)> {
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    Some((&owner.kind, &owner.name))
}

fn add(pairs: &mut Pairs, first: &str, second: &str, key: &ObjectKey) {
    // most pairs are there already
    let of_first = match pairs.get_mut(first) {
        Some(of_first) => of_first,
        None => pairs.entry(first.to_owned()).or_default(),
    };
    match of_first.get_mut(second) {
        Some(keys) => _ = keys.insert(key.clone()),
        None => _ = of_first.insert(second.to_owned(), BTreeSet::from([key.clone()])),
    }
}

fn take(pairs: &mut Pairs, first: &str, second: &str, key: &ObjectKey) {
    let Some(of_first) = pairs.get_mut(first) else { return };
    if let Some(keys) = of_first.get_mut(second) {
        keys.remove(key);
        if keys.is_empty() {
            of_first.remove(second);
        }
    }
    if of_first.is_empty() {
        pairs.remove(first);
    }
}

/// In key order; `None` is all namespaces.
fn within<'k>(
    keys: &'k BTreeSet<ObjectKey>,
    namespace: Option<&'k str>,
) -> Box<dyn Iterator<Item = &'k ObjectKey> + 'k> {
    match namespace {
        None => Box::new(keys.iter()),
        Some(namespace) => Box::new(
            keys.range(ObjectKey::namespaced(namespace, "")..)
                .take_while(move |key| key.namespace.as_deref() == Some(namespace)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::api::selector::Requirement;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use std::collections::BTreeMap;

    fn meta(labels: &[(&str, &str)], owner: Option<&str>) -> ObjectMeta {
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let owner = owner.map(|name| OwnerReference {
            kind: "Job".to_owned(),
            name: name.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        });
        ObjectMeta {
            labels: Some(labels),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        }
    }

    fn is_in(key: &str, values: &[&str]) -> Requirement {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Requirement { key: key.to_owned(), operator: Operator::In(values) }
    }

    fn names(keys: impl IntoIterator<Item = ObjectKey>) -> Vec<String> {
        keys.into_iter().map(|key| key.to_string()).collect()
    }

    #[test]
    fn whom_a_selector_may_mean_is_looked_up() {
        let all = [
            (ObjectKey::namespaced("a", "x"), meta(&[("app", "web"), ("tier", "1")], Some("j"))),
            (ObjectKey::namespaced("a", "y"), meta(&[("app", "web"), ("tier", "2")], None)),
            (ObjectKey::namespaced("b", "z"), meta(&[("app", "web"), ("tier", "3")], Some("j"))),
        ];
        let index = CacheIndex::of(all.iter().map(|(key, meta)| (key, meta)));
        let exists = Requirement { key: "app".to_owned(), operator: Operator::Exists };
        let cases = [
            ("one value", vec![is_in("app", &["web"])], Some("a"), Some(vec!["a/x", "a/y"])),
            ("in all namespaces", vec![is_in("app", &["web"])], None, Some(vec!["a/x", "a/y", "b/z"])),
            ("by the rarest", vec![is_in("app", &["web"]), is_in("tier", &["2"])], None, Some(vec!["a/y"])),
            ("several values", vec![is_in("tier", &["3", "1"])], None, Some(vec!["a/x", "b/z"])),
            ("a value that nobody has", vec![is_in("app", &["db"]), exists.clone()], None, Some(vec![])),
            ("a label that nobody has", vec![is_in("zone", &["1"])], None, Some(vec![])),
            ("no value is named", vec![exists], None, None),
            ("nothing is asked", vec![], None, None),
        ];
        for (name, requirements, namespace, want) in cases {
            let found = index.may_match(namespace, &LabelSelector { requirements }).map(names);
            let want = want.map(|want| want.into_iter().map(str::to_owned).collect::<Vec<String>>());
            assert_eq!(found, want, "{name}");
        }
        assert_eq!(names(index.controlled_by(Some("a"), "Job", "j")), ["a/x"]);
        assert_eq!(names(index.controlled_by(None, "Job", "j")), ["a/x", "b/z"]);
        assert!(index.controlled_by(Some("a"), "ReplicaSet", "j").is_empty());
    }

    #[test]
    fn what_changes_is_found_by_what_it_is_now_and_what_goes_leaves_nothing() {
        let key = ObjectKey::namespaced("a", "x");
        let (before, after) = (meta(&[("app", "web")], Some("j")), meta(&[("app", "db")], None));
        let mut index = CacheIndex::default();
        index.change(&key, None, Some(&before));
        index.change(&key, Some(&before), Some(&after));
        let of = |app: &str| LabelSelector { requirements: vec![is_in("app", &[app])] };
        assert_eq!(index.may_match(None, &of("web")).map(names), Some(vec![]));
        assert_eq!(index.may_match(None, &of("db")).map(names), Some(vec!["a/x".to_owned()]));
        assert!(index.controlled_by(None, "Job", "j").is_empty());
        index.change(&key, Some(&after), None);
        assert!(index.is_empty());
    }
}
