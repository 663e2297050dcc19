//! What shims say by themselves, and what follows from it.

use crate::client::Heard;
use crate::runtime::Inner;
use crate::sandbox::Life;
use cri::wire::ShimEvent;
use cri::{RuntimeEvent, SandboxId};
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

const GONE: &str = "the sandbox's shim was killed";

impl Inner {
    async fn heard(self: &Arc<Self>, id: &SandboxId, heard: Heard) {
        match heard {
            Heard::Event(ShimEvent::Exited { container, exit }) => {
                self.container_exited(&container, exit).await
            }
            Heard::Event(ShimEvent::OutOfMemory { container }) => {
                let _ = self.events.send(RuntimeEvent::OutOfMemory { sandbox: id.clone(), container });
            }
            Heard::Event(ShimEvent::ExecExited { exec, exit_code }) => {
                if let Some(sandbox) = self.find_sandbox(id) {
                    sandbox.exec_ended(exec, exit_code);
                }
            }
            Heard::Gone => self.connection_ended(id).await,
        }
    }

    /// A shim that ends without being told to takes its containers along.
    async fn connection_ended(&self, id: &SandboxId) {
        let Some(sandbox) = self.find_sandbox(id) else { return };
        if sandbox.end() != Life::Ready {
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
pub async fn follow(inner: Weak<Inner>, id: SandboxId, mut heard: mpsc::UnboundedReceiver<Heard>) {
    while let Some(news) = heard.recv().await {
        // the task does not keep the runtime alive
        let Some(inner) = inner.upgrade() else { return };
        inner.heard(&id, news).await;
    }
}
