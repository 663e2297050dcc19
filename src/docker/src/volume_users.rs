//! Who uses the volumes that something is mounted for: containers that run, and requests that look into one that does not.
//!
//! Nothing of it is written down: what is mounted the kernel knows, and whose it is the containers' records; an engine that starts
//! takes both up.

use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// By volume.
#[derive(Default)]
pub(crate) struct Users {
    now: Mutex<HashMap<String, BTreeSet<String>>>,
    /// Held by who mounts, unmounts or removes it, however long that takes.
    gates: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

impl Users {
    pub(crate) fn gate(&self, volume: &str) -> Arc<Mutex<()>> {
        self.gates.lock().entry(volume.to_owned()).or_default().clone()
    }

    /// The volume is gone.
    pub(crate) fn forget(&self, volume: &str) {
        self.gates.lock().remove(volume);
    }

    pub(crate) fn has_any(&self, volume: &str) -> bool {
        self.now.lock().contains_key(volume)
    }

    pub(crate) fn enter(&self, volume: &str, user: &str) {
        self.now.lock().entry(volume.to_owned()).or_default().insert(user.to_owned());
    }

    /// True where it was the last one.
    pub(crate) fn leave(&self, volume: &str, user: &str) -> bool {
        let mut now = self.now.lock();
        let Some(users) = now.get_mut(volume) else { return false };
        let is_last = users.remove(user) && users.is_empty();
        if users.is_empty() {
            now.remove(volume);
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_is_known() {
        let users = Users::default();
        users.enter("v", "a");
        users.enter("v", "b");
        users.enter("v", "b");
        assert!(!users.leave("v", "a") && users.has_any("v"));
        assert!(!users.leave("v", "stranger"));
        assert!(users.leave("v", "b") && !users.has_any("v"));
        assert!(!users.leave("v", "b"), "once");
    }
}
