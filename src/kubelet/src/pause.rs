//! Pods whose processes are held where they are: by the cgroup freezer, a namespace at a time.
//!
//! What is held is written down before anything is frozen, and forgotten after everything is thawed: a daemon that ends in
//! between says at its next start that it is paused, and `unpause` mends it. While a namespace is held its pods are neither
//! probed, restarted nor started; one that is deleted is thawed and ends as ever.

use cri::{ContainerId, CriError, Runtime};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use tokio::sync::{Mutex, MutexGuard};

/// Which namespaces are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paused {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Default for Paused {
    fn default() -> Self {
        Paused::Only(BTreeSet::new())
    }
}

impl Paused {
    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Paused::Only(names) => names.contains(namespace),
            Paused::AllBut(names) => !names.contains(namespace),
        }
    }

    /// Nothing is held.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Paused::Only(names) if names.is_empty())
    }

    /// These as well; `None` is all.
    #[must_use]
    pub fn and(self, namespaces: Option<&BTreeSet<String>>) -> Paused {
        match (self, namespaces) {
            (_, None) => Paused::AllBut(BTreeSet::new()),
            (Paused::Only(held), Some(more)) => Paused::Only(&held | more),
            (Paused::AllBut(free), Some(more)) => Paused::AllBut(&free - more),
        }
    }

    /// Without these; `None` is all.
    #[must_use]
    pub fn without(self, namespaces: Option<&BTreeSet<String>>) -> Paused {
        match (self, namespaces) {
            (_, None) => Paused::default(),
            (Paused::Only(held), Some(freed)) => Paused::Only(&held - freed),
            (Paused::AllBut(free), Some(freed)) => Paused::AllBut(&free | freed),
        }
    }
}

/// What a kubelet holds.
pub(crate) struct Pauses {
    file: PathBuf,
    state: RwLock<Paused>,
    /// Held while containers are frozen or thawed, so that what is written and what is frozen agree.
    turn: Mutex<()>,
}

impl Pauses {
    /// # Errors
    /// A file that can not be read, or is not what was written.
    pub fn load(file: PathBuf) -> io::Result<Pauses> {
        let state = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(e) if e.kind() == ErrorKind::NotFound => Paused::default(),
            Err(e) => return Err(e),
        };
        Ok(Pauses { file, state: RwLock::new(state), turn: Mutex::default() })
    }

    pub fn holds(&self, namespace: &str) -> bool {
        self.state.read().holds(namespace)
    }

    /// Nobody freezes or thaws meanwhile.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub fn now(&self) -> Paused {
        self.state.read().clone()
    }

    /// Whoever calls it has the [turn](Pauses::turn).
    ///
    /// # Errors
    /// The file could not be written.
    pub fn set(&self, paused: Paused) -> cri::Result<()> {
        self.write(&paused).map_err(|e| CriError::failed(format!("write {}", self.file.display()), e))?;
        *self.state.write() = paused;
        Ok(())
    }

    fn write(&self, paused: &Paused) -> io::Result<()> {
        if paused.is_nothing() {
            match std::fs::remove_file(&self.file) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        } else {
            let fresh = self.file.with_extension("new");
            std::fs::write(&fresh, serde_json::to_vec(paused)?)?;
            std::fs::rename(&fresh, &self.file)?;
        }
        Ok(())
    }

    /// Freezes a container that was started while its namespace was being paused.
    ///
    /// # Errors
    /// The runtime's.
    pub async fn freeze(&self, runtime: &dyn Runtime, namespace: &str, id: &ContainerId) -> cri::Result<()> {
        let _turn = self.turn().await;
        match self.holds(namespace) {
            true => runtime.freeze_container(id, true).await,
            false => Ok(()),
        }
    }

    /// Lets a container go on that is to end: a signal reaches nobody who is frozen.
    ///
    /// # Errors
    /// The runtime's.
    pub async fn thaw(&self, runtime: &dyn Runtime, namespace: &str, id: &ContainerId) -> cri::Result<()> {
        let _turn = self.turn().await;
        match self.holds(namespace) {
            true => runtime.freeze_container(id, false).await,
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn namespaces_are_added_and_taken_away() {
        let nothing = Paused::default;
        let all = || nothing().and(None);
        let cases = [
            ("one", nothing().and(Some(&set(&["a"]))), Paused::Only(set(&["a"]))),
            ("one more", Paused::Only(set(&["a"])).and(Some(&set(&["b"]))), Paused::Only(set(&["a", "b"]))),
            ("all", all(), Paused::AllBut(set(&[]))),
            ("all but one", all().without(Some(&set(&["a"]))), Paused::AllBut(set(&["a"]))),
            ("and that again", Paused::AllBut(set(&["a"])).and(Some(&set(&["a"]))), all()),
            ("all go on", all().without(None), nothing()),
            ("the last goes on", Paused::Only(set(&["a"])).without(Some(&set(&["a"]))), nothing()),
        ];
        for (name, got, want) in cases {
            assert_eq!(got, want, "{name}");
        }
        assert!(nothing().is_nothing() && !all().is_nothing());
        assert!(Paused::AllBut(set(&["a"])).holds("b") && !Paused::AllBut(set(&["a"])).holds("a"));
    }

    #[test]
    fn what_is_held_is_kept_in_a_file_until_nothing_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("paused.json");
        let pauses = Pauses::load(file.clone()).unwrap();
        pauses.set(Paused::Only(set(&["a"]))).unwrap();
        assert!(Pauses::load(file.clone()).unwrap().holds("a"));
        pauses.set(Paused::default()).unwrap();
        assert!(!file.exists() && !Pauses::load(file.clone()).unwrap().holds("a"));
        std::fs::write(&file, "nonsense").unwrap();
        assert!(Pauses::load(file).is_err());
    }
}
