//! Who we are to others: the profile that a directory belongs to, and this run of its daemon.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE: &str = "etcd.owner";

#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Of this run.
    pub(super) id: String,
    /// Of the directory, over all runs. A copy of the machine has the same, so the boot counts too.
    pub(super) owner: String,
    pub(super) host: String,
    boot: String,
}

/// What the key of the holder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    /// For people: `process 12 on HOST`.
    pub(super) words: String,
    pub(super) session: String,
    pub(super) owner: String,
    pub(super) boot: String,
}

impl Session {
    /// # Errors
    /// The directory can not be read or written.
    pub(super) fn begin(dir: &Path) -> io::Result<Session> {
        Ok(Session {
            id: of_kernel("random/uuid")?,
            owner: owner(dir)?,
            host: of_kernel("hostname")?,
            boot: of_kernel("random/boot_id")?,
        })
    }

    pub(super) fn holder(&self) -> Holder {
        Holder {
            words: format!("process {} on {}", std::process::id(), self.host),
            session: self.id.clone(),
            owner: self.owner.clone(),
            boot: self.boot.clone(),
        }
    }
}

impl Holder {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Holder { words, session, owner, boot } = self;
        format!("{words}\nsession {session}\nowner {owner}\nboot {boot}\n").into_bytes()
    }

    /// Whatever it is, it holds.
    pub(super) fn decode(value: &[u8]) -> Holder {
        let text = String::from_utf8_lossy(value);
        let field = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            found.unwrap_or_default().to_owned()
        };
        let words = text.lines().next().unwrap_or("another program").to_owned();
        Holder { words, session: field("session"), owner: field("owner"), boot: field("boot") }
    }

    /// An earlier run of the same directory on a machine that has not been restarted since: it has ended, or its directory would
    /// still be locked.
    pub(super) fn has_ended(&self, now: &Session) -> bool {
        self.owner == now.owner && self.boot == now.boot
    }
}

/// The owner that the directory was given; `None` where it has never been one.
pub(super) fn known_owner(dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(dir.join(FILE)).ok()?;
    let owner = text.trim().to_owned();
    (!owner.is_empty()).then_some(owner)
}

fn owner(dir: &Path) -> io::Result<String> {
    if let Some(owner) = known_owner(dir) {
        return Ok(owner);
    }
    let owner = of_kernel("random/uuid")?;
    let fresh = dir.join(FILE).with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(owner.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, dir.join(FILE))?;
    Ok(owner)
}

fn of_kernel(what: &str) -> io::Result<String> {
    let path = Path::new("/proc/sys/kernel").join(what);
    let text = std::fs::read_to_string(&path)?.trim().to_owned();
    match text.is_empty() {
        true => Err(io::Error::new(ErrorKind::InvalidData, format!("{} is empty", path.display()))),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stays_the_same_owner_and_each_run_is_another() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = (Session::begin(dir.path()).unwrap(), Session::begin(dir.path()).unwrap());
        assert_eq!(first.owner, second.owner);
        assert_ne!(first.id, second.id);
        let holder = Holder::decode(&first.holder().encode());
        assert_eq!(holder, first.holder());
        assert!(holder.has_ended(&second));
        assert!(!holder.has_ended(&Session::begin(other.path()).unwrap()));
        assert!(!Holder { boot: "before".to_owned(), ..holder }.has_ended(&second));
        assert!(!Holder::decode(b"\xff").has_ended(&second), "nobody knows who that is");
    }
}
