use super::*;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::unistd::mkfifo;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

fn root() -> (tempfile::TempDir, Rootfs) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("root/etc")).unwrap();
    fs::write(dir.path().join("secret"), "outside").unwrap();
    let root = Rootfs::open(&dir.path().join("root")).unwrap();
    (dir, root)
}

#[test]
fn links_do_not_lead_out() {
    let (dir, root) = root();
    let inside = dir.path().join("root");
    fs::write(inside.join("etc/real"), "inside").unwrap();
    for (name, target, want) in [
        ("a", "/etc/real", "inside"),
        ("b", "../../../../etc/real", "inside"),
        ("c", "../secret", ""),
        ("d", "/secret", ""),
    ] {
        symlink(target, inside.join(name)).unwrap();
        assert_eq!(root.read_text(Path::new("/").join(name).as_path()), want, "{target}");
    }
    symlink(dir.path(), inside.join("out")).unwrap();
    assert_eq!(root.read_text(Path::new("/out/secret")), "");
    assert_eq!(root.read_text(Path::new("../secret")), "");
}

#[test]
fn what_is_no_text_file_reads_as_empty() {
    let (dir, root) = root();
    mkfifo(&dir.path().join("root/etc/passwd"), Mode::from_bits_truncate(0o600)).unwrap();
    assert_eq!(root.read_text(Path::new("/etc/passwd")), "");
    assert_eq!(root.read_text(Path::new("/etc")), "");
    assert_eq!(root.read_text(Path::new("/none")), "");
}

/// A running container's root has its /proc, and a link may lead there: /proc/kmsg, where what is read is gone.
#[test]
fn what_the_kernel_tells_is_no_file_of_a_container() {
    let root = Rootfs::open(Path::new("/proc")).unwrap();
    assert!(!fs::read_to_string("/proc/version").unwrap().is_empty());
    assert_eq!(root.read_text(Path::new("/version")), "");
}

#[test]
fn a_device_in_a_file_s_place_is_not_opened() {
    let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = PathBuf::from(ptsname_r(&master).unwrap());
    let root = Rootfs::open(terminal.parent().unwrap()).unwrap();
    assert_eq!(root.read_text(Path::new(terminal.file_name().unwrap())), "");
    // the end of a terminal that somebody has opened and closed
    let told = master.read(&mut [0]).unwrap_err();
    assert_eq!(told.kind(), io::ErrorKind::WouldBlock, "{told}");
}

#[test]
fn what_has_taken_a_file_s_place_is_not_opened_to_be_copied() {
    let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = PathBuf::from(ptsname_r(&master).unwrap());
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pipe = dir.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let open = |dir: &Path| nix::fcntl::open(dir, DIRECTORY, Mode::empty()).unwrap();
    for place in [&terminal, &pipe] {
        let (from, name) = (open(place.parent().unwrap()), place.file_name().unwrap());
        let refused = copy_file(&from, &open(to.path()), name).unwrap_err();
        assert!(refused.to_string().ends_with(" is no file any more"), "{}: {refused}", place.display());
    }
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
    let told = master.read(&mut [0]).unwrap_err();
    assert_eq!(told.kind(), io::ErrorKind::WouldBlock, "{told}");
}

#[test]
fn directories_are_made_inside() {
    let (dir, root) = root();
    let (uid, gid) = (Uid::current().as_raw(), Gid::current().as_raw());
    root.make_dir(Path::new("/a/b/c"), uid, gid).unwrap();
    assert!(dir.path().join("root/a/b/c").is_dir());
    symlink("/a", dir.path().join("root/link")).unwrap();
    root.make_dir(Path::new("/link/d"), uid, gid).unwrap();
    assert!(dir.path().join("root/a/d").is_dir());
    symlink(dir.path().join("nowhere"), dir.path().join("root/dangling")).unwrap();
    assert!(root.make_dir(Path::new("/dangling/x"), uid, gid).is_err());
    assert!(!dir.path().join("nowhere").exists());
    fs::write(dir.path().join("root/file"), "").unwrap();
    assert!(root.make_dir(Path::new("/file/x"), uid, gid).is_err());
}

/// The attack: in a volume that pods share, something of another user's comes in the place of the working directory that was made.
#[test]
fn only_a_new_directory_is_given_away() {
    let (dir, root) = root();
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: only root can give a directory away");
        return;
    }
    let inside = dir.path().join("root");
    for made in ["new", "full/x", "another's", "behind"] {
        fs::create_dir_all(inside.join(made)).unwrap();
    }
    symlink("behind", inside.join("link")).unwrap();
    fs::write(inside.join("file"), "").unwrap();
    std::os::unix::fs::chown(inside.join("another's"), Some(7), None).unwrap();
    let parent = root.open_in(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY).unwrap();
    for (name, looked_at, want) in [
        ("new", "new", 1000),
        ("full", "full", 0),
        ("another's", "another's", 7),
        ("link", "behind", 0),
        ("file", "file", 0),
        ("gone", "etc", 0),
    ] {
        give_new(&parent, OsStr::new(name), (1000, 1000)).unwrap();
        assert_eq!(fs::symlink_metadata(inside.join(looked_at)).unwrap().uid(), want, "{name}");
    }
}

#[test]
fn a_directory_takes_the_place_of_a_link() {
    let (dir, root) = root();
    let at = |name: &str| dir.path().join("root").join(name);
    fs::create_dir(dir.path().join("outside")).unwrap();
    symlink(dir.path().join("outside"), at("dev")).unwrap();
    fs::write(at("proc"), "").unwrap();
    fs::create_dir(at("sys")).unwrap();
    fs::write(at("sys/kept"), "").unwrap();
    for name in ["dev", "proc", "sys", "none"] {
        root.keep_dir(name).unwrap();
    }
    let is_dir = |name: &str| fs::symlink_metadata(at(name)).is_ok_and(|m| m.is_dir());
    assert!(is_dir("dev") && is_dir("proc") && at("sys/kept").exists() && !at("none").exists());
    assert!(dir.path().join("outside").exists());
}

#[test]
fn a_node_takes_the_place_of_what_is_no_directory() {
    if !Uid::effective().is_root() {
        println!("SKIPPED: only root makes nodes of devices");
        return;
    }
    let (dir, root) = root();
    let at = |name: &str| dir.path().join("root").join(name);
    let device = HostDevice {
        path: "/dev/loop7".into(),
        block: true,
        major: 7,
        minor: 300,
        mode: 0o666,
        uid: 1,
        gid: 6,
    };
    symlink(dir.path().join("secret"), at("link")).unwrap();
    fs::write(at("file"), "").unwrap();
    symlink(dir.path(), at("out")).unwrap();
    for name in ["link", "file", "new", "a/b/c"] {
        root.make_node(&Path::new("/").join(name), &device).unwrap();
        let made = fs::symlink_metadata(at(name)).unwrap();
        let number = (libc::major(made.rdev()), libc::minor(made.rdev()));
        assert!(made.file_type().is_block_device() && number == (7, 300), "{name}");
        assert_eq!((made.mode() & 0o7777, made.uid(), made.gid()), (0o666, 1, 6), "{name}");
    }
    assert!(root.make_node(Path::new("/etc"), &device).is_err());
    assert!(root.make_node(Path::new("/out/x"), &device).is_err());
    assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "outside");
    assert!(!dir.path().join("x").exists());
}

#[test]
fn a_volume_begins_with_what_the_image_has_there() {
    let (dir, root) = root();
    let data = dir.path().join("root/data");
    fs::create_dir_all(data.join("sub")).unwrap();
    fs::write(data.join("sub/file"), "x").unwrap();
    fs::set_permissions(data.join("sub/file"), fs::Permissions::from_mode(0o4750)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("/secret", data.join("link")).unwrap();
    let to = dir.path().join("volume");
    fs::create_dir(&to).unwrap();
    root.fill(Path::new("/data"), &to).unwrap();
    assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "x");
    assert_eq!(fs::metadata(to.join("sub/file")).unwrap().mode() & 0o7777, 0o4750);
    assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/secret"));
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    root.fill(Path::new("/none"), &other).unwrap();
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    // what is in use keeps what it has
    fs::write(to.join("sub/file"), "changed").unwrap();
    root.fill(Path::new("/data"), &to).unwrap();
    assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "changed");
}

/// A layer of a kilobyte can have a file of a terabyte.
#[test]
fn what_is_a_hole_in_the_image_takes_no_room_in_the_volume() {
    let (dir, root) = root();
    let data = dir.path().join("root/data");
    fs::create_dir_all(&data).unwrap();
    fs::File::create(data.join("large")).unwrap().set_len(1 << 40).unwrap();
    let to = dir.path().join("volume");
    fs::create_dir(&to).unwrap();
    root.fill(Path::new("/data"), &to).unwrap();
    let copy = fs::metadata(to.join("large")).unwrap();
    assert_eq!(copy.len(), 1 << 40);
    assert!(copy.blocks() < 1000, "{} blocks", copy.blocks());
}

#[test]
fn an_image_that_is_too_deep_is_not_copied_for_ever() {
    let (dir, root) = root();
    let data = dir.path().join("root/data");
    fs::create_dir_all(data.join("d/".repeat(trees::MAX_DEPTH + 1))).unwrap();
    let to = dir.path().join("volume");
    fs::create_dir(&to).unwrap();
    let refused = root.fill(Path::new("/data"), &to).unwrap_err();
    assert_eq!(refused.to_string(), "more than 256 directories in each other");
}

/// The attack: another container that has the volume turns a directory of it into a link while it is filled.
#[test]
fn a_volume_is_filled_and_nothing_beside_it() {
    let (dir, root) = root();
    let image = dir.path().join("root/data/sub");
    fs::create_dir_all(&image).unwrap();
    for number in 0..50 {
        fs::write(image.join(number.to_string()), "image").unwrap();
    }
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let to = dir.path().join("volume");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = fs::rename(to.join("sub"), to.join("away"));
                let _ = symlink(&outside, to.join("sub"));
                let _ = fs::remove_file(to.join("sub"));
                let _ = fs::rename(to.join("away"), to.join("sub"));
            }
        });
        for _ in 0..100 {
            let _ = fs::remove_dir_all(&to);
            let _ = fs::create_dir(&to);
            // a failure is fine, a way out is not
            let _ = root.fill(Path::new("/data"), &to);
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}
