//! What a pod says of others in its affinity and anti-affinity, as it is meant: whom each term selects, and where.

use crate::likeness::Likeness;
use api::LabelSelector;
use api::selector::{Operator, Requirement};
use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm};
use kinds::selectors::from_object;
use std::collections::{BTreeMap, BTreeSet};

/// The labels of each namespace, for terms that select namespaces by them.
pub type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// What a pod says of others.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) together: Vec<Term>,
    pub(crate) apart: Vec<Term>,
    /// Each with its weight, which is negative for those that are to be away.
    pub(crate) preferred: Vec<(Term, i64)>,
}

/// A term as it is meant: whom it selects, and in which namespaces.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) key: String,
    /// `None` selects nobody.
    selector: Option<LabelSelector>,
    pub(crate) namespaces: BTreeSet<String>,
    /// Namespaces by their labels; the inner `None` selects none.
    pub(crate) selected: Option<Option<LabelSelector>>,
}

impl Terms {
    pub(crate) fn of(pod: &Pod) -> Self {
        let Some(all) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else {
            return Terms::default();
        };
        let (with, without) = (all.pod_affinity.as_ref(), all.pod_anti_affinity.as_ref());
        let required = |terms: Option<&Vec<PodAffinityTerm>>| -> Vec<Term> {
            terms.into_iter().flatten().map(|term| Term::of(pod, term)).collect()
        };
        let liked = with.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
        let liked = liked.into_iter().flatten().map(|term| (term, 1));
        let disliked = without.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref());
        let disliked = disliked.into_iter().flatten().map(|term| (term, -1));
        let weighted = liked
            .chain(disliked)
            .map(|(term, sign)| (Term::of(pod, &term.pod_affinity_term), sign * i64::from(term.weight)));
        Terms {
            together: required(
                with.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            apart: required(
                without.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref()),
            ),
            preferred: weighted.collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.together.is_empty() && self.apart.is_empty() && self.preferred.is_empty()
    }
}

impl Term {
    fn of(pod: &Pod, term: &PodAffinityTerm) -> Self {
        // a selector that can not be read selects nobody; validation lets none in
        let mut selector = term.label_selector.as_ref().and_then(|s| from_object(s).ok());
        let own = pod.metadata.labels.as_ref();
        let value = |key: &String| own.and_then(|labels| labels.get(key)).map(|value| vec![value.clone()]);
        let same = term.match_label_keys.iter().flatten();
        let same = same.filter_map(|key| Some((key, Operator::In(value(key)?))));
        let others = term.mismatch_label_keys.iter().flatten();
        let others = others.filter_map(|key| Some((key, Operator::NotIn(value(key)?))));
        if let Some(selector) = &mut selector {
            let more = same.chain(others).map(|(key, operator)| Requirement { key: key.clone(), operator });
            selector.requirements.extend(more);
        }
        let selected = term.namespace_selector.as_ref().map(|selected| from_object(selected).ok());
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if selected.is_none() && namespaces.is_empty() {
            namespaces.extend(pod.metadata.namespace.clone());
        }
        Term { key: term.topology_key.clone(), selector, namespaces, selected }
    }

    pub(crate) fn matches(&self, pod: &Likeness, all: &Namespaces) -> bool {
        let (namespace, labels) = (&pod.namespace, &pod.labels);
        let by_labels = || {
            let selector = self.selected.as_ref().and_then(Option::as_ref);
            selector.is_some_and(|selector| all.get(namespace).is_some_and(|labels| selector.matches(labels)))
        };
        (self.namespaces.contains(namespace) || by_labels())
            && self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}
