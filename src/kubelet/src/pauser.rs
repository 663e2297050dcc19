//! Freezing and thawing the pods of namespaces, as what is written of them ([`pause`](crate::pause)) says.

use crate::pause::Paused;
use crate::shared::Shared;
use crate::{labels, pod};
use api::ObjectKey;
use cri::{ContainerId, ContainerState, SandboxStatus};
use std::collections::BTreeSet;
use std::sync::Arc;

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
        let _turn = pauses.turn().await;
        let wanted = pauses.now().and(namespaces);
        pauses.set(wanted.clone())?;
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
        let _turn = pauses.turn().await;
        let before = pauses.now();
        let after = before.clone().without(namespaces);
        let goes_on = |namespace: &str| before.holds(namespace) && !after.holds(namespace);
        let thawed = self.set_frozen(goes_on, false).await?;
        pauses.set(after)?;
        self.0.wake_all.send_replace(());
        Ok(thawed)
    }

    /// After a start of the daemon: what ran when it was paused is still frozen, unless the daemon ended in between.
    pub(crate) async fn resume(&self) {
        let pauses = &self.0.pauses;
        let _turn = pauses.turn().await;
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
