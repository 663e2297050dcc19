//! The lock of a profile: one daemon holds it as long as it lives, or who removes the profile while he does, and others can see
//! whether it is held. A daemon writes its pid into it.

use crate::Paths;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// A daemon writes its pid right after it has the lock; a machine that is busy may let it wait in between.
const TO_WRITE: Duration = Duration::from_secs(1);

/// Held as long as the daemon lives; the kernel lets go of it however the daemon ends.
pub(crate) struct Lock {
    held: Flock<File>,
}

/// Whether a daemon lives that was started with these paths.
pub(crate) fn is_held(paths: &Paths) -> bool {
    let Ok(file) = File::open(paths.lock()) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

/// Held while a new profile takes ports and addresses that no other has, so that two which start for the first time take turns.
///
/// # Errors
/// What the file system says.
pub(crate) fn take_turn(paths: &Paths) -> std::io::Result<Flock<File>> {
    let [profiles, _] = paths.parents();
    Flock::lock(File::open(profiles)?, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

/// Of a lock that is held: whether a daemon holds it, and not who removes the profile. One that has only just taken it has yet to write
/// that down.
pub(crate) fn has_daemon(paths: &Paths) -> bool {
    let began = Instant::now();
    loop {
        if std::fs::read_to_string(paths.lock()).is_ok_and(|text| !text.trim().is_empty()) {
            return true;
        }
        if began.elapsed() > TO_WRITE {
            return false;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

impl Lock {
    /// `None` where another daemon of the profile lives, or somebody removes it.
    ///
    /// # Errors
    /// What the file system says: `NotFound` where there is no run directory.
    pub(crate) fn take(paths: &Paths) -> std::io::Result<Option<Self>> {
        let Some(mut lock) = Self::acquire(paths)? else { return Ok(None) };
        writeln!(lock.held, "{}", std::process::id())?;
        Ok(Some(lock))
    }

    /// For who removes the profile, and is no daemon that could be ended by its pid.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub(crate) fn take_to_remove(paths: &Paths) -> std::io::Result<Option<Self>> {
        Self::acquire(paths)
    }

    fn acquire(paths: &Paths) -> std::io::Result<Option<Self>> {
        loop {
            let file =
                File::options().create(true).truncate(false).write(true).mode(0o600).open(paths.lock())?;
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                // it was removed with the profile between our look and the lock: there is another, or none
                Ok(held) if !is_at(&held, &paths.lock()) => continue,
                Ok(held) => {
                    held.set_len(0)?;
                    return Ok(Some(Lock { held }));
                }
                Err((file, Errno::EWOULDBLOCK)) => file,
                Err((_, error)) => return Err(error.into()),
            };
            // who only looks whether a daemon lives shares it for a moment; a daemon shares it with nobody
            match Flock::lock(file, FlockArg::LockSharedNonblock) {
                Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
                Err((_, error)) => return Err(error.into()),
                Ok(shared) => drop(shared),
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Whether the file is the one that is there.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), path.metadata()) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProfileName;

    #[test]
    fn two_new_profiles_take_turns() {
        let root = tempfile::tempdir().unwrap();
        let paths = |profile: &str| Paths::below(root.path(), &profile.parse::<ProfileName>().unwrap());
        std::fs::create_dir_all(&paths("one").state).unwrap();
        let first = take_turn(&paths("one")).unwrap();
        let other = paths("other");
        let waits = std::thread::spawn(move || take_turn(&other).map(drop));
        let directory = File::open(paths("one").parents()[0]).unwrap();
        let (directory, error) = Flock::lock(directory, FlockArg::LockSharedNonblock).unwrap_err();
        assert_eq!(error, Errno::EWOULDBLOCK);
        drop((first, directory));
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn who_only_looks_keeps_no_daemon_from_starting() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &ProfileName::default());
        std::fs::create_dir_all(&paths.run).unwrap();
        let file = File::create(paths.lock()).unwrap();
        let looked = Flock::lock(file, FlockArg::LockShared).map_err(|(_, e)| e).unwrap();
        let lock = std::thread::scope(|scope| {
            let taken = scope.spawn(|| Lock::take(&paths).unwrap());
            std::thread::sleep(LOOK_AGAIN * 20);
            drop(looked);
            taken.join().unwrap()
        });
        assert!(lock.is_some() && is_held(&paths));
        assert!(Lock::take(&paths).unwrap().is_none(), "a second daemon");
        assert!(has_daemon(&paths));
    }

    #[test]
    fn who_has_just_taken_the_lock_is_a_daemon_as_soon_as_it_says_so() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &ProfileName::default());
        std::fs::create_dir_all(&paths.run).unwrap();
        let mut lock = Lock::acquire(&paths).unwrap().unwrap();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| has_daemon(&paths));
            std::thread::sleep(LOOK_AGAIN * 20);
            writeln!(lock.held, "1").unwrap();
            assert!(asked.join().unwrap());
        });
        drop(lock);
        let _removes = Lock::take_to_remove(&paths).unwrap().unwrap();
        assert!(!has_daemon(&paths));
    }

    #[test]
    fn a_lock_is_that_of_the_file_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path), "it was removed");
        File::create(&path).unwrap();
        assert!(!is_at(&file, &path), "and made anew");
    }
}
