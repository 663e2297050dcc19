//! What an ended container says of itself: its termination message, or the end of its log.

use super::start::message_file;
use crate::labels;
use cri::logs;
use cri::{ContainerState, ContainerStatus};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const LONGEST_MESSAGE: u64 = 4096; // upstream's MaxContainerTerminationMessageLength
const LONGEST_FROM_LOG: u64 = 2048; // upstream's MaxContainerTerminationMessageLogLength
const MOST_LINES_FROM_LOG: usize = 80; // upstream's MaxContainerTerminationMessageLogLines

/// Empty where it said nothing.
pub(super) fn of_ended(pod_dir: &Path, status: &ContainerStatus) -> String {
    let ContainerState::Exited { exit_code, .. } = &status.state else { return String::new() };
    let said = end_of(&message_file(pod_dir, &status.name, status.attempt), LONGEST_MESSAGE);
    let policy = status.annotations.get(labels::MESSAGE_POLICY).map(String::as_str);
    if said.is_empty() && *exit_code != 0 && policy == Some("FallbackToLogsOnError") {
        return end_of_log(&status.log_path);
    }
    said
}

fn end_of(file: &Path, most: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        // a container of the same pod may have been given what was opened there, and hold a lease on it
        let Some(mut file) = trees::open_regular(file)? else { return Ok(Vec::new()) };
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// The last lines without their timestamps, at most so many bytes of them.
fn end_of_log(file: &Path) -> String {
    // a line has a head of some fifty bytes
    let raw = end_of(file, LONGEST_FROM_LOG * 4);
    let lines: Vec<logs::Line<'_>> = raw.lines().filter_map(|l| logs::parse(l.as_bytes())).collect();
    let from = lines.len().saturating_sub(MOST_LINES_FROM_LOG);
    let mut text = Vec::new();
    for line in &lines[from..] {
        text.extend_from_slice(line.text);
        if line.is_whole {
            text.push(b'\n');
        }
    }
    let from = text.len().saturating_sub(LONGEST_FROM_LOG as usize);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::{ContainerId, SandboxId};
    use jiff::Timestamp;

    fn ended(log: &Path, exit_code: i32, policy: &str) -> ContainerStatus {
        ContainerStatus {
            id: ContainerId("c".into()),
            sandbox: SandboxId("s".into()),
            name: "web".into(),
            attempt: 2,
            image: String::new(),
            image_ref: String::new(),
            state: ContainerState::Exited {
                exit_code,
                oom_killed: false,
                started_at: None,
                finished_at: Timestamp::UNIX_EPOCH,
                message: String::new(),
            },
            created_at: Timestamp::UNIX_EPOCH,
            log_path: log.to_owned(),
            tty: false,
            stdin: false,
            labels: Default::default(),
            annotations: [(labels::MESSAGE_POLICY.to_owned(), policy.to_owned())].into(),
        }
    }

    #[test]
    fn the_file_first_and_the_log_only_where_asked_for_and_failed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:01Z stderr P tw\n2026-01-01T00:00:01Z stderr F o\n").unwrap();
        let fallback = "FallbackToLogsOnError";
        let cases = [
            ("file", "said", 1, fallback, "said"),
            ("log", "", 1, fallback, "one\ntwo\n"),
            ("no failure", "", 0, fallback, ""),
            ("not asked for", "", 1, "File", ""),
        ];
        for (name, file, code, policy, want) in cases {
            let at = message_file(dir.path(), "web", 2);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(&at, file).unwrap();
            assert_eq!(of_ended(dir.path(), &ended(&log, code, policy)), want, "{name}");
        }
    }

    /// A pipe that nobody writes to has whoever opens it wait, as a lease has.
    #[test]
    fn nobody_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = message_file(dir.path(), "web", 2);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        nix::unistd::mkfifo(&at, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (sender, said) = std::sync::mpsc::channel();
        let of = ended(&dir.path().join("log"), 1, "File");
        std::thread::spawn(move || sender.send(of_ended(dir.path(), &of)));
        assert_eq!(said.recv_timeout(std::time::Duration::from_secs(20)), Ok(String::new()));
    }
}
