//! Roots with what is mounted in them; with them, a root for the tests of others.

use super::*;
use crate::record::Record;
use crate::record::tests::record;
use std::fs::{create_dir_all, write};
use std::os::unix::fs::symlink;

/// A container that does not run, over one layer; `None`, loudly, for who may not mount.
pub(crate) fn stopped(dir: &Path, change: impl FnOnce(&mut Record)) -> Option<(Container, Vec<PathBuf>)> {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("SKIPPED: only root can put a container's root together");
        return None;
    }
    let layer = dir.join("layer");
    create_dir_all(layer.join("etc")).unwrap();
    let mut web = record("web");
    change(&mut web);
    create_dir_all(dir.join("container")).unwrap();
    Some((Container::new(web, dir.join("container"), None), vec![layer]))
}

fn read(root: &Root, path: &str) -> Option<String> {
    let found = root.resolve(Path::new(path), OFlag::O_RDONLY).ok()?;
    std::io::read_to_string(File::from(found)).ok()
}

#[test]
fn what_the_kernel_tells_is_no_file_of_a_container() {
    let at = PathBuf::from("/proc");
    let root = Root { fd: nix::fcntl::open(&at, DIRECTORY, Mode::empty()).unwrap(), at };
    assert!(!std::fs::read_to_string("/proc/version").unwrap().is_empty());
    assert_eq!(root.read_text(Path::new("/version")), "");
}

#[test]
fn a_device_in_a_file_s_place_is_not_opened() {
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
    let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = PathBuf::from(ptsname_r(&master).unwrap());
    let at = terminal.parent().unwrap().to_owned();
    let root = Root { fd: nix::fcntl::open(&at, DIRECTORY, Mode::empty()).unwrap(), at };
    assert_eq!(root.read_text(Path::new(terminal.file_name().unwrap())), "");
    // the end of a terminal that somebody has opened and closed
    let told = master.read(&mut [0]).unwrap_err();
    assert_eq!(told.kind(), io::ErrorKind::WouldBlock, "{told}");
}

#[test]
fn a_root_has_what_is_mounted_in_it_and_nothing_else_of_a_volume() {
    let dir = tempfile::tempdir().unwrap();
    let Some((web, layers)) = stopped(dir.path(), |_| ()) else { return };
    let volume = dir.path().join("volume");
    create_dir_all(volume.join("part/deep")).unwrap();
    write(volume.join("secret"), "secret").unwrap();
    write(volume.join("part/own"), "own").unwrap();
    symlink("/x", layers[0].join("link")).unwrap();
    symlink(dir.path(), layers[0].join("out")).unwrap();
    symlink("../secret", volume.join("part/up")).unwrap();
    let mount = |target: &str, subpath: Option<&str>, read_only| Mount {
        source: Some(volume.clone()),
        subpath: subpath.map(PathBuf::from),
        target: target.into(),
        read_only,
        ..Mount::default()
    };
    let mounts = [
        mount("/x", Some("part"), false),
        mount("/file", Some("secret"), true),
        mount("/ro", None, true),
        Mount { source: Some("/nowhere".into()), ..mount("/gone", None, false) },
    ];
    let table = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = table();
    look(&web, &layers, &mounts, &Images::new(), |root| {
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(read(root, "/x/own"), own("own"));
        assert_eq!(read(root, "/link/own"), own("own"), "by a link of the image");
        assert_eq!(read(root, "/x/../x/secret"), None);
        assert_eq!(read(root, "/x/up"), None, "a link out of the part");
        assert_eq!(read(root, "/out/secret"), None, "a link out of the root");
        assert_eq!(read(root, "/file"), own("secret"));
        assert_eq!(read(root, "/ro/secret"), own("secret"));
        assert!(root.resolve(Path::new("/ro/new"), OFlag::O_CREAT | OFlag::O_WRONLY).is_err());
        assert!(root.directory(Path::new("/gone")).is_err());
        let seen = root.path_of(&root.at(Path::new("/link/deep")).unwrap()).unwrap();
        assert_eq!(seen, Path::new("/x/deep"));
        assert_eq!(table(), before, "the machine sees nothing of it");
    })
    .unwrap();
    let left = std::fs::read_dir(web.dir().join("root")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).filter(|n| n != "upper" && n != "work").collect();
    assert!(left.is_empty(), "{left:?}");
    // its own file system, with no part of a volume
    let none = Images::new();
    let kept = look(&web, &layers, &[], &none, |root| (read(root, "/x/own"), read(root, "/ro/secret")));
    assert_eq!(kept.unwrap(), (None, None));
    let out = look(&web, &layers, &[mount("/x", Some("../layer"), false)], &none, |_| ()).unwrap_err();
    assert!(subpath::leads_out(Errno::from_raw(out.raw_os_error().unwrap())), "{out}");
}

#[test]
fn a_root_has_the_images_that_are_mounted_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some((web, layers)) = stopped(dir.path(), |_| ()) else { return };
    let layer = |name: &str| {
        let layer = dir.path().join(name);
        create_dir_all(layer.join("bin")).unwrap();
        write(layer.join("bin").join(name), name).unwrap();
        layer
    };
    let (low, high) = (layer("low"), layer("high"));
    let images = Images::from([("one".to_owned(), vec![low.clone()]), ("two".to_owned(), vec![high, low])]);
    let mount = |image: &str, target: &str, subpath: Option<&str>| Mount {
        image: Some(image.to_owned()),
        target: target.into(),
        subpath: subpath.map(PathBuf::from),
        read_only: true,
        ..Mount::default()
    };
    let mounts =
        [mount("one", "/one", None), mount("two", "/two", Some("bin")), mount("gone", "/gone", None)];
    look(&web, &layers, &mounts, &images, |root| {
        let found = ["/one/bin/low", "/one/bin/high", "/two/low", "/two/high"].map(|path| read(root, path));
        let want = [Some("low"), None, Some("low"), Some("high")];
        assert_eq!(found.each_ref().map(Option::as_deref), want);
        assert!(root.resolve(Path::new("/one/new"), OFlag::O_CREAT | OFlag::O_WRONLY).is_err());
        assert!(root.directory(Path::new("/gone")).is_err());
    })
    .unwrap();
    let left = std::fs::read_dir(web.dir().join("root")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).filter(|n| n != "upper" && n != "work").collect();
    assert!(left.is_empty(), "{left:?}");
}
