//! Which commands were typed, when, and by whom: a line of JSON each, as minikube has it, in a file of this program's own
//! beside the configuration. A line is written when a command begins and again when it ends; the later one counts.

use super::config::{Settings, home};
use super::global::Global;
use super::output;
use crate::user_files::{self, AT_ONCE};
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What asks only, and is asked often.
const NOT_RECORDED: [&str; 6] = ["status", "version", "logs", "profile", "completion", "options"];
const MOST_ENTRIES: usize = 1000; // upstream's MaxAuditEntries
/// A file that is larger is cut to the newest entries.
const LARGEST: u64 = 1 << 20;
/// Of the newest entries, whatever number of them is wanted: a file that is larger than any that is read would never be cut.
const MOST_KEPT: usize = 2 << 20;
/// Flags whose values may be secrets.
const SECRETS: [&str; 7] =
    ["--build-arg", "--build-env", "--build-opt", "--docker-env", "--docker-opt", "--password", "--token"];
const FIELDS: [&str; 7] = ["command", "args", "profile", "user", "version", "startTime", "endTime"];
const HEADS: [&str; 7] = ["Command", "Args", "Profile", "User", "Version", "Start Time", "End Time"];

/// Below minikube's home.
pub(super) const FILE: &str = "logs/monopod-audit.json";

fn path() -> PathBuf {
    home().join(FILE)
}

/// A command that is under way. Nobody's command fails because it can not be recorded.
pub(super) struct Entry(Option<Map<String, Value>>);

impl Entry {
    pub(super) fn begin(global: &Global, settings: &Settings, words: &[OsString]) -> Entry {
        let words: Vec<String> =
            words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let Some((command, args)) = split(&words) else { return Entry(None) };
        let is_purge = command == "delete" && args.iter().any(|arg| arg == "--purge");
        if global.skips_audit() || is_purge || NOT_RECORDED.contains(&command.as_str()) {
            return Entry(None);
        }
        let most =
            settings.text("MaxAuditEntries").and_then(|text| text.parse().ok()).unwrap_or(MOST_ENTRIES);
        let user = global.user().map_or_else(user, str::to_owned);
        let entry = json!({
            "id": super::cloud_events::event_id(), "command": command, "args": masked(&command, args).join(" "),
            "profile": global.profile, "user": user, "version": super::MINIKUBE_VERSION, "startTime": now(), "endTime": "",
        });
        let Value::Object(entry) = entry else { return Entry(None) };
        let path = path();
        let _ = user_files::act_on(&path, || {
            cut(&path, most)?;
            append(&path, &entry)
        });
        Entry(Some(entry))
    }

    pub(super) fn end(self) {
        let Entry(Some(mut entry)) = self else { return };
        entry.insert("endTime".to_owned(), now().into());
        let path = path();
        let _ = user_files::act_on(&path, || append(&path, &entry));
    }
}

/// The command and what follows it; flags may come before, with their values.
fn split(words: &[String]) -> Option<(String, Vec<String>)> {
    let takes_value = |word: &str| {
        ["-p", "--profile", "--user", "-v", "--v", "-b", "--bootstrapper", "--log_file", "--log_dir"]
            .contains(&word)
    };
    let mut at = 0;
    while at < words.len() && words[at].starts_with('-') {
        at += if takes_value(&words[at]) { 2 } else { 1 };
    }
    let command = words.get(at)?.clone();
    let args = words[..at].iter().chain(&words[at + 1..]).cloned().collect();
    Some((command, args))
}

/// Without what may be secret: values of such flags, and what goes to a kubectl or a shell beyond its first word.
fn masked(command: &str, args: Vec<String>) -> Vec<String> {
    if matches!(command, "kubectl" | "ssh") {
        let mut rest = args.into_iter().skip_while(|arg| arg != "--").skip(1);
        let first = rest.next();
        let more = rest.next().map(|_| "…".to_owned());
        return first.map(|first| vec!["--".to_owned(), first]).into_iter().flatten().chain(more).collect();
    }
    let mut hide_next = false;
    let hide = |arg: String| match arg.split_once('=') {
        _ if std::mem::take(&mut hide_next) => "***".to_owned(),
        Some((flag, _)) if SECRETS.contains(&flag) => format!("{flag}=***"),
        None if SECRETS.contains(&arg.as_str()) => {
            hide_next = true;
            arg
        }
        _ => arg,
    };
    args.into_iter().map(hide).collect()
}

/// Whoever typed `sudo`. The databases of users are not asked: a program that is linked statically can not load what they
/// are looked up with.
fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| match nix::unistd::getuid().as_raw() {
        0 => "root".to_owned(),
        uid => uid.to_string(),
    })
}

/// Go's RFC 822, as minikube writes it.
fn now() -> String {
    jiff::Zoned::now().strftime("%d %b %y %H:%M %Z").to_string()
}

fn append(path: &Path, entry: &Map<String, Value>) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let event = json!({
        "specversion": "1.0", "id": entry["id"], "source": "https://minikube.sigs.k8s.io/",
        "type": "io.k8s.sigs.minikube.audit", "datacontenttype": "application/json", "data": entry,
    });
    let mut file =
        OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(AT_ONCE).open(path)?;
    // in one write: commands that run side by side append whole lines
    file.write_all(format!("{event}\n").as_bytes())
}

fn cut(path: &Path, most: usize) -> io::Result<()> {
    if !path.metadata().is_ok_and(|meta| meta.len() > LARGEST) {
        return Ok(());
    }
    let text = match user_files::read(path) {
        // of a version that kept more
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => String::new(),
        read => read?,
    };
    let mut left = MOST_KEPT;
    let fits = |line: &&str| {
        let still = left.checked_sub(line.len() + 1);
        left = still.unwrap_or(0);
        still.is_some()
    };
    // an entry is two lines
    let newest = text.lines().rev().take(most.max(1).saturating_mul(2)).take_while(fits);
    let mut lines: Vec<&str> = newest.collect();
    lines.reverse();
    let kept = lines.join("\n") + "\n";
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut fresh =
        tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(directory)?;
    fresh.write_all(kept.as_bytes())?;
    fresh.persist(path).map(|_| ()).map_err(|failed| failed.error)
}

/// The newest entries, the oldest of them first. Lines that are none are left out.
fn entries(text: &str, length: usize) -> Vec<Map<String, Value>> {
    let mut all: Vec<Map<String, Value>> = Vec::new();
    for line in text.lines() {
        let Ok(Value::Object(mut event)) = serde_json::from_str(line) else { continue };
        let Some(Value::Object(entry)) = event.remove("data") else { continue };
        match all.iter_mut().rev().find(|known| known.get("id") == entry.get("id")) {
            Some(known) => *known = entry,
            None => all.push(entry),
        }
    }
    all.split_off(all.len().saturating_sub(length))
}

/// As a table, under minikube's head.
pub(super) fn table(length: usize) -> String {
    let path = path();
    let text = user_files::act_on(&path, || user_files::read(&path)).unwrap_or_default();
    let rows: Vec<Vec<String>> = entries(&text, length)
        .iter()
        .map(|entry| {
            let field = |name: &&str| entry.get(*name).and_then(Value::as_str).unwrap_or_default().to_owned();
            FIELDS.iter().map(field).collect()
        })
        .collect();
    format!("\n==> Audit <==\n{}", output::boxed(&HEADS, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn a_command_and_what_follows_it() {
        let cases = [
            ("start --cpus 2", Some(("start", "--cpus 2"))),
            ("-p x --user=ci start", Some(("start", "-p x --user=ci"))),
            ("--user ci stop", Some(("stop", "--user ci"))),
            ("--help", None),
            ("", None),
        ];
        for (line, want) in cases {
            let got = split(&words(line)).map(|(command, args)| (command, args.join(" ")));
            assert_eq!(got, want.map(|(c, a)| (c.to_owned(), a.to_owned())), "{line}");
        }
    }

    #[test]
    fn secrets_are_not_written() {
        let cases = [
            (
                "image",
                "build --build-arg TOKEN=x --build-env=A=b .",
                "build --build-arg *** --build-env=*** .",
            ),
            ("kubectl", "-- create secret generic s --from-literal=a=b", "-- create …"),
            ("ssh", "-- docker login -p x", "-- docker …"),
            ("kubectl", "", ""),
            ("stop", "--all", "--all"),
        ];
        for (command, args, want) in cases {
            assert_eq!(masked(command, words(args)).join(" "), want, "{command} {args}");
        }
    }

    #[test]
    fn a_later_line_of_an_entry_counts_and_what_is_none_is_left_out() {
        let line = |id: &str, end: &str| json!({"data": {"id": id, "endTime": end}}).to_string();
        let text =
            [line("a", ""), line("b", ""), "nonsense".into(), line("a", "1"), line("c", "2")].join("\n");
        let seen = |length| {
            let all = entries(&text, length).into_iter();
            all.map(|e| format!("{}{}", e["id"].as_str().unwrap(), e["endTime"].as_str().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(seen(9), ["a1", "b", "c2"]);
        assert_eq!(seen(2), ["b", "c2"]);
        assert!(seen(0).is_empty());
    }

    #[test]
    fn a_large_file_is_cut_to_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/audit.json");
        let Value::Object(entry) = json!({"id": "1", "args": "x".repeat(1000)}) else { panic!() };
        for _ in 0..1100 {
            append(&path, &entry).unwrap();
        }
        cut(&path, 10).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 20);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
