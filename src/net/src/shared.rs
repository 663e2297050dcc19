//! A set that many have in common.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

/// A set that is cloned without its elements. Of a Service with many ports each port may lead to the same back ends, and of
/// a policy with many rules each rule may name the same peers: a copy for each would be the product of two lists that a
/// client has written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedSet<T>(Arc<BTreeSet<T>>);

impl<T> Deref for SharedSet<T> {
    type Target = BTreeSet<T>;

    fn deref(&self) -> &BTreeSet<T> {
        &self.0
    }
}

impl<T> Default for SharedSet<T> {
    fn default() -> Self {
        BTreeSet::new().into()
    }
}

impl<T> From<BTreeSet<T>> for SharedSet<T> {
    fn from(set: BTreeSet<T>) -> Self {
        SharedSet(Arc::new(set))
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SharedSet<T> {
    fn from(elements: [T; N]) -> Self {
        BTreeSet::from(elements).into()
    }
}

impl<T: Ord> FromIterator<T> for SharedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().collect::<BTreeSet<T>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_the_same_set() {
        let set: SharedSet<u8> = [1, 2].into();
        assert!(std::ptr::eq(&*set.clone(), &*set));
        assert_eq!(set, [2, 1].into_iter().collect());
    }
}
