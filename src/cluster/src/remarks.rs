//! What is said of a write beside its answer: warnings for the client (upstream's `warning.AddWarning`), and annotations for the
//! audit log (`audit.AddAuditAnnotation`).
//!
//! They go along with the [`WriteOptions`](crate::WriteOptions) of a write, so that a rule at any depth adds to them and
//! whoever speaks to the client (the API server) takes them. Components' writes have none: nobody would read them, and rules
//! whose only product is a remark ask [`Remarks::is_heard`] or [`Remarks::is_audited`] first.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Clones share what they hold; the default hears nothing.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    all: Option<Arc<Mutex<All>>>,
    is_audited: bool,
}

#[derive(Debug, Default)]
struct All {
    /// In the order they were added, each once.
    warnings: Vec<String>,
    annotations: BTreeMap<String, String>,
}

impl Remarks {
    /// Somebody will read the warnings.
    pub fn collected() -> Self {
        Remarks { all: Some(Arc::default()), is_audited: false }
    }

    /// And the annotations, if so.
    #[must_use]
    pub fn audited(self, is_audited: bool) -> Self {
        Remarks { is_audited, ..self }
    }

    pub fn is_heard(&self) -> bool {
        self.all.is_some()
    }

    pub fn is_audited(&self) -> bool {
        self.is_heard() && self.is_audited
    }

    pub fn warn(&self, text: impl Into<String>) {
        let Some(mut all) = self.lock() else { return };
        let text = text.into();
        if !text.is_empty() && !all.warnings.contains(&text) {
            all.warnings.push(text);
        }
    }

    pub fn warn_all(&self, texts: impl IntoIterator<Item = String>) {
        texts.into_iter().for_each(|text| self.warn(text));
    }

    /// The first that is said under a key stays, as upstream has it.
    pub fn annotate(&self, key: impl Into<String>, value: impl Into<String>) {
        if let Some(mut all) = self.lock().filter(|_| self.is_audited) {
            all.annotations.entry(key.into()).or_insert_with(|| value.into());
        }
    }

    pub fn take_warnings(&self) -> Vec<String> {
        self.lock().map(|mut all| std::mem::take(&mut all.warnings)).unwrap_or_default()
    }

    pub fn take_annotations(&self) -> BTreeMap<String, String> {
        self.lock().map(|mut all| std::mem::take(&mut all.annotations)).unwrap_or_default()
    }

    /// How many warnings there are, to come back to.
    pub(crate) fn mark(&self) -> usize {
        self.lock().map_or(0, |all| all.warnings.len())
    }

    /// Forgets what was added since: the write is tried again from the start.
    pub(crate) fn back_to(&self, mark: usize) {
        if let Some(mut all) = self.lock() {
            all.warnings.truncate(mark);
            all.annotations.clear();
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, All>> {
        self.all.as_ref().map(|all| all.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_heard_once_and_those_of_an_earlier_try_not_at_all() {
        let remarks = Remarks::collected();
        remarks.warn("first");
        let mark = remarks.mark();
        remarks.warn_all(["stale".to_owned(), String::new()]);
        remarks.back_to(mark);
        remarks.warn_all(["second".to_owned(), "first".to_owned()]);
        assert_eq!(remarks.clone().take_warnings(), ["first", "second"]);
        assert!(remarks.take_warnings().is_empty(), "a clone holds the same");
        let nobody = Remarks::default().audited(true);
        nobody.warn("lost");
        nobody.annotate("a", "lost");
        assert!(!nobody.is_heard() && !nobody.is_audited() && nobody.take_warnings().is_empty());
    }

    #[test]
    fn annotations_are_kept_for_the_audit_log_alone() {
        let remarks = Remarks::collected();
        remarks.annotate("a", "lost");
        assert!(remarks.take_annotations().is_empty());
        let remarks = remarks.audited(true);
        remarks.annotate("a", "first");
        remarks.annotate("a", "second");
        assert_eq!(remarks.take_annotations(), BTreeMap::from([("a".to_owned(), "first".to_owned())]));
    }
}
