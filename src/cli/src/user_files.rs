//! Files of the user who typed `sudo`, read and written with that user's rights and no others: root would follow the user's links
//! to files that are not the user's, and give away what it finds there. Rights are a thread's on Linux (credentials(7)), so a
//! thread takes them on, does what is to be done, and ends with them.

use nix::fcntl::OFlag;
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No configuration that anybody has is larger.
const LARGEST: u64 = 4 << 20;

/// What opening waits for nobody with: a FIFO that nobody writes to, a terminal.
pub const AT_ONCE: i32 = OFlag::O_NONBLOCK.bits() | OFlag::O_NOCTTY.bits();

/// The user who typed `sudo`.
#[derive(Debug, Clone)]
pub struct SudoUser {
    pub name: String,
    pub home: PathBuf,
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
        let name = std::env::var("SUDO_USER").ok()?;
        let user = nix::unistd::User::from_name(&name).ok()??;
        // getgrouplist(3) would load what a program that is linked statically can not load
        let groups = groups_of(&name, &std::fs::read_to_string("/etc/group").unwrap_or_default());
        Some(SudoUser { name, home: user.dir, uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups })
    }

    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Does something with this user's rights alone.
    ///
    /// # Errors
    /// Those of `act`, and where the rights can not be taken on.
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
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
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

    /// Whether the user could put something else in the place of this file.
    fn holds(&self, path: &Path) -> bool {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_theirs = |meta: io::Result<Metadata>| meta.is_ok_and(|meta| meta.uid() == self.uid);
        path.ancestors().any(|part| is_theirs(part.symlink_metadata()) || is_theirs(part.metadata()))
    }
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
/// It can not be read, is no regular file, or is larger than any configuration.
pub fn read(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new().read(true).custom_flags(AT_ONCE).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let too_large = || io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20));
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
        let (name, home) = ("nobody".to_owned(), PathBuf::from("/nonexistent"));
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
    }

    #[test]
    fn groups_are_those_that_name_the_user() {
        let table = "root:x:0:\nadm:x:4:syslog,ann\nann:x:1000:\nodd\nmore:x:30:ann\nbad:x:many:ann\n";
        assert_eq!(groups_of("ann", table), [4, 30]);
        assert_eq!(groups_of("an", table), [0_u32; 0]);
    }
}
