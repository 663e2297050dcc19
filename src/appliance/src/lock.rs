//! The lock of a profile: one daemon holds it as long as it lives, and others can see whether it is held.

use crate::Paths;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Held as long as the daemon lives; the kernel lets go of it however the daemon ends.
pub(crate) struct Lock {
    _held: Flock<File>,
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

impl Lock {
    /// `None` where another daemon of the profile lives.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn take(paths: &Paths) -> std::io::Result<Option<Self>> {
        loop {
            let file =
                File::options().create(true).truncate(false).write(true).mode(0o600).open(paths.lock())?;
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut held) => {
                    held.set_len(0)?;
                    writeln!(held, "{}", std::process::id())?;
                    return Ok(Some(Lock { _held: held }));
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
    }
}
