//! The file, a line for each event. When it is large it is put aside, and a new one begun.

use crate::{Decision, Event, Policy, Subject};
use jiff::Timestamp;
use jiff::civil::DateTime;
use parking_lot::Mutex;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::process::geteuid;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Of files that were put aside: names that sort by time, and that no other program gives.
const TIME: &str = "%Y-%m-%dT%H-%M-%S%.6f";
/// Nobody else may read what clients did.
const OWNER_ONLY: u32 = 0o600;
/// As many as Linux follows in a path.
const MOST_LINKS: usize = 40;

/// When a file is put aside, and how many of those are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// In bytes.
    pub largest_file: u64,
    pub kept_files: usize,
}

/// A policy, and where its events are written. A request's answer waits until its event is with the kernel, as upstream's log
/// does where it is not told otherwise: what was answered was told of.
pub struct AuditLog {
    policy: Policy,
    path: PathBuf,
    rotation: Rotation,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    /// Device and number of the file: another one may be there under the name by now.
    id: (u64, u64),
    size: u64,
    /// Said once: a full disk would fill the log of the program as well.
    is_failing: bool,
}

impl AuditLog {
    /// # Errors
    /// A file that can not be opened for writing, and what is no file: a pipe could hold everybody up, and a device is not to be
    /// put aside. A link of another user's.
    pub fn open(policy: Policy, path: &Path, rotation: Rotation) -> io::Result<Self> {
        // of a link, what it leads to is put aside
        let path = without_links(path)?;
        let open = Mutex::new(Open::begin(&path)?);
        Ok(AuditLog { policy, path, rotation, open })
    }

    pub fn decide(&self, subject: &Subject<'_>) -> Decision {
        self.policy.decide(subject)
    }

    /// Where it can not be written, the request goes on, and the program's log says so.
    pub fn write(&self, event: &Event) {
        let line = event.line();
        let mut open = self.open.lock();
        match self.append(&mut open, &line) {
            Ok(()) => open.is_failing = false,
            Err(error) if open.is_failing => tracing::debug!(%error, "audit log"),
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "requests are missing in the audit log");
                open.is_failing = true;
            }
        }
    }

    fn append(&self, open: &mut Open, line: &[u8]) -> io::Result<()> {
        let is_there = fs::symlink_metadata(&self.path).is_ok_and(|found| id_of(&found) == open.id);
        if !is_there {
            // somebody has moved or removed it
            *open = Open { is_failing: open.is_failing, ..Open::begin(&self.path)? };
        }
        if open.size > 0 && open.size + line.len() as u64 > self.rotation.largest_file {
            self.rotate(open)?;
        }
        // a part of a line that was written on a full disk is taken back: what follows would stand behind it
        open.file.write_all(line).inspect_err(|_| _ = open.file.set_len(open.size))?;
        open.size += line.len() as u64;
        Ok(())
    }

    fn rotate(&self, open: &mut Open) -> io::Result<()> {
        fs::rename(&self.path, self.aside(Timestamp::now()))?;
        *open = Open { is_failing: open.is_failing, ..Open::begin(&self.path)? };
        let mut aside = self.put_aside()?;
        // their names sort by time
        aside.sort_unstable();
        let too_many = aside.len().saturating_sub(self.rotation.kept_files);
        aside.iter().take(too_many).try_for_each(fs::remove_file)
    }

    /// `audit-2026-01-02T03-04-05.678901.log`, as upstream names it.
    fn aside(&self, now: Timestamp) -> PathBuf {
        let (stem, extension) = self.name();
        self.path.with_file_name(format!("{stem}{}{extension}", now.strftime(TIME)))
    }

    fn put_aside(&self) -> io::Result<Vec<PathBuf>> {
        let (stem, extension) = self.name();
        let is_ours = |name: &str| {
            let time = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(&extension));
            time.is_some_and(|time| {
                DateTime::strptime(TIME, time).is_ok_and(|at| at.strftime(TIME).to_string() == time)
            })
        };
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let names = fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| is_ours(name)).map(|name| directory.join(name)).collect())
    }

    /// `audit-` and `.log`
    fn name(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension = match text(self.path.extension()) {
            extension if extension.is_empty() => extension,
            extension => format!(".{extension}"),
        };
        (format!("{}-", text(self.path.file_stem())), extension)
    }
}

impl Open {
    fn begin(path: &Path) -> io::Result<Self> {
        let no_file = || io::Error::other("it is no regular file");
        // to open one that is no file may do something
        if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
            return Err(no_file());
        }
        // the path had no links: one that is there now was put there by who has the directory, and would have us write, in lines
        // that clients have a part of, to any file of root's
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(OWNER_ONLY);
        let file = File::from(openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS)?);
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(no_file());
        }
        Ok(Open { id: id_of(&found), size: found.len(), file, is_failing: false })
    }
}

/// The path that links lead to. Only root's are followed, and our own: who has a directory could lead root to any file by his.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..=MOST_LINKS {
        // the outermost: what stands before it has none
        let Some(link) = path.ancestors().filter(|part| part.is_symlink()).last().map(Path::to_owned) else {
            return Ok(path);
        };
        let owner = link.symlink_metadata()?.uid();
        if owner != 0 && owner != geteuid().as_raw() {
            let what = format!("{} is a link of user {owner}: name what it leads to", link.display());
            return Err(io::Error::other(what));
        }
        let rest = path.strip_prefix(&link).unwrap_or(Path::new("")).to_owned();
        let target = link.parent().unwrap_or(Path::new("/")).join(fs::read_link(&link)?);
        path = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
    }
    Err(io::Error::other("its links lead nowhere"))
}

fn id_of(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, Stage, UserInfo};
    use std::collections::BTreeMap;

    const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]";

    fn event(id: usize) -> Event {
        Event {
            level: Level::Metadata,
            audit_id: id.to_string(),
            stage: Stage::ResponseComplete,
            request_uri: "/".into(),
            verb: "get".into(),
            user: UserInfo::default(),
            impersonated_user: None,
            source_ips: Vec::new(),
            user_agent: String::new(),
            object_ref: None,
            response_status: None,
            request_object: None,
            response_object: None,
            request_received_timestamp: Timestamp::UNIX_EPOCH,
            stage_timestamp: Timestamp::UNIX_EPOCH,
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn a_file_that_is_full_is_put_aside_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let others = ["audit-of-others.log", "audit-1.log", "audit-2026-01-01.log"]
            .map(|name| directory.path().join(name));
        others.iter().for_each(|path| fs::write(path, "").unwrap());
        let line = event(0).line().len() as u64;
        let rotation = Rotation { largest_file: 2 * line, kept_files: 2 };
        let open = || AuditLog::open(Policy::parse(POLICY).unwrap(), &path, rotation).unwrap();
        let log = open();
        (0..4).for_each(|id| log.write(&event(id)));
        // one that is opened again goes on where it was
        let log = open();
        (4..9).for_each(|id| log.write(&event(id)));
        let mut aside = log.put_aside().unwrap();
        aside.sort_unstable();
        let ids = |path: &Path| -> Vec<String> {
            let text = fs::read_to_string(path).unwrap();
            let id = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["auditID"].clone();
            text.lines().map(|line| id(line).as_str().unwrap().to_owned()).collect()
        };
        let kept: Vec<Vec<String>> = aside.iter().map(|path| ids(path)).collect();
        assert_eq!(kept, [["4", "5"], ["6", "7"]]);
        assert_eq!(ids(&path), ["8"]);
        assert!(others.iter().all(|path| path.exists()));
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, OWNER_ONLY);
    }

    #[test]
    fn a_file_that_is_moved_or_removed_is_begun_anew_and_only_files_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let rotation = Rotation { largest_file: u64::MAX, kept_files: 2 };
        let open = |path: &Path| AuditLog::open(Policy::parse(POLICY).unwrap(), path, rotation);
        let log = open(&path).unwrap();
        let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
        log.write(&event(0));
        fs::rename(&path, directory.path().join("moved")).unwrap();
        log.write(&event(1));
        assert_eq!((lines(&directory.path().join("moved")), lines(&path)), (1, 1));
        fs::remove_file(&path).unwrap();
        log.write(&event(2));
        assert_eq!(lines(&path), 1);
        for other in [Path::new("/dev/null"), directory.path()] {
            assert!(open(other).is_err(), "{}", other.display());
        }
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        open(&link).unwrap().write(&event(3));
        assert_eq!(lines(&path), 2);
    }

    #[test]
    fn a_link_that_is_put_in_the_place_of_the_log_or_its_directory_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("logs")).unwrap();
        let path = at("logs/audit.log");
        let rotation = Rotation { largest_file: u64::MAX, kept_files: 2 };
        let log = AuditLog::open(Policy::parse(POLICY).unwrap(), &path, rotation).unwrap();
        let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
        fs::create_dir(at("elsewhere")).unwrap();
        let others = [at("others"), at("elsewhere/audit.log")];
        others.iter().for_each(|other| fs::write(other, "").unwrap());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&others[0], &path).unwrap();
        log.write(&event(0));
        fs::rename(at("logs"), at("moved")).unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), at("logs")).unwrap();
        log.write(&event(1));
        others.iter().for_each(|other| assert_eq!(lines(other), 0, "{}", other.display()));
        fs::remove_file(at("logs")).unwrap();
        fs::create_dir(at("logs")).unwrap();
        log.write(&event(2));
        assert_eq!(lines(&path), 1, "the log goes on once the link is gone");
    }

    #[test]
    fn links_of_root_are_followed_and_those_of_others_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/audit.log"), "").unwrap();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, at(name)).unwrap();
        link("real", "own");
        link("real/../own", "around");
        link("ring", "ring");
        let real = without_links(&at("real/audit.log")).unwrap();
        for name in ["own/audit.log", "around/audit.log"] {
            let found = without_links(&at(name)).unwrap();
            assert_eq!(found.canonicalize().unwrap(), real.canonicalize().unwrap(), "{name}");
            assert!(found.ancestors().all(|part| !part.is_symlink()), "{name}: {}", found.display());
        }
        assert_eq!(without_links(&at("ring")).unwrap_err().to_string(), "its links lead nowhere");
        if !geteuid().is_root() {
            eprintln!("SKIPPED: a link of another user's needs root");
            return;
        }
        link("real", "theirs");
        std::os::unix::fs::lchown(at("theirs"), Some(65_534), Some(65_534)).unwrap();
        let why = without_links(&at("theirs/audit.log")).unwrap_err().to_string();
        assert!(why.ends_with("theirs is a link of user 65534: name what it leads to"), "{why}");
    }
}
