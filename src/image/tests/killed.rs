//! `kill -9` in the middle of loading and removing, again and again: what the next start finds is whole.

use image::{ImageStore, Registries};
use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const DIRECTORY: &str = "IMAGE_TEST_DIRECTORY";

fn archive(n: usize) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    for file in 0..20 {
        let mut header = tar::Header::new_gnu();
        header.set_size(5000);
        header.set_mode(0o644);
        layer.append_data(&mut header, format!("d/{file}"), &vec![n as u8; 5000][..]).unwrap();
    }
    let layer = layer.into_inner().unwrap();
    let config = serde_json::json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [image::Digest::of(&layer)]}})
    .to_string();
    let manifest =
        serde_json::json!([{"Config": "c.json", "RepoTags": [format!("i:{n}")], "Layers": ["l.tar"]}])
            .to_string();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in
        [("l.tar", &layer[..]), ("c.json", config.as_bytes()), ("manifest.json", manifest.as_bytes())]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// What the killed process does. Says each image that it has, and forgets every third.
async fn load_and_remove(directory: &Path) {
    let store = ImageStore::open(directory, Registries::default()).unwrap();
    for n in 0.. {
        store.load(Cursor::new(archive(n % 50))).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "have {}", n % 50).unwrap();
        out.flush().unwrap();
        if n % 3 == 0 {
            store.remove_image(&format!("i:{}", n % 50)).unwrap();
        }
    }
}

fn check(directory: &Path) -> usize {
    let store = ImageStore::open(directory, Registries::default()).unwrap();
    for image in store.images() {
        let rootfs = store.rootfs(&image.id).unwrap();
        let n: u8 = image.repo_tags[0].rsplit(':').next().unwrap().parse().unwrap();
        for file in 0..20 {
            let content = std::fs::read(rootfs.layers[0].join(format!("d/{file}"))).unwrap();
            assert!(content == vec![n; 5000], "{} is not whole", image.repo_tags[0]);
        }
    }
    assert_eq!(std::fs::read_dir(directory.join("tmp")).unwrap().count(), 0);
    store.images().len()
}

/// It starts its own program once more, as the process that is killed.
#[test]
fn a_killed_store_is_whole_at_the_next_start() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return tokio::runtime::Runtime::new().unwrap().block_on(load_and_remove(Path::new(&directory)));
    }
    let directory = TempDir::new().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut kept = 0;
    for round in 1..8 {
        let mut child = Command::new(&program)
            .args(["a_killed_store_is_whole_at_the_next_start", "--exact", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Vec<String> =
            lines.map(Result::unwrap).filter(|line| line.contains("have ")).take(round * 2).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(said.len(), round * 2);
        kept = check(directory.path());
    }
    assert!(kept >= 8, "what was acknowledged is there: {kept}");
}
