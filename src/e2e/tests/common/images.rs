//! Small images out of what Debian has, written as `docker save` writes them.

use ring::digest::{SHA256, digest};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Debian's busybox-static, which has all of its tools in one file.
const BUSYBOX: &str = "/bin/busybox";
const TOOLS: &[&str] = &[
    "sh",
    "ls",
    "cat",
    "echo",
    "sleep",
    "true",
    "false",
    "id",
    "env",
    "ps",
    "head",
    "tail",
    "yes",
    "wget",
    "nc",
    "nslookup",
    "kill",
    "mkdir",
    "touch",
    "rm",
    "tar",
    "date",
    "stty",
    "hostname",
    "ip",
    "ping",
    "grep",
    "dd",
    "wc",
    "sha256sum",
    "test",
    "seq",
    "httpd",
    "mount",
    "umount",
    "rmdir",
    "chmod",
    "stat",
    "df",
];

/// Writes `busybox.tar` into the directory: the image `NAME` with a shell and the usual tools, and with programs of this machine
/// and the libraries that they need.
pub fn busybox(directory: &Path, name: &str, programs: &[&str]) -> PathBuf {
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, "bin/busybox", 0o755, &std::fs::read(BUSYBOX).unwrap());
    for tool in TOOLS {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        header.set_uid(0);
        header.set_gid(0);
        layer.append_link(&mut header, format!("bin/{tool}"), "busybox").unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o1777);
    header.set_uid(0);
    header.set_gid(0);
    layer.append_data(&mut header, "tmp/", std::io::empty()).unwrap();
    add(
        &mut layer,
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    );
    add(&mut layer, "etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    for file in programs.iter().flat_map(|program| with_libraries(program)) {
        add(&mut layer, file.trim_start_matches('/'), 0o755, &std::fs::read(&file).unwrap());
    }
    let layer = layer.into_inner().unwrap();
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]},
    });
    let config = config.to_string();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "layer.tar", 0o644, &layer);
    add(&mut archive, "config.json", 0o644, config.as_bytes());
    add(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes());
    let path = directory.join("busybox.tar");
    std::fs::write(&path, archive.into_inner().unwrap()).unwrap();
    path
}

/// Writes `FILE` into the directory: a docker-archive of an image with these layers, whatever they are.
pub fn of_layers(directory: &Path, file: &str, name: &str, layers: &[Vec<u8>]) -> PathBuf {
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", hex(layer))).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/none"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": names}]);
    let mut archive = tar::Builder::new(Vec::new());
    names.iter().zip(layers).for_each(|(name, layer)| add(&mut archive, name, 0o644, layer));
    add(&mut archive, "config.json", 0o644, config.to_string().as_bytes());
    add(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes());
    let path = directory.join(file);
    std::fs::write(&path, archive.into_inner().unwrap()).unwrap();
    path
}

/// A layer with one file of bytes that cannot be packed.
pub fn noise(name: &str, length: usize) -> Vec<u8> {
    let next =
        |n: &u64| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    let seed = name.bytes().fold(length as u64, |seed, byte| seed * 31 + u64::from(byte));
    let noise = std::iter::successors(Some(seed), next).flat_map(|n| n.to_le_bytes().into_iter().skip(4));
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, name, 0o644, &noise.take(length).collect::<Vec<u8>>());
    layer.into_inner().unwrap()
}

/// Its path and those of everything that the dynamic linker brings to it, which may be nothing.
fn with_libraries(program: &str) -> Vec<String> {
    let said = std::process::Command::new("ldd").arg(program).output().unwrap();
    if String::from_utf8_lossy(&said.stderr).contains("not a dynamic executable") {
        return vec![program.to_owned()];
    }
    assert!(said.status.success(), "ldd {program}");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let libraries = said.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned);
    [program.to_owned()].into_iter().chain(libraries).collect()
}

fn add(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, path, content).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
