use super::*;
use crate::testing::{Tar, docker_archive, store};
use std::io::Cursor;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn step(by: &str) -> HistoryItem {
    HistoryItem {
        created: Some(jiff::Timestamp::UNIX_EPOCH),
        created_by: by.into(),
        ..HistoryItem::default()
    }
}

/// What a container's writes leave in an overlay's upper directory.
fn upper() -> tempfile::TempDir {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("d/deep")).unwrap();
    std::fs::write(dir.path().join("d/new"), "new").unwrap();
    std::fs::write(dir.path().join("d").join("n".repeat(200)), "long").unwrap();
    std::fs::hard_link(dir.path().join("d/new"), dir.path().join("linked")).unwrap();
    std::os::unix::fs::symlink("/etc/x", dir.path().join("symlink")).unwrap();
    std::fs::set_permissions(dir.path().join("d/deep"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let whiteout = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("gone"), whiteout, rustix::fs::Mode::empty(), 0)
        .unwrap();
    let name =
        if rustix::process::geteuid().is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    rustix::fs::lsetxattr(dir.path().join("d"), name, b"y", rustix::fs::XattrFlags::empty()).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containers_changes_become_a_layer_with_the_same_marks() {
    let t = store();
    let base = Tar::new().file("gone", "x").bytes();
    t.store.load(Cursor::new(docker_archive(&["base"], &[base]))).await.unwrap();
    let upper = upper();
    let mut document = t.store.details("base").unwrap().document;
    document.config.cmd = Some(vec!["run".into()]);
    let info =
        t.store.commit(Some("base"), upper.path(), document, step("a test"), Some("mine:1")).await.unwrap();
    assert_eq!(info.repo_tags, ["docker.io/library/mine:1"]);
    let rootfs = t.store.rootfs("mine:1").unwrap();
    assert_eq!(rootfs.layers.len(), 2);
    let top = &rootfs.layers[0];
    let meta = |name: &str| std::fs::symlink_metadata(top.join(name)).unwrap();
    assert_eq!((meta("gone").rdev(), meta("d/deep").mode() & 0o7777), (0, 0o1777));
    assert_eq!(meta("linked").ino(), meta("d/new").ino());
    assert_eq!(std::fs::read_to_string(top.join("d").join("n".repeat(200))).unwrap(), "long");
    let history = t.store.history("mine:1").unwrap();
    assert_eq!((history[0].item.created_by.as_str(), history[0].size), ("a test", 7));
    assert_eq!(history[0].tags, ["docker.io/library/mine:1"]);
    // the same changes again are the same layer, and so the same image
    let document = t.store.details("mine:1").unwrap().document;
    let document = ImageDocument { history: Vec::new(), ..document };
    let again = t.store.commit(Some("base"), upper.path(), document, step("a test"), None).await.unwrap();
    assert_eq!(again.id, info.id);
}

#[test]
fn an_image_has_no_more_layers_than_a_mount() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _unpacks_in = runtime.enter();
    let t = store();
    let mut draft = Draft::scratch();
    let tar = Tar::new().file("a", "abc").bytes();
    draft.document.rootfs.diff_ids = vec![Digest::of(b"x"); MAX_LAYERS - 1];
    draft.add_tar(&t.store.inner, Cursor::new(tar.clone())).unwrap();
    let why = draft.add_tar(&t.store.inner, Cursor::new(tar)).unwrap_err();
    assert_eq!(why.to_string(), "max depth exceeded");
    assert_eq!(draft.layers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_an_image_of_one_layer() {
    let t = store();
    let tar = crate::testing::gzip(&Tar::new().file("a", "abc").bytes());
    let document = ImageDocument::scratch();
    let info = t.store.import(Cursor::new(tar), document, step("import"), Some("imported")).await.unwrap();
    assert_eq!((info.size, t.store.rootfs("imported").unwrap().layers.len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_loaded_again() {
    let (from, to) = (store(), store());
    let shared = Tar::new().file("base", "x").bytes();
    let one = docker_archive(&["one", "uno:1"], &[shared.clone(), Tar::new().file("a", "a").bytes()]);
    let one = from.store.load(Cursor::new(one)).await.unwrap().remove(0);
    let two = docker_archive(&["reg.io/two:2"], &[shared]);
    let two = from.store.load(Cursor::new(two)).await.unwrap().remove(0);
    let file = from.dir.path().join("saved.tar");
    let out = tokio::fs::File::create(&file).await.unwrap();
    let names = ["one".to_owned(), "uno:1".to_owned(), two.id.clone()];
    from.store.save(&names, out).await.unwrap();
    let loaded = to.store.load_path(&file).await.unwrap();
    assert_eq!(loaded, [one, ImageInfo { repo_tags: Vec::new(), ..two }]);

    let mut archive = tar::Archive::new(std::fs::File::open(&file).unwrap());
    let names: Vec<String> =
        archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(
        names.iter().filter(|name| name.starts_with("blobs/")).count(),
        6,
        "each blob once: {names:?}"
    );
    assert!(["index.json", "manifest.json", "oci-layout"].iter().all(|f| names.iter().any(|name| name == f)));
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_takes_what_nobody_names_or_holds() {
    let t = store();
    let load = |tag: &'static str, content: &str| {
        t.store.load(Cursor::new(docker_archive(&[tag], &[Tar::new().file("f", content).bytes()])))
    };
    let old = load("a", "old!").await.unwrap().remove(0);
    let layer = t.store.details("a").unwrap().layers[0].0.to_string();
    load("a", "new").await.unwrap();
    let pruned = t.store.prune(false).unwrap();
    assert_eq!((pruned.removed, pruned.freed), (vec![old.id, layer], 4));
    let held = t.store.rootfs("a").unwrap();
    assert!(t.store.prune(true).unwrap().removed.is_empty());
    drop(held);
    assert_eq!(t.store.prune(true).unwrap().removed.len(), 3);
}
