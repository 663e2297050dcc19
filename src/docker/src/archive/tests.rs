//! Tars that are read and written, hostile ones among them.

use super::*;
use crate::root::tests::stopped;
use crate::root::{Images, look};
use std::fs::{create_dir_all, metadata, read_to_string, write as write_file};
use std::os::unix::fs::{MetadataExt, symlink};

fn names(tar: &[u8]) -> Vec<String> {
    let mut archive = Archive::new(tar);
    let all = archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().into_owned());
    all.map(|name| String::from_utf8(name).unwrap()).collect()
}

#[test]
fn a_tree_that_is_too_deep_is_refused_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let deep = |levels: usize| dir.path().join("d/".repeat(levels));
    let tree = || Place { directory: File::open(dir.path()).unwrap().into(), name: "d".into() };
    create_dir_all(deep(trees::MAX_DEPTH)).unwrap();
    write(&tree(), OsStr::new("d"), io::sink()).unwrap();
    create_dir_all(deep(trees::MAX_DEPTH + 1)).unwrap();
    let refused = write(&tree(), OsStr::new("d"), io::sink()).unwrap_err().to_string();
    let place = "d/".repeat(trees::MAX_DEPTH) + "d";
    assert_eq!(refused, format!("{place}: more than 256 directories in each other"));
    remove(&tree().directory, OsStr::new("d"), true).unwrap();
    assert!(!deep(1).exists());
}

/// Name and, of a hard link, the name of the first.
fn entries(tar: &[u8]) -> Vec<(String, Option<String>)> {
    fn text(bytes: std::borrow::Cow<'_, [u8]>) -> String {
        String::from_utf8(bytes.into_owned()).unwrap()
    }
    let mut archive = Archive::new(tar);
    let all = archive.entries().unwrap().map(Result::unwrap);
    all.map(|entry| (text(entry.path_bytes()), entry.link_name_bytes().map(text))).collect()
}

#[test]
fn links_name_the_first_as_the_archive_does() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("d/e")).unwrap();
    write_file(dir.path().join("d/e/one"), "x").unwrap();
    for other in ["d/two", "d/z"] {
        std::fs::hard_link(dir.path().join("d/e/one"), dir.path().join(other)).unwrap();
    }
    for (name, prefix) in [("d", "d/"), (".", "./"), ("/", "/"), ("", "")] {
        let place = Place { directory: File::open(dir.path()).unwrap().into(), name: "d".into() };
        let mut tar = Vec::new();
        write(&place, OsStr::new(name), &mut tar).unwrap();
        let first = format!("{prefix}e/one");
        let of = |name: &str, first: Option<&String>| (format!("{prefix}{name}"), first.cloned());
        let want = [of("e/", None), of("e/one", None), of("two", Some(&first)), of("z", Some(&first))];
        assert!(entries(&tar).ends_with(&want), "{name}: {:?}", entries(&tar));
    }
}

#[test]
fn more_links_than_can_be_kept_end_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    for directory in ["d/a", "d/b"] {
        create_dir_all(dir.path().join(directory)).unwrap();
    }
    for number in 0..100 {
        let file = dir.path().join(format!("d/a/{number}"));
        write_file(&file, "x").unwrap();
        std::fs::hard_link(&file, dir.path().join(format!("d/b/{number}"))).unwrap();
    }
    let directory = OwnedFd::from(File::open(dir.path()).unwrap());
    let (d, sink) = (OsStr::new("d"), io::sink());
    let mut writer = Writer { links: LinkNames::bounded(10_000), ..Writer::new(sink) };
    let refused = writer.entry(&directory, d, d).unwrap_err().to_string();
    assert!(refused.contains("d/a/") && refused.contains("too many files with several names"), "{refused}");
}

#[test]
fn names_in_an_archive_are_those_that_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let Some((web, layers)) = stopped(dir.path(), |_| ()) else { return };
    let bar = layers[0].join("bar");
    create_dir_all(bar.join("quux")).unwrap();
    write_file(bar.join("quux/baz"), "world").unwrap();
    let long = "n".repeat(150);
    write_file(bar.join("quux").join(&long), "long").unwrap();
    symlink(format!("/{long}"), bar.join("far")).unwrap();
    std::fs::remove_dir(layers[0].join("etc")).unwrap();
    let long = |prefix: &str| format!("{prefix}/quux/{long}");
    for (path, name, want) in [
        ("/bar/quux/baz", "baz", vec!["baz".to_owned()]),
        (
            "/bar",
            "bar",
            vec!["bar/".into(), "bar/far".into(), "bar/quux/".into(), "bar/quux/baz".into(), long("bar")],
        ),
        ("/bar", ".", vec!["./".into(), "./far".into(), "./quux/".into(), "./quux/baz".into(), long(".")]),
        (
            "/",
            "/",
            vec![
                "/".into(),
                "/bar/".into(),
                "/bar/far".into(),
                "/bar/quux/".into(),
                "/bar/quux/baz".into(),
                long("/bar"),
            ],
        ),
        (
            "/",
            "",
            vec!["bar/".into(), "bar/far".into(), "bar/quux/".into(), "bar/quux/baz".into(), long("bar")],
        ),
    ] {
        let mut tar = Vec::new();
        look(&web, &layers, &[], &Images::new(), |root| {
            write(&root.place(Path::new(path)).unwrap(), OsStr::new(name), &mut tar).unwrap();
        })
        .unwrap();
        assert_eq!(names(&tar), want, "{path} as {name}");
        let mut archive = Archive::new(&tar[..]);
        for entry in archive.entries().unwrap().map(Result::unwrap) {
            if let Some(target) = entry.link_name_bytes() {
                assert_eq!(target.len(), 151, "a link's target is whole");
            }
        }
    }
}

#[test]
fn a_device_that_took_a_file_s_place_is_not_opened() {
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
    let dir = tempfile::tempdir().unwrap();
    write_file(dir.path().join("file"), "x").unwrap();
    let open = |directory: &Path| OwnedFd::from(File::open(directory).unwrap());
    let found = stat(&open(dir.path()), OsStr::new("file")).unwrap();
    let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = PathBuf::from(ptsname_r(&master).unwrap());
    let (directory, name) = (terminal.parent().unwrap(), terminal.file_name().unwrap());
    let mut writer = Writer::new(Vec::new());
    writer.file(&open(directory), name, name, &found).unwrap();
    assert!(names(&writer.tar.into_inner().unwrap()).is_empty());
    // the end of a terminal that somebody has opened and closed
    let told = master.read(&mut [0]).unwrap_err();
    assert_eq!(told.kind(), io::ErrorKind::WouldBlock, "{told}");
}

fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, path, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1000);
        header.set_size(if *kind == EntryType::Regular { content.len() as u64 } else { 0 });
        fill(&mut header.as_old_mut().name, path.as_bytes());
        if *kind == EntryType::Symlink {
            fill(&mut header.as_old_mut().linkname, content.as_bytes());
        }
        header.set_cksum();
        let data = if *kind == EntryType::Regular { content.as_bytes() } else { b"" };
        tar.append(&header, data).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn what_comes_in_keeps_owners_modes_and_times_and_stays_inside() {
    let dir = tempfile::tempdir().unwrap();
    let Some((web, layers)) = stopped(dir.path(), |_| ()) else { return };
    create_dir_all(layers[0].join("full/deep")).unwrap();
    symlink(dir.path(), layers[0].join("out")).unwrap();
    let upper = web.upper();
    let put = |tar: &[u8], how: Unpack| {
        let unpacked =
            look(&web, &layers, &[], &Images::new(), |root| unpack(root, Path::new("/"), tar, how));
        unpacked.unwrap().map_err(|e| e.to_string())
    };
    let plain = archive(&[
        (EntryType::Directory, "dir/", ""),
        (EntryType::Regular, "dir/file", "content"),
        (EntryType::Symlink, "dir/link", "a//b/."),
        (EntryType::Fifo, "dir/pipe", ""),
        (EntryType::Regular, "../up", "up"),
    ]);
    put(&plain, Unpack::default()).unwrap();
    let file = metadata(upper.join("dir/file")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777, file.mtime()), (7, 8, 0o4755, 1000));
    assert_eq!(metadata(upper.join("dir")).unwrap().mtime(), 1000, "after what was put into it");
    assert_eq!(std::fs::read_link(upper.join("dir/link")).unwrap().to_str(), Some("a//b/."));
    assert!(metadata(upper.join("dir/pipe")).is_ok() && metadata(upper.join("up")).is_ok());
    // where it leads there is nothing inside
    assert!(put(&archive(&[(EntryType::Regular, "out/file", "x")]), Unpack::default()).is_err());
    assert!(!dir.path().join("file").exists() && !dir.path().join("up").exists());
    put(&plain, Unpack { owner: Some((1, 2)), ..Unpack::default() }).unwrap();
    let file = metadata(upper.join("dir/file")).unwrap();
    assert_eq!((file.uid(), file.gid()), (1, 2));
    let over = archive(&[(EntryType::Regular, "full", "file now")]);
    let why = put(&over, Unpack { keep_kinds: true, ..Unpack::default() }).unwrap_err();
    assert_eq!(why, "cannot overwrite directory \"/full\" with non-directory \"/\"");
    put(&over, Unpack::default()).unwrap();
    assert_eq!(read_to_string(upper.join("full")).unwrap(), "file now");
    let all = archive(&[(EntryType::Regular, "all", "")]);
    let mut header = Header::from_byte_slice(&all[..512]).clone();
    header.set_uid(u32::MAX.into());
    header.set_cksum();
    let all = [header.as_bytes(), &all[512..]].concat();
    assert_eq!(put(&all, Unpack::default()).unwrap_err(), "owner 4294967295 out of range");
}

#[test]
fn directories_have_their_times_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let Some((web, layers)) = stopped(dir.path(), |_| ()) else { return };
    let tar = archive(&[
        (EntryType::Directory, "a/", ""),
        (EntryType::Directory, "b/", ""),
        (EntryType::Directory, "b/c/", ""),
        (EntryType::Regular, "a/file", "x"),
        (EntryType::Regular, "b/new/file", "x"),
        // with one in it that was told
        (EntryType::Regular, "b/c", "x"),
        (EntryType::Regular, "a/other", "x"),
    ]);
    for (name, bound) in [("all at the end", usize::MAX), ("each at once", 0)] {
        let put = |root: &Root| {
            let times = DirectoryTimes::bounded(bound);
            unpack_with(root, Path::new("/"), &tar[..], Unpack::default(), times)
        };
        look(&web, &layers, &[], &Images::new(), put).unwrap().unwrap();
        for (path, want) in [("a", true), ("b", true), ("b/c", true), ("b/new", false)] {
            let found = metadata(web.upper().join(path)).unwrap();
            assert_eq!(found.mtime() == 1000, want, "{path}, {name}");
        }
        assert!(metadata(web.upper().join("b/c")).unwrap().is_file(), "{name}");
    }
}

#[test]
fn what_is_nearly_all_headers_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Some((web, layers)) = stopped(dir.path(), |_| ()) else { return };
    let mut tar = Builder::new(Vec::new());
    for (kind, size) in [(EntryType::XHeader, 3 << 20), (EntryType::Regular, 0)] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        tar.append(&header, io::repeat(0).take(size)).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let put = |root: &Root| unpack(root, Path::new("/"), &tar[..], Unpack::default());
    let why = look(&web, &layers, &[], &Images::new(), put).unwrap().unwrap_err().to_string();
    assert!(why.contains("archive: more than 2 MiB of headers"), "{why}");
}

#[test]
fn what_comes_in_may_be_packed() {
    let dir = tempfile::tempdir().unwrap();
    let Some((web, layers)) = stopped(dir.path(), |_| ()) else { return };
    let tar = dir.path().join("tar");
    write_file(&tar, archive(&[(EntryType::Regular, "file", "packed")])).unwrap();
    for tool in ["gzip", "bzip2", "xz", "zstd"] {
        let Ok(packed) = std::process::Command::new(tool).arg("-c").arg(&tar).output() else {
            eprintln!("SKIPPED: {tool} is not on this machine");
            continue;
        };
        let _ = std::fs::remove_file(web.upper().join("file"));
        let put = |root: &Root| unpack(root, Path::new("/"), &packed.stdout[..], Unpack::default());
        look(&web, &layers, &[], &Images::new(), put).unwrap().unwrap();
        assert_eq!(read_to_string(web.upper().join("file")).unwrap(), "packed", "{tool}");
    }
}
