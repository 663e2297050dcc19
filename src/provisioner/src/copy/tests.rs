use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

fn copied(from: &Path, to: &Path) {
    copy(from, to, &CancellationToken::new()).unwrap();
}

fn stat(path: &Path) -> fs::Metadata {
    fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What `cp -a` keeps of a name.
fn kept(path: &Path) -> (u32, u32, u32, i64, i64, u64) {
    let of = stat(path);
    (of.mode(), of.uid(), of.gid(), of.mtime(), of.mtime_nsec(), if of.is_dir() { 0 } else { of.size() })
}

#[test]
fn what_is_in_it_comes_along_with_its_attributes() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    fs::create_dir_all(from.join("deep/er")).unwrap();
    fs::write(from.join("deep/er/file"), "text").unwrap();
    fs::write(from.join("empty"), "").unwrap();
    fs::write(from.join("script"), "#!").unwrap();
    fs::set_permissions(from.join("script"), Permissions::from_mode(0o6751)).unwrap();
    fs::set_permissions(from.join("deep"), Permissions::from_mode(0o1705)).unwrap();
    symlink("../nowhere", from.join("link")).unwrap();
    UnixListener::bind(from.join("socket")).unwrap();
    sys::mknodat(CWD, from.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let old = Timestamps {
        last_access: Timespec { tv_sec: 1, tv_nsec: 2 },
        last_modification: Timespec { tv_sec: 3, tv_nsec: 4 },
    };
    for name in ["deep/er/file", "deep/er", "link", "fifo", "."] {
        sys::utimensat(CWD, from.join(name), &old, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
    copied(&from, &to);
    for name in ["deep", "deep/er", "deep/er/file", "empty", "script", "link", "socket", "fifo", "."] {
        assert_eq!(kept(&to.join(name)), kept(&from.join(name)), "{name}");
    }
    assert_eq!(fs::read(to.join("deep/er/file")).unwrap(), b"text");
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("../nowhere"));
    assert_eq!((stat(&to.join("deep/er/file")).mtime(), stat(&to).mtime()), (3, 3));
}

#[test]
fn holes_stay_holes_and_what_is_between_them_stays_where_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    fs::create_dir(&from).unwrap();
    let file = File::create(from.join("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", 40 << 20).unwrap();
    File::create(from.join("hole")).unwrap().set_len(1 << 40).unwrap();
    copied(&from, &to);
    let copy = File::open(to.join("sparse")).unwrap();
    let read = |at: u64, length: usize| {
        let mut buffer = vec![0; length];
        copy.read_exact_at(&mut buffer, at).unwrap();
        buffer
    };
    assert_eq!((read(0, 6), read(40 << 20, 7)), (b"begin\0".to_vec(), b"middle\0".to_vec()));
    assert_eq!((stat(&to.join("sparse")).size(), stat(&to.join("hole")).size()), (64 << 20, 1 << 40));
    assert!(stat(&to.join("sparse")).blocks() * 512 < 8 << 20, "it takes no more than what is in it");
    assert!(stat(&to.join("hole")).blocks() * 512 < 1 << 20);
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    fs::create_dir_all(from.join("d")).unwrap();
    fs::write(from.join("one"), "x").unwrap();
    fs::hard_link(from.join("one"), from.join("d/two")).unwrap();
    symlink("one", from.join("link")).unwrap();
    fs::hard_link(from.join("link"), from.join("d/link")).unwrap();
    // a name of it outside stays where it is
    fs::hard_link(from.join("one"), root.path().join("outside")).unwrap();
    copied(&from, &to);
    assert_eq!(stat(&to.join("one")).ino(), stat(&to.join("d/two")).ino());
    assert_eq!(stat(&to.join("link")).ino(), stat(&to.join("d/link")).ino());
    assert_eq!(stat(&to.join("one")).nlink(), 2);
    assert_ne!(stat(&to.join("one")).ino(), stat(&from.join("one")).ino());
}

/// Directories in each other, by descriptors: a path can not say how deep.
fn deep(top: &Path, levels: usize, name: &str) -> OwnedFd {
    let mut at = sys::openat(CWD, top, DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..levels {
        sys::mkdirat(&at, name, Mode::RWXU).unwrap();
        at = sys::openat(&at, name, DIRECTORY, Mode::empty()).unwrap();
    }
    at
}

#[test]
fn names_of_one_file_stay_so_where_no_path_leads_to() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    fs::create_dir(&from).unwrap();
    let name = "d".repeat(250);
    let last = deep(&from, 40, &name);
    sys::openat(&last, "one", NEW, Mode::RUSR).unwrap();
    for (index, place) in
        [&last, &sys::openat(CWD, &from, DIRECTORY, Mode::empty()).unwrap()].iter().enumerate()
    {
        sys::linkat(&last, "one", place, format!("other{index}"), AtFlags::empty()).unwrap();
    }
    copied(&from, &to);
    let mut at = sys::openat(CWD, &to, DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..40 {
        at = sys::openat(&at, &*name, DIRECTORY, Mode::empty()).unwrap();
    }
    let of = |name: &str| sys::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    assert_eq!((of("one").st_ino, of("one").st_nlink), (of("other0").st_ino, 3));
    assert_eq!(of("one").st_ino, stat(&to.join("other1")).ino());
    // a path of that length says neither where it is nor why in an event
    trees::remove(&to).unwrap();
    let stop = CancellationToken::new();
    deep(&from, DEEPEST + 1, &"e".repeat(200));
    let refused = copy(&from, &to, &stop).unwrap_err();
    let text = refused.to_string();
    assert!(is_final(&refused) && text.len() < 1000 && text.ends_with("too deep in each other"), "{text}");
    for tree in [from, to] {
        trees::remove(&tree).unwrap();
    }
}

/// A copy without them would be another one, and could be many times as large.
#[test]
fn more_links_than_can_be_kept_are_an_end_and_no_copy_without_them() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    for directory in [&from.join("one"), &from.join("two"), &to] {
        fs::create_dir_all(directory).unwrap();
    }
    for number in 0..100 {
        let file = from.join(format!("one/{number}"));
        fs::write(&file, "x").unwrap();
        fs::hard_link(&file, from.join(format!("two/{number}"))).unwrap();
    }
    let open = |path: &Path| sys::openat(CWD, path, DIRECTORY, Mode::empty()).unwrap();
    let (source, target, stop) = (open(&from), open(&to), CancellationToken::new());
    let root = std::os::fd::AsFd::as_fd(&target);
    let mut copying = Copying { links: LinkNames::bounded(10_000), ..Copying::new(root, &stop) };
    let refused = copying.contents(&source, &target, 0).unwrap_err();
    assert!(is_final(&refused), "{refused}");
    assert!(refused.to_string().starts_with("too many files with several names"), "{refused}");
}

#[test]
fn no_link_leads_out_of_it() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    let secret = root.path().join("secret");
    fs::create_dir_all(secret.join("d")).unwrap();
    fs::write(secret.join("d/key"), "x").unwrap();
    fs::create_dir(&from).unwrap();
    symlink(&secret, from.join("directory")).unwrap();
    symlink(secret.join("d/key"), from.join("file")).unwrap();
    symlink("/proc/self/fd/0", from.join("magic")).unwrap();
    copied(&from, &to);
    for name in ["directory", "file", "magic"] {
        assert!(stat(&to.join(name)).is_symlink(), "{name}");
    }
    // nor is one copied that has the place of the whole
    let link = root.path().join("link");
    symlink(&secret, &link).unwrap();
    assert!(copy(&link, &root.path().join("c"), &CancellationToken::new()).is_err());
    // or into
    assert!(copy(&from, &link, &CancellationToken::new()).is_err());
}

#[test]
fn a_directory_that_is_swapped_for_a_link_all_the_time_leads_nowhere() {
    let root = tempfile::tempdir().unwrap();
    let (from, secret) = (root.path().join("a"), root.path().join("secret"));
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join("key"), "x").unwrap();
    fs::create_dir_all(from.join("d")).unwrap();
    symlink(&secret, from.join("l")).unwrap();
    let stop = CancellationToken::new();
    std::thread::scope(|scope| {
        let (directory, link, ended) = (from.join("d"), from.join("l"), stop.clone());
        scope.spawn(move || {
            while !ended.is_cancelled() {
                let swap = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(CWD, &directory, CWD, &link, swap).unwrap();
            }
        });
        for round in 0..200 {
            let to = root.path().join(format!("b{round}"));
            // one that is a link when it is looked at, and is a directory by then, is an error and no more
            let _ = copy(&from, &to, &CancellationToken::new());
            for name in ["d", "l"] {
                let at = to.join(name);
                let is_secret =
                    fs::symlink_metadata(&at).is_ok_and(|of| of.is_dir()) && at.join("key").exists();
                assert!(!is_secret, "round {round}");
            }
        }
        stop.cancel();
    });
}

#[test]
fn extended_attributes_come_along() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    fs::create_dir_all(from.join("d")).unwrap();
    fs::write(from.join("file"), "x").unwrap();
    let set = |name: &str, attribute: &str, value: &[u8]| {
        let file = File::open(from.join(name)).unwrap();
        sys::fsetxattr(&file, attribute, value, XattrFlags::empty())
    };
    if set("file", "user.colour", b"red").is_err() {
        eprintln!("skipped: this file system has no extended attributes");
        return;
    }
    set("d", "user.empty", b"").unwrap();
    // user::rw-, user:1001:r--, group::r--, mask::r--, other::---, as the kernel stores it
    let list: Vec<u8> =
        [(1u16, 6u16, u32::MAX), (2, 4, 1001), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
            .iter()
            .fold(2u32.to_le_bytes().to_vec(), |mut all, (tag, rights, id)| {
                all.extend(tag.to_le_bytes());
                all.extend(rights.to_le_bytes());
                all.extend(id.to_le_bytes());
                all
            });
    let has_lists = set("file", "system.posix_acl_access", &list).is_ok();
    copied(&from, &to);
    let get = |name: &str, attribute: &str| {
        let mut value = vec![0; 256];
        let file = File::open(to.join(name)).unwrap();
        let length = sys::fgetxattr(&file, attribute, &mut value[..]).unwrap();
        value.truncate(length);
        value
    };
    assert_eq!((get("file", "user.colour"), get("d", "user.empty")), (b"red".to_vec(), Vec::new()));
    if has_lists {
        assert_eq!(get("file", "system.posix_acl_access"), list);
    }
    assert_eq!(stat(&to.join("file")).mode(), stat(&from.join("file")).mode());
}

#[test]
fn it_stops_when_it_is_told_to_and_says_where_it_fails() {
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("a");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("file"), "x").unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let error = copy(&from, &root.path().join("b"), &stop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    let mut deep = from.clone();
    for _ in 0..=DEEPEST {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let error = copy(&from, &root.path().join("c"), &CancellationToken::new()).unwrap_err();
    assert!(error.to_string().contains("/a/d/d/d"), "{error}");
}
