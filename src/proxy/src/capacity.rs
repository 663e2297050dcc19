//! How many elements the services may have in the kernel, and whose services are beyond that. Pure.
//!
//! What a client can write of one Service is bounded ([`crate::render`]), and so is the sum of all: the daemon remembers what is
//! applied, and must be able to apply it anew. The sum is divided among namespaces by max-min fairness: each has its share
//! of it, and what some do not need is shared among those who want more. So a namespace that wants no more than its share
//! always has it, whatever is written in others. Where one wants more than it gets, its smallest services have room, and of
//! those of the same size the first by name: what is of the usual size is served beside what is not, above all the API
//! server's own Service, which stands in a namespace where others write.

use api::ObjectKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Elements of the kernel's sets in all. Ten thousand Services of the usual size take a tenth.
const MOST: usize = 1 << 18;

#[derive(Debug)]
pub(crate) struct Capacity {
    most: usize,
    namespaces: BTreeMap<Option<Arc<str>>, Namespace>,
    left_out: BTreeSet<ObjectKey>,
}

#[derive(Debug, Default)]
struct Namespace {
    sum: usize,
    services: BTreeMap<ObjectKey, usize>,
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { most: MOST, namespaces: BTreeMap::new(), left_out: BTreeSet::new() }
    }
}

impl Capacity {
    /// How much the service wants now.
    pub(crate) fn set(&mut self, service: &ObjectKey, size: usize) {
        let namespace = self.namespaces.entry(service.namespace.clone()).or_default();
        let before = match size {
            0 => namespace.services.remove(service),
            _ => namespace.services.insert(service.clone(), size),
        };
        namespace.sum = namespace.sum + size - before.unwrap_or(0);
        if namespace.services.is_empty() {
            self.namespaces.remove(&service.namespace);
        }
    }

    /// Gives those that have no room any more, or have it again.
    pub(crate) fn divide(&mut self) -> Vec<ObjectKey> {
        let share = fair_share(self.most, self.namespaces.values().map(|namespace| namespace.sum));
        let mut left_out = BTreeSet::new();
        for namespace in self.namespaces.values().filter(|namespace| namespace.sum > share) {
            let mut services: Vec<_> =
                namespace.services.iter().map(|(service, size)| (*size, service)).collect();
            services.sort_unstable();
            let mut left = share;
            for (size, service) in services {
                if size <= left {
                    left -= size;
                } else {
                    left_out.insert(service.clone());
                }
            }
        }
        let before = std::mem::replace(&mut self.left_out, left_out);
        before.symmetric_difference(&self.left_out).cloned().collect()
    }

    pub(crate) fn is_left_out(&self, service: &ObjectKey) -> bool {
        self.left_out.contains(service)
    }
}

/// The most that one may have, so that all together have no more than `total`.
fn fair_share(total: usize, wanted: impl IntoIterator<Item = usize>) -> usize {
    let mut wanted: Vec<usize> = wanted.into_iter().collect();
    wanted.sort_unstable();
    let mut shares = net::Shares::new(total, wanted.len());
    for one in wanted {
        if one > shares.share() {
            return shares.share();
        }
        shares.take(one);
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_the_others_leave() {
        for (name, wanted, want) in [
            ("nobody", &[][..], usize::MAX),
            ("all have room", &[10, 20, 30], usize::MAX),
            ("just so", &[50, 50], usize::MAX),
            ("one wants all", &[1000], 100),
            ("one wants all, beside small ones", &[10, 1000, 20], 70),
            ("all want all", &[1000, 1000, 1000], 33),
        ] {
            assert_eq!(fair_share(100, wanted.iter().copied()), want, "{name}");
        }
    }

    #[test]
    fn what_is_small_is_served_beside_what_is_large() {
        let mut capacity = Capacity { most: 100, ..Capacity::default() };
        let key = |name: &str| ObjectKey::namespaced("default", name);
        for (name, size) in [("a", 60), ("b", 40), ("c", 40), ("kubernetes", 2)] {
            capacity.set(&key(name), size);
        }
        assert_eq!(capacity.divide(), [key("a")]);
        capacity.set(&key("d"), 50);
        assert_eq!(capacity.divide(), [key("d")], "and stays so");
        assert!(!capacity.is_left_out(&key("kubernetes")));
    }

    #[test]
    fn nobody_is_left_out_for_what_others_want() {
        let mut capacity = Capacity { most: 100, ..Capacity::default() };
        let key = ObjectKey::namespaced;
        capacity.set(&key("shop", "web"), 30);
        for (name, size) in [("a", 60), ("b", 60), ("c", 5)] {
            capacity.set(&key("evil", name), size);
        }
        assert_eq!(capacity.divide(), [key("evil", "b")]);
        assert!(capacity.is_left_out(&key("evil", "b")) && !capacity.is_left_out(&key("shop", "web")));
        capacity.set(&key("evil", "a"), 0);
        assert_eq!(capacity.divide(), [key("evil", "b")], "and has room again");
        assert!(!capacity.is_left_out(&key("evil", "b")) && capacity.divide().is_empty());
        for (namespace, name) in [("evil", "b"), ("evil", "c"), ("shop", "web")] {
            capacity.set(&key(namespace, name), 0);
        }
        assert!(capacity.namespaces.is_empty());
    }
}
