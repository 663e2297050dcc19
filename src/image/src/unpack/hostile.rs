//! What a broken or hostile layer gets: words, and nothing outside of its root.

use super::tests::{diff, rebuilt};
use crate::testing::{Tar, gzip, unpack};
use std::os::unix::fs::MetadataExt;
use tar::EntryType;

#[test]
fn a_hostile_layer_is_refused_and_writes_nothing_outside() {
    let outside = tempfile::TempDir::new().unwrap();
    let deep = "d/".repeat(40);
    for (name, tar, want) in [
        ("dots", Tar::new().file("a/../../written", "x").bytes(), "climbs out"),
        ("dots behind a name", Tar::new().file("a/b/../../../written", "x").bytes(), "climbs out"),
        ("dots only", Tar::new().directory("..").bytes(), "climbs out"),
        (
            "hard link out",
            Tar::new().entry(EntryType::Link, "l", "../../etc/passwd", b"").bytes(),
            "climbs out",
        ),
        (
            "hard link to the machine",
            Tar::new().entry(EntryType::Link, "l", "/etc/passwd", b"").bytes(),
            "not in this layer",
        ),
        (
            "hard link through a link",
            Tar::new()
                .entry(EntryType::Symlink, "e", "/etc", b"")
                .entry(EntryType::Link, "l", "e/passwd", b"")
                .bytes(),
            "not in this layer",
        ),
        (
            "hard link to nothing",
            Tar::new().entry(EntryType::Link, "l", "missing", b"").bytes(),
            "not in this layer",
        ),
        ("link loop", Tar::new().entry(EntryType::Symlink, "l", "l", b"").file("l/x", "x").bytes(), "loop"),
        ("below a file", Tar::new().file("f", "x").file("f/x", "x").bytes(), "not a directory"),
        ("whiteout of nothing", Tar::new().file("d/.wh.", "").bytes(), "hides nothing"),
        ("whiteout of the parent", Tar::new().file("d/.wh...", "").bytes(), "hides nothing"),
        ("the root as a file", Tar::new().file(".", "x").bytes(), "replaces the root"),
        ("unknown type", Tar::new().entry(EntryType::new(b'Z'), "z", "", b"").bytes(), "unknown type"),
        ("torn", Tar::new().file("f", vec![1; 5000]).torn()[..2000].to_vec(), "ends in the middle"),
        ("no archive", vec![b'x'; 4096], "read layer"),
        (
            "a name too long",
            Tar::new().pax(&[("path", "n".repeat(300).as_bytes())]).file("x", "").bytes(),
            "too long",
        ),
        (
            "a long name of many MiB",
            Tar::new()
                .entry(EntryType::GNULongName, "././@LongLink", "", &vec![b'n'; 3 << 20])
                .file("x", "")
                .bytes(),
            "MiB of headers",
        ),
        (
            "a file that says it is huge",
            Tar::new().with(EntryType::Regular, "f", "", b"", |h| h.set_size(1 << 50)).bytes(),
            "says it has",
        ),
        (
            "a name of 5,000 bytes",
            Tar::new().pax(&[("path", "n/".repeat(2500).as_bytes())]).file("x", "").bytes(),
            "too long",
        ),
        (
            "a size in pax that is not there",
            Tar::new().pax(&[("size", b"99999")]).file("x", "abc").bytes(),
            "in the middle",
        ),
        (
            "a negative size",
            Tar::new().with(EntryType::Regular, "x", "", b"", |h| h.as_old_mut().size = [0xff; 12]).bytes(),
            "layer",
        ),
        (
            "a checksum that is wrong",
            {
                let mut tar = Tar::new().file("x", "abc").bytes();
                tar[0] ^= 1;
                tar
            },
            "cksum",
        ),
        (
            "a sparse map that leads beyond the file",
            Tar::new()
                .pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"8,5")])
                .file("x", "12345")
                .bytes(),
            "does not fit",
        ),
        (
            "a sparse map backwards",
            Tar::new()
                .pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"5,1,2,1")])
                .file("x", "12")
                .bytes(),
            "does not fit",
        ),
        (
            "a sparse map of half a piece",
            Tar::new().pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"5")]).file("x", "").bytes(),
            "does not fit",
        ),
        (
            "a sparse map in the content that does not end",
            Tar::new()
                .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"10")])
                .file("x", "9999999999\n")
                .bytes(),
            "layer",
        ),
        (
            "a sparse file of many TiB",
            Tar::new()
                .pax(&[("GNU.sparse.size", b"99999999999999"), ("GNU.sparse.map", b"0,1")])
                .file("x", "1")
                .bytes(),
            "says it has",
        ),
        (
            "a sparse file whose name climbs",
            Tar::new()
                .pax(&[("GNU.sparse.size", b"1"), ("GNU.sparse.map", b"0,1"), ("GNU.sparse.name", b"../x")])
                .file("x", "1")
                .bytes(),
            "climbs out",
        ),
        ("broken gzip", gzip(&Tar::new().directory(&deep).bytes())[..40].to_vec(), "layer"),
    ] {
        let why = unpack(&tar).map(|_| ()).expect_err(name).to_string();
        assert!(why.contains(want), "{name}: {why}");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "{name} wrote outside");
    }
}

#[test]
fn links_are_followed_as_by_one_whose_root_this_is() {
    let outside = tempfile::TempDir::new().unwrap();
    let out = outside.path().display().to_string();
    let inside = out.trim_start_matches('/');
    let up = format!("{}{inside}", "../".repeat(12));
    let link = |name: &str, target: &str| Tar::new().entry(EntryType::Symlink, name, target, b"");
    for (name, tar, want) in [
        ("absolute", link("l", &out).file("l/written", "x"), format!("{inside}/written")),
        ("climbing", link("l", &up).file("l/written", "x"), format!("{inside}/written")),
        (
            "two links",
            link("a", "..").entry(EntryType::Symlink, "b", "a/..", b"").file("b/written", "x"),
            "written".into(),
        ),
        (
            "a directory",
            link("l", &out).directory("l/sub").file("l/sub/written", "x"),
            format!("{inside}/sub/written"),
        ),
        ("a whiteout", link("l", &out).file("l/.wh.written", ""), format!("{inside}/written")),
        (
            "a link to a link",
            link("l", "/m").entry(EntryType::Symlink, "m", "n", b"").file("l/written", "x"),
            "n/written".into(),
        ),
        (
            "one that was replaced",
            link("l", "/m").file("l/x", "x").entry(EntryType::Symlink, "l", "/n", b"").file("l/written", "x"),
            "n/written".into(),
        ),
        (
            "a file that came by two names",
            link("l", "/m").file("l/written", "first").file("m/written", "x"),
            "m/written".into(),
        ),
        (
            "a hard link",
            link("l", "/m").file("m/f", "x").entry(EntryType::Link, "l/written", "l/f", b""),
            "m/written".into(),
        ),
    ] {
        let tar = tar.bytes();
        let unpacked = unpack(&tar).unwrap_or_else(|e| panic!("{name}: {e}"));
        let found = std::fs::symlink_metadata(diff(&unpacked).join(&want));
        assert!(found.is_ok(), "{name}: {want}");
        assert!(rebuilt(&unpacked) == tar, "{name}: the archive comes back");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "{name} wrote outside");
    }
}

#[test]
fn names_from_the_root_are_the_roots_own() {
    let tar = Tar::new()
        .directory("/usr/")
        .file("/usr/app", "as ko writes it")
        .file("./usr/./other", "as others do")
        .entry(EntryType::Link, "/usr/again", "/usr/app", b"")
        .file("//etc//passwd", "not the machine's")
        .bytes();
    let unpacked = unpack(&tar).unwrap();
    let at = |path: &str| diff(&unpacked).join(path);
    assert_eq!(std::fs::read_to_string(at("usr/app")).unwrap(), "as ko writes it");
    assert_eq!(
        std::fs::metadata(at("usr/app")).unwrap().ino(),
        std::fs::metadata(at("usr/again")).unwrap().ino()
    );
    assert_eq!(std::fs::read_to_string(at("etc/passwd")).unwrap(), "not the machine's");
    assert!(rebuilt(&unpacked) == tar);
}

#[test]
fn what_comes_twice_is_what_came_last() {
    let tar = Tar::new()
        .file("d/deep/er", "gone")
        .file("d/x", "gone too")
        .file("d", "a file now")
        .file("f", "first")
        .file("f", "second")
        .directory("f")
        .file("f/inside", "third")
        .entry(EntryType::Symlink, "l", "f", b"")
        .file("l", "no link any more")
        .bytes();
    let unpacked = unpack(&tar).unwrap();
    let read = |path: &str| std::fs::read_to_string(diff(&unpacked).join(path)).unwrap();
    assert_eq!((read("d").as_str(), read("f/inside").as_str()), ("a file now", "third"));
    assert_eq!(read("l"), "no link any more");
    assert!(rebuilt(&unpacked) == tar, "what was replaced is still told");
}

#[test]
fn files_with_holes_come_as_they_were() {
    let content = |map: &str| {
        let mut bytes = map.as_bytes().to_vec();
        bytes.resize(512, 0);
        [&bytes[..], b"abcde"].concat()
    };
    for (name, records, stored) in [
        (
            "0.0",
            vec![
                ("GNU.sparse.size", "100000"),
                ("GNU.sparse.offset", "3"),
                ("GNU.sparse.numbytes", "2"),
                ("GNU.sparse.offset", "70000"),
                ("GNU.sparse.numbytes", "3"),
                ("GNU.sparse.name", "holes"),
            ],
            b"abcde".to_vec(),
        ),
        (
            "0.1",
            vec![
                ("GNU.sparse.size", "100000"),
                ("GNU.sparse.map", "3,2,70000,3"),
                ("GNU.sparse.name", "holes"),
            ],
            b"abcde".to_vec(),
        ),
        (
            "1.0",
            vec![
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.realsize", "100000"),
                ("GNU.sparse.name", "holes"),
            ],
            content("2\n3\n2\n70000\n3\n"),
        ),
    ] {
        let records: Vec<(&str, &[u8])> =
            records.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
        let tar = Tar::new().pax(&records).file("GNUSparseFile.0/holes", stored).bytes();
        let unpacked = unpack(&tar).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut want = vec![0; 100_000];
        want[3..5].copy_from_slice(b"ab");
        want[70_000..70_003].copy_from_slice(b"cde");
        assert!(std::fs::read(diff(&unpacked).join("holes")).unwrap() == want, "{name}");
        assert!(rebuilt(&unpacked) == tar, "{name}");
    }
}

#[test]
fn names_and_numbers_of_all_kinds_are_taken() {
    let latin = b"caf\xe9".to_vec();
    let tar = Tar::new()
        .pax(&[("path", &latin)])
        .file("x", "not UTF-8")
        .pax(&[("size", b"-5")])
        .file("size", "what pax says is no size: the header's counts")
        .pax(&[("uid", b"99999999999"), ("mtime", b"-1.5")])
        .file("owner", "of nobody")
        .pax(&[("SCHILY.xattr.user.note", b"a\x00b=c\n"), ("comment", b"whatever")])
        .file("noted", "x")
        .file("..", "")
        .bytes();
    // the last one is refused; without it, all is well
    assert!(unpack(&tar).is_err());
    let tar =
        Tar::new().pax(&[("path", &latin)]).file("x", "not UTF-8").file(".wh..wh.plnk", "of AUFS").bytes();
    let unpacked = unpack(&tar).unwrap();
    let name = std::os::unix::ffi::OsStrExt::from_bytes(&latin[..]);
    assert!(diff(&unpacked).join::<&std::ffi::OsStr>(name).exists());
    assert_eq!(std::fs::read_dir(diff(&unpacked)).unwrap().count(), 1, "AUFS' own files are not kept");
    assert!(rebuilt(&unpacked) == tar);
}
