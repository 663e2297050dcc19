//! `docker top`: the machine's `ps`, of one container's processes. It is asked for those alone, and reads no others; with options that
//! it does not take together with that it shows what they select, of which the container's processes are kept.

use crate::error::{ApiError, Result};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Bytes that `ps` may say: thousands of processes with command lines of kilobytes.
const MOST_TEXT: usize = 16 << 20;
const MOST_COMPLAINT: u64 = 4 << 10;
/// What changes what `ps` shows, beside its options.
const SETTINGS: [&str; 4] = ["PS_FORMAT", "PS_PERSONALITY", "I_WANT_A_BROKEN_PS", "COLUMNS"];

/// The processes whose cgroup is this run's, or below it: those of its own init, of execs, and whatever they have started. Its PID
/// namespace may be another's, with others in it.
pub(crate) fn members(proc: &Path, run: &str) -> BTreeSet<i32> {
    let is_of_run = |process: &Path| {
        let cgroups = std::fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        cgroups.lines().any(|line| line.split(['/', ':']).any(|part| part == run))
    };
    let processes = std::fs::read_dir(proc).into_iter().flatten().flatten();
    processes
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(_, path)| is_of_run(path))
        .map(|(pid, _)| pid)
        .collect()
}

/// # Errors
/// Another column is to be called PID: who is shown is decided by that one.
pub(crate) fn check(options: &str) -> Result<()> {
    for word in options.split_whitespace() {
        for (at, _) in word.match_indices("=PID") {
            let column = word[..at].rsplit(',').next().unwrap_or_default();
            if column != "pid" {
                let title = word[at + 1..].split(',').next().unwrap_or_default();
                return Err(ApiError::internal(format_args!(
                    "specifying \"{column}={title}\" is not allowed"
                )));
            }
        }
    }
    Ok(())
}

/// The titles, and a row a process.
pub(crate) async fn ps(
    options: &str,
    members: impl Fn() -> BTreeSet<i32>,
) -> Result<(Vec<String>, Vec<Vec<String>>)> {
    let asked = members();
    let of_pids = format!("-q{}", asked.iter().map(i32::to_string).collect::<Vec<_>>().join(","));
    let words = || options.split_whitespace();
    let mut said = run(words().chain([of_pids.as_str()])).await;
    if said.as_ref().is_ok_and(|(status, ..)| !status.success()) {
        // -q goes with no other selection and with no tree
        said = run(words()).await;
    }
    let (status, text, complaint) = said.map_err(|e| ApiError::failed("ps", e))?;
    if text.len() > MOST_TEXT {
        return Err(ApiError::failed("ps", format_args!("more than {MOST_TEXT} bytes")));
    }
    if !status.success() {
        let why = complaint.lines().next().filter(|line| !line.is_empty());
        return Err(why.map_or_else(|| ApiError::failed("ps", status), ApiError::internal));
    }
    // the number of one that has ended meanwhile may be another's
    parse(&String::from_utf8_lossy(&text), &(&asked & &members()))
}

async fn run<'w>(words: impl Iterator<Item = &'w str>) -> io::Result<(ExitStatus, Vec<u8>, String)> {
    let mut command = Command::new("ps");
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    SETTINGS.iter().for_each(|name| _ = command.env_remove(name));
    let mut child = command.spawn()?;
    let (out, complaints) = (child.stdout.take(), child.stderr.take());
    let (text, complaint) =
        tokio::try_join!(all(out, MOST_TEXT as u64 + 1), all(complaints, MOST_COMPLAINT))?;
    Ok((child.wait().await?, text, String::from_utf8_lossy(&complaint).into_owned()))
}

/// As much of it as there is room for; it is read to its end, or who writes would wait for ever.
async fn all(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(most).read_to_end(&mut bytes).await?;
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

/// The titles, and the lines of those processes; the last column takes the rest of its line. With threads a line of a process is
/// followed by one for each of them, whose PID is `-`.
fn parse(text: &str, pids: &BTreeSet<i32>) -> Result<(Vec<String>, Vec<Vec<String>>)> {
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let at = titles.iter().position(|title| title == "PID");
    let at = at.ok_or_else(|| ApiError::internal("Couldn't find PID field in ps output"))?;
    let split = |line: &str| {
        let mut words = line.split_whitespace();
        let mut columns: Vec<String> = words.by_ref().take(titles.len() - 1).map(str::to_owned).collect();
        columns.push(words.collect::<Vec<_>>().join(" "));
        columns
    };
    let (mut processes, mut is_one) = (Vec::new(), false);
    for columns in lines.map(split) {
        let pid = columns.get(at).map_or("", String::as_str);
        if pid != "-" {
            // a word of what may be another's command line is not told
            let pid = pid.parse::<i32>();
            let pid = pid.map_err(|_| ApiError::internal("Unexpected pid: a column before it has blanks"))?;
            is_one = pids.contains(&pid);
        }
        if is_one {
            processes.push(columns);
        }
    }
    Ok((titles, processes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_and_their_threads() {
        let text = "UID  PID PPID CMD\nroot   1    0 /sbin/init\nroot   -    - -\nroot   7    1 sh -c  sleep\n\
                    root   -    - thread\nroot  77    1 other\n";
        let (titles, processes) = parse(text, &BTreeSet::from([7])).unwrap();
        assert_eq!(titles, ["UID", "PID", "PPID", "CMD"]);
        assert_eq!(processes, [["root", "7", "1", "sh -c sleep"], ["root", "-", "-", "thread"]]);
        for (text, why) in [
            ("CMD\n", "Couldn't find PID field in ps output"),
            ("CMD PID\nsleep 60 7\n", "Unexpected pid: a column before it has blanks"),
        ] {
            assert_eq!(parse(text, &BTreeSet::from([7])).unwrap_err().message, why, "{text}");
        }
    }

    #[test]
    fn no_other_column_is_called_pid() {
        for (options, refused) in [
            ("-ef", None),
            ("-o pid,cmd", None),
            ("-eo pid=PID,args", None),
            ("-eo user=PIDGIN,pid", Some("user=PIDGIN")),
            ("-eo euid=PID,args", Some("euid=PID")),
            ("-eo args,ppid=PID", Some("ppid=PID")),
            ("-oeuid=PID", Some("-oeuid=PID")),
            ("--format=euid=PID,args", Some("--format=euid=PID")),
        ] {
            let said = check(options).err().map(|why| why.message);
            assert_eq!(
                said,
                refused.map(|what| format!("specifying \"{what}\" is not allowed")),
                "{options}"
            );
        }
    }

    #[test]
    fn members_are_those_of_the_runs_cgroup() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, cgroup) in [
            ("10", "0::/monopod/docker/box/run1\n"),
            ("11", "12:pids:/monopod/docker/box/run1/below\n0::/\n"),
            ("12", "0::/monopod/docker/box/run12\n"),
            ("13", "0::/monopod/docker/box\n"),
            ("self", "0::/monopod/docker/box/run1\n"),
        ] {
            std::fs::create_dir(proc.path().join(pid)).unwrap();
            std::fs::write(proc.path().join(pid).join("cgroup"), cgroup).unwrap();
        }
        std::fs::create_dir(proc.path().join("14")).unwrap();
        assert_eq!(members(proc.path(), "run1"), BTreeSet::from([10, 11]));
    }

    #[tokio::test]
    async fn whatever_the_options_only_these_are_shown() {
        if std::process::Command::new("ps").arg("--version").output().is_err() {
            eprintln!("SKIPPED: there is no ps");
            return;
        }
        let own = i32::try_from(std::process::id()).unwrap();
        for (options, is_selected) in [
            ("-ef", true),
            ("aux", true),
            ("-o pid,cmd", true),
            ("-eo user,pid,args", true),
            ("--forest -eo pid,cmd", true),
            ("f -A", true),
            ("-p 1", false),
            ("-p 1 --no-headers --forest -o pid=PID", false),
        ] {
            let (titles, processes) = match ps(options, || BTreeSet::from([own])).await {
                Ok(shown) => shown,
                Err(why) => {
                    assert!(!is_selected, "{options}: {why}");
                    continue;
                }
            };
            let at = titles.iter().position(|title| title == "PID").expect(options);
            let shown: Vec<&str> = processes.iter().map(|columns| columns[at].as_str()).collect();
            let own = own.to_string();
            assert_eq!(shown, if is_selected { vec![own.as_str()] } else { vec![] }, "{options}");
        }
        for options in ["--no-such-option", "-o nosuchcolumn", "--version", "L"] {
            let why = ps(options, || BTreeSet::from([own])).await.expect_err(options).message;
            assert!(!why.is_empty() && !why.contains('\n'), "{options}: {why}");
        }
    }
}
