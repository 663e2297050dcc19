//! Who has a profile's run directory: the daemon as long as it lives, or who removes the profile. One does not begin while the
//! other is at work. The directory goes with the profile, so whoever waits for its lock may find it gone: then it is made anew.

use crate::Paths;
use crate::claim::{ClaimError, claim};
use crate::error::{StartError, io, unclaimed};
use crate::lock::{Lock, has_daemon};
use std::io::ErrorKind;

/// A delete takes the directory away once; who meets more of them than that is told what the file system says.
const TRIES: usize = 10;

/// For a daemon: the directory is there, marked and locked. Tells what had to be mended.
///
/// # Errors
/// Another daemon has it, or who removes the profile; it is not ours; what the file system says.
pub(crate) fn take(paths: &Paths) -> Result<(Vec<String>, Lock), StartError> {
    let mut notes = Vec::new();
    let mut tries = 0;
    loop {
        tries += 1;
        match claim(&paths.run, paths) {
            Err(error) if was_taken_away(&error) && tries < TRIES => continue,
            claimed => notes.extend(claimed.map_err(unclaimed)?),
        }
        let lock = match Lock::take(paths) {
            Err(error) if error.kind() == ErrorKind::NotFound && tries < TRIES => continue,
            taken => taken.map_err(|e| io(&paths.lock(), &e))?,
        };
        let Some(lock) = lock else {
            let what = match has_daemon(paths) {
                true => format!("{} is running already", paths.profile),
                false => format!("{} is being removed: start it when that is done", paths.profile),
            };
            return Err(StartError::StateInUse { what });
        };
        // its mark may have gone with what was removed before
        claim(&paths.run, paths).map_err(unclaimed)?;
        return Ok((notes, lock));
    }
}

/// What keeps daemons of the profile from beginning.
pub(crate) enum Hold {
    Held {
        _lock: Lock,
    },
    /// The directory is another's, or can not be made: no daemon of the profile begins there either.
    NotOurs,
    /// A daemon has it, or who else removes the profile.
    Taken,
}

/// For who removes the profile. The directory is there then.
pub(crate) fn hold_to_remove(paths: &Paths) -> Hold {
    for _ in 0..TRIES {
        match claim(&paths.run, paths) {
            Err(error) if was_taken_away(&error) => continue,
            Err(_) => return Hold::NotOurs,
            Ok(_) => {}
        }
        match Lock::take_to_remove(paths) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => return Hold::NotOurs,
            Ok(None) => return Hold::Taken,
            Ok(Some(lock)) => return Hold::Held { _lock: lock },
        }
    }
    Hold::Taken
}

fn was_taken_away(error: &ClaimError) -> bool {
    matches!(error, ClaimError::Io { why, .. } if why.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProfileName;
    use std::os::unix::fs::MetadataExt;

    fn profile() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &ProfileName::default());
        (root, paths)
    }

    fn refusal(paths: &Paths) -> String {
        take(paths).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn no_daemon_begins_while_the_profile_is_removed_and_nothing_is_removed_while_one_lives() {
        let (_root, paths) = profile();
        let held = hold_to_remove(&paths);
        assert!(matches!(held, Hold::Held { .. }));
        assert_eq!(refusal(&paths), "monopod is being removed: start it when that is done");
        assert!(matches!(hold_to_remove(&paths), Hold::Taken), "twice at once");
        drop(held);
        let (_, lock) = take(&paths).unwrap();
        assert_eq!(refusal(&paths), "monopod is running already");
        assert!(matches!(hold_to_remove(&paths), Hold::Taken));
        drop(lock);
        // what the daemon has left in it names none any more
        let held = hold_to_remove(&paths);
        assert_eq!(refusal(&paths), "monopod is being removed: start it when that is done");
        drop(held);
    }

    #[test]
    fn what_a_removal_has_taken_away_is_made_anew() {
        let (_root, paths) = profile();
        let held = hold_to_remove(&paths);
        let before = std::fs::metadata(paths.lock()).unwrap().ino();
        // as it goes with the profile, while who removes it still holds the lock
        crate::purge::remove(&paths.run).unwrap();
        let (_, lock) = take(&paths).unwrap();
        assert_ne!(std::fs::metadata(paths.lock()).unwrap().ino(), before);
        drop(held);
        assert_eq!(refusal(&paths), "monopod is running already", "the lock is the new file's");
        drop(lock);
        // cut short between the mark and the lock
        crate::claim::unmark(&paths.run).unwrap();
        take(&paths).unwrap();
    }
}
