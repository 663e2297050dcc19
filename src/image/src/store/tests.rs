use super::*;
use crate::testing::{Tar, TestStore, docker_archive, store};
use std::io::Cursor;
use tempfile::TempDir;

async fn load(store: &ImageStore, tags: &[&str], layers: &[Vec<u8>]) -> ImageInfo {
    let archive = docker_archive(tags, layers);
    store.load(Cursor::new(archive)).await.unwrap().remove(0)
}

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name).bytes()
}

/// The store as the next start finds it.
fn closed(t: TestStore) -> TempDir {
    drop(t.store);
    t.dir
}

fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_found_by_its_names_and_its_id() {
    let t = store();
    let info = load(&t.store, &["busybox:1", "localhost:5000/b:x"], &[layer("a")]).await;
    assert_eq!(info.repo_tags, ["docker.io/library/busybox:1", "localhost:5000/b:x"]);
    assert_eq!(info.user.as_deref(), Some("1000:1000"));
    let hex = info.id.strip_prefix("sha256:").unwrap().to_owned();
    for name in ["busybox:1", "docker.io/library/busybox:1", "localhost:5000/b:x", &info.id, &hex, &hex[..12]]
    {
        assert_eq!(t.store.image(name).unwrap().as_ref(), Some(&info), "{name}");
    }
    for name in ["busybox", "busybox:2", "sha256:0000", "beef", &hex[..3]] {
        assert_eq!(t.store.image(name).unwrap(), None, "{name}");
    }
    assert!(matches!(t.store.image("Not A Name"), Err(ImageError::InvalidName(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_shared_and_go_with_their_last_image() {
    let t = store();
    load(&t.store, &["one"], &[layer("base"), layer("a")]).await;
    load(&t.store, &["two"], &[layer("base"), layer("b")]).await;
    let layers = t.dir.path().join("layers");
    assert_eq!(count(&layers), 3);
    let usage = t.store.disk_usage();
    assert_eq!((usage.layers, usage.images[0].shared, usage.images[1].shared), (6, 4, 4));
    t.store.remove_image("one").unwrap();
    assert_eq!(count(&layers), 2);
    t.store.remove_image("two").unwrap();
    assert_eq!((count(&layers), count(&t.dir.path().join("blobs/sha256"))), (0, 0));
    assert_eq!(count(&t.dir.path().join("tmp")), 0);
    assert!(matches!(t.store.remove_image("two"), Err(ImageError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_image_stays_but_its_other_names_may_go() {
    let t = store();
    load(&t.store, &["a:1", "a:2"], &[layer("x"), layer("y")]).await;
    let rootfs = t.store.rootfs("a:1").unwrap();
    assert!(rootfs.layers[0].join("y").exists() && rootfs.layers[1].join("x").exists(), "topmost first");
    t.store.remove_image("a:2").unwrap();
    let hold = rootfs.hold.clone();
    drop(rootfs);
    let why = t.store.remove_image("a:1").unwrap_err();
    assert!(matches!(&why, ImageError::InUse(text) if text.contains("image is being used by")), "{why}");
    assert!(t.store.image("a:1").unwrap().is_some(), "a refusal changes nothing");
    drop(hold);
    t.store.remove_image("a:1").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_moves_to_the_newest_image() {
    let t = store();
    let old = load(&t.store, &["a"], &[layer("x")]).await;
    let new = load(&t.store, &["a"], &[layer("y")]).await;
    assert_eq!(t.store.image("a").unwrap().unwrap().id, new.id);
    let old = t.store.image(&old.id).unwrap().unwrap();
    assert!(old.repo_tags.is_empty(), "dangling, and still there");
    t.store.remove_image(&old.id).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart_and_nothing_half_made() {
    let t = store();
    let info = load(&t.store, &["a"], &[layer("x")]).await;
    std::fs::create_dir_all(t.dir.path().join("tmp/half/diff")).unwrap();
    let dir = closed(t);
    let store = ImageStore::open(dir.path(), Registries::default()).unwrap();
    assert_eq!(store.images(), [info]);
    assert_eq!(count(&dir.path().join("tmp")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_the_disk_lost_is_forgotten() {
    for (name, lose) in [
        ("a layer", (|dir, _| std::fs::remove_dir_all(dir)) as fn(&Path, &Path) -> std::io::Result<()>),
        ("the configuration", |_, blob| std::fs::write(blob, "{}")),
    ] {
        let t = store();
        let info = load(&t.store, &["a"], &[layer("x")]).await;
        let blob = t.dir.path().join("blobs/sha256").join(&info.id[7..]);
        let layer = std::fs::read_dir(t.dir.path().join("layers")).unwrap().next().unwrap().unwrap().path();
        lose(&layer, &blob).unwrap();
        let dir = closed(t);
        let store = ImageStore::open(dir.path(), Registries::default()).unwrap();
        assert_eq!(store.images(), [], "{name}");
        load(&store, &["a"], &[Tar::new().file("x", "x").bytes()]).await;
        assert!(store.rootfs("a").is_ok(), "{name}: and can be had again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_not_synced_before_a_power_cut_are_not_trusted() {
    let t = store();
    load(&t.store, &["a"], &[layer("x")]).await;
    let dir = t.dir;
    t.store.inner.sync().unwrap();
    let mut state = t.store.inner.state();
    let another_boot = Some("another boot".to_owned());
    state.index.images.values_mut().for_each(|image| image.unsynced = another_boot.clone());
    state.index.save(dir.path()).unwrap();
    drop(state);
    // as a power cut leaves it: nothing is closed in order
    std::mem::forget(t.store);
    let store = ImageStore::open(dir.path(), Registries::default()).unwrap();
    assert_eq!(store.images(), []);
    assert_eq!(count(&dir.path().join("layers")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_closed_has_everything_on_the_disk() {
    let t = store();
    load(&t.store, &["a"], &[layer("x")]).await;
    let dir = closed(t);
    let index = std::fs::read_to_string(dir.path().join("images.json")).unwrap();
    assert!(index.contains("docker.io/library/a:latest") && !index.contains("unsynced"), "{index}");
}

#[test]
fn a_broken_index_is_put_aside_and_said() {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("images.json"), "{\"version\":1,").unwrap();
    let store = ImageStore::open(dir.path(), Registries::default()).unwrap();
    assert_eq!(store.images(), []);
    let aside = std::fs::read_dir(dir.path()).unwrap().flatten();
    assert!(aside.into_iter().any(|e| e.file_name().to_string_lossy().starts_with("images.json.broken-")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_saved_is_not_made() {
    let t = store();
    load(&t.store, &["a"], &[layer("x")]).await;
    std::fs::remove_dir_all(t.dir.path().join("tmp")).unwrap();
    assert!(t.store.remove_image("a").is_err());
    assert!(t.store.image("a").unwrap().is_some());
}

#[test]
fn what_is_unpacked_is_spread_over_the_disk() {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let t = store();
    let flags = |dir: &Path| ioctl_getflags(std::fs::File::open(dir).unwrap());
    let probe = TempDir::new().unwrap();
    let can = ioctl_getflags(std::fs::File::open(probe.path()).unwrap())
        .and_then(|old| ioctl_setflags(std::fs::File::open(probe.path()).unwrap(), old | IFlags::TOPDIR));
    if can.is_err() {
        eprintln!("SKIPPED: this file system has no flag for it");
        return;
    }
    assert!(flags(&t.dir.path().join("tmp")).unwrap().contains(IFlags::TOPDIR));
}
