//! What a client should hear of, though what it asked for is done: upstream's `warning.AddWarning`.
//!
//! The list goes along with the [`WriteOptions`](crate::WriteOptions) of a write, so that a rule at any depth adds to it and
//! whoever speaks to the client (the API server, as `Warning` headers) takes it. Components' writes have none: nobody would
//! read it, and rules whose only product is a warning ask [`Warnings::is_heard`] first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Texts in the order they were added, each once. Clones share the list; the default hears nothing.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Option<Arc<Mutex<Vec<String>>>>);

impl Warnings {
    /// Somebody will read them.
    pub fn collected() -> Self {
        Warnings(Some(Arc::default()))
    }

    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    pub fn add(&self, text: impl Into<String>) {
        let Some(mut all) = self.lock() else { return };
        let text = text.into();
        if !text.is_empty() && !all.contains(&text) {
            all.push(text);
        }
    }

    pub fn extend(&self, texts: impl IntoIterator<Item = String>) {
        texts.into_iter().for_each(|text| self.add(text));
    }

    pub fn take(&self) -> Vec<String> {
        self.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default()
    }

    /// How many there are, to come back to.
    pub(crate) fn mark(&self) -> usize {
        self.lock().map_or(0, |all| all.len())
    }

    /// Forgets what was added since: the write is tried again from the start.
    pub(crate) fn back_to(&self, mark: usize) {
        if let Some(mut all) = self.lock() {
            all.truncate(mark);
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Vec<String>>> {
        self.0.as_ref().map(|all| all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_heard_once_and_those_of_an_earlier_try_not_at_all() {
        let warnings = Warnings::collected();
        warnings.add("first");
        let mark = warnings.mark();
        warnings.extend(["stale".to_owned(), String::new()]);
        warnings.back_to(mark);
        warnings.extend(["second".to_owned(), "first".to_owned()]);
        assert_eq!(warnings.clone().take(), ["first", "second"]);
        assert!(warnings.take().is_empty(), "a clone is the same list");
        let nobody = Warnings::default();
        nobody.add("lost");
        assert!(!nobody.is_heard() && nobody.take().is_empty());
    }
}
