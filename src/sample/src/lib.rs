//! The sample image `monopod/kubia`, which the binary carries so that a first cluster runs something with no network at all.
//!
//! It makes the image's archive; it knows nothing of the store that the archive goes into. Read [`archive`].

#![forbid(unsafe_code)]

use ring::digest::{SHA256, digest};
use serde_json::json;

/// What users call it.
pub const IMAGE: &str = "monopod/kubia";
pub const TAG: &str = "latest";
/// Where its server listens.
pub const PORT: u16 = 8080;

const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kubia"));
/// The first release's day: an archive of the same binary is the same bytes.
const MADE: &str = "2026-01-01T00:00:00Z";

/// A docker-archive (`docker save`) with the one image.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn archive() -> std::io::Result<Vec<u8>> {
    let layer = layer()?;
    let config = config(&hex(&layer)).to_string().into_bytes();
    let config_name = format!("{}.json", hex(&config));
    let manifest = json!([{
        "Config": config_name,
        "RepoTags": [format!("{IMAGE}:{TAG}")],
        "Layers": ["layer.tar"],
    }]);
    let mut archive = tar::Builder::new(Vec::with_capacity(layer.len() + 16 * 1024));
    add(&mut archive, "layer.tar", 0o644, &layer)?;
    add(&mut archive, &config_name, 0o644, &config)?;
    add(&mut archive, "manifest.json", 0o644, manifest.to_string().as_bytes())?;
    archive.into_inner()
}

fn layer() -> std::io::Result<Vec<u8>> {
    let mut layer = tar::Builder::new(Vec::with_capacity(PROGRAM.len() + 4096));
    add(&mut layer, "kubia", 0o755, PROGRAM)?;
    layer.into_inner()
}

fn config(layer_hex: &str) -> serde_json::Value {
    json!({
        "architecture": env!("SAMPLE_ARCHITECTURE"),
        "os": "linux",
        "created": MADE,
        "config": {
            "Entrypoint": ["/kubia"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "ExposedPorts": {format!("{PORT}/tcp"): {}},
            "WorkingDir": "/",
            "Labels": {"org.opencontainers.image.title": "kubia"},
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_hex}")]},
        "history": [
            {"created": MADE, "created_by": "COPY kubia /kubia"},
            {"created": MADE, "created_by": "ENTRYPOINT [\"/kubia\"]", "empty_layer": true},
        ],
    })
}

fn add(archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MADE.parse::<jiff::Timestamp>().map_or(0, |made| made.as_second().unsigned_abs()));
    archive.append_data(&mut header, path, content)
}

fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::net::TcpStream;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use std::time::{Duration, Instant};

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (entry.path().unwrap().display().to_string(), content)
            })
            .collect()
    }

    #[test]
    fn the_archive_names_what_is_in_it() {
        let files = files(&archive().unwrap());
        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let config = &files[manifest[0]["Config"].as_str().unwrap()];
        assert_eq!(manifest[0]["Config"], format!("{}.json", hex(config)));
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&files["layer.tar"])));
        assert_eq!(archive().unwrap(), archive().unwrap());
    }

    /// The program itself, on the machine's own port 8080 where that is free: with nobody there it says so and ends.
    #[test]
    fn the_server_answers_with_the_host_s_name_and_ends_when_told() {
        let layer = files(&archive().unwrap()).remove("layer.tar").unwrap();
        let directory = std::env::temp_dir().join(format!("monopod-sample-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let program = directory.join("kubia");
        std::fs::write(&program, &files(&layer)["kubia"]).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        if std::net::TcpListener::bind(("0.0.0.0", PORT)).is_err() {
            eprintln!("SKIPPED: port {PORT} is taken on this machine");
            std::fs::remove_dir_all(&directory).unwrap();
            return;
        }
        let mut server = Command::new(&program).spawn().unwrap();
        let answer = ask();
        let told = Command::new("kill").arg(server.id().to_string()).status().unwrap();
        let ended = server.wait().unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\nYou've hit {}\n", host.trim())), "{answer}");
        assert!(told.success() && ended.success(), "{ended}");
    }

    fn ask() -> String {
        let began = Instant::now();
        loop {
            match TcpStream::connect(("127.0.0.1", PORT)) {
                Ok(mut stream) => {
                    std::io::Write::write_all(
                        &mut stream,
                        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                    )
                    .unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    return answer;
                }
                Err(error) => assert!(began.elapsed() < Duration::from_secs(10), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
