//! The lock of a profile: one daemon holds it as long as it lives, and others can see whether it is held.

use crate::Places;
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

/// Whether a daemon lives that was started with these places.
pub(crate) fn is_held(places: &Places) -> bool {
    let Ok(file) = File::open(places.lock()) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

/// Held while a new profile takes ports and addresses that no other has, so that two which start for the first time take turns.
///
/// # Errors
/// What the file system says.
pub(crate) fn take_turn(places: &Places) -> std::io::Result<Flock<File>> {
    let [profiles, _] = places.parents();
    Flock::lock(File::open(profiles)?, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}

impl Lock {
    /// `None` where another daemon of the profile lives.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn take(places: &Places) -> std::io::Result<Option<Self>> {
        loop {
            let file =
                File::options().create(true).truncate(false).write(true).mode(0o600).open(places.lock())?;
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
        let places = |profile: &str| Places::below(root.path(), &profile.parse::<ProfileName>().unwrap());
        std::fs::create_dir_all(&places("one").state).unwrap();
        let first = take_turn(&places("one")).unwrap();
        let other = places("other");
        let waits = std::thread::spawn(move || take_turn(&other).map(drop));
        let directory = File::open(places("one").parents()[0]).unwrap();
        let (directory, error) = Flock::lock(directory, FlockArg::LockSharedNonblock).unwrap_err();
        assert_eq!(error, Errno::EWOULDBLOCK);
        drop((first, directory));
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn who_only_looks_keeps_no_daemon_from_starting() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path(), &ProfileName::default());
        std::fs::create_dir_all(&places.run).unwrap();
        let file = File::create(places.lock()).unwrap();
        let looked = Flock::lock(file, FlockArg::LockShared).map_err(|(_, e)| e).unwrap();
        let lock = std::thread::scope(|scope| {
            let taken = scope.spawn(|| Lock::take(&places).unwrap());
            std::thread::sleep(LOOK_AGAIN * 20);
            drop(looked);
            taken.join().unwrap()
        });
        assert!(lock.is_some() && is_held(&places));
        assert!(Lock::take(&places).unwrap().is_none(), "a second daemon");
    }
}
