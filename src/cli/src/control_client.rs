//! Asks the daemon over its control socket.

use crate::failures::{self, Failure};
use anyhow::Result;
use appliance::{ControlReply, ControlRequest, ControlStatus, NOT_UNDERSTOOD, Paths, Refusal};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Between the lock and the socket of a daemon that starts, or the other way round for one that ends.
const HESITATION: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// For the answer that costs nothing: a daemon that takes longer hangs, on however busy a machine.
const STATUS_PATIENCE: Duration = Duration::from_secs(10);
/// A little more than the daemon gives its own components.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Whether the daemon can be asked at all.
pub enum Presence {
    Running(Box<ControlStatus>),
    Stopped,
    /// It holds its lock, but does not answer.
    Broken(String),
    /// Only root may see whether there is one.
    Forbidden(String),
}

/// A daemon that has just begun, or is just ending, is given a moment to make up its mind.
pub fn presence(paths: &Paths) -> Presence {
    let began = Instant::now();
    loop {
        match ask_status(paths) {
            Ok(status) => return Presence::Running(Box::new(status)),
            Err(error) if failures::is(&error, failures::NOT_ROOT) => {
                return Presence::Forbidden(error.to_string());
            }
            Err(_) if !is_locked(paths) => return Presence::Stopped,
            Err(error) if began.elapsed() > HESITATION => return Presence::Broken(format!("{error:#}")),
            Err(_) => std::thread::sleep(LOOK_AGAIN),
        }
    }
}

/// Ends the daemon, by its socket where it answers and by signals where it does not, and returns when it has let go of its
/// lock. What runs in containers goes on.
///
/// # Errors
/// `NO_ANSWER` where the lock can not be read, or not even a kill ends it; `NOT_ROOT`.
pub fn end(paths: &Paths) -> Result<()> {
    match presence(paths) {
        Presence::Stopped => Ok(()),
        Presence::Running(status) => {
            ask(paths, &ControlRequest::Stop, |_| {})?;
            wait_for_end_of(paths, Some(status.pid))
        }
        Presence::Broken(why) => kill(paths, &why),
        Presence::Forbidden(why) => Err(failures::NOT_ROOT.because(why)),
    }
}

fn kill(paths: &Paths, why: &str) -> Result<()> {
    use nix::sys::signal::{Signal, kill};
    let text = std::fs::read_to_string(paths.lock()).map_err(|_| failures::NO_ANSWER.because(why))?;
    if text.trim().is_empty() {
        // no daemon has it, but who removes the profile: it is his until he has done so
        return wait_for_end_of(paths, None);
    }
    let pid = text.trim().parse().map_err(|_| failures::NO_ANSWER.because(why))?;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let began = Instant::now();
        let _ = kill(nix::unistd::Pid::from_raw(pid), signal);
        while began.elapsed() < STOP_PATIENCE {
            if !is_locked(paths) {
                return Ok(());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    Err(failures::NO_ANSWER.because(format!("process {pid} does not end: {why}")))
}

/// Returns when this daemon, or who removes the profile (`None`), has let go of the lock, or a daemon has it that somebody has started
/// meanwhile: that one is not to be waited for, it may live for a year.
fn wait_for_end_of(paths: &Paths, pid: Option<u32>) -> Result<()> {
    loop {
        let holder = match std::fs::read_to_string(paths.lock()) {
            Ok(text) => text.trim().parse::<u32>().ok(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failures::NO_ANSWER.because(format!("{}: {e}", paths.lock().display()))),
        };
        if !is_locked(paths) || (holder.is_some() && holder != pid) {
            return Ok(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// # Errors
/// `NOT_RUNNING`, `NO_ANSWER`, `NOT_ROOT`.
pub fn status(paths: &Paths) -> Result<ControlStatus> {
    match presence(paths) {
        Presence::Running(status) => Ok(*status),
        Presence::Stopped => {
            Err(failures::NOT_RUNNING.because(format!("profile {} is stopped", paths.profile)))
        }
        Presence::Broken(why) => Err(failures::NO_ANSWER.because(why)),
        Presence::Forbidden(why) => Err(failures::NOT_ROOT.because(why)),
    }
}

/// Freezes the pods of these namespaces, or of all; how many containers that were.
///
/// # Errors
/// As [`ask`].
pub fn pause(paths: &Paths, namespaces: Option<Vec<String>>) -> Result<usize> {
    let namespaces = namespaces.map(|names| names.into_iter().collect());
    counted(paths, &ControlRequest::Pause { namespaces })
}

/// Lets them go on.
///
/// # Errors
/// As [`ask`].
pub fn unpause(paths: &Paths, namespaces: Option<Vec<String>>) -> Result<usize> {
    let namespaces = namespaces.map(|names| names.into_iter().collect());
    counted(paths, &ControlRequest::Unpause { namespaces })
}

fn counted(paths: &Paths, request: &ControlRequest) -> Result<usize> {
    status(paths)?;
    let mut count = 0;
    ask(paths, request, |reply| {
        if let ControlReply::Counted { containers } = reply {
            count = containers;
        }
    })?;
    Ok(count)
}

/// When it stops then: seconds since 1970.
///
/// # Errors
/// As [`ask`].
pub fn schedule_stop(paths: &Paths, after: Duration) -> Result<u64> {
    let mut stops_at = 0;
    ask(paths, &ControlRequest::ScheduleStop { after_seconds: after.as_secs() }, |reply| {
        if let ControlReply::StopsAt { at } = reply {
            stops_at = at;
        }
    })?;
    Ok(stops_at)
}

/// # Errors
/// As [`ask`].
pub fn cancel_stop(paths: &Paths) -> Result<()> {
    ask(paths, &ControlRequest::CancelStop, |_| {})
}

fn ask_status(paths: &Paths) -> Result<ControlStatus> {
    let mut found = None;
    ask_within(Some(STATUS_PATIENCE), paths, &ControlRequest::Status, |reply| {
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
pub fn ask(paths: &Paths, request: &ControlRequest, each: impl FnMut(ControlReply)) -> Result<()> {
    ask_within(None, paths, request, each)
}

fn ask_within(
    patience: Option<Duration>,
    paths: &Paths,
    request: &ControlRequest,
    mut each: impl FnMut(ControlReply),
) -> Result<()> {
    let socket = paths.control_socket();
    let connect = UnixStream::connect(&socket);
    let mut stream = connect.map_err(|e| match e.kind() {
        std::io::ErrorKind::PermissionDenied => {
            failures::NOT_ROOT.because(format!("{}: {e}", socket.display()))
        }
        _ => failures::NOT_RUNNING.because(format!("{}: {e}", socket.display())),
    })?;
    let no_answer = |e: std::io::Error| match (e.kind(), patience) {
        (std::io::ErrorKind::WouldBlock, Some(patience)) => {
            failures::NO_ANSWER.because(format!("no answer for {} seconds", patience.as_secs()))
        }
        _ => failures::NO_ANSWER.because(format!("{}: {e}", socket.display())),
    };
    stream.set_read_timeout(patience).map_err(no_answer)?;
    stream.set_write_timeout(patience).map_err(no_answer)?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(no_answer)?;
    for line in BufReader::new(stream).lines() {
        let reply = serde_json::from_str(&line.map_err(no_answer)?);
        let reply =
            reply.map_err(|e| failures::OTHER_VERSION.because(format!("answer not understood: {e}")))?;
        match reply {
            ControlReply::Done => return Ok(()),
            ControlReply::Failed { message, .. } if message.starts_with(NOT_UNDERSTOOD) => {
                return Err(failures::OTHER_VERSION.because(message));
            }
            ControlReply::Failed { reason, message } => return Err(failure_of(reason).because(message)),
            reply => each(reply),
        }
    }
    Err(failures::NO_ANSWER.because("the daemon closed the connection"))
}

fn failure_of(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::NotFound => failures::SERVICE_NOT_FOUND,
        Refusal::Registry => failures::REGISTRY,
        Refusal::Image => failures::IMAGE,
        Refusal::Manifest => failures::MANIFEST,
        Refusal::NoKubernetes => failures::NO_KUBERNETES,
        Refusal::Other => failures::OTHER,
    }
}

fn is_locked(paths: &Paths) -> bool {
    use nix::fcntl::{Flock, FlockArg};
    let Ok(file) = std::fs::File::open(paths.lock()) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn who_may_not_ask_is_not_told_that_it_is_stopped() {
        let Some(user) = crate::user_files::testing::nobody() else { return };
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let paths = Paths { run: dir.path().to_owned(), ..Paths::of(&"hidden".parse().unwrap()) };
        let found = |paths: &Paths| user.act(|| Ok(presence(paths))).unwrap();
        assert!(matches!(found(&paths), Presence::Forbidden(_)), "the directory is root's alone");
        let error = user.act(|| Ok(status(&paths))).unwrap().unwrap_err();
        assert!(failures::is(&error, failures::NOT_ROOT), "{error}");
        let gone = Paths { run: "/nowhere".into(), ..paths };
        assert!(matches!(found(&gone), Presence::Stopped));
    }

    #[test]
    fn a_daemon_of_another_version_is_told_from_one_that_fails() {
        for (answer, want, what) in [
            (
                r#"{"say": "failed", "reason": "other", "message": "request not understood: unknown variant `x`"}"#,
                failures::OTHER_VERSION,
                "request not understood: unknown variant `x`",
            ),
            (r#"{"say": "sung"}"#, failures::OTHER_VERSION, "answer not understood: unknown variant `sung`"),
            (r#"{"say": "failed", "reason": "image", "message": "no"}"#, failures::IMAGE, "no"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let paths = Paths { run: dir.path().to_owned(), ..Paths::of(&"other".parse().unwrap()) };
            let listener = std::os::unix::net::UnixListener::bind(paths.control_socket()).unwrap();
            let daemon = std::thread::spawn(move || {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                stream.read_line(&mut String::new()).unwrap();
                stream.get_mut().write_all(format!("{answer}\n").as_bytes()).unwrap();
            });
            let error = ask(&paths, &ControlRequest::Images, |_| {}).unwrap_err();
            daemon.join().unwrap();
            assert!(failures::is(&error, want), "{error}");
            assert!(error.to_string().starts_with(what), "{error}");
        }
    }

    #[test]
    fn who_removes_a_profile_is_waited_for_and_not_killed() {
        use nix::fcntl::{Flock, FlockArg};
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { run: dir.path().to_owned(), ..Paths::of(&"removed".parse().unwrap()) };
        let file = std::fs::File::create(paths.lock()).unwrap();
        let held = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).unwrap();
        let other = paths.clone();
        let waits = std::thread::spawn(move || kill(&other, "no answer").map_err(|error| error.to_string()));
        drop(held);
        assert_eq!(waits.join().unwrap(), Ok(()));
        std::fs::write(paths.lock(), "nobody's pid").unwrap();
        let error = kill(&paths, "no answer").unwrap_err();
        assert!(failures::is(&error, failures::NO_ANSWER), "{error}");
    }

    /// `stop` waited for the daemon that another's `start` had begun meanwhile: for ever.
    #[test]
    fn a_daemon_that_was_started_meanwhile_is_not_waited_for() {
        use nix::fcntl::{Flock, FlockArg};
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { run: dir.path().to_owned(), ..Paths::of(&"again".parse().unwrap()) };
        let file = std::fs::File::create(paths.lock()).unwrap();
        let held = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).unwrap();
        std::fs::write(paths.lock(), "7\n").unwrap();
        let (ended, hears) = std::sync::mpsc::channel();
        let other = paths.clone();
        let waits = std::thread::spawn(move || {
            let waited = wait_for_end_of(&other, Some(7)).map_err(|error| error.to_string());
            ended.send(waited).unwrap();
        });
        assert!(hears.recv_timeout(LOOK_AGAIN * 5).is_err(), "it lives");
        std::fs::write(paths.lock(), "8\n").unwrap();
        assert_eq!(hears.recv_timeout(Duration::from_secs(30)), Ok(Ok(())), "another has the lock");
        waits.join().unwrap();
        drop(held);
        wait_for_end_of(&paths, Some(8)).unwrap();
        std::fs::remove_file(paths.lock()).unwrap();
        wait_for_end_of(&paths, Some(8)).unwrap();
    }

    #[test]
    fn a_daemon_that_hangs_is_not_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { run: dir.path().to_owned(), ..Paths::of(&"hangs".parse().unwrap()) };
        // it takes connections by its backlog alone, as a process that was stopped does
        let _listener = std::os::unix::net::UnixListener::bind(paths.control_socket()).unwrap();
        let patience = Duration::from_millis(1);
        let error = ask_within(Some(patience), &paths, &ControlRequest::Status, |_| {}).unwrap_err();
        assert!(failures::is(&error, failures::NO_ANSWER), "{error}");
        assert_eq!(error.to_string(), "no answer for 0 seconds");
    }
}
