//! A profile's directories are ours, or they are left alone: each carries a mark, nothing without one is adopted by a start or
//! removed by a delete, and nobody but root may look into them or put something in their place.
//!
//! Layers hold set-uid programs, and state holds keys: a directory that others may enter gives them root. Read [`claim`] first.

use crate::Paths;
use crate::paths::LOCK;
use std::fs::{DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// In each directory of a profile.
const MARK: &str = ".monopod-profile";
const PRIVATE: u32 = 0o700;
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Where only an entry's owner may move it away.
const STICKY: u32 = 0o1000;
/// What a file system that was just made has in its root.
const OF_A_NEW_DISK: &str = "lost+found";
/// A profile that is being deleted may take the parents away just before we make ours in them.
const TRIES: usize = 10;

/// Whose a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// There is none.
    Nobody,
    Ours,
    /// Nothing is in it yet, as in a disk that was mounted there.
    Free,
    Another,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("{path} is not monopod's: it has no {MARK}, and holds {found:?}; move it away, or use another profile", path = path.display())]
    Another { path: PathBuf, found: String },
    #[error("{path} belongs to user {owner}, who could change what root runs", path = path.display())]
    NotOurs { path: PathBuf, owner: u32 },
    #[error("{path} may be written by others (mode {mode:04o}), who could put something in the place of {of}", path = path.display(), of = of.display())]
    Swappable { path: PathBuf, mode: u32, of: PathBuf },
    #[error("{path} can not be made private: its file system keeps mode {mode:04o}", path = path.display())]
    Public { path: PathBuf, mode: u32 },
    #[error("{path}: {why}", path = path.display())]
    Io { path: PathBuf, why: io::Error },
}

/// Makes the profile's directory `place` be there, marked, and for nobody else to enter. Tells what it had to mend.
///
/// # Errors
/// It is somebody else's, or could be made so by somebody who is not root; what the file system says.
pub(crate) fn claim(place: &Path, paths: &Paths) -> Result<Vec<String>, ClaimError> {
    let at = |why| ClaimError::Io { path: place.to_owned(), why };
    make(place).map_err(at)?;
    refuse_swappable(place)?;
    if owner_of(place).map_err(at)? == Owner::Another {
        let found = entries(place).map_err(at)?.into_iter().next().unwrap_or_default();
        return Err(ClaimError::Another { path: place.to_owned(), found });
    }
    let mended = make_private(place)?;
    for name in entries(place).map_err(at)? {
        belongs_to_us(&place.join(name))?;
    }
    mark(place, paths).map_err(at)?;
    Ok(mended.into_iter().collect())
}

/// # Errors
/// What the file system says.
pub(crate) fn owner_of(place: &Path) -> io::Result<Owner> {
    match std::fs::symlink_metadata(place.join(MARK)) {
        Ok(meta) if meta.is_file() => return Ok(Owner::Ours),
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Err(e),
        _ => {}
    }
    match entries(place) {
        // a removal that was cut short at its very end has left the lock
        Ok(names) if names.iter().all(|name| name == LOCK) => Ok(Owner::Free),
        Ok(_) => Ok(Owner::Another),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Owner::Nobody),
        Err(e) if e.kind() == ErrorKind::NotADirectory => Ok(Owner::Another),
        Err(e) => Err(e),
    }
}

/// The mark goes last: until then the next delete knows whose the rest is.
///
/// # Errors
/// What the file system says.
pub(crate) fn unmark(place: &Path) -> io::Result<()> {
    match std::fs::remove_file(place.join(MARK)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// What is in it but for the mark and for what any disk has.
///
/// # Errors
/// What the file system says.
pub(crate) fn entries(place: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(place)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != MARK && name != OF_A_NEW_DISK {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn make(place: &Path) -> io::Result<()> {
    let mut made = Ok(());
    for _ in 0..TRIES {
        made = DirBuilder::new().recursive(true).mode(PRIVATE).create(place);
        if made.as_ref().is_ok_and(|()| place.exists()) {
            break;
        }
    }
    made
}

fn mark(place: &Path, paths: &Paths) -> io::Result<()> {
    let text = format!(
        "This directory is the profile {} of monopod: `monopod -p {0} delete` removes it.\n",
        paths.profile
    );
    let path = place.join(MARK);
    // a disk that is full must not hold up what is marked already
    if std::fs::symlink_metadata(&path).is_ok() {
        return Ok(());
    }
    let file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    // the name is what counts: of a disk without room there is at least that
    let _ = io::Write::write_all(&mut &file, text.as_bytes());
    Ok(())
}

fn make_private(place: &Path) -> Result<Option<String>, ClaimError> {
    let at = |why| ClaimError::Io { path: place.to_owned(), why };
    let before = belongs_to_us(place)?.mode() & 0o7777;
    if before == PRIVATE {
        return Ok(None);
    }
    std::fs::set_permissions(place, Permissions::from_mode(PRIVATE)).map_err(at)?;
    let mode = std::fs::metadata(place).map_err(at)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(ClaimError::Public { path: place.to_owned(), mode });
    }
    Ok(Some(format!("{} could be entered by others (mode {before:04o}): it is private now", place.display())))
}

/// A link, and what it leads to.
fn belongs_to_us(path: &Path) -> Result<Metadata, ClaimError> {
    let own = std::fs::symlink_metadata(path);
    let own = own.map_err(|why| ClaimError::Io { path: path.to_owned(), why })?;
    // a link that leads nowhere is all that there is
    let led_to = std::fs::metadata(path).unwrap_or_else(|_| own.clone());
    for owner in [own.uid(), led_to.uid()] {
        if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
            return Err(ClaimError::NotOurs { path: path.to_owned(), owner });
        }
    }
    Ok(led_to)
}

/// Every directory above, of the path as it is written and of where its links lead.
fn refuse_swappable(place: &Path) -> Result<(), ClaimError> {
    let real = place.canonicalize().map_err(|why| ClaimError::Io { path: place.to_owned(), why })?;
    for above in place.ancestors().skip(1).chain(real.ancestors().skip(1)) {
        let mode = belongs_to_us(above)?.mode() & 0o7777;
        if mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0 {
            return Err(ClaimError::Swappable { path: above.to_owned(), mode, of: place.to_owned() });
        }
    }
    Ok(())
}

/// README promises it to those who do not ask `docker-env`. What others have put there stays.
///
/// # Errors
/// What the file system says.
pub(crate) fn link_docker_socket(paths: &Paths) -> io::Result<()> {
    let Some(link) = paths.docker_socket_link() else { return Ok(()) };
    unlink_docker_socket(paths)?;
    match std::os::unix::fs::symlink(target(paths), link) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// # Errors
/// What the file system says.
pub(crate) fn unlink_docker_socket(paths: &Paths) -> io::Result<()> {
    match paths.docker_socket_link() {
        Some(link) if std::fs::read_link(&link).is_ok_and(|to| to == target(paths)) => {
            std::fs::remove_file(link)
        }
        _ => Ok(()),
    }
}

/// Beside the link: whoever sees the directory at another path finds the socket too.
fn target(paths: &Paths) -> PathBuf {
    Path::new(paths.profile.as_str()).join("docker.sock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProfileName;

    fn machine() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &ProfileName::default());
        std::fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        (root, paths)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_not_there_is_made_for_us_alone() {
        let (_root, paths) = machine();
        assert_eq!(owner_of(&paths.state).unwrap(), Owner::Nobody);
        assert_eq!(claim(&paths.state, &paths).unwrap(), Vec::<String>::new());
        assert_eq!((mode(&paths.state), owner_of(&paths.state).unwrap()), (0o700, Owner::Ours));
        std::fs::write(paths.settings(), "x").unwrap();
        assert_eq!(claim(&paths.state, &paths).unwrap(), Vec::<String>::new(), "a second time");
    }

    #[test]
    fn a_directory_that_others_may_enter_is_closed_at_each_start() {
        let (_root, paths) = machine();
        for open in [0o755, 0o1777, 0o750, 0o2700] {
            std::fs::create_dir_all(&paths.state).unwrap();
            set(&paths.state, open);
            let mended = claim(&paths.state, &paths).unwrap();
            assert!(mended[0].contains(&format!("{open:04o}")), "{mended:?}");
            assert_eq!(mode(&paths.state), 0o700, "{open:o}");
        }
    }

    #[test]
    fn what_has_no_mark_is_not_adopted() {
        let (_root, paths) = machine();
        std::fs::create_dir_all(paths.state.join("lost+found")).unwrap();
        assert_eq!(owner_of(&paths.state).unwrap(), Owner::Free, "a new disk");
        std::fs::write(paths.state.join("somebody's"), "").unwrap();
        set(&paths.state, 0o755);
        let why = claim(&paths.state, &paths).unwrap_err().to_string();
        assert!(why.contains("is not monopod's") && why.contains("somebody's"), "{why}");
        assert_eq!(mode(&paths.state), 0o755, "and it is as it was");
        // a directory with the mark's name marks nothing
        std::fs::create_dir(paths.state.join(MARK)).unwrap();
        assert_eq!(owner_of(&paths.state).unwrap(), Owner::Another);
        std::fs::create_dir_all(&paths.run).unwrap();
        std::fs::remove_dir(&paths.run).unwrap();
        std::fs::write(&paths.run, "").unwrap();
        assert_eq!(owner_of(&paths.run).unwrap(), Owner::Another, "a file");
    }

    #[test]
    fn a_place_that_others_could_swap_is_refused() {
        let (_root, paths) = machine();
        let [parent, _] = paths.parents();
        std::fs::create_dir_all(&paths.state).unwrap();
        for (mode, safe) in [(0o755, true), (0o1777, true), (0o777, false), (0o775, false)] {
            set(parent, mode);
            let claimed = claim(&paths.state, &paths);
            assert_eq!(claimed.is_ok(), safe, "{mode:o} {claimed:?}");
        }
        // also where a link leads
        let elsewhere = tempfile::tempdir().unwrap();
        let real = elsewhere.path().join("open/state");
        std::fs::create_dir_all(&real).unwrap();
        set(&elsewhere.path().join("open"), 0o777);
        set(parent, 0o755);
        std::fs::remove_dir_all(&paths.state).unwrap();
        std::os::unix::fs::symlink(&real, &paths.state).unwrap();
        assert!(matches!(claim(&paths.state, &paths), Err(ClaimError::Swappable { .. })));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: only root can give a directory away");
            return;
        }
        let (_root, paths) = machine();
        claim(&paths.state, &paths).unwrap();
        let keys = paths.certificates();
        std::fs::create_dir(&keys).unwrap();
        for path in [&keys, &paths.state, &paths.state.parent().unwrap().to_owned()] {
            std::os::unix::fs::chown(path, Some(1000), None).unwrap();
            let why = claim(&paths.state, &paths).unwrap_err().to_string();
            assert!(why.starts_with(&format!("{} belongs to user 1000", path.display())), "{why}");
            std::os::unix::fs::chown(path, Some(0), None).unwrap();
        }
    }

    #[test]
    fn the_link_to_dockers_socket_comes_and_goes_and_another_s_stays() {
        let (_root, paths) = machine();
        let link = paths.docker_socket_link().unwrap();
        std::fs::create_dir_all(&paths.run).unwrap();
        std::fs::write(paths.docker_socket(), "here").unwrap();
        for _ in 0..2 {
            link_docker_socket(&paths).unwrap();
            assert_eq!(std::fs::read_to_string(&link).unwrap(), "here");
        }
        unlink_docker_socket(&paths).unwrap();
        std::fs::write(&link, "another's").unwrap();
        link_docker_socket(&paths).unwrap();
        unlink_docker_socket(&paths).unwrap();
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "another's");
        let other = Paths::below(Path::new("/"), &"other".parse().unwrap());
        assert_eq!(other.docker_socket_link(), None);
    }
}
