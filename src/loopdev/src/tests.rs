use super::*;
use std::io::{Read, Seek, Write};

const SECTOR: u64 = 512; // bytes

#[test]
fn what_the_kernel_shows_is_a_name() {
    let cases = [
        ("/a/b\n", "/a/b", false),
        ("/a/b (deleted)\n", "/a/b", true),
        ("/a (deleted)/b\n", "/a (deleted)/b", false),
        ("/a", "/a", false),
    ];
    for (shown, path, is_deleted) in cases {
        let want = Behind { path: PathBuf::from(path), is_deleted };
        assert_eq!(Behind::read(shown.as_bytes()), want, "{shown:?}");
    }
}

#[test]
fn a_device_of_another_file_is_not_opened() {
    let root = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| root.path().join(name));
    for path in [&one, &other] {
        fs::write(path, "").unwrap();
    }
    let file = fs::metadata(&one).unwrap();
    let cases = [
        ("it is", one.clone(), false, true),
        ("another", other.clone(), false, false),
        ("a name from elsewhere", root.path().join("none"), false, true),
        ("its name was given to another file", other.clone(), true, true),
    ];
    for (name, path, is_deleted, want) in cases {
        assert_eq!(Behind { path, is_deleted }.may_be(&file), want, "{name}");
    }
}

#[test]
fn devices_are_told_from_others_by_their_names() {
    for (name, want) in
        [("loop0", Some(0)), ("loop123", Some(123)), ("loop", None), ("loop0p1", None), ("sda", None)]
    {
        assert_eq!(LoopDevice::of_name(name).map(|device| device.number), want, "{name}");
    }
}

fn may_attach() -> bool {
    // SAFETY: it takes nothing and can not fail.
    let may = unsafe { libc::geteuid() } == 0 && check().is_ok();
    if !may {
        println!("SKIPPED: loop devices need root and /dev/loop-control");
    }
    may
}

/// A file that is let go at the end, whatever becomes of the test.
struct Disk(PathBuf);

impl Disk {
    fn new(directory: &Path, name: &str, sectors: u64) -> Self {
        let path = directory.join(name);
        fs::File::create(&path).unwrap().set_len(sectors * SECTOR).unwrap();
        Disk(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = detach(&self.0);
    }
}

fn sectors(device: LoopDevice) -> u64 {
    let size = fs::read_to_string(format!("{DEVICES}/loop{}/size", device.number)).unwrap();
    size.trim().parse().unwrap()
}

/// Without one that was let go.
fn autoclear(device: LoopDevice) -> Option<String> {
    let shown = fs::read_to_string(format!("{DEVICES}/loop{}/loop/autoclear", device.number)).ok()?;
    Some(shown.trim().to_owned())
}

/// The files of those that stay. Another test may just look at one that does not, and has it open.
fn staying() -> Vec<PathBuf> {
    let all = attached().unwrap().into_iter();
    all.filter(|(device, _)| autoclear(*device).as_deref() == Some("0"))
        .map(|(_, behind)| behind.path)
        .collect()
}

#[test]
fn a_file_is_one_device_until_it_is_let_go() {
    if !may_attach() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::new(root.path(), "disk", 2048);
    assert_eq!(find(&disk.0).unwrap(), None);
    let device = attach(&disk.0).unwrap().device;
    assert_eq!((find(&disk.0).unwrap(), attach(&disk.0).unwrap().device), (Some(device), device));
    assert_eq!((sectors(device), autoclear(device).as_deref()), (2048, Some("0")));
    // what is written to the one is in the other
    let mut opened = OpenOptions::new().read(true).write(true).open(device.path()).unwrap();
    opened.write_all(b"kept").unwrap();
    flush(&disk.0).unwrap();
    assert_eq!(fs::read(&disk.0).unwrap()[..4], *b"kept");
    // it grows with its file
    OpenOptions::new().write(true).open(&disk.0).unwrap().set_len(4096 * SECTOR).unwrap();
    assert_eq!(sectors(device), 2048);
    fit(&disk.0).unwrap();
    assert_eq!(sectors(device), 4096);
    // who has it open keeps it, and it is taken back from going
    detach(&disk.0).unwrap();
    assert_eq!(attach(&disk.0).unwrap().device, device);
    opened.rewind().unwrap();
    let mut read = [0; 4];
    opened.read_exact(&mut read).unwrap();
    drop(opened);
    assert_eq!((read, find(&disk.0).unwrap()), (*b"kept", Some(device)));
    detach(&disk.0).unwrap();
    detach(&disk.0).unwrap();
    assert_eq!(find(&disk.0).unwrap(), None);
    fit(&disk.0).unwrap();
}

#[test]
fn another_file_of_the_name_is_another_device() {
    if !may_attach() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::new(root.path(), "disk", 8);
    let other = Disk::new(root.path(), "other", 16);
    let device = attach(&disk.0).unwrap().device;
    fs::rename(&other.0, &disk.0).unwrap();
    assert_eq!(find(&disk.0).unwrap(), None);
    let second = attach(&disk.0).unwrap().device;
    assert!(second != device && sectors(second) == 16);
    // both had that name
    detach(&disk.0).unwrap();
    let (left, name) = (staying(), disk.0.canonicalize().unwrap());
    assert!(!left.contains(&name), "{left:?}");
}

#[test]
fn one_that_is_held_keeps_its_file_whatever_others_do() {
    if !may_attach() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let disk = Disk::new(root.path(), "disk", 2048);
    let held = attach(&disk.0).unwrap();
    let device = held.device;
    // all that can read it can do this
    Opened::read_only(device).unwrap().let_go().unwrap();
    let (_, info) = device.open_attached().expect("its file is still there");
    assert!(info.is_behind(&fs::metadata(&disk.0).unwrap()) && info.has(AUTOCLEAR));
    assert_eq!(find(&disk.0).unwrap(), None, "it was let go");
    assert_eq!(attach(&disk.0).unwrap().device, device, "and is taken back");
    assert_eq!((find(&disk.0).unwrap(), autoclear(device).as_deref()), (Some(device), Some("0")));
    // what has become a part of the file is let go as well
    let (opened, mut info) = device.open_attached().unwrap();
    info.offset = SECTOR;
    opened.keep(&info).unwrap();
    drop(opened);
    detach(&disk.0).unwrap();
    assert_eq!(autoclear(device).as_deref(), Some("1"));
}

#[test]
fn all_below_a_directory_are_let_go_and_no_others() {
    if !may_attach() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("real")).unwrap();
    // the kernel tells no links
    let below = root.path().join("below");
    std::os::unix::fs::symlink("real", &below).unwrap();
    let (inside, gone) = (Disk::new(&below, "inside", 8), Disk::new(&below, "gone", 8));
    let outside = Disk::new(root.path(), "below-not", 8);
    for disk in [&inside, &gone, &outside] {
        attach(&disk.0).unwrap();
    }
    fs::remove_file(&gone.0).unwrap();
    // its name is another file's by now
    fs::write(&gone.0, "").unwrap();
    assert_eq!(detach_below(&below), [""; 0]);
    let left = staying();
    let real = below.canonicalize().unwrap();
    assert!(!left.iter().any(|path| path.starts_with(&real)), "{left:?}");
    assert!(find(&outside.0).unwrap().is_some());
    assert_eq!(detach_below(&root.path().join("none")), [""; 0]);
}

#[test]
fn only_a_file_becomes_a_device() {
    let root = tempfile::tempdir().unwrap();
    let link = root.path().join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    for path in [root.path().to_owned(), root.path().join("none"), link] {
        assert!(attach(&path).is_err(), "{}", path.display());
    }
    assert_eq!(find(&root.path().join("none")).unwrap(), None);
}

#[test]
fn what_is_in_a_file_s_place_is_not_opened() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    let pipe = root.path().join("pipe");
    let name = std::ffi::CString::new(pipe.as_os_str().as_bytes()).unwrap();
    // SAFETY: the name ends with a zero byte and lives on; nothing else is read.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).unwrap();
    let refused = attach(&pipe).unwrap_err();
    assert_eq!(refused.to_string(), format!("{} is no file", pipe.display()));
    // once somebody has opened it for writing and closed it, the kernel says POLLHUP
    let mut polled = libc::pollfd { fd: reader.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: it is one entry, which is ours alone.
    assert_eq!(unsafe { libc::poll(&mut polled, 1, 0) }, 0, "{:x}", polled.revents);
}
