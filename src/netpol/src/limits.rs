//! How much is done for policies, each time that anything changes. Pure.
//!
//! Whoever may write policies and pods in a namespace can make each as large as an object may be, and many of them. What
//! there is of a namespace is looked at, and rendered, up to a bound of its own. All namespaces with pods that policies may
//! select share another, by max-min fairness: it is so much more that only many that are at their own come near it, and
//! who wants little has it whatever others wrote. What is above a bound is closed: a policy that can not be understood whole
//! allows nothing.

use api::LabelSelector;
use api::selector::Operator;
use net::Shares;

/// Comparisons of a selector with a pod or a namespace, each of its labels and values counted as one more, in one direction. A
/// fifth of a second; 500 pods with 500 policies, each for the pods of a label, take three quarters.
pub(crate) const MOST_LOOKS: usize = 1 << 20;
/// Peers and ports that the rules of one class have, before those that are alike become one: 500 rules from 500 pods. Of what
/// becomes of them `net` takes far less.
pub(crate) const MOST_OF_CLASS: usize = 1 << 18;
/// The same for the classes of a namespace, in one direction.
pub(crate) const MOST_OF_NAMESPACE: usize = 1 << 19;

/// Comparisons for all namespaces, in one direction: three seconds, which are not the event loop's. A thousand namespaces
/// with twenty pods and a dozen policies each, two of which look for other namespaces by a label, take less than half.
const MOST_LOOKS_OF_ALL: usize = 1 << 24;
/// What the classes of all namespaces are made of, in one direction: it stays in memory for as long as it is in force.
const MOST_OF_ALL: usize = 1 << 21;

/// What is left of a bound.
#[derive(Debug)]
pub(crate) struct Budget(pub(crate) usize);

/// What is left for the namespaces that have not come to their turn.
#[derive(Debug)]
pub(crate) struct Room {
    looks: Shares,
    sizes: Shares,
}

/// What one namespace may have.
#[derive(Debug)]
pub(crate) struct Allotment {
    pub(crate) looks: Budget,
    pub(crate) sizes: Budget,
}

impl Room {
    pub(crate) fn of(namespaces: usize) -> Self {
        Room {
            looks: Shares::new(MOST_LOOKS_OF_ALL, namespaces),
            sizes: Shares::new(MOST_OF_ALL, namespaces),
        }
    }

    /// For the next, who uses some of it.
    pub(crate) fn allot(&mut self, using: impl FnOnce(&mut Allotment)) {
        let looks = self.looks.share().min(MOST_LOOKS);
        let sizes = self.sizes.share().min(MOST_OF_NAMESPACE);
        let mut allotment = Allotment { looks: Budget(looks), sizes: Budget(sizes) };
        using(&mut allotment);
        self.looks.take(looks - allotment.looks.0);
        self.sizes.take(sizes - allotment.sizes.0);
    }
}

impl Budget {
    /// False, and nothing is spent, where it costs more than is left.
    pub(crate) fn spend(&mut self, cost: usize) -> bool {
        let left = self.0.checked_sub(cost);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// What it costs to look whether it matches.
pub(crate) fn weight(selector: &LabelSelector) -> usize {
    let values = selector.requirements.iter().map(|requirement| match &requirement.operator {
        Operator::In(values) | Operator::NotIn(values) => values.len(),
        Operator::Exists | Operator::DoesNotExist | Operator::GreaterThan(_) | Operator::LessThan(_) => 0,
    });
    1 + values.map(|values| 1 + values).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_too_much_is_not_spent() {
        let mut budget = Budget(5);
        assert!(budget.spend(3) && !budget.spend(3) && budget.spend(2) && !budget.spend(1));
    }

    /// Of a hundred namespaces that want all there is none gets its own bound, and together they do not get more than there is.
    #[test]
    fn all_namespaces_have_one_bound() {
        let mut room = Room::of(101);
        room.allot(|little| assert!(little.looks.spend(10) && little.sizes.spend(10)));
        let (mut looks, mut sizes) = (10, 10);
        for _ in 0..100 {
            room.allot(|all| {
                let given = (all.looks.0, all.sizes.0);
                assert!(given.0 >= MOST_LOOKS_OF_ALL / 101 && given.1 >= MOST_OF_ALL / 101);
                assert!(all.looks.spend(given.0) && all.sizes.spend(given.1));
                (looks, sizes) = (looks + given.0, sizes + given.1);
            });
        }
        assert_eq!((looks, sizes), (MOST_LOOKS_OF_ALL, MOST_OF_ALL));
        let few = |allotment: &mut Allotment| {
            assert_eq!((allotment.looks.0, allotment.sizes.0), (MOST_LOOKS, MOST_OF_NAMESPACE));
        };
        Room::of(2).allot(few);
    }

    #[test]
    fn a_selector_weighs_what_it_compares() {
        let values = (0..9).map(|n| n.to_string()).collect();
        let requirement = |operator| api::selector::Requirement { key: "a".to_owned(), operator };
        let requirements = vec![requirement(Operator::Exists), requirement(Operator::In(values))];
        assert_eq!(weight(&LabelSelector { requirements }), 12);
        assert_eq!(weight(&LabelSelector::everything()), 1);
    }
}
