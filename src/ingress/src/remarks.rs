//! What is wrong with ingresses, told to their owners once, by events.

use k8s_openapi::api::networking::v1::Ingress;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Of one ingress at once: who has ten thousand bad paths has learned it from these.
const MOST_AT_ONCE: usize = 16;
/// Of one ingress are remembered; after that all are told again.
const MOST_REMEMBERED: usize = 64;

#[derive(Debug)]
pub(crate) struct Remark {
    pub(crate) ingress: Arc<Ingress>,
    pub(crate) reason: &'static str,
    pub(crate) words: String,
}

/// Of one renewal.
#[derive(Debug, Default)]
pub(crate) struct Remarks(pub(crate) Vec<Remark>);

impl Remarks {
    /// Whoever goes through ingresses tells all of one before any of the next.
    pub(crate) fn add(
        &mut self,
        ingress: &Arc<Ingress>,
        reason: &'static str,
        words: impl FnOnce() -> String,
    ) {
        let told = self.0.iter().rev().take_while(|remark| Arc::ptr_eq(&remark.ingress, ingress));
        if told.take(MOST_AT_ONCE).count() < MOST_AT_ONCE {
            self.0.push(Remark { ingress: ingress.clone(), reason, words: words() });
        }
    }
}

/// What was told already, by the uid of an ingress.
#[derive(Debug, Default)]
pub(crate) struct Told(HashMap<String, HashSet<String>>);

impl Told {
    /// Forgets the ingresses that are gone.
    pub(crate) fn keep(&mut self, ingresses: &[Arc<Ingress>]) {
        let here: HashSet<&str> = ingresses.iter().map(|ingress| uid(ingress)).collect();
        self.0.retain(|uid, _| here.contains(uid.as_str()));
    }

    pub(crate) fn is_new(&mut self, ingress: &Ingress, words: &str) -> bool {
        let told = self.0.entry(uid(ingress).to_owned()).or_default();
        if told.contains(words) {
            return false;
        }
        if told.len() >= MOST_REMEMBERED {
            told.clear();
        }
        told.insert(words.to_owned())
    }
}

fn uid(ingress: &Ingress) -> &str {
    ingress.metadata.uid.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingress(uid: &str) -> Arc<Ingress> {
        let mut ingress = Ingress::default();
        ingress.metadata.uid = Some(uid.to_owned());
        Arc::new(ingress)
    }

    #[test]
    fn an_ingress_hears_so_much_at_once() {
        let (a, b) = (ingress("a"), ingress("b"));
        let mut remarks = Remarks::default();
        (0..10_000).for_each(|n| remarks.add(&a, "BadPath", || n.to_string()));
        remarks.add(&b, "BadPath", || "b".to_owned());
        assert_eq!(remarks.0.len(), MOST_AT_ONCE + 1);
    }

    #[test]
    fn what_was_told_is_remembered_while_its_ingress_is_there_and_bounded() {
        let (a, b) = (ingress("a"), ingress("b"));
        let mut told = Told::default();
        assert!(told.is_new(&a, "x") && told.is_new(&b, "x") && !told.is_new(&a, "x"));
        told.keep(std::slice::from_ref(&b));
        assert!(told.is_new(&a, "x") && !told.is_new(&b, "x"));
        for n in 0..10_000 {
            told.is_new(&b, &n.to_string());
        }
        assert!(told.0["b"].len() <= MOST_REMEMBERED);
    }
}
