//! What shims say by themselves, and what follows from it.

use crate::client::ShimMessage;
use crate::runtime::Inner;
use crate::sandbox::SandboxPhase;
use cri::wire::ShimEvent;
use cri::{RuntimeEvent, SandboxId};
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

const GONE: &str = "the sandbox's shim was killed";

impl Inner {
    async fn handle(self: &Arc<Self>, id: &SandboxId, message: ShimMessage) {
        match message {
            ShimMessage::Event(ShimEvent::Exited { container, exit }) => {
                self.container_exited(&container, exit).await
            }
            ShimMessage::Event(ShimEvent::OutOfMemory { container }) => {
                let _ = self.events.send(RuntimeEvent::OutOfMemory { sandbox: id.clone(), container });
            }
            ShimMessage::Event(ShimEvent::ExecExited { exec, exit_code }) => {
                if let Some(sandbox) = self.find_sandbox(id) {
                    sandbox.exec_ended(exec, exit_code);
                }
            }
            ShimMessage::Gone => self.connection_ended(id).await,
        }
    }

    /// A shim that ends without being told to takes its containers along.
    async fn connection_ended(&self, id: &SandboxId) {
        let Some(sandbox) = self.find_sandbox(id) else { return };
        if sandbox.end() != SandboxPhase::Ready {
            return;
        }
        tracing::warn!("sandbox {id}: {GONE}");
        if let Err(e) = self.end_processes(&sandbox).await {
            tracing::warn!("{e}");
        }
        self.containers_ended(id, GONE).await;
        let _ = self.events.send(RuntimeEvent::SandboxLost { sandbox: id.clone() });
    }
}

/// Passes on what a shim says, until one of the two is gone.
pub async fn follow(inner: Weak<Inner>, id: SandboxId, mut messages: mpsc::UnboundedReceiver<ShimMessage>) {
    while let Some(message) = messages.recv().await {
        // the task does not keep the runtime alive
        let Some(inner) = inner.upgrade() else { return };
        inner.handle(&id, message).await;
    }
}
