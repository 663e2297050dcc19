//! A small image, made of the machine's own busybox.

use sha2::{Digest, Sha256};
use std::path::Path;

const BUSYBOX: &str = "/usr/bin/busybox";
const APPLETS: &[&str] = &[
    "sh", "sleep", "cat", "echo", "id", "pwd", "ls", "stty", "tr", "head", "yes", "unshare", "hostname",
    "httpd", "ps", "mount", "kill", "stat", "dd", "grep", "env", "test", "true", "touch", "readlink", "wc",
];

pub const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:web:/srv/web:/bin/sh\n\
    4294967296:x:0:0:root:/root:/bin/sh\n";
pub const GROUP: &str = "root:x:0:\nweb:x:102:\nlogs:x:200:web\nleave:x:4294967295:\n";

/// Writes a docker-archive of `test/busybox` with this configuration, and these links in place of what it has there.
pub fn write(to: &Path, config: &str, links: &[(&str, &str)]) {
    let layer = layer(links);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        hex(&layer)
    );
    let name = format!("{}.json", hex(config.as_bytes()));
    let manifest =
        format!(r#"[{{"Config":"{name}","RepoTags":["test/busybox:latest"],"Layers":["layer.tar"]}}]"#);
    let mut archive = tar::Builder::new(std::fs::File::create(to).unwrap());
    for (name, bytes) in
        [(name.as_str(), config.as_bytes()), ("layer.tar", &layer), ("manifest.json", manifest.as_bytes())]
    {
        add(&mut archive, name, bytes, 0o644);
    }
    archive.finish().unwrap();
}

fn layer(links: &[(&str, &str)]) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    for dir in ["bin/", "etc/", "tmp/", "www/", "data/"] {
        let mut header = header();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(if dir == "tmp/" { 0o1777 } else { 0o755 });
        header.set_size(0);
        layer.append_data(&mut header, dir, std::io::empty()).unwrap();
    }
    add(&mut layer, "bin/busybox", &std::fs::read(BUSYBOX).expect("busybox-static is installed"), 0o755);
    add(&mut layer, "etc/passwd", PASSWD.as_bytes(), 0o644);
    add(&mut layer, "etc/group", GROUP.as_bytes(), 0o644);
    add(&mut layer, "www/index.html", b"hello from inside\n", 0o644);
    add(&mut layer, "data/seed", b"from the image\n", 0o644);
    let applets = APPLETS.iter().map(|applet| (format!("bin/{applet}"), "busybox"));
    for (name, target) in applets.chain(links.iter().map(|(name, target)| ((*name).to_owned(), *target))) {
        let mut header = header();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        layer.append_link(&mut header, name, target).unwrap();
    }
    layer.into_inner().unwrap()
}

fn add<W: std::io::Write>(archive: &mut tar::Builder<W>, name: &str, bytes: &[u8], mode: u32) {
    let mut header = header();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn header() -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
