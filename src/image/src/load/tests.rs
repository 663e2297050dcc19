use super::*;
use crate::testing::{Tar, config, docker_archive, gzip, store};
use serde_json::json;
use std::io::Cursor;

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name).bytes()
}

fn blob_path(bytes: &[u8]) -> String {
    path_of(&Digest::of(bytes))
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// An OCI layout as a list of files; the layers packed.
fn layout(name: &str, layers: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let config = config(layers);
    let packed: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
    let describe = |bytes: &[u8], media: &str| json!({"mediaType": media, "digest": Digest::of(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "config": describe(&config, "application/vnd.oci.image.config.v1+json"),
        "layers": packed.iter().map(|l| describe(l, "application/vnd.oci.image.layer.v1.tar+gzip")).collect::<Vec<_>>(),
    })
    .to_string()
    .into_bytes();
    let mut entry = describe(&manifest, manifest::OCI_MANIFEST);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes();
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    files.extend(packed.into_iter().chain([config, manifest]).map(|blob| (blob_path(&blob), blob)));
    files.push(("index.json".to_owned(), index));
    files
}

fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    files.iter().fold(Tar::new(), |tar, (path, bytes)| tar.file(path, bytes)).bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_archive_gives_the_same_image() {
    let layers = [layer("a"), layer("b")];
    let id = Digest::of(&config(&layers)).to_string();
    let docker = docker_archive(&["reg.io/app:1"], &layers);
    let oci = tar_of(&layout("reg.io/app:1", &layers));
    for (name, archive) in [
        ("docker", docker.clone()),
        ("docker, gzip", gzip(&docker)),
        ("docker, zstd", zstd::encode_all(&docker[..], 1).unwrap()),
        ("oci", oci.clone()),
        ("oci, gzip", gzip(&oci)),
    ] {
        let t = store();
        let loaded = t.store.load(Cursor::new(archive)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            (loaded[0].id.as_str(), loaded[0].repo_tags.as_slice()),
            (id.as_str(), &["reg.io/app:1".to_owned()][..]),
            "{name}"
        );
        let rootfs = t.store.rootfs("reg.io/app:1").unwrap();
        assert_eq!(std::fs::read_to_string(rootfs.layers[0].join("b")).unwrap(), "b", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_folder_is_loaded_in_place() {
    let t = store();
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
    for (path, bytes) in layout("latest", &[layer("a")]) {
        std::fs::write(folder.path().join(path), bytes).unwrap();
    }
    let loaded = t.store.load_path(folder.path()).await.unwrap();
    assert!(loaded[0].repo_tags.is_empty(), "a bare tag is no name");
    assert!(t.store.rootfs(&loaded[0].id).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_held_is_not_unpacked_twice_and_may_lie_on_another_one() {
    let t = store();
    t.store.load(Cursor::new(docker_archive(&["one"], &[layer("a"), layer("b")]))).await.unwrap();
    let two = [layer("b"), layer("a")];
    let archive = docker_archive(&["two"], &two);
    t.store.load(Cursor::new(archive.clone())).await.unwrap();
    let loaded = t.store.load(Cursor::new(archive)).await.unwrap();
    let rootfs = t.store.rootfs(&loaded[0].id).unwrap();
    assert!(rootfs.layers[0].join("a").exists() && rootfs.layers[1].join("b").exists());
    assert_eq!(std::fs::read_dir(t.dir.path().join("layers")).unwrap().count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_between_layers_is_followed() {
    let t = store();
    let twice = [layer("a"), layer("a")];
    let config = config(&twice);
    let manifest = json!([{"Config": "c.json", "RepoTags": ["x"], "Layers": ["0/layer.tar", "1/layer.tar"]}]);
    let archive = Tar::new()
        .file("0/layer.tar", &twice[0])
        .entry(tar::EntryType::Symlink, "1/layer.tar", "../0/layer.tar", b"")
        .file("c.json", config)
        .file("manifest.json", manifest.to_string())
        .bytes();
    let loaded = t.store.load(Cursor::new(archive)).await.unwrap();
    assert_eq!(t.store.rootfs(&loaded[0].id).unwrap().layers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_or_hostile_archive_is_refused_and_leaves_nothing() {
    let good = layout("a:1", &[layer("a")]);
    let swap = |path_part: &str, bytes: &[u8]| {
        let mut files = good.clone();
        files.iter_mut().filter(|(path, _)| path.contains(path_part)).for_each(|(_, b)| *b = bytes.to_vec());
        tar_of(&files)
    };
    let config_path = blob_path(&config(&[layer("a")]));
    let layer_path = blob_path(&gzip(&layer("a")));
    let hostile = docker_archive(&["a"], &[Tar::new().file("../x", "x").bytes()]);
    let climbing = json!([{"Config": "../../etc/passwd", "RepoTags": ["x"], "Layers": []}]);
    let name = json!([{"Config": "c.json", "RepoTags": ["Bad Name"], "Layers": []}]);
    for (case, archive, want) in [
        ("empty", Tar::new().bytes(), "neither a docker-archive"),
        ("no archive", b"hello, this is no archive".to_vec(), "archive"),
        ("another layer under the digest", swap(&layer_path, &layer("evil")), "unpacks to"),
        ("another configuration", swap(&config_path, b"{}"), "is in truth"),
        ("no layer", swap(&layer_path, b"text"), "has no blobs/sha256/"),
        ("no images", swap("index.json", br#"{"schemaVersion":2,"manifests":[]}"#), "holds no image"),
        ("a hostile layer", hostile, "climbs out"),
        (
            "a path that leads out",
            Tar::new().file("manifest.json", climbing.to_string()).bytes(),
            "leads out",
        ),
        (
            "a bad name",
            Tar::new().file("manifest.json", name.to_string()).file("c.json", "{}").bytes(),
            "invalid reference",
        ),
        ("torn", docker_archive(&["a"], &[layer("a")])[..700].to_vec(), "archive"),
    ] {
        let t = store();
        let why = t.store.load(Cursor::new(archive)).await.expect_err(case).to_string();
        assert!(why.contains(want), "{case}: {why}");
        assert_eq!(t.store.images(), [], "{case}");
        for folder in ["layers", "tmp", "blobs/sha256"] {
            assert_eq!(std::fs::read_dir(t.dir.path().join(folder)).unwrap().count(), 0, "{case}: {folder}");
        }
    }
}
