//! The daemon as a process of its own, which outlives the command that starts it.

use crate::failures::{self, Failure};
use anyhow::Result;
use appliance::{Paths, Step};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A daemon that outlives us, and tells its steps on its standard output.
///
/// # Errors
/// The program can not be run.
pub(super) fn spawn_daemon(
    program: &Path,
    paths: &Paths,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Child> {
    let mut daemon = Command::new(program);
    daemon.args(["-p", paths.profile.as_str()]).args(words);
    daemon.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(daemon.spawn()?)
}

/// By the terminal itself, before it had a session of its own.
pub(super) fn ended_by_ctrl_c(daemon: &mut Child) -> bool {
    let ended = daemon.try_wait().ok().flatten();
    ended.and_then(|how| how.signal()) == Some(Signal::SIGINT as i32)
}

/// Reads the daemon's steps until it is ready, or has failed.
///
/// # Errors
/// Why it failed.
pub(super) fn wait_for(daemon: &mut Child, paths: &Paths, show: &mut dyn FnMut(&Step)) -> Result<()> {
    let steps = daemon.stdout.take().map(BufReader::new);
    for line in steps.into_iter().flat_map(BufRead::lines) {
        match serde_json::from_str(&line?) {
            Ok(Step::Ready { .. }) => return Ok(()),
            Ok(Step::Failed { error }) => {
                daemon.wait()?;
                return Err(Failure::from(&error).because(error));
            }
            Ok(step) => show(&step),
            Err(_) => {}
        }
    }
    let how = daemon.wait()?;
    Err(failures::START_FAILED.because(format!("start {}: the daemon ended with {how}", paths.profile)))
}
