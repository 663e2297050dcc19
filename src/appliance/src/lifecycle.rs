//! What a daemon has in common with and without Kubernetes: it tells how its start goes, waits for its end, and lets its parts
//! come to theirs.

use crate::error::StartError;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Room for a controller to finish the write that it is at.
const COMPONENT_GRACE: Duration = Duration::from_secs(5);

/// How far the start is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    Begun {
        what: String,
    },
    /// Something that the user should know, and that does not hold up the start.
    Noted {
        what: String,
    },
    Ready {
        api: String,
    },
    Failed {
        error: StartError,
    },
}

/// Until `stop`, or a signal to end.
pub(crate) async fn wait_for_end(stop: &CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return stop.cancelled().await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ctrl-C, a request to end and a terminal that goes away end this program no more: for who must not stop half-way. What it starts
/// they end as ever: a handler does not pass to another program, as what is blocked or ignored does.
///
/// # Errors
/// What the kernel says.
pub fn outlast_signals() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _within = runtime.enter();
    // the handlers stay when these are gone
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        drop(signal(kind)?);
    }
    Ok(())
}

/// Cuts off what does not end in time.
pub(crate) async fn drain(mut running: JoinSet<()>) {
    let all = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(COMPONENT_GRACE, all).await.is_err() {
        tracing::warn!("a component did not stop in time and was cut off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const SIGTERM: i32 = 15;

    #[test]
    fn signals_end_a_child_and_not_this_program() {
        outlast_signals().unwrap();
        let own = std::process::id().to_string();
        for signal in ["-INT", "-TERM", "-HUP"] {
            assert!(Command::new("kill").args([signal, &own]).status().unwrap().success(), "{signal}");
        }
        let child = Command::new("sh").args(["-c", "kill -TERM $$; exit 0"]).status().unwrap();
        assert_eq!(child.signal(), Some(SIGTERM));
    }
}
