//! Asks the daemon over its control socket.

use crate::failures::{self, Failure};
use anyhow::Result;
use appliance::{ControlReply, ControlRequest, ControlStatus, Places, Refusal};
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// Whether the daemon can be asked at all.
pub enum Presence {
    Running(Box<ControlStatus>),
    Stopped,
    /// It holds its lock, but does not answer.
    Broken(String),
}

pub fn presence(places: &Places) -> Presence {
    match ask_status(places) {
        Ok(status) => Presence::Running(Box::new(status)),
        Err(_) if !is_locked(places) => Presence::Stopped,
        Err(error) => Presence::Broken(format!("{error:#}")),
    }
}

/// # Errors
/// `NOT_RUNNING`, `NO_ANSWER`.
pub fn status(places: &Places) -> Result<ControlStatus> {
    match presence(places) {
        Presence::Running(status) => Ok(*status),
        Presence::Stopped => {
            Err(failures::NOT_RUNNING.because(format!("profile {} is stopped", places.profile)))
        }
        Presence::Broken(why) => Err(failures::NO_ANSWER.because(why)),
    }
}

fn ask_status(places: &Places) -> Result<ControlStatus> {
    let mut found = None;
    ask(places, &ControlRequest::Status, |reply| {
        if let ControlReply::Status(status) = reply {
            found = Some(status);
        }
    })?;
    found.ok_or_else(|| failures::NO_ANSWER.because("the daemon gave no status"))
}

/// Sends the request, and hands each line of the answer to `each`.
///
/// # Errors
/// `NOT_RUNNING` where nobody listens, `NO_ANSWER` where the answer breaks off or the daemon refuses.
pub fn ask(places: &Places, request: &ControlRequest, mut each: impl FnMut(ControlReply)) -> Result<()> {
    let socket = places.control_socket();
    let connect = UnixStream::connect(&socket);
    let mut stream = connect.map_err(|e| match e.kind() {
        std::io::ErrorKind::PermissionDenied => {
            failures::NOT_ROOT.because(format!("{}: {e}", socket.display()))
        }
        _ => failures::NOT_RUNNING.because(format!("{}: {e}", socket.display())),
    })?;
    let no_answer = |e: std::io::Error| failures::NO_ANSWER.because(format!("{}: {e}", socket.display()));
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(no_answer)?;
    let _ = stream.shutdown(Shutdown::Write);
    for line in BufReader::new(stream).lines() {
        match serde_json::from_str(&line.map_err(no_answer)?)? {
            ControlReply::Done => return Ok(()),
            ControlReply::Failed { reason, message } => return Err(failure_of(reason).because(message)),
            reply => each(reply),
        }
    }
    Err(failures::NO_ANSWER.because("the daemon closed the connection"))
}

fn failure_of(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::NotFound => failures::SERVICE_NOT_FOUND,
        Refusal::Image => failures::IMAGE,
        Refusal::Other => failures::OTHER,
    }
}

fn is_locked(places: &Places) -> bool {
    use nix::fcntl::{Flock, FlockArg};
    let Ok(file) = std::fs::File::open(places.lock()) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}
