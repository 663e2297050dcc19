//! Who owns whom, by uid: a picture of the metadata of what has owners or is being deleted, and whom a change of it makes
//! worth looking at. Pure: the caller feeds it the store's events in their order.

use api::{Meta, ObjectKey, OwnerRef};
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) const ORPHAN: &str = "orphan";
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// An object to look at: of which kind, where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Item {
    pub(super) gvr: api::Gvr,
    pub(super) key: ObjectKey,
}

/// How an object goes, by its finalizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    NotAsked,
    /// Whoever else holds it, the garbage collector does not.
    Plain,
    /// Its dependents lose it as an owner first.
    Orphaning,
    /// Its dependents go first.
    DeletingDependents,
}

impl Deletion {
    pub(super) fn of(meta: &Meta) -> Self {
        let has = |finalizer: &str| meta.finalizers.iter().any(|f| f == finalizer);
        match meta.is_deleting() {
            false => Deletion::NotAsked,
            true if has(ORPHAN) => Deletion::Orphaning,
            true if has(FOREGROUND) => Deletion::DeletingDependents,
            true => Deletion::Plain,
        }
    }
}

#[derive(Debug, Clone)]
struct Node {
    item: Item,
    owners: Vec<OwnerRef>,
    /// Whose deletion waits for it, by uid: whoever writes an object decides how many owners it has.
    blocks: HashSet<String>,
    deletion: Deletion,
}

/// Objects that own nothing known, have no owner and are not being deleted cost nothing here: most do not.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
}

fn blocked(owners: &[OwnerRef]) -> HashSet<String> {
    let blocking = owners.iter().filter(|owner| owner.block_owner_deletion == Some(true));
    blocking.map(|owner| owner.uid.clone()).collect()
}

impl Graph {
    /// Takes in what an object is now, and says whom to look at.
    pub(super) fn put(&mut self, item: Item, meta: &Meta) -> Vec<Item> {
        let new = Node {
            item: item.clone(),
            owners: meta.owner_references.clone(),
            blocks: blocked(&meta.owner_references),
            deletion: Deletion::of(meta),
        };
        let old = self.forget(&meta.uid);
        let (old_owners, old_deletion) =
            old.map_or((Vec::new(), Deletion::NotAsked), |node| (node.owners, node.deletion));
        let mut woken = Vec::new();
        for before in old_owners.iter().filter(|before| before.block_owner_deletion == Some(true)) {
            if !new.blocks.contains(&before.uid) {
                woken.extend(self.waiting(&before.uid));
            }
        }
        let changed_owners = new.owners != old_owners && !new.owners.is_empty();
        let begins = new.deletion != old_deletion
            && matches!(new.deletion, Deletion::Orphaning | Deletion::DeletingDependents);
        if begins && new.deletion == Deletion::DeletingDependents {
            woken.extend(self.dependents_of(&meta.uid));
        }
        if changed_owners || begins {
            woken.push(item);
        }
        self.remember(&meta.uid, new);
        woken
    }

    /// The object is gone: its dependents may be garbage now, and an owner may have waited for it.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<Item> {
        let mut woken = self.dependents_of(uid);
        let owners = self.forget(uid).map(|node| node.owners).unwrap_or_default();
        woken.extend(owners.iter().filter_map(|owner| self.waiting(&owner.uid)));
        woken
    }

    fn remember(&mut self, uid: &str, node: Node) {
        if node.owners.is_empty() && node.deletion == Deletion::NotAsked {
            return;
        }
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.to_owned());
        }
        self.nodes.insert(uid.to_owned(), node);
    }

    fn forget(&mut self, uid: &str) -> Option<Node> {
        let node = self.nodes.remove(uid)?;
        for owner in &node.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        Some(node)
    }

    /// The owner with this uid, where its deletion waits for dependents.
    fn waiting(&self, uid: &str) -> Option<Item> {
        let node = self.nodes.get(uid).filter(|node| node.deletion == Deletion::DeletingDependents)?;
        Some(node.item.clone())
    }

    fn dependent_nodes<'g>(&'g self, uid: &str) -> impl Iterator<Item = (&'g String, &'g Node)> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| self.nodes.get_key_value(uid))
    }

    pub(super) fn dependents_of(&self, uid: &str) -> Vec<Item> {
        self.dependent_nodes(uid).map(|(_, node)| node.item.clone()).collect()
    }

    pub(super) fn has_dependents(&self, uid: &str) -> bool {
        self.dependent_nodes(uid).next().is_some()
    }

    /// Those for whose end the owner waits, and how they go. An object of the whole cluster is never a dependent of one in
    /// a namespace, whatever it says: nobody waits for it.
    fn blocking<'g>(&'g self, uid: &'g str) -> impl Iterator<Item = (&'g String, &'g Node)> {
        let namespaced = self.nodes.get(uid).is_some_and(|owner| owner.item.key.namespace.is_some());
        self.dependent_nodes(uid)
            .filter(move |(_, node)| node.blocks.contains(uid))
            .filter(move |(_, node)| !namespaced || node.item.key.namespace.is_some())
    }

    pub(super) fn blocking_dependents(&self, uid: &str) -> Vec<(Item, Deletion)> {
        self.blocking(uid).map(|(_, node)| (node.item.clone(), node.deletion)).collect()
    }

    /// Whether the object waits, over others that wait as it does, for itself. Upstream looks one step ahead when such an
    /// object is marked, and says itself that two marked at once may escape it; the whole circle is exact.
    pub(super) fn waits_for_itself(&self, uid: &str) -> bool {
        if self.waiting(uid).is_none() {
            return false;
        }
        let mut seen: HashSet<&str> = HashSet::new();
        let mut left: Vec<&str> = vec![uid];
        while let Some(at) = left.pop() {
            for (next, node) in self.blocking(at) {
                if next == uid {
                    return true;
                }
                if node.deletion == Deletion::DeletingDependents && seen.insert(next) {
                    left.push(next);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a`, owned by those named; a name with `!` blocks its owner's deletion.
    fn meta(uid: &str, owners: &[&str], deletion: Deletion) -> Meta {
        let owner = |name: &&str| OwnerRef {
            uid: name.trim_end_matches('!').to_owned(),
            block_owner_deletion: Some(name.ends_with('!')),
            ..OwnerRef::default()
        };
        let finalizers = match deletion {
            Deletion::Orphaning => vec![ORPHAN.to_owned()],
            Deletion::DeletingDependents => vec![FOREGROUND.to_owned()],
            _ => Vec::new(),
        };
        Meta {
            name: uid.to_owned(),
            namespace: Some("default".to_owned()),
            uid: uid.to_owned(),
            owner_references: owners.iter().map(owner).collect(),
            finalizers,
            deletion_timestamp: (deletion != Deletion::NotAsked).then(|| "now".to_owned()),
            ..Meta::default()
        }
    }

    fn put(graph: &mut Graph, meta: &Meta) -> String {
        let item = Item { gvr: api::Gvr::new("", "v1", "pods"), key: meta.key() };
        names(graph.put(item, meta))
    }

    fn names(items: Vec<Item>) -> String {
        items.iter().map(|item| item.key.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    use Deletion::{DeletingDependents, NotAsked, Orphaning, Plain};

    #[test]
    fn a_change_wakes_those_whose_fate_it_may_decide() {
        // (name, before, change, woken)
        let owned = || meta("pod", &["set!"], NotAsked);
        let waiting = || meta("set", &[], DeletingDependents);
        let cases = [
            ("something that nobody owns", vec![], meta("set", &[], NotAsked), ""),
            ("an owned object", vec![], owned(), "pod"),
            ("the same again", vec![owned()], owned(), ""),
            ("another owner", vec![owned()], meta("pod", &["set!", "other"], NotAsked), "pod"),
            ("an owner begins to wait", vec![owned()], waiting(), "pod set"),
            ("an owner still waits", vec![owned(), waiting()], waiting(), ""),
            ("an owner orphans", vec![owned()], meta("set", &[], Orphaning), "set"),
            ("an owner is marked only", vec![owned()], meta("set", &[], Plain), ""),
            ("the reference goes", vec![waiting(), owned()], meta("pod", &[], NotAsked), "set"),
            (
                "the reference blocks no more",
                vec![waiting(), owned()],
                meta("pod", &["set"], NotAsked),
                "set pod",
            ),
            (
                "the reference goes, the owner does not wait",
                vec![meta("set", &[], Plain), owned()],
                meta("pod", &[], NotAsked),
                "",
            ),
        ];
        for (name, before, change, woken) in cases {
            let mut graph = Graph::default();
            for meta in &before {
                put(&mut graph, meta);
            }
            assert_eq!(put(&mut graph, &change), woken, "{name}");
        }
    }

    #[test]
    fn an_end_wakes_dependents_and_owners_that_wait() {
        let mut graph = Graph::default();
        put(&mut graph, &meta("deployment", &[], DeletingDependents));
        put(&mut graph, &meta("other", &[], NotAsked));
        put(&mut graph, &meta("set", &["deployment!", "other!"], Plain));
        put(&mut graph, &meta("pod", &["set!"], NotAsked));
        assert_eq!(names(graph.remove("set")), "pod deployment");
        assert_eq!(names(graph.remove("pod")), "");
        assert!(!graph.has_dependents("set") && graph.dependents.is_empty());
        graph.remove("deployment");
        assert!(graph.nodes.is_empty(), "what is gone is forgotten");
    }

    #[test]
    fn a_circle_of_those_who_wait_for_each_other_is_seen() {
        let going = DeletingDependents;
        // (name, objects, who waits for itself)
        let cases = [
            ("itself", vec![meta("a", &["a!"], going)], "a"),
            ("two", vec![meta("a", &["b!"], going), meta("b", &["a!"], going)], "a b"),
            (
                "three, as upstream's suite makes it",
                vec![meta("a", &["c!"], going), meta("b", &["a!"], going), meta("c", &["b!"], going)],
                "a b c",
            ),
            (
                "one of them does not go yet",
                vec![meta("a", &["c!"], going), meta("b", &["a!"], NotAsked), meta("c", &["b!"], going)],
                "",
            ),
            ("one reference does not block", vec![meta("a", &["b"], going), meta("b", &["a!"], going)], ""),
            (
                "somebody outside waits for a circle",
                vec![meta("a", &["b!", "x!"], going), meta("b", &["a!"], going), meta("x", &[], going)],
                "a b",
            ),
        ];
        for (name, objects, want) in cases {
            let mut graph = Graph::default();
            for meta in &objects {
                put(&mut graph, meta);
            }
            let waits = objects.iter().map(|m| m.uid.as_str()).filter(|uid| graph.waits_for_itself(uid));
            assert_eq!(waits.collect::<Vec<_>>().join(" "), want, "{name}");
        }
    }

    /// Among ten thousand owners it is looked up, not sought.
    #[test]
    fn what_blocks_is_known_of_each_owner() {
        let names: Vec<String> = (0..10_000).map(|n| format!("o{n}!")).collect();
        let owners: Vec<&str> = names.iter().map(String::as_str).chain(["plain"]).collect();
        let mut graph = Graph::default();
        put(&mut graph, &meta("pod", &owners, NotAsked));
        assert_eq!(graph.nodes["pod"].blocks.len(), 10_000);
        put(&mut graph, &meta("o9999", &[], DeletingDependents));
        put(&mut graph, &meta("plain", &[], DeletingDependents));
        assert_eq!(graph.blocking_dependents("o9999").len(), 1);
        assert_eq!(graph.blocking_dependents("plain").len(), 0);
        assert_eq!(put(&mut graph, &meta("pod", &owners[..9_999], NotAsked)), "o9999 pod");
    }

    #[test]
    fn nobody_in_a_namespace_waits_for_an_object_of_the_cluster() {
        let mut graph = Graph::default();
        put(&mut graph, &meta("owner", &[], DeletingDependents));
        let wide = Meta { namespace: None, ..meta("wide", &["owner!"], NotAsked) };
        put(&mut graph, &wide);
        assert_eq!(graph.blocking_dependents("owner"), []);
    }
}
