//! Amounts as they are compared thousands of times for one pod: whole numbers, upstream's `framework.Resource`.

use api::quantity::Quantity;
use std::borrow::Cow;
use std::collections::BTreeMap;

const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const EPHEMERAL_STORAGE: &str = "ephemeral-storage";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// Huge pages (bytes of each size) and extended resources (pieces), by name, in order.
    pub scalars: Vec<(String, i64)>,
}

impl Resources {
    /// What is no amount that is counted here (`pods`, `storage`) is left out.
    pub fn of(amounts: &BTreeMap<String, Quantity>) -> Self {
        let mut all = Resources::default();
        for (name, amount) in amounts {
            match name.as_str() {
                CPU => all.milli_cpu = amount.milli(),
                MEMORY => all.memory = amount.value(),
                EPHEMERAL_STORAGE => all.ephemeral_storage = amount.value(),
                name if is_scalar(name) => all.scalars.push((name.to_owned(), amount.value())),
                _ => {}
            }
        }
        all
    }

    pub fn add(&mut self, other: &Resources) {
        self.milli_cpu = self.milli_cpu.saturating_add(other.milli_cpu);
        self.memory = self.memory.saturating_add(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.saturating_add(other.ephemeral_storage);
        for (name, amount) in &other.scalars {
            match self.scalars.binary_search_by(|(known, _)| known.cmp(name)) {
                Ok(at) => self.scalars[at].1 = self.scalars[at].1.saturating_add(*amount),
                Err(at) => self.scalars.insert(at, (name.clone(), *amount)),
            }
        }
    }

    pub fn scalar(&self, name: &str) -> i64 {
        self.scalars.iter().find(|(known, _)| known == name).map_or(0, |(_, amount)| *amount)
    }

    /// What of `asked` is more than `self` has left beside `taken`, each in upstream's words, and whether the whole of
    /// `self` would be enough.
    pub(crate) fn lacks(&self, asked: &Resources, taken: &Resources) -> Vec<(Cow<'static, str>, bool)> {
        let mut lacking = Vec::new();
        let mut compare = |name: &'static str, asked: i64, taken: i64, all: i64| {
            if asked > 0 && asked > all.saturating_sub(taken) {
                lacking.push((Cow::Borrowed(name), asked <= all));
            }
        };
        compare("Insufficient cpu", asked.milli_cpu, taken.milli_cpu, self.milli_cpu);
        compare("Insufficient memory", asked.memory, taken.memory, self.memory);
        let (storage, taken_storage) = (asked.ephemeral_storage, taken.ephemeral_storage);
        compare("Insufficient ephemeral-storage", storage, taken_storage, self.ephemeral_storage);
        for (name, asked) in &asked.scalars {
            let all = self.scalar(name);
            if *asked > 0 && *asked > all.saturating_sub(taken.scalar(name)) {
                lacking.push((Cow::Owned(format!("Insufficient {name}")), *asked <= all));
            }
        }
        lacking
    }

    /// Whether it has more than `before` of anything that is asked for.
    pub(crate) fn has_more_for(&self, before: &Resources, asked: &Resources) -> bool {
        let grew = |asked: i64, before: i64, now: i64| asked > 0 && now > before;
        grew(asked.milli_cpu, before.milli_cpu, self.milli_cpu)
            || grew(asked.memory, before.memory, self.memory)
            || grew(asked.ephemeral_storage, before.ephemeral_storage, self.ephemeral_storage)
            || asked.scalars.iter().any(|(name, asked)| grew(*asked, before.scalar(name), self.scalar(name)))
    }
}

/// Upstream's `IsScalarResourceName`: huge pages, what a driver attaches, and names with a domain.
pub(crate) fn is_scalar(name: &str) -> bool {
    name.starts_with("hugepages-") || name.starts_with("attachable-volumes-") || name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(of: &[(&str, &str)]) -> Resources {
        Resources::of(
            &of.iter().map(|(name, amount)| ((*name).to_owned(), amount.parse().unwrap())).collect(),
        )
    }

    #[test]
    fn what_is_lacking_is_named() {
        let all = amounts(&[
            ("cpu", "2"),
            ("memory", "1Gi"),
            ("ephemeral-storage", "1Gi"),
            ("hugepages-2Mi", "4Mi"),
            ("example.com/gpu", "2"),
            ("pods", "110"),
        ]);
        let taken = amounts(&[("cpu", "1500m"), ("example.com/gpu", "1")]);
        for (name, asked, want) in [
            ("nothing", amounts(&[]), vec![]),
            ("what is left", amounts(&[("cpu", "500m"), ("example.com/gpu", "1")]), vec![]),
            ("more than is left", amounts(&[("cpu", "501m")]), vec![("Insufficient cpu", true)]),
            ("more than there is", amounts(&[("cpu", "3")]), vec![("Insufficient cpu", false)]),
            (
                "huge pages and devices",
                amounts(&[("hugepages-2Mi", "8Mi"), ("example.com/gpu", "2"), ("example.com/none", "1")]),
                vec![
                    ("Insufficient example.com/gpu", true),
                    ("Insufficient example.com/none", false),
                    ("Insufficient hugepages-2Mi", false),
                ],
            ),
            (
                "disk",
                amounts(&[("ephemeral-storage", "2Gi")]),
                vec![("Insufficient ephemeral-storage", false)],
            ),
            ("none of what there is not", amounts(&[("example.com/none", "0")]), vec![]),
        ] {
            let said: Vec<(String, bool)> =
                all.lacks(&asked, &taken).into_iter().map(|(why, ever)| (why.into_owned(), ever)).collect();
            let want: Vec<(String, bool)> =
                want.into_iter().map(|(why, ever)| (why.to_owned(), ever)).collect();
            assert_eq!(said, want, "{name}");
        }
    }

    #[test]
    fn what_comes_is_added() {
        let mut sum = amounts(&[("cpu", "1")]);
        let more = amounts(&[("cpu", "1"), ("memory", "1Gi"), ("example.com/gpu", "3")]);
        sum.add(&more);
        assert_eq!((sum.milli_cpu, sum.scalar("example.com/gpu")), (2000, 3));
        assert!(sum.has_more_for(&more, &amounts(&[("cpu", "1")])));
        assert!(!sum.has_more_for(&more, &amounts(&[("example.com/gpu", "1")])));
    }
}
