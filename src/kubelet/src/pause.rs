//! Pods whose processes are held where they are: by the cgroup freezer, a namespace at a time.
//!
//! What is held is written down before anything is frozen, and forgotten after everything is thawed: a daemon that ends in
//! between says at its next start that it is paused, and `unpause` mends it. While a namespace is held its pods are neither
//! probed, restarted nor started; one that is deleted is thawed and ends as ever.

use crate::shared::Shared;
use crate::{labels, pod};
use api::ObjectKey;
use cri::{ContainerId, ContainerState, CriError, Runtime, SandboxStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;

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
        self.state.read().unwrap_or_else(PoisonError::into_inner).holds(namespace)
    }

    fn now(&self) -> Paused {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, paused: Paused) -> io::Result<()> {
        if paused.is_nothing() {
            match std::fs::remove_file(&self.file) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        } else {
            let fresh = self.file.with_extension("new");
            std::fs::write(&fresh, serde_json::to_vec(&paused)?)?;
            std::fs::rename(&fresh, &self.file)?;
        }
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = paused;
        Ok(())
    }

    /// Freezes a container that was started while its namespace was being paused.
    ///
    /// # Errors
    /// The runtime's.
    pub async fn freeze(&self, runtime: &dyn Runtime, namespace: &str, id: &ContainerId) -> cri::Result<()> {
        let _turn = self.turn.lock().await;
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
        let _turn = self.turn.lock().await;
        match self.holds(namespace) {
            true => runtime.freeze_container(id, false).await,
            false => Ok(()),
        }
    }
}

/// Holds pods and lets them go on. Cloning is cheap.
#[derive(Clone)]
pub struct Pauser(pub(crate) Arc<Shared>);

impl Pauser {
    pub fn paused(&self) -> Paused {
        self.0.pauses.now()
    }

    /// Holds the pods of these namespaces, or of all, and says how many containers were frozen. Calling it again freezes
    /// what was started meanwhile.
    ///
    /// # Errors
    /// It could not be written down, and nothing was frozen; or a container would not be frozen, and the others are.
    pub async fn pause(&self, namespaces: Option<&BTreeSet<String>>) -> cri::Result<usize> {
        let pauses = &self.0.pauses;
        let _turn = pauses.turn.lock().await;
        let wanted = pauses.now().and(namespaces);
        pauses.set(wanted.clone()).map_err(|e| unwritten(pauses, &e))?;
        let frozen = self.set_frozen(|namespace| wanted.holds(namespace), true).await;
        self.0.wake_all.send_replace(());
        frozen
    }

    /// Lets the pods of these namespaces, or of all, go on, and says how many containers were thawed.
    ///
    /// # Errors
    /// A container would not be thawed, or it could not be written down: it is still said to be paused then.
    pub async fn unpause(&self, namespaces: Option<&BTreeSet<String>>) -> cri::Result<usize> {
        let pauses = &self.0.pauses;
        let _turn = pauses.turn.lock().await;
        let before = pauses.now();
        let after = before.clone().without(namespaces);
        let goes_on = |namespace: &str| before.holds(namespace) && !after.holds(namespace);
        let thawed = self.set_frozen(goes_on, false).await?;
        pauses.set(after).map_err(|e| unwritten(pauses, &e))?;
        self.0.wake_all.send_replace(());
        Ok(thawed)
    }

    /// After a start of the daemon: what ran when it was paused is still frozen, unless the daemon ended in between.
    pub(crate) async fn resume(&self) {
        let pauses = &self.0.pauses;
        let _turn = pauses.turn.lock().await;
        let held = pauses.now();
        if held.is_nothing() {
            return;
        }
        if let Err(error) = self.set_frozen(|namespace| held.holds(namespace), true).await {
            tracing::warn!(%error, "a container of a paused pod could not be frozen");
        }
    }

    async fn set_frozen(&self, wanted: impl Fn(&str) -> bool, frozen: bool) -> cri::Result<usize> {
        let (mut count, mut outcome) = (0, Ok(()));
        for sandbox in self.0.runtime.list().await? {
            if !wanted(&sandbox.config.namespace)
                || !self.is_pods(&sandbox)
                || (frozen && self.is_ending(&sandbox))
            {
                continue;
            }
            for container in &sandbox.containers {
                if !matches!(container.state, ContainerState::Running { .. }) {
                    continue;
                }
                match self.0.runtime.freeze_container(&container.id, frozen).await {
                    Ok(()) => count += 1,
                    Err(_) if self.has_ended(&container.id).await => {}
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        outcome.map(|()| count)
    }

    /// Others make sandboxes too, without a pod's label.
    fn is_pods(&self, sandbox: &SandboxStatus) -> bool {
        sandbox.config.labels.get(labels::POD_UID).is_some_and(|uid| !uid.is_empty())
    }

    fn is_ending(&self, sandbox: &SandboxStatus) -> bool {
        let key = ObjectKey::namespaced(&sandbox.config.namespace, &sandbox.config.name);
        let known = self.0.known.get(&key).filter(|pod| pod::uid(pod) == sandbox.config.uid);
        known.is_none_or(|pod| pod::is_deleting(&pod))
    }

    async fn has_ended(&self, id: &ContainerId) -> bool {
        let now = self.0.runtime.container(id).await;
        !now.is_ok_and(|status| matches!(status.state, ContainerState::Running { .. }))
    }
}

fn unwritten(pauses: &Pauses, why: &io::Error) -> CriError {
    CriError::failed(format!("write {}", pauses.file.display()), why)
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
