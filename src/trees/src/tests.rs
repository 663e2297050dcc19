use super::*;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags, mkdirat, openat};
use rustix::io::Errno;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Directories in each other, deeper than any path can say, with a file in the last. Gives that one.
fn deep(top: &Path, levels: usize) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, top, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", flags, Mode::empty()).unwrap();
    }
    openat(&at, "file", OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC, Mode::RWXU).unwrap();
    at
}

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        println!("SKIPPED: only root may do this");
    }
    is_root
}

#[test]
fn a_tree_of_any_depth_goes() {
    for levels in [0, 1, 62, 63, 64, 65, 127, 1000, 60_000] {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("tree");
        fs::create_dir(&tree).unwrap();
        deep(&tree, levels);
        fs::write(root.path().join("beside"), "x").unwrap();
        let parent = fs::File::open(root.path()).unwrap();
        remove_at(&parent, "tree".as_ref()).unwrap();
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["beside"], "{levels} levels");
    }
}

#[test]
fn a_tree_of_many_branches_goes_though_its_names_are_ours() {
    let root = tempfile::tempdir().unwrap();
    let tree = root.path().join("tree");
    for name in [".removed-0/in-it", ".removed-1", "a/.removed-2", "b"] {
        fs::create_dir_all(tree.join(name)).unwrap();
    }
    fs::write(tree.join(".removed-2"), "x").unwrap();
    for branch in ["a", "b", ".removed-0", ".removed-1"] {
        let at = deep(&tree.join(branch), 70);
        for name in ["one", "two", "three"] {
            mkdirat(&at, name, Mode::RWXU).unwrap();
            mkdirat(&at, format!("{name}/more"), Mode::RWXU).unwrap();
        }
    }
    remove(&tree).unwrap();
    assert!(!tree.exists());
}

#[test]
fn links_are_removed_and_never_followed() {
    let root = tempfile::tempdir().unwrap();
    let (tree, outside) = (root.path().join("tree"), root.path().join("outside"));
    fs::create_dir_all(tree.join("a")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "x").unwrap();
    symlink(&outside, tree.join("a/link")).unwrap();
    symlink("../../outside/file", tree.join("a/file")).unwrap();
    symlink(&outside, root.path().join("link")).unwrap();
    let parent = fs::File::open(root.path()).unwrap();
    remove_at(&parent, "link".as_ref()).unwrap();
    assert!(fs::symlink_metadata(root.path().join("link")).is_err());
    remove(&tree).unwrap();
    assert!(!tree.exists() && outside.join("file").exists());
}

#[test]
fn what_is_no_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "x").unwrap();
    for (name, path, want) in [
        ("a file", &*file, ErrorKind::NotADirectory),
        ("nothing", &*root.path().join("none"), ErrorKind::NotFound),
        ("in nothing", &*root.path().join("none/none"), ErrorKind::NotFound),
        ("the root of all", Path::new("/"), ErrorKind::InvalidInput),
    ] {
        assert_eq!(remove(path).map_err(|error| error.kind()), Err(want), "{name}");
    }
    assert!(file.exists());
}

#[test]
fn directories_without_permissions_are_no_obstacle() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let tree = root.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    for name in ["a/b", "a", ""] {
        fs::set_permissions(tree.join(name), fs::Permissions::from_mode(0o0)).unwrap();
    }
    remove(&tree).unwrap();
    assert!(!tree.exists());
}

/// As `chattr` does it. Says whether the file system has such marks.
fn mark(path: &Path, marks: IFlags) -> bool {
    let file = fs::File::open(path).unwrap();
    match ioctl_getflags(&file) {
        Ok(flags) => {
            ioctl_setflags(&file, flags | marks).unwrap();
            true
        }
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => {
            println!("SKIPPED: nothing can be marked on this file system");
            false
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

#[test]
fn what_is_marked_as_immutable_or_append_only_goes() {
    if !is_root() {
        return;
    }
    for marks in [IFlags::IMMUTABLE, IFlags::APPEND] {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("tree");
        fs::create_dir(&tree).unwrap();
        deep(&tree, 70);
        for name in ["file", "other"] {
            fs::write(tree.join("d").join(name), "x").unwrap();
        }
        symlink("other", tree.join("d/link")).unwrap();
        let last = tree.join("d/".repeat(70));
        // from below; those at 64 and deeper are moved before they are opened
        let marked = [70, 65, 64, 63, 62, 1, 0].map(|levels| tree.join("d/".repeat(levels)));
        for path in [last.join("file"), tree.join("d/file")].iter().chain(&marked) {
            if !mark(path, marks) {
                return;
            }
        }
        assert_eq!(fs::remove_file(tree.join("d/file")).unwrap_err().kind(), ErrorKind::PermissionDenied);
        remove(&tree).unwrap();
        assert!(!tree.exists(), "{marks:?}");
    }
}

#[test]
fn what_is_mounted_in_it_keeps_what_it_has() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (tree, data) = (root.path().join("tree"), root.path().join("data"));
    for dir in [&tree.join("a/mounted"), &tree.join("other"), &data] {
        fs::create_dir_all(dir).unwrap();
    }
    for file in [&data.join("precious"), &tree.join("a/file"), &tree.join("other/file")] {
        fs::write(file, "x").unwrap();
    }
    let with_a_mount = || {
        // of this thread alone
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        // of the same file system: a device number does not tell
        mount(Some(&data), &tree.join("a/mounted"), none, MsFlags::MS_BIND, none).unwrap();
        let refused = remove(&tree).unwrap_err();
        assert_eq!(refused.to_string(), "a/mounted: something is mounted there");
        assert_eq!(remove(&tree.join("a/mounted")).unwrap_err().kind(), ErrorKind::ResourceBusy);
    };
    std::thread::scope(|scope| scope.spawn(with_a_mount).join()).unwrap();
    assert!(data.join("precious").exists() && tree.join("a/mounted").exists());
    assert!(!tree.join("a/file").exists() && !tree.join("other").exists(), "all the rest goes");
    remove(&tree).unwrap();
    assert!(!tree.exists() && data.join("precious").exists());
}

#[test]
fn a_temporary_directory_goes_with_its_owner_however_deep() {
    let root = tempfile::tempdir().unwrap();
    let made = TempDir::new_in(root.path()).unwrap();
    deep(made.path(), 5000);
    drop(made);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_walk_ends_where_no_real_tree_is() {
    assert!(check_depth(0).is_ok() && check_depth(MAX_DEPTH - 1).is_ok());
    let refused = check_depth(MAX_DEPTH).unwrap_err();
    assert_eq!(refused.to_string(), "more than 256 directories in each other");
}
