//! How much is done for the policies of one namespace, each time that anything changes. Pure.
//!
//! Whoever may write policies and pods in a namespace can make each as large as an object may be, and many of them. What
//! there is of a namespace is looked at, and rendered, up to these bounds, which do not depend on other namespaces: nobody's
//! pods wait longer, or are closed, for what others wrote. Numbers of namespaces are the administrator's. What is above a
//! bound is closed: a policy that can not be understood whole allows nothing.

use api::LabelSelector;
use api::selector::Operator;

/// Comparisons of a selector with a pod or a namespace, each of its labels and values counted as one more, in one direction. A
/// fifth of a second; 500 pods with 500 policies, each for the pods of a label, take three quarters.
pub(crate) const MOST_LOOKS: usize = 1 << 20;
/// Peers and ports that the rules of one class have, before those that are alike become one: 500 rules from 500 pods. Of what
/// becomes of them `net` takes far less.
pub(crate) const MOST_OF_CLASS: usize = 1 << 18;
/// The same for the classes of a namespace, in one direction.
pub(crate) const MOST_OF_NAMESPACE: usize = 1 << 19;

/// What is left of a bound.
#[derive(Debug)]
pub(crate) struct Budget(pub(crate) usize);

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

    #[test]
    fn a_selector_weighs_what_it_compares() {
        let values = (0..9).map(|n| n.to_string()).collect();
        let requirement = |operator| api::selector::Requirement { key: "a".to_owned(), operator };
        let requirements = vec![requirement(Operator::Exists), requirement(Operator::In(values))];
        assert_eq!(weight(&LabelSelector { requirements }), 12);
        assert_eq!(weight(&LabelSelector::everything()), 1);
    }
}
