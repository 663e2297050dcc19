//! The execs that there are, and were lately.

use crate::error::{ApiError, Result};
use crate::record::Container;
use cri::TerminalSize;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// As many that have ended can be asked for their exit code.
const REMEMBERED: usize = 512;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ExecWanted {
    pub(crate) attach_stdin: bool,
    pub(crate) attach_stdout: bool,
    pub(crate) attach_stderr: bool,
    pub(crate) tty: bool,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Option<Vec<String>>,
    pub(crate) working_dir: Option<String>,
    pub(crate) user: String,
    pub(crate) privileged: bool,
    pub(crate) console_size: Option<[u16; 2]>,
    // as the Python SDK writes it
    #[serde(alias = "detachKeys")]
    pub(crate) detach_keys: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    Made,
    Running,
    Ended(i32),
}

pub(crate) struct Exec {
    pub(crate) id: String,
    pub(crate) container: Arc<Container>,
    pub(crate) wanted: ExecWanted,
    pub(crate) stage: Mutex<Stage>,
    /// Its process', as the host numbers it; zero before there is one.
    pub(crate) pid: AtomicI32,
    /// Its terminal's, while it has one; told whenever the process comes or goes.
    pub(crate) window: watch::Sender<Option<mpsc::Sender<TerminalSize>>>,
}

impl Exec {
    /// Of those who start it the first. What the others hear comes in the stream that they asked for: compose starts an exec
    /// twice and relies on it.
    pub(crate) fn take(&self) -> Result<()> {
        let mut stage = self.stage.lock();
        let how = match *stage {
            Stage::Made => {
                *stage = Stage::Running;
                return Ok(());
            }
            Stage::Running => "is already running",
            Stage::Ended(_) => "has already run",
        };
        Err(ApiError::conflict(format_args!("error: exec command {} {how}", self.id)))
    }

    /// Its window, as soon as there is one: clients tell the size right after the start, before the process is there.
    /// `None` where it has no terminal, or has ended.
    ///
    /// # Errors
    /// Nobody has started it by then.
    pub(crate) async fn terminal(&self, patience: Duration) -> Result<Option<mpsc::Sender<TerminalSize>>> {
        if !self.wanted.tty {
            return Ok(None);
        }
        let mut window = self.window.subscribe();
        let is_settled = window.wait_for(|w| w.is_some() || matches!(*self.stage.lock(), Stage::Ended(_)));
        let settled = tokio::time::timeout(patience, is_settled).await;
        match settled {
            Ok(settled) => Ok(settled.ok().and_then(|window| window.clone())),
            Err(_) => Err(ApiError::failed(
                format_args!("resize exec {}", self.id),
                "timeout waiting for exec session ready",
            )),
        }
    }
}

/// All of the engine, in order of their making.
#[derive(Default)]
pub(crate) struct Execs(Mutex<(HashMap<String, Arc<Exec>>, Vec<String>)>);

impl Execs {
    pub(crate) fn add(&self, exec: Arc<Exec>) {
        let mut all = self.0.lock();
        all.1.push(exec.id.clone());
        all.0.insert(exec.id.clone(), exec);
        if all.1.len() > REMEMBERED {
            let oldest = all
                .1
                .iter()
                .position(|id| all.0.get(id).is_none_or(|exec| *exec.stage.lock() != Stage::Running));
            if let Some(oldest) = oldest {
                let id = all.1.remove(oldest);
                all.0.remove(&id);
            }
        }
    }

    pub(crate) fn get(&self, id: &str) -> Result<Arc<Exec>> {
        let all = self.0.lock();
        all.0.get(id).cloned().ok_or_else(|| ApiError::not_found(format_args!("No such exec instance: {id}")))
    }

    /// Those that run in a container.
    pub(crate) fn of(&self, container: &str) -> Vec<String> {
        let all = self.0.lock();
        let runs =
            |exec: &Exec| *exec.stage.lock() == Stage::Running && exec.container.see(|r| r.id == container);
        all.1.iter().filter(|id| all.0.get(*id).is_some_and(|exec| runs(exec))).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    fn exec(tty: bool, stage: Stage) -> Exec {
        Exec {
            id: "e".to_owned(),
            container: Arc::new(Container::new(record("web"), "/none".into(), None)),
            wanted: ExecWanted { tty, ..ExecWanted::default() },
            stage: Mutex::new(stage),
            pid: AtomicI32::new(0),
            window: watch::Sender::new(None),
        }
    }

    #[tokio::test]
    async fn a_size_waits_for_the_process() {
        let (window, _kept) = mpsc::channel(1);
        let running = exec(true, Stage::Running);
        let come = async {
            tokio::task::yield_now().await;
            running.window.send_replace(Some(window));
        };
        let (found, ()) = tokio::join!(running.terminal(Duration::from_secs(60)), come);
        assert!(found.unwrap().is_some());

        let failing = exec(true, Stage::Running);
        let fail = async {
            tokio::task::yield_now().await;
            *failing.stage.lock() = Stage::Ended(127);
            failing.window.send_replace(None);
        };
        let (found, ()) = tokio::join!(failing.terminal(Duration::from_secs(60)), fail);
        assert!(found.unwrap().is_none());

        assert!(exec(false, Stage::Running).terminal(Duration::from_secs(60)).await.unwrap().is_none());
        assert!(exec(true, Stage::Ended(0)).terminal(Duration::from_secs(60)).await.unwrap().is_none());
        assert!(exec(true, Stage::Made).terminal(Duration::from_millis(1)).await.is_err());
    }
}
