//! One sandbox as the daemon knows it.

use crate::client::{CallError, ShimClient};
use crate::connection;
use crate::records::{Made, SandboxRecord};
use cri::wire::Request;
use cri::{Connection, ContainerStatus, CriError, SandboxId, SandboxState, SandboxStatus};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{RwLock, oneshot, watch};

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// How far a sandbox came. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxPhase {
    Ready,
    /// We have told the shim to end.
    Stopping,
    Ended,
}

pub struct Sandbox {
    record: Mutex<SandboxRecord>,
    client: Mutex<Option<Arc<ShimClient>>>,
    pub phase: watch::Sender<SandboxPhase>,
    /// Held shared by what needs the sandbox to stay, alone by what ends it.
    pub gate: RwLock<()>,
    /// Who waits for the exit codes of processes that were added to containers.
    execs: Mutex<HashMap<u64, oneshot::Sender<cri::Result<i32>>>>,
}

impl Sandbox {
    pub fn ready(record: SandboxRecord, client: ShimClient) -> Self {
        Self::new(record, Some(client), SandboxPhase::Ready)
    }

    pub fn ended(record: SandboxRecord) -> Self {
        Self::new(record, None, SandboxPhase::Ended)
    }

    fn new(record: SandboxRecord, client: Option<ShimClient>, phase: SandboxPhase) -> Self {
        Sandbox {
            record: Mutex::new(record),
            client: Mutex::new(client.map(Arc::new)),
            phase: watch::Sender::new(phase),
            gate: RwLock::new(()),
            execs: Mutex::default(),
        }
    }

    pub fn record(&self) -> SandboxRecord {
        lock(&self.record).clone()
    }

    pub fn id(&self) -> SandboxId {
        lock(&self.record).id.clone()
    }

    pub fn made(&self) -> Option<Made> {
        lock(&self.record).made.clone()
    }

    pub fn set_stopped(&self) -> SandboxRecord {
        let mut record = lock(&self.record);
        record.stopped = true;
        record.clone()
    }

    pub fn set_connection(&self, connection: Connection) -> SandboxRecord {
        let mut record = lock(&self.record);
        record.config.connection = connection;
        record.clone()
    }

    pub fn is_ready(&self) -> bool {
        *self.phase.borrow() == SandboxPhase::Ready
    }

    /// The way to its shim.
    ///
    /// # Errors
    /// The sandbox has ended, or is about to.
    pub fn client(&self) -> Result<Arc<ShimClient>, CriError> {
        let client = lock(&self.client).clone().filter(|_| self.is_ready());
        client.ok_or_else(|| CriError::Failed(format!("sandbox {} is not ready", self.id())))
    }

    pub fn client_while_stopping(&self) -> Option<Arc<ShimClient>> {
        lock(&self.client).clone()
    }

    /// A call that is refused or lost is an error that says what was wanted.
    pub async fn call(&self, doing: &str, request: Request) -> Result<crate::client::Answer, CriError> {
        self.client()?.call(request).await.map_err(|e| match e {
            CallError::Refused(why) => CriError::Failed(format!("{doing}: {why}")),
            CallError::Gone => CriError::Failed(format!("{doing}: {e}")),
        })
    }

    /// Takes note of the connection's end; says how far the sandbox was before.
    pub fn end(&self) -> SandboxPhase {
        *lock(&self.client) = None;
        for (_, waiting) in lock(&self.execs).drain() {
            let _ = waiting.send(Err(CriError::Failed("the sandbox's shim is gone".to_owned())));
        }
        self.phase.send_replace(SandboxPhase::Ended)
    }

    pub fn expect_exec(&self, exec: u64) -> oneshot::Receiver<cri::Result<i32>> {
        let (tell, exit) = oneshot::channel();
        lock(&self.execs).insert(exec, tell);
        exit
    }

    pub fn exec_ended(&self, exec: u64, exit_code: i32) {
        if let Some(waiting) = lock(&self.execs).remove(&exec) {
            let _ = waiting.send(Ok(exit_code));
        }
    }

    pub fn forget_exec(&self, exec: u64) {
        lock(&self.execs).remove(&exec);
    }

    pub fn status(&self, containers: Vec<ContainerStatus>) -> SandboxStatus {
        let record = self.record();
        SandboxStatus {
            state: if self.is_ready() { SandboxState::Ready } else { SandboxState::NotReady },
            ip: connection::address(&record).map(Into::into),
            id: record.id,
            config: record.config,
            created_at: record.created_at,
            containers,
        }
    }
}
