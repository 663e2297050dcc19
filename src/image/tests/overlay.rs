//! The kernel as the judge of the layers' form: mounted as an overlay, they are what the archives said. Needs root; works
//! in a mount namespace of its own.

use image::{ImageStore, Registries};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const INSIDE: &str = "IMAGE_TEST_IN_NAMESPACE";

fn layer(files: &[&str]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, file, file.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn archive(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| image::Digest::of(layer)).collect();
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
    let manifest = serde_json::json!([{"Config": "c.json", "RepoTags": ["x"], "Layers": names}]);
    let mut tar = tar::Builder::new(Vec::new());
    let (config, manifest) = (config.to_string().into_bytes(), manifest.to_string().into_bytes());
    let documents = [("c.json".to_owned(), &config), ("manifest.json".to_owned(), &manifest)];
    for (name, bytes) in names.into_iter().zip(layers).chain(documents) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

fn files(directory: &Path, inside: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = format!("{inside}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path(), &format!("{path}/")));
        } else {
            found.insert(path);
        }
    }
    found
}

async fn mount_and_compare() {
    let dir = TempDir::new().unwrap();
    // an overlay of its own kind needs a file system with attributes, whatever /tmp is
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(dir.path()).status().unwrap();
    assert!(mounted.success());
    let store = ImageStore::open(&dir.path().join("store"), Registries::default()).unwrap();
    let layers = [
        layer(&["keep", "gone", "dir/old", "tree/a/x", "tree/b", "swap/deep/x"]),
        layer(&[".wh.gone", "dir/.wh..wh..opq", "dir/new", "tree/a/.wh.x", ".wh.swap", "swap/fresh"]),
    ];
    store.load(Cursor::new(archive(&layers))).await.unwrap();
    let rootfs = store.rootfs("x").unwrap();
    let (upper, work, root) = (dir.path().join("upper"), dir.path().join("work"), dir.path().join("root"));
    [&upper, &work, &root].iter().for_each(|path| std::fs::create_dir(path).unwrap());
    let lower: Vec<String> = rootfs.layers.iter().map(|layer| layer.display().to_string()).collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
    let mounted =
        Command::new("mount").args(["-t", "overlay", "none", "-o", &options]).arg(&root).status().unwrap();
    assert!(mounted.success());
    let want = ["keep", "dir/new", "tree/b", "swap/fresh"].map(str::to_owned);
    assert_eq!(files(&root, ""), BTreeSet::from(want));

    // what a container does there becomes a layer with the same meaning
    std::fs::remove_file(root.join("keep")).unwrap();
    std::fs::remove_dir_all(root.join("tree")).unwrap();
    std::fs::create_dir(root.join("tree")).unwrap();
    std::fs::write(root.join("tree/mine"), "x").unwrap();
    let document = store.details("x").unwrap().document;
    store.commit(Some("x"), &upper, document, image::HistoryItem::default(), Some("y")).await.unwrap();
    let lower: Vec<String> =
        store.rootfs("y").unwrap().layers.iter().map(|l| l.display().to_string()).collect();
    assert_eq!(lower.len(), 3);
    let again = dir.path().join("again");
    std::fs::create_dir(&again).unwrap();
    let options = format!("lowerdir={}", lower.join(":"));
    let mounted =
        Command::new("mount").args(["-t", "overlay", "none", "-o", &options]).arg(&again).status().unwrap();
    assert!(mounted.success());
    assert_eq!(files(&again, ""), files(&root, ""));
    assert_eq!(files(&again, ""), BTreeSet::from(["dir/new", "tree/mine", "swap/fresh"].map(str::to_owned)));
    println!("walked through");
    for path in [&again, &root, &dir.path().to_owned()] {
        assert!(Command::new("umount").arg("-l").arg(path).status().unwrap().success());
    }
}

/// It starts its own program once more, in the namespace.
#[test]
fn an_overlay_of_the_layers_is_what_the_archives_said() {
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(mount_and_compare());
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: mounting an overlay needs root");
        return;
    }
    let out = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["an_overlay_of_the_layers_is_what_the_archives_said", "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(said.contains("walked through"), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
}
