use super::*;
use crate::tar_split::TarSplitReader;
use crate::testing::{Tar, unpack};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use tar::EntryType::Symlink;

/// Fits the last of these layers over the others, and gives it back with what its directory holds.
fn fitted(layers: &[Vec<u8>]) -> (crate::unpack::Unpacked, Vec<String>) {
    let mut unpacked: Vec<_> = layers.iter().map(|tar| unpack(tar).unwrap()).collect();
    let top = unpacked.pop().unwrap();
    let lower: Vec<PathBuf> = unpacked.iter().rev().map(|one| one.directory.path().join("diff")).collect();
    fit(top.directory.path(), &top.implied, &lower).unwrap();
    let mut found = Vec::new();
    list(&top.directory.path().join("diff"), Path::new(""), &mut found);
    found.sort();
    let mut tar = Vec::new();
    TarSplitReader::open(top.directory.path()).unwrap().read_to_end(&mut tar).unwrap();
    assert!(tar == layers[layers.len() - 1], "the archive still comes back");
    (top, found)
}

fn list(root: &Path, at: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(root.join(at)).unwrap() {
        let entry = entry.unwrap();
        let path = at.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            list(root, &path, found);
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_else(|_| "-".into());
            found.push(format!("{} {text}", path.display()));
        }
    }
}

#[test]
fn what_goes_through_a_link_of_a_layer_below_is_where_it_leads() {
    let link = |name: &str, target: &str| Tar::new().entry(Symlink, name, target, b"");
    let x = |path: &str| Tar::new().file(path, "x").bytes();
    for (name, layers, want) in [
        ("absolute", vec![link("l", "/run").bytes(), x("l/x")], &["run/x x"][..]),
        ("relative", vec![link("var/run", "../run").bytes(), x("var/run/sub/x")], &["run/sub/x x"]),
        ("clamped", vec![link("l", "../../../run").bytes(), x("l/x")], &["run/x x"]),
        (
            "through another layer's link",
            vec![link("a", "/b").bytes(), link("b", "c/d").bytes(), x("a/x")],
            &["c/d/x x"],
        ),
        (
            "two of them one after the other",
            vec![link("a", "/b").entry(Symlink, "b/c", "/d", b"").bytes(), x("a/c/x")],
            &["d/x x"],
        ),
        (
            "the layer's own directory, with what is there",
            vec![link("l", "/run").bytes(), Tar::new().file("run/y", "y").file("l/x", "x").bytes()],
            &["run/x x", "run/y y"],
        ),
        (
            "by both names",
            vec![link("l", "/run").bytes(), Tar::new().file("l/x", "via").file("run/x", "own").bytes()],
            &["run/x own"],
        ),
        (
            "a described directory replaces it",
            vec![link("l", "/run").bytes(), Tar::new().directory("l").file("l/x", "x").bytes()],
            &["l/x x"],
        ),
        (
            "replaced by a directory in between",
            vec![link("l", "/run").bytes(), Tar::new().directory("l").bytes(), x("l/x")],
            &["l/x x"],
        ),
        (
            "deleted in between",
            vec![link("d/l", "/run").bytes(), Tar::new().file("d/.wh.l", "").bytes(), x("d/l/x")],
            &["d/l/x x"],
        ),
        (
            "covered in between",
            vec![link("d/l", "/run").bytes(), Tar::new().file("d/.wh..wh..opq", "").bytes(), x("d/l/x")],
            &["d/l/x x"],
        ),
        (
            "a whiteout goes along",
            vec![link("l", "/run").bytes(), Tar::new().file("l/.wh.x", "").bytes()],
            &["run/x -"],
        ),
    ] {
        let (_, found) = fitted(&layers);
        assert_eq!(found, want, "{name}");
    }
}

#[test]
fn only_what_is_below_a_link_is_moved() {
    for (name, from, to, want, moved) in [
        ("elsewhere", "a", "c", &["a.b", "b/a", "c/a/b", "c/b"][..], "a/a/b".len() + "a/b".len()),
        ("into the directory above", "a/a", "a", &["a.b", "a/b", "b/a"], "a/a/b".len()),
        ("nothing", "b/a/c", "c", &["a.b", "a/a/b", "a/b", "b/a"], 0),
    ] {
        let paths = ["a.b", "a/a/b", "a/b", "b/a"];
        let mut paths: BTreeSet<PathBuf> = paths.iter().map(PathBuf::from).collect();
        assert_eq!(rebase(&mut paths, Path::new(from), Path::new(to)), moved, "{name}");
        let want: BTreeSet<PathBuf> = want.iter().map(PathBuf::from).collect();
        assert_eq!(paths, want, "{name}");
    }
    let mut paths: BTreeSet<PathBuf> = ["a/a/a/b", "a/a/b"].iter().map(PathBuf::from).collect();
    rebase(&mut paths, Path::new("a/a"), Path::new("a"));
    let want: BTreeSet<PathBuf> = ["a/a/b", "a/b"].iter().map(PathBuf::from).collect();
    assert_eq!(paths, want, "to where another one was");
}

#[test]
fn what_can_not_be_reached_is_refused() {
    let link =
        |target: &str| unpack(&Tar::new().entry(Symlink, "l", target, b"").file("f", "").bytes()).unwrap();
    for (name, lower, want) in
        [("to a file", link("/f"), "not a directory"), ("in a circle", link("l"), "loop")]
    {
        let top = unpack(&Tar::new().file("l/x", "x").bytes()).unwrap();
        let why = fit(top.directory.path(), &top.implied, &[lower.directory.path().join("diff")]);
        let why = why.unwrap_err().to_string();
        assert!(why.contains(want), "{name}: {why}");
    }
}

#[test]
fn directories_too_deep_in_each_other_are_not_put_together() {
    let lower = unpack(&Tar::new().entry(Symlink, "l", "/run", b"").bytes()).unwrap();
    let deep = |top: &str| format!("{top}/{}x", "d/".repeat(trees::MAX_DEPTH));
    let (moved, there) = (deep("l"), deep("run"));
    let tar = Tar::new().pax(&[("path", moved.as_bytes())]).file("x", "moved");
    let top = unpack(&tar.pax(&[("path", there.as_bytes())]).file("x", "there").bytes()).unwrap();
    let why = fit(top.directory.path(), &top.implied, &[lower.directory.path().join("diff")]);
    let why = why.unwrap_err().to_string();
    assert!(why.contains("more than 256 directories in each other"), "{why}");
}

#[test]
fn directories_that_are_not_described_are_as_below_and_never_as_on_the_machine() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outside.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let below = Tar::new()
        .with(tar::EntryType::Directory, "run", "", b"", |h| h.set_mode(0o1770))
        .entry(Symlink, "l", "/run", b"")
        .entry(Symlink, "out", outside.path().to_str().unwrap(), b"")
        .bytes();
    let (top, found) = fitted(&[below, Tar::new().file("l/x", "x").file("out/y", "y").bytes()]);
    let diff = top.directory.path().join("diff");
    assert_eq!(std::fs::metadata(diff.join("run")).unwrap().mode() & 0o7777, 0o1770);
    let inside = outside.path().strip_prefix("/").unwrap();
    let mut want = [format!("{} y", inside.join("y").display()), "run/x x".to_owned()];
    want.sort();
    assert_eq!(found, want);
    assert_eq!(std::fs::metadata(diff.join(inside)).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}
