use crate::Places;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// Held as long as the daemon lives; the kernel lets go of it however the daemon ends.
pub(crate) struct Lock {
    _held: Flock<File>,
}

/// Whether a daemon lives that was started with these places.
pub(crate) fn is_held(places: &Places) -> bool {
    let Ok(file) = File::open(places.lock()) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

impl Lock {
    /// `None` where another daemon of the profile lives.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn take(places: &Places) -> std::io::Result<Option<Self>> {
        let file =
            File::options().create(true).truncate(false).write(true).mode(0o600).open(places.lock())?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                held.set_len(0)?;
                writeln!(held, "{}", std::process::id())?;
                Ok(Some(Lock { _held: held }))
            }
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error.into()),
        }
    }
}
