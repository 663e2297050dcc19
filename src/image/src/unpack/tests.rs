use super::*;
use crate::tar_split::TarSplitReader;
use crate::testing::{Tar, gzip, unpack};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use tar::EntryType;

pub(super) fn diff(unpacked: &Unpacked) -> PathBuf {
    unpacked.directory.path().join("diff")
}

fn is_whiteout(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    let name = if attributes::is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    let mut value = [0; 8];
    rustix::fs::lgetxattr(path, name, &mut value).is_ok_and(|length| &value[..length] == b"y")
}

/// The layer's tar again, from its directory.
pub(super) fn rebuilt(unpacked: &Unpacked) -> Vec<u8> {
    let mut bytes = Vec::new();
    TarSplitReader::open(unpacked.directory.path()).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_ordinary_layer_comes_out_as_it_went_in() {
    let long = format!("usr/{}", "x".repeat(200));
    let tar = Tar::new()
        .directory("./")
        .directory("usr/")
        .file("usr/a", "hello")
        .file("usr/empty", "")
        .with(EntryType::Regular, "usr/su", "", b"#!", |h| h.set_mode(0o4755))
        .entry(EntryType::Link, "usr/b", "usr/a", b"")
        .entry(EntryType::Symlink, "bin", "/usr/bin", b"")
        .pax(&[("path", long.as_bytes()), ("mtime", b"1500000000.25")])
        .file("short", "long name")
        .entry(EntryType::Fifo, "usr/fifo", "", b"")
        .with(EntryType::Regular, "usr/blank", "", b"", |h| h.as_old_mut().uid = [0; 8])
        .file("usr/big", vec![7; 300_000])
        .bytes();
    for (name, packed, compression) in [
        ("plain", tar.clone(), Compression::None),
        ("gzip", gzip(&tar), Compression::Gzip),
        ("two gzip members", [gzip(&tar[..700]), gzip(&tar[700..])].concat(), Compression::Gzip),
        ("zstd", zstd::encode_all(&tar[..], 1).unwrap(), Compression::Zstd),
    ] {
        let unpacked = unpack(&packed).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(unpacked.diff_id, Digest::of(&tar), "{name}");
        assert_eq!(unpacked.blob, Digest::of(&packed), "{name}");
        assert_eq!(unpacked.compression, compression, "{name}");
        assert_eq!(unpacked.size, 5 + 2 + 9 + 300_000, "{name}");
        let root = diff(&unpacked);
        let meta = |path: &str| std::fs::symlink_metadata(root.join(path)).unwrap();
        assert_eq!(std::fs::read(root.join("usr/a")).unwrap(), b"hello", "{name}");
        assert_eq!(meta("usr/a").ino(), meta("usr/b").ino(), "{name}: a hard link");
        assert_eq!(meta("usr/su").permissions().mode() & 0o7777, 0o4755, "{name}: setuid stays");
        assert_eq!(std::fs::read_link(root.join("bin")).unwrap(), Path::new("/usr/bin"), "{name}");
        assert_eq!((meta(&long).mtime(), meta(&long).mtime_nsec()), (1_500_000_000, 250_000_000), "{name}");
        assert_eq!(meta("usr").mtime(), 1_600_000_000, "{name}: a directory's time, after it was filled");
        assert!(meta("usr/fifo").file_type().is_fifo(), "{name}");
        assert!(rebuilt(&unpacked) == tar, "{name}: the archive comes back byte for byte");
    }
}

#[test]
fn what_looks_hostile_but_is_not_is_taken() {
    let tar = Tar::new()
        .directory("usr/lib")
        .entry(EntryType::Symlink, "lib", "usr/lib", b"")
        .file("lib/inside", "through a link that stays inside")
        .entry(EntryType::Symlink, "etc", "../../../../etc", b"")
        .entry(EntryType::XGlobalHeader, "pax_global", "", b"")
        .file("..data/x", "dots in a name")
        .bytes();
    let unpacked = unpack(&tar).unwrap();
    assert!(diff(&unpacked).join("usr/lib/inside").exists());
    assert!(diff(&unpacked).join("..data/x").exists());
    assert!(rebuilt(&unpacked) == tar);
}

#[test]
fn whiteouts_are_written_as_overlayfs_reads_them() {
    let tar = Tar::new()
        .directory("etc")
        .file("etc/.wh.passwd", "")
        .directory("var")
        .file("var/.wh..wh..opq", "")
        .file("var/new", "x")
        .file(".wh..wh.plnk", "AUFS")
        .directory("back")
        .file("back/x", "x")
        .file(".wh.back", "")
        .file(".wh.again", "")
        .directory("again")
        .file(".wh.implied", "")
        .file("implied/deep/x", "x")
        .file(".wh.f", "")
        .file("f", "a file in its own whiteout's place")
        .bytes();
    let unpacked = unpack(&tar).unwrap();
    let root = diff(&unpacked);
    assert!(is_whiteout(&root.join("etc/passwd")));
    assert!(is_opaque(&root.join("var")) && root.join("var/new").exists());
    assert!(
        is_opaque(&root.join("back")) && root.join("back/x").exists(),
        "what the layer brings itself stays"
    );
    assert!(is_opaque(&root.join("again")), "a directory in a whiteout's place hides what was below");
    assert!(
        is_opaque(&root.join("implied")) && root.join("implied/deep/x").exists(),
        "also where it is only implied"
    );
    assert!(!is_opaque(&root.join("etc")));
    assert!(std::fs::read(root.join("f")).is_ok());
    let names: Vec<_> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().starts_with(".wh.")), "{names:?}");
    assert!(rebuilt(&unpacked) == tar);
}

#[test]
fn the_last_of_two_entries_counts_and_the_archive_still_comes_back() {
    let tar = Tar::new()
        .file("a", "first")
        .entry(EntryType::Link, "linked", "a", b"")
        .file("a", "second!")
        .file("b", "kept")
        .entry(EntryType::Symlink, "b", "a", b"")
        .file("a", "third")
        .directory("d")
        .file("d", "an empty directory may be replaced")
        .bytes();
    let unpacked = unpack(&tar).unwrap();
    let read = |name: &str| std::fs::read_to_string(diff(&unpacked).join(name)).unwrap();
    assert_eq!(
        (read("a"), read("linked")),
        ("third".into(), "first".into()),
        "a link keeps what it was made to"
    );
    assert_eq!(std::fs::read_link(diff(&unpacked).join("b")).unwrap(), Path::new("a"));
    assert!(rebuilt(&unpacked) == tar);
}

/// `RUN truncate -s 1T /x` took a terabyte of the machine's disk, or what was left of it.
#[test]
fn zeros_take_no_disk() {
    let mut content = vec![0; 4 << 20];
    content[2 << 20] = 1;
    let tar = Tar::new().file("some", content.clone()).file("all", vec![0; 4 << 20]).bytes();
    let unpacked = unpack(&tar).unwrap();
    for (name, want) in [("some", content), ("all", vec![0; 4 << 20])] {
        let path = diff(&unpacked).join(name);
        assert!(std::fs::read(&path).unwrap() == want, "{name}");
        let taken = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(taken < 1 << 20, "{name} takes {taken} bytes");
    }
    assert!(rebuilt(&unpacked) == tar);
}

#[test]
fn a_sparse_file_keeps_its_holes() {
    let content = [1u8; 512];
    let tar = Tar::new()
        .with(EntryType::GNUSparse, "s", "", &content, |header| {
            let gnu = header.as_gnu_mut().unwrap();
            gnu.sparse[0].offset.copy_from_slice(b"00020000000\0");
            gnu.sparse[0].numbytes.copy_from_slice(b"00000001000\0");
            gnu.sparse[1].offset.copy_from_slice(b"00040000000\0");
            gnu.sparse[1].numbytes.copy_from_slice(b"00000000000\0");
            gnu.set_real_size(0o40000000);
        })
        .bytes();
    let unpacked = unpack(&tar);
    // the block at the end is empty: some writers end the map so, some do not
    let unpacked = match unpacked {
        Ok(unpacked) => unpacked,
        Err(e) => panic!("{e}"),
    };
    let meta = std::fs::metadata(diff(&unpacked).join("s")).unwrap();
    assert_eq!(meta.len(), 0o40000000);
    assert!(meta.blocks() * 512 < meta.len() / 4, "{} blocks", meta.blocks());
    assert!(rebuilt(&unpacked) == tar);
}

#[test]
fn directories_without_a_description_get_it_from_below() {
    let below =
        unpack(&Tar::new().with(EntryType::Directory, "tmp", "", b"", |h| h.set_mode(0o1777)).bytes())
            .unwrap();
    let above = unpack(&Tar::new().file("tmp/x/y", "x").bytes()).unwrap();
    assert_eq!(above.implied, [PathBuf::new(), "tmp".into(), "tmp/x".into()]);
    fit(above.directory.path(), &above.implied, &[diff(&below)]).unwrap();
    let mode = |path: &str| std::fs::metadata(diff(&above).join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("tmp"), 0o1777);
    assert_eq!(mode("tmp/x"), 0o755);
}

#[test]
fn attributes_that_belong_to_an_image_are_kept() {
    if !attributes::is_root() {
        eprintln!("SKIPPED: owners and file capabilities need root");
        return;
    }
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tar = Tar::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ])
        .with(EntryType::Regular, "ping", "", b"x", |h| {
            h.set_uid(1000);
            h.set_gid(1001);
            h.set_mode(0o2755);
        })
        .with(EntryType::Char, "null", "", b"", |h| {
            h.set_device_major(1).unwrap();
            h.set_device_minor(3).unwrap();
            h.set_mode(0o666);
        })
        .bytes();
    let unpacked = unpack(&tar).unwrap();
    let ping = diff(&unpacked).join("ping");
    let meta = std::fs::metadata(&ping).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (1000, 1001, 0o2755));
    let mut value = [0; 64];
    assert_eq!(rustix::fs::lgetxattr(&ping, "security.capability", &mut value).unwrap(), 20);
    assert!(rustix::fs::lgetxattr(&ping, "trusted.overlay.redirect", &mut value).is_err());
    let null = std::fs::symlink_metadata(diff(&unpacked).join("null")).unwrap();
    assert_eq!((null.rdev(), null.mode() & 0o777), (rustix::fs::makedev(1, 3), 0o666));
}

#[test]
fn a_path_may_have_as_many_directories_as_fit_into_it() {
    let path = "d/".repeat(1900) + "f";
    let tar = || Tar::new().pax(&[("path", path.as_bytes())]).file("x", "deep");
    let unpacked = unpack(&tar().bytes()).unwrap();
    assert_eq!(std::fs::read_to_string(diff(&unpacked).join(&path)).unwrap(), "deep");
    let why = unpack(&tar().file("d", "in their place").bytes()).unwrap_err().to_string();
    assert!(why.contains("more than 256 directories in each other"), "{why}");
}

#[test]
fn giving_up_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_owned();
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let tar = Tar::new().file("a", vec![1; 4000]).bytes();
    sender.blocking_send(Feed::Data(tar[..1500].to_vec().into())).unwrap();
    drop(sender);
    let why = super::unpack(directory, receiver, |_| {}).unwrap_err().to_string();
    assert!(why.contains("given up"), "{why}");
    assert!(!path.exists());
}

#[test]
fn directories_have_their_times_however_many_there_are() {
    let tar = Tar::new()
        .directory("a/")
        .directory("b/")
        .directory("b/c/")
        .file("a/file", "x")
        .file("b/new/file", "x")
        .file("b/c", "in its place")
        .file("a/.wh.gone", "")
        .bytes();
    for (name, bound) in [("all at the end", usize::MAX), ("each at once", 0)] {
        let layer = tempfile::tempdir().unwrap();
        apply::untar_with(layer.path(), &tar[..], trees::DirectoryTimes::bounded(bound)).unwrap();
        let root = layer.path().join("diff");
        for (path, want) in [("a", true), ("b", true), ("b/c", true), ("b/new", false)] {
            let found = std::fs::metadata(root.join(path)).unwrap().mtime();
            assert_eq!(found == 1_600_000_000, want, "{path}, {name}");
        }
        assert_eq!(std::fs::read(root.join("b/c")).unwrap(), b"in its place", "{name}");
    }
}

/// Else an archive of files alone, each in a directory that had its time already, would bring all of these back.
#[test]
fn a_directory_that_is_filled_later_is_not_kept_until_the_end() {
    let tar = Tar::new()
        .directory("a/")
        .directory("b/")
        .file("a/file", "x")
        .entry(EntryType::new(b'Z'), "unknown", "", b"")
        .bytes();
    let layer = tempfile::tempdir().unwrap();
    let times = trees::DirectoryTimes::bounded(0);
    let refused = apply::untar_with(layer.path(), &tar[..], times).err().unwrap().to_string();
    assert!(refused.contains("unknown type"), "{refused}");
    let found = std::fs::metadata(layer.path().join("diff/a")).unwrap().mtime();
    assert_eq!(found, 1_600_000_000, "the end was not reached");
}
