//! Files of the user who typed `sudo`, read and written with that user's rights and no others: root would follow the user's links
//! to files that are not the user's, and give away what it finds there. Rights are a thread's on Linux (credentials(7)), so a
//! thread takes them on, does what is to be done, and ends with them.

use nix::fcntl::OFlag;
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No configuration that anybody has is larger.
const LARGEST: u64 = 4 << 20;

/// What opening waits for nobody with: a FIFO that nobody writes to, a terminal.
pub const AT_ONCE: i32 = OFlag::O_NONBLOCK.bits() | OFlag::O_NOCTTY.bits();

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// The user who typed `sudo`.
#[derive(Debug, Clone)]
pub struct SudoUser {
    pub name: String,
    /// `None` of a user whom `/etc/passwd` does not have, but a directory service.
    pub home: Option<PathBuf>,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl SudoUser {
    /// `None` where nobody did.
    pub fn of_environment() -> Option<SudoUser> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let name = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty())?;
        let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
        // getpwnam(3) and getgrouplist(3) load modules of the C library, which crash a program that is linked statically
        let table = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (home, uid, gid) = match account_of(&name, &table("/etc/passwd")) {
            Some((home, uid, gid)) => (Some(home), uid, gid),
            None => (None, number("SUDO_UID")?, number("SUDO_GID")?),
        };
        let groups = groups_of(&name, &table("/etc/group"));
        Some(SudoUser { name, home, uid, gid, groups })
    }

    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Does something with this user's rights alone.
    ///
    /// # Errors
    /// Those of `act`, and where the rights can not be taken on. What is refused says whose rights these were: `sudo` leaves
    /// files of root's behind, where root's rights would do.
    pub fn act<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        if self.is_root() {
            return act();
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("sudo-user".into());
            let thread = thread.spawn_scoped(scope, move || {
                self.take_on_rights()?;
                act()
            })?;
            match thread.join() {
                Ok(done) => done.map_err(|e| self.told(e)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn told(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::PermissionDenied => io::Error::new(
                ErrorKind::PermissionDenied,
                format!("{error}: it is used with the rights of {}, who typed sudo", self.name),
            ),
            _ => error,
        }
    }

    /// Of the calling thread, for good. The groups come first: who is not root any more can not change them.
    fn take_on_rights(&self) -> io::Result<()> {
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }

    /// Whether the user could put something else in the place of this file: something on the way there is the user's, wherever
    /// links of others lead it along.
    pub fn holds(&self, path: &Path) -> bool {
        let is_theirs = |part: &Path| part.symlink_metadata().is_ok_and(|meta| meta.uid() == self.uid);
        let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        for _ in 0..=MAX_LINKS {
            if path.ancestors().any(is_theirs) {
                return true;
            }
            match followed(&path) {
                Some(next) => path = next,
                None => return false,
            }
        }
        // a path that leads nowhere is nobody's to be trusted with
        true
    }
}

/// The path with its first link followed; `None` where there is none in it.
fn followed(path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    let (link, target) = parts.into_iter().find_map(|part| Some((part, part.read_link().ok()?)))?;
    let rest = path.strip_prefix(link).ok()?;
    let target = link.parent()?.join(target);
    Some(if rest.as_os_str().is_empty() { target } else { target.join(rest) })
}

/// Home, uid and gid that `/etc/passwd` has for a user.
fn account_of(user: &str, table: &str) -> Option<(PathBuf, u32, u32)> {
    let line = table.lines().find_map(|line| line.strip_prefix(user)?.strip_prefix(':'))?;
    let fields: Vec<&str> = line.split(':').collect();
    let [_, uid, gid, _, home, ..] = fields[..] else { return None };
    Some((home.into(), uid.parse().ok()?, gid.parse().ok()?))
}

/// The groups that `/etc/group` counts a user among.
fn groups_of(user: &str, table: &str) -> Vec<u32> {
    let group = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let (id, members) = (fields.next()?, fields.next()?);
        members.split(',').any(|member| member.trim() == user).then(|| id.parse::<u32>().ok())?
    };
    table.lines().filter_map(group).collect()
}

/// Does something to a file: with the rights of the user who typed `sudo` where it is, or lies below, something of that user's.
///
/// # Errors
/// Those of `act`.
pub fn act_on<T: Send>(path: &Path, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    match SudoUser::of_environment().filter(|user| user.holds(path)) {
        Some(user) => user.act(act),
        None => act(),
    }
}

/// A file of configuration, whole.
///
/// # Errors
/// It can not be read, is no regular file, or is larger than any configuration (`FileTooLarge`).
pub fn read(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(AT_ONCE).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let too_large =
        || io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {} MiB", LARGEST >> 20));
    if meta.len() > LARGEST {
        return Err(too_large());
    }
    let mut text = String::new();
    // it may grow, and the kernel's own files tell no length
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LARGEST {
        true => Err(too_large()),
        false => Ok(text),
    }
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// Nobody's ids, as `sudo` would tell of them; `None` where the test is not root's to run.
    pub fn nobody() -> Option<SudoUser> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: another user's rights need root");
            return None;
        }
        let (name, home) = ("nobody".to_owned(), None);
        Some(SudoUser { name, home, uid: 65_534, gid: 65_534, groups: Vec::new() })
    }

    /// A directory of that user, within one that the user can come to.
    pub fn home_of(user: &SudoUser) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(home.path(), Some(user.uid), Some(user.gid)).unwrap();
        home
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_no_file_and_what_is_no_configuration_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let huge = dir.path().join("huge");
        std::fs::File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        for (path, want) in [
            (fifo.as_path(), "it is no regular file"),
            (Path::new("/dev/zero"), "it is no regular file"),
            (dir.path(), "it is no regular file"),
            (huge.as_path(), "it is larger than 4 MiB"),
        ] {
            assert_eq!(read(path).unwrap_err().to_string(), want, "{}", path.display());
        }
        let small = dir.path().join("small");
        std::fs::write(&small, "text").unwrap();
        assert_eq!(read(&small).unwrap(), "text");
    }

    #[test]
    fn the_rights_are_the_users_in_there_and_roots_outside() {
        let Some(user) = testing::nobody() else { return };
        let home = testing::home_of(&user);
        let secret = home.path().join("secret");
        std::fs::write(&secret, "root's").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let refused = user.act(|| read(&link)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(refused.to_string().ends_with("with the rights of nobody, who typed sudo"), "{refused}");
        let made = home.path().join("made");
        user.act(|| std::fs::write(&made, "")).unwrap();
        let meta = made.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (user.uid, user.gid));
        assert!(nix::unistd::geteuid().is_root());
        assert_eq!(read(&link).unwrap(), "root's");
    }

    #[test]
    fn what_is_below_something_of_the_users_is_theirs_to_replace() {
        let Some(user) = testing::nobody() else { return };
        let home = testing::home_of(&user);
        let own = tempfile::tempdir().unwrap();
        assert!(user.holds(&home.path().join(".minikube/config/config.json")));
        assert!(!user.holds(&own.path().join("config.json")));
        let link = own.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        assert!(user.holds(&link.join("config.json")));
        // a link of root's in the user's directory, to something of root's, behind another link
        let (target, inner) = (own.path().join("target"), home.path().join("inner"));
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &inner).unwrap();
        let outer = own.path().join("outer");
        std::os::unix::fs::symlink(&inner, &outer).unwrap();
        assert!(user.holds(&outer));
        let (direct, around) = (own.path().join("direct"), own.path().join("around"));
        std::os::unix::fs::symlink("target", &direct).unwrap();
        assert!(!user.holds(&direct), "all of it is root's");
        std::os::unix::fs::symlink("around", &around).unwrap();
        assert!(user.holds(&around), "a ring");
    }

    #[test]
    fn another_thread_keeps_its_rights_whatever_becomes_of_the_one_that_gave_them_up() {
        let Some(user) = testing::nobody() else { return };
        let ids = || {
            std::fs::read_to_string("/proc/thread-self/status").map(|text| {
                let wanted =
                    |line: &&str| ["Uid:", "Gid:", "Groups:", "CapEff:"].iter().any(|w| line.starts_with(w));
                text.lines().filter(wanted).map(str::to_owned).collect::<Vec<_>>()
            })
        };
        let before = ids().unwrap();
        let theirs = user.act(ids).unwrap();
        let all = "65534\t65534\t65534\t65534";
        assert_eq!(theirs[..2], [format!("Uid:\t{all}"), format!("Gid:\t{all}")], "saved and fs ids, too");
        assert_eq!(theirs[2].trim_end(), "Groups:");
        assert_eq!(theirs[3], "CapEff:\t0000000000000000");
        let panics = || user.act::<()>(|| panic!("in the middle of it"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(ids().unwrap(), before);
    }

    #[test]
    fn groups_are_those_that_name_the_user() {
        let table = "root:x:0:\nadm:x:4:syslog,ann\nann:x:1000:\nodd\nmore:x:30:ann\nbad:x:many:ann\n";
        assert_eq!(groups_of("ann", table), [4, 30]);
        assert_eq!(groups_of("an", table), [0_u32; 0]);
    }

    #[test]
    fn an_account_is_the_line_of_that_name() {
        let table = "root:x:0:0:root:/root:/bin/sh\nannie:x:1:1::/no:\nann:x:1000:100:Ann,,:/home/ann:/bin/zsh\nodd:x:1\nbad:x:u:1::/no:\n";
        assert_eq!(account_of("ann", table), Some(("/home/ann".into(), 1000, 100)));
        assert_eq!(account_of("root", table), Some(("/root".into(), 0, 0)));
        for nobody in ["an", "odd", "bad", "x", ""] {
            assert_eq!(account_of(nobody, table), None, "{nobody:?}");
        }
    }
}
