//! Images that mean no good, by the stock docker command: each gets words, and the machine is as it was.

mod common;

use common::registry::registry;
use common::{Appliance, appliance, images};
use std::path::Path;
use tar::{EntryType, Header};

/// A layer of entries that no honest tool writes.
#[derive(Default)]
struct Layer(Vec<u8>);

impl Layer {
    fn entry(mut self, kind: EntryType, path: &str, link: &str, content: &[u8]) -> Layer {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &str) -> Layer {
        self.entry(EntryType::Regular, path, "", content.as_bytes())
    }

    fn link(self, path: &str, target: &str) -> Layer {
        self.entry(EntryType::Symlink, path, target, b"")
    }

    fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn load(at: &Appliance, layer: Vec<u8>) -> common::Answer {
    let archive = images::of_layers(at.home(), "image.tar", "hostile:1", &[layer]);
    at.docker(&["load", "-i", archive.to_str().unwrap()])
}

#[test]
fn layers_that_lead_out_are_refused_and_lead_nowhere() {
    let Some(at) = appliance("escape") else { return };
    let outside = at.home().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let out = outside.display().to_string();
    let up = format!("{}{}", "../".repeat(9), out.trim_start_matches('/'));
    for (name, layer, want) in [
        ("dots", Layer::default().file(&format!("{up}/x"), "x"), "climbs out"),
        ("a hard link", Layer::default().entry(EntryType::Link, "l", &format!("{up}/x"), b""), "climbs out"),
        ("a loop", Layer::default().link("a", "b").link("b", "a").file("a/x", "x"), "loop of symbolic links"),
        ("below a file", Layer::default().file("f", "x").file("f/x", "x"), "not a directory"),
    ] {
        let why = load(&at, layer.bytes()).refused(name);
        assert!(why.contains(want), "{name}: {why}");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{name} wrote outside");
        assert_eq!(at.docker(&["images", "-q"]).ok("images"), "", "{name}");
    }
    // a link is followed inside of the image's root, as Docker and containerd follow it: nothing is written outside
    for (name, layer) in [
        ("a link, absolute", Layer::default().link("l", &out).file("l/x", "x")),
        ("a link, climbing", Layer::default().link("l", &up).file("l/x", "x")),
        ("a whiteout through a link", Layer::default().link("l", &out).file("l/.wh.x", "")),
    ] {
        load(&at, layer.bytes()).ok(name);
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{name} wrote outside");
        at.docker(&["rmi", "-f", "hostile:1"]).ok(name);
    }
    // names from the root are the image's own: tools like ko write them so
    let layer = Layer::default().file(&format!("{out}/x"), "inside").entry(EntryType::Char, "dev0", "", b"");
    load(&at, layer.bytes()).ok("an absolute name");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_registry_that_lies_is_found_out() {
    let Some(at) = appliance("liar") else { return };
    let _registry = registry(&at, "127.0.0.1:5000", "");
    let image = "127.0.0.1:5000/app:1";
    let archive = images::of_layers(at.home(), "app.tar", image, &[images::noise("f", 100_000)]);
    at.docker(&["load", "-i", archive.to_str().unwrap()]).ok("load");
    at.docker(&["push", image]).ok("push");
    at.docker(&["rmi", image]).ok("rmi");
    let blobs = at.home().join("registry/data/docker/registry/v2/blobs/sha256");
    let whole: Vec<(std::path::PathBuf, Vec<u8>)> = blobs_in(&blobs);
    let layer = whole.iter().find(|(_, bytes)| bytes.starts_with(&[0x1f, 0x8b])).unwrap();
    let manifest =
        whole.iter().find(|(_, bytes)| bytes.windows(13).any(|part| part == b"schemaVersion")).unwrap();
    let mut other = layer.1.clone();
    // the time in the head of gzip: what it unpacks to stays the same
    other[4] ^= 1;
    let spaced = [&manifest.1[..], b" "].concat();
    for (name, (path, bytes), lie, want) in [
        ("another layer", layer, other, "filesystem layer verification failed"),
        ("a broken layer", layer, vec![0x1f; layer.1.len()], "layer"),
        ("another manifest", manifest, spaced, "manifest verification failed"),
        // the registry itself finds out, and has no words for it
        ("no manifest", manifest, b"<html>".to_vec(), "received unexpected HTTP status: 500"),
    ] {
        std::fs::write(path, lie).unwrap();
        let why = at.docker(&["pull", image]).refused(name);
        assert!(why.contains(want), "{name}: {why}");
        std::fs::write(path, bytes).unwrap();
        assert_eq!(at.docker(&["images", "-q"]).ok("images"), "", "{name}");
        for directory in ["tmp", "layers"] {
            let left = std::fs::read_dir(at.places()[0].join("images").join(directory)).unwrap().count();
            assert_eq!(left, 0, "{name}: {directory}");
        }
    }
    at.docker(&["pull", image]).ok("an honest registry");
}

/// Every `data` file below, with its content.
fn blobs_in(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => blobs_in(&entry.path()),
            false => vec![(entry.path(), std::fs::read(entry.path()).unwrap())],
        })
        .collect()
}
