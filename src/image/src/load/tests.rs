use super::*;
use crate::testing::{Tar, config, docker_archive, gzip, store};
use serde_json::json;
use std::io::Cursor;
use std::process::Stdio;
use tar::EntryType;

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name).bytes()
}

/// The unpacker is at work on it when the reader finds out.
fn torn_in_a_layer() -> Vec<u8> {
    let many = (0..2000).fold(Tar::new(), |tar, number| tar.file(&number.to_string(), "x"));
    let archive = docker_archive(&["a"], &[many.bytes()]);
    archive[..archive.len() / 2].to_vec()
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

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// By the program: the library only reads.
fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut xz = std::process::Command::new("xz");
    let mut xz = xz.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, bytes) = (xz.stdin.take().unwrap(), bytes.to_vec());
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let packed = xz.wait_with_output().unwrap().stdout;
    feeder.join().unwrap().unwrap();
    packed
}

fn docker_archive_of(layers: &[Vec<u8>], packed: &[Vec<u8>]) -> Vec<u8> {
    let manifest = json!([{"Config": "c.json", "RepoTags": ["reg.io/app:1"], "Layers": ["0", "1"]}]);
    Tar::new()
        .file("0", &packed[0])
        .file("1", &packed[1])
        .file("c.json", config(layers))
        .file("manifest.json", manifest.to_string())
        .bytes()
}

/// As BuildKit writes it: the index names an index, which names the image for each platform and what was said of it.
fn nested(name: &str, layers: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let mut files = layout(name, layers);
    let (_, index) = files.pop().unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let mut image = index["manifests"][0].clone();
    image["platform"] = json!(Platform::of_this_machine());
    let other = json!({"mediaType": manifest::OCI_MANIFEST, "digest": Digest::of(b"other"), "size": 1,
        "platform": {"os": "unknown", "architecture": "unknown"}});
    let inner = json!({"schemaVersion": 2, "manifests": [other, image]}).to_string().into_bytes();
    let mut entry =
        json!({"mediaType": manifest::OCI_INDEX, "digest": Digest::of(&inner), "size": inner.len()});
    entry["annotations"] = json!({"io.containerd.image.name": name});
    files.push((blob_path(&inner), inner));
    files.push((
        "index.json".to_owned(),
        json!({"schemaVersion": 2, "manifests": [other, entry]}).to_string().into(),
    ));
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_docker_before_1_10_are_read() {
    let (low, top) = ("a".repeat(64), "b".repeat(64));
    let json_of = |parent: serde_json::Value, cmd: &str| {
        json!({"parent": parent, "created": "2014-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
            "config": {"Cmd": [cmd], "Env": null}, "container_config": {"Cmd": ["/bin/sh", "-c", cmd]}})
        .to_string()
    };
    let archive = |repositories: serde_json::Value, parent: serde_json::Value| {
        Tar::new()
            .file(&format!("{low}/json"), json_of(parent, "low"))
            .file(&format!("{low}/layer.tar"), layer("a"))
            .file(&format!("{top}/json"), json_of(json!(low), "top"))
            .file(&format!("{top}/layer.tar"), layer("b"))
            .file("repositories", repositories.to_string())
            .bytes()
    };
    let names = json!({"old": {"1": top, "latest": top}, "older": {"1": low}});
    let t = store();
    let loaded = t.store.load(Cursor::new(archive(names.clone(), json!(null)))).await.unwrap();
    assert_eq!(loaded.len(), 2);
    let details = t.store.details("old").unwrap();
    assert_eq!(details.document.config.cmd, Some(vec!["top".to_owned()]));
    assert_eq!(details.document.history[0].created_by, "/bin/sh -c low");
    assert_eq!(details.layers.len(), 2);
    assert_eq!(details.info.repo_tags, ["docker.io/library/old:1", "docker.io/library/old:latest"]);
    for (name, archive, want) in [
        ("a loop", archive(names, json!(top)), "or a loop"),
        ("a path for an id", archive(json!({"x": {"1": "../../etc"}}), json!(null)), "which is no id"),
    ] {
        let why = store().store.load(Cursor::new(archive)).await.expect_err(name).to_string();
        assert!(why.contains(want), "{name}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_for_the_platform_is_loaded() {
    let archive = docker_archive(&["a"], &[layer("a")]);
    let t = store();
    let here = Platform::of_this_machine();
    assert_eq!(t.store.load_for(Cursor::new(archive.clone()), Some(here)).await.unwrap().len(), 1);
    let other = Platform::parse("linux/s390x").unwrap();
    let why = t.store.load_for(Cursor::new(archive), Some(other.clone())).await.unwrap_err().to_string();
    assert!(why.contains("no image for the platform linux/s390x"), "{why}");
    let why =
        t.store.load_for(Cursor::new(tar_of(&nested("a", &[layer("a")]))), Some(other)).await.unwrap_err();
    assert!(why.to_string().contains("no matching manifest for linux/s390x"), "{why}");
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
        ("docker, bzip2", bzip2(&docker)),
        ("docker, xz", xz(&docker)),
        ("layers packed otherwise", docker_archive_of(&layers, &[xz(&layers[0]), bzip2(&layers[1])])),
        ("oci", oci.clone()),
        ("oci, an index in an index", tar_of(&nested("reg.io/app:1", &layers))),
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
async fn a_layout_directory_is_loaded_in_place() {
    let t = store();
    let directory = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
    for (path, bytes) in layout("latest", &[layer("a")]) {
        std::fs::write(directory.path().join(path), bytes).unwrap();
    }
    let loaded = t.store.load_path(directory.path()).await.unwrap();
    assert!(loaded[0].repo_tags.is_empty(), "a bare tag is no name");
    assert!(t.store.rootfs(&loaded[0].id).is_ok());
}

/// A pipe that nobody writes to was waited for without end.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_in_a_layout_directory_is_not_opened() {
    let t = store();
    for piped in ["manifest.json", "index.json"] {
        let directory = tempfile::TempDir::new().unwrap();
        std::fs::write(directory.path().join("index.json"), "{}").unwrap();
        let pipe = directory.path().join(piped);
        let _ = std::fs::remove_file(&pipe);
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        let patience = std::time::Duration::from_secs(10);
        let loading = tokio::time::timeout(patience, t.store.load_path(directory.path()));
        let refused = loading.await.expect("nobody waits for a pipe").unwrap_err().to_string();
        let at = format!("load {}: ", directory.path().display());
        assert!(refused.starts_with(&at), "{piped}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_archive_is_named() {
    let t = store();
    let file = t.dir.path().join("notes.txt");
    std::fs::write(&file, "no archive").unwrap();
    let said = t.store.load_path(&file).await.unwrap_err().to_string();
    assert!(said.starts_with(&format!("load {}: read archive: ", file.display())), "{said}");
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
    let long_links = (0..40).fold(Tar::new(), |tar, _| {
        tar.entry(EntryType::GNULongName, "././@LongLink", "", &vec![b'n'; (2 << 20) - 4096]).entry(
            EntryType::Symlink,
            "l",
            "x",
            b"",
        )
    });
    let large = json!({"author": "a".repeat(1 << 20)}).to_string();
    let same = json!(vec![json!({"Config": "c.json", "RepoTags": ["a:1"], "Layers": []}); 65]).to_string();
    let same = Tar::new().file("manifest.json", same).file("c.json", large).bytes();
    let tags: Vec<String> = (0..60_000).map(|tag| format!("a:{tag}")).collect();
    let tags = json!([{"Config": "c.json", "RepoTags": tags, "Layers": []}]).to_string();
    let tags = Tar::new().file("manifest.json", tags).file("c.json", "{}").bytes();
    let id = "1".repeat(64);
    let on_itself = json!({"parent": id, "comment": "c".repeat(1 << 20)}).to_string();
    let repositories = json!({"a": {"1": id}}).to_string();
    let on_itself =
        Tar::new().file("repositories", repositories).file(&format!("{id}/json"), on_itself).bytes();
    let too_much = "archive: more than 64 MiB of manifests and configurations";
    for (case, archive, want) in [
        ("one large configuration for many images", same, too_much),
        ("more names than anybody gives", tags, "manifest.json holds more than 50000 values"),
        ("a large layer that stands on itself", on_itself, too_much),
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
        (
            "a pax header of many MiB",
            Tar::new().entry(EntryType::XHeader, "pax", "", &vec![0; 3 << 20]).file("x", "").bytes(),
            "archive: more than 2 MiB of headers",
        ),
        ("links with long names", long_links.bytes(), "archive: more than 64 MiB of names"),
        ("torn", docker_archive(&["a"], &[layer("a")])[..700].to_vec(), "archive"),
        ("torn in a layer that is being unpacked", torn_in_a_layer(), "archive"),
    ] {
        let t = store();
        let why = t.store.load(Cursor::new(archive)).await.expect_err(case).to_string();
        assert!(why.contains(want), "{case}: {why}");
        assert_eq!(t.store.images(), [], "{case}");
        for directory in ["layers", "tmp", "blobs/sha256"] {
            assert_eq!(
                std::fs::read_dir(t.dir.path().join(directory)).unwrap().count(),
                0,
                "{case}: {directory}"
            );
        }
    }
}
