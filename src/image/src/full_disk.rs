//! A store on a disk that is nearly full: what does not fit is said, and nothing of it stays.

use crate::testing::registry::FakeRegistry;
use crate::testing::{Tar, docker_archive};
use crate::{
    BuildContext, BuildError, BuildOptions, BuildOutput, BuildRunner, Channel, Classic, HistoryItem,
    ImageDocument, ImageStore, Registries, RunSpec, Silent,
};
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const DISK: &str = "IMAGE_TEST_DISK";
/// MiB; the ballast takes four of them.
const SIZE: usize = 12;

/// Cannot be packed.
fn noise(mebibytes: usize, seed: u64) -> Vec<u8> {
    let next =
        |n: &u64| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    let noise = std::iter::successors(Some(seed), next).flat_map(|n| n.to_le_bytes().into_iter().skip(4));
    noise.take(mebibytes << 20).collect()
}

fn large(seed: u64) -> Vec<u8> {
    Tar::new().file("small", "fits").file("large", noise(SIZE, seed)).bytes()
}

fn free(disk: &Path) -> u64 {
    let facts = rustix::fs::statvfs(disk).unwrap();
    facts.f_bfree * facts.f_frsize
}

/// Copies a file that does not fit.
async fn build(store: &ImageStore) -> Result<(), crate::ImageError> {
    let context = Tar::new().file("Dockerfile", "FROM scratch\nCOPY small /\nCOPY large /\n");
    let context = context.file("small", "fits").file("large", noise(SIZE / 2, 5)).bytes();
    let context = BuildContext::Tar(Box::new(Cursor::new(context)));
    let progress = Arc::new(Classic::new(Arc::new(Nobody)));
    match store.build(context, BuildOptions::default(), Arc::new(Nobody), progress).await {
        Ok(_) => Ok(()),
        Err(BuildError::Image(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

struct Nobody;

#[async_trait::async_trait]
impl BuildRunner for Nobody {
    async fn run(&self, _: RunSpec, _: &dyn BuildOutput) -> cri::Result<i32> {
        Ok(0)
    }
}

impl BuildOutput for Nobody {
    fn write(&self, _: Channel, _: &[u8]) {}
}

/// Not a test: what is done in a mount namespace that has the disk.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let disk = Path::new(&disk);
    let directory = disk.join("store");
    let store = ImageStore::open(&directory, Registries::default()).unwrap();
    let small = docker_archive(&["small"], &[Tar::new().file("f", noise(1, 7)).bytes()]);
    store.load(Cursor::new(small)).await.unwrap();
    let registry = FakeRegistry::start().await;
    registry.put_image("v1", &[large(1)]);
    let upper = disk.parent().unwrap().join("upper");
    std::fs::create_dir(&upper).unwrap();
    std::fs::write(upper.join("large"), noise(SIZE, 2)).unwrap();

    let before = free(disk);
    let step = HistoryItem::default;
    for (what, failed) in [
        ("load", store.load(Cursor::new(docker_archive(&["large"], &[large(3)]))).await.map(drop)),
        ("pull", store.pull_with(&format!("{}/a:v1", registry.host), &[], Arc::new(Silent)).await.map(drop)),
        (
            "import",
            store.import(Cursor::new(large(4)), ImageDocument::scratch(), step(), None).await.map(drop),
        ),
        (
            "commit",
            store.commit(Some("small"), &upper, ImageDocument::scratch(), step(), None).await.map(drop),
        ),
        ("build", build(&store).await.map(drop)),
    ] {
        let why = failed.expect_err(what).to_string();
        let full = format!("the disk of {} is full", directory.display());
        assert!(why.contains(&full) && why.ends_with("no space left on device"), "{what}: {why}");
        assert_eq!(std::fs::read_dir(directory.join("tmp")).unwrap().count(), 0, "{what}");
        assert_eq!(store.images().len(), 1, "{what}");
    }
    // the configuration of the image that was pulled may wait for the next try
    assert!(free(disk) + (64 << 10) >= before, "{} of {before} are free again", free(disk));

    let mut filler = std::fs::File::create(disk.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    let why = store.tag("small", "another").map(|()| "with the ballast gone, once more");
    assert_eq!(why.unwrap(), "with the ballast gone, once more");
    while filler.write_all(&[1; 4096]).is_ok() {}
    let out = tokio::fs::File::create(disk.join("saved")).await.unwrap();
    assert!(store.save(&["small".to_owned()], out).await.unwrap_err().is_full_disk());
    drop(store);
    let store = ImageStore::open(&directory, Registries::default()).unwrap();
    assert!(store.rootfs("small").is_ok(), "the store is sound");
    std::fs::remove_file(disk.join("filler")).unwrap();
    store.remove_image("small").unwrap();
    println!("the disk was full, and nothing came of it");
}

/// Not a test, as `child`: the disk has bytes, and few inodes.
#[tokio::test(flavor = "multi_thread")]
async fn child_without_inodes() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let disk = Path::new(&disk);
    let directory = disk.join("store");
    let store = ImageStore::open(&directory, Registries::default()).unwrap();
    for name in ["small", "other"] {
        let archive = docker_archive(&[name], &[Tar::new().file(name, name).bytes()]);
        store.load(Cursor::new(archive)).await.unwrap();
    }
    let filler = disk.join("filler");
    std::fs::create_dir(&filler).unwrap();
    let fill = |from: u32| {
        (from..).take_while(|number| std::fs::File::create(filler.join(number.to_string())).is_ok()).count()
    };
    let first = fill(0);
    store.tag("small", "another").unwrap();
    store.remove_image("other").unwrap();
    assert_eq!(std::fs::read_dir(directory.join("layers")).unwrap().count(), 1, "it is not put off");
    drop(store);
    let half = directory.join("tmp/half");
    std::fs::create_dir(&half).unwrap();
    (0..8).for_each(|number| std::fs::write(half.join(number.to_string()), "x").unwrap());
    fill(first as u32);
    let store = ImageStore::open(&directory, Registries::default()).unwrap();
    assert_eq!(std::fs::read_dir(directory.join("tmp")).unwrap().count(), 0);
    store.remove_image("small").unwrap();
    store.remove_image("another").unwrap();
    assert_eq!(std::fs::read_dir(directory.join("layers")).unwrap().count(), 0);
    drop(store);
    std::fs::remove_dir_all(&filler).unwrap();
    let ballast = directory.join("ballast");
    _ = std::fs::remove_file(&ballast);
    let most = disk.join("most");
    std::fs::write(&most, vec![0; free(disk) as usize - (6 << 20)]).unwrap();
    drop(ImageStore::open(&directory, Registries::default()).unwrap());
    assert!(!ballast.exists(), "six of which it would take four");
    std::fs::remove_file(&most).unwrap();
    drop(ImageStore::open(&directory, Registries::default()).unwrap());
    assert!(ballast.exists());
    assert_eq!(std::fs::read_dir(directory.join("ballast-inodes")).unwrap().count(), 64, "aboard again");
    println!("the disk was full, and nothing came of it");
}

/// Runs one of the children on a disk of its own.
fn on_a_disk(options: &str, child: &str) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a disk of one's own needs root");
        return;
    }
    let place = tempfile::TempDir::new().unwrap();
    let disk = place.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!("mount -t tmpfs -o {options} none \"${DISK}\" && exec \"$0\" \"$@\"");
    let done = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("full_disk::{child}"))
        .args(["--exact", "--nocapture"])
        .env(DISK, &disk)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("nothing came of it"), "{said}");
}

#[test]
fn a_full_disk_is_said_and_costs_nothing() {
    on_a_disk(&format!("size={SIZE}m"), "child");
}

#[test]
fn a_disk_without_inodes_keeps_nobody_from_removing() {
    on_a_disk(&format!("size={}m,nr_inodes=600", 4 * SIZE), "child_without_inodes");
}
