//! Against Debian's `docker-registry`, with `skopeo` as the judge: passwords, TLS under an own authority, push and pull.
//! Loopback only, no root.

use cri::Credentials;
use image::{ImageError, ImageStore, PushEvent, PushProgress, PushStatus, Registries, Silent};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// `user:secret`; the registry takes bcrypt only.
const HTPASSWD: &str = "user:$2b$04$B/p5prJeAiFjOnoHopy3Nut0vvN.4BnhhzZHOWOQdpgB0HRDScd3a\n";

fn user(password: &str) -> Credentials {
    Credentials::Basic { username: "user".into(), password: password.into() }
}

struct Registry {
    host: String,
    ca: std::path::PathBuf,
    process: Child,
    _dir: TempDir,
}

impl Registry {
    /// `None` where the program is not installed.
    async fn start(tls: bool) -> Option<Registry> {
        loop {
            let mut registry = Registry::spawn(tls)?;
            loop {
                if tokio::net::TcpStream::connect(&registry.host).await.is_ok() {
                    return Some(registry);
                }
                // somebody may have been given its port before it listened there
                if registry.process.try_wait().unwrap().is_some() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }

    fn spawn(tls: bool) -> Option<Registry> {
        let dir = TempDir::new().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("localhost:{port}");
        std::fs::write(dir.path().join("htpasswd"), HTPASSWD).unwrap();
        let tls = if tls { certificates(dir.path()) } else { String::new() };
        let at = dir.path().display();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             auth: {{htpasswd: {{realm: test, path: {at}/htpasswd}}}}\nhttp:\n  addr: {host}\n{tls}"
        );
        std::fs::write(dir.path().join("config.yml"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", &format!("{at}/config.yml")])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .ok()?;
        Some(Registry { host, ca: dir.path().join("ca.pem"), process, _dir: dir })
    }

    fn skopeo(&self, arguments: &[&str]) -> Vec<u8> {
        let out = Command::new("skopeo").args(arguments).output().unwrap();
        assert!(out.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// An authority and a certificate for localhost by it; gives the registry's lines about them.
fn certificates(dir: &Path) -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &ca_key);
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    let at = dir.display();
    format!("  tls: {{certificate: {at}/cert.pem, key: {at}/key.pem}}\n")
}

fn layer(seed: u64, name: &str) -> Vec<u8> {
    let noise =
        std::iter::successors(Some(seed), |n| Some(n.wrapping_mul(6364136223846793005).wrapping_add(1)));
    let noise: Vec<u8> = noise.map(|n| (n >> 56) as u8).take(3 << 20).collect();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(noise.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, &noise[..]).unwrap();
    tar.into_inner().unwrap()
}

fn archive(tag: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| image::Digest::of(layer)).collect();
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    .to_string();
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
    let manifest = serde_json::json!([{"Config": "c.json", "RepoTags": [tag], "Layers": names}]).to_string();
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    names.iter().zip(layers).for_each(|(name, layer)| add(name, layer));
    add("c.json", config.as_bytes());
    add("manifest.json", manifest.as_bytes());
    tar.into_inner().unwrap()
}

#[derive(Default)]
struct Seen(Mutex<Vec<PushStatus>>);

impl PushProgress for Seen {
    fn event(&self, event: PushEvent) {
        if let PushEvent::Layer { status, .. } = event {
            self.0.lock().unwrap().push(status);
        }
    }
}

impl Seen {
    fn count(&self, wanted: impl Fn(&PushStatus) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|status| wanted(status)).count()
    }
}

fn open(registry: &Registry) -> (Arc<ImageStore>, TempDir) {
    let dir = TempDir::new().unwrap();
    let ca_files = [(registry.host.clone(), registry.ca.clone())].into();
    (ImageStore::open(dir.path(), Registries { ca_files, ..Default::default() }).unwrap(), dir)
}

async fn push_and_pull(registry: Registry, tls: bool) {
    let (store, _dir) = open_for(&registry, tls);
    let name = format!("{}/team/app:1", registry.host);
    let layers = [layer(1, "a"), layer(2, "b")];
    let loaded = store.load(std::io::Cursor::new(archive(&name, &layers))).await.unwrap().remove(0);

    let refused = store.push_with(&name, &[], Arc::new(Silent)).await.unwrap_err();
    assert!(matches!(refused.root(), ImageError::Unauthorized(_)), "{refused}");
    let refused = store.push_with(&name, &[user("wrong")], Arc::new(Silent)).await.unwrap_err();
    assert!(matches!(refused.root(), ImageError::Unauthorized(_)), "{refused}");

    let seen = Arc::new(Seen::default());
    let digest = store.push_with(&name, &[user("wrong"), user("secret")], seen.clone()).await.unwrap();
    assert_eq!(seen.count(|s| *s == PushStatus::Pushed), 2);
    let reference = format!("docker://{name}");
    let inspected = registry.skopeo(&["inspect", "--creds=user:secret", "--tls-verify=false", &reference]);
    let inspected: serde_json::Value = serde_json::from_slice(&inspected).unwrap();
    assert_eq!(inspected["Digest"], digest.as_str());

    // skopeo reads and verifies every byte
    let copy = TempDir::new().unwrap();
    let target = format!("oci:{}:1", copy.path().display());
    registry.skopeo(&["copy", "--src-creds=user:secret", "--src-tls-verify=false", &reference, &target]);

    let again = Arc::new(Seen::default());
    assert_eq!(store.push_with(&name, &[user("secret")], again.clone()).await.unwrap(), digest);
    assert_eq!(again.count(|s| *s == PushStatus::AlreadyExists), 2, "nothing is sent twice");

    let twin = format!("{}/other/twin:1", registry.host);
    store.tag(&name, &twin).unwrap();
    let mounted = Arc::new(Seen::default());
    store.push_with(&twin, &[user("secret")], mounted.clone()).await.unwrap();
    assert_eq!(mounted.count(|s| matches!(s, PushStatus::Mounted { from } if from == "team/app")), 2);

    let (fresh, _fresh_dir) = open_for(&registry, tls);
    assert!(fresh.pull_with(&name, &[], Arc::new(Silent)).await.is_err());
    let pulled = fresh.pull_with(&name, &[user("secret")], Arc::new(Silent)).await.unwrap();
    assert_eq!(pulled.id, loaded.id);
    assert!(pulled.repo_digests[0].ends_with(digest.as_str()));
    let rootfs = fresh.rootfs(&name).unwrap();
    assert_eq!(std::fs::metadata(rootfs.layers[0].join("b")).unwrap().len(), 3 << 20);

    // what was pulled is pushed as it came
    let elsewhere = format!("{}/else/where:2", registry.host);
    fresh.tag(&name, &elsewhere).unwrap();
    assert_eq!(fresh.push_with(&elsewhere, &[user("secret")], Arc::new(Silent)).await.unwrap(), digest);
}

fn open_for(registry: &Registry, tls: bool) -> (Arc<ImageStore>, TempDir) {
    if tls {
        return open(registry);
    }
    let dir = TempDir::new().unwrap();
    (ImageStore::open(dir.path(), Registries::default()).unwrap(), dir)
}

async fn registry(tls: bool) -> Option<Registry> {
    let installed = Command::new("skopeo").arg("--version").output().is_ok();
    let registry = if installed { Registry::start(tls).await } else { None };
    if registry.is_none() {
        _ = writeln!(std::io::stderr(), "SKIPPED: needs docker-registry and skopeo");
    }
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_clear_on_loopback() {
    if let Some(registry) = registry(false).await {
        push_and_pull(registry, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_under_an_own_authority() {
    let Some(registry) = registry(true).await else { return };
    let dir = TempDir::new().unwrap();
    let distrusting = ImageStore::open(dir.path(), Registries::default()).unwrap();
    let name = format!("{}/a:1", registry.host);
    let why = distrusting.pull_with(&name, &[user("secret")], Arc::new(Silent)).await.unwrap_err();
    assert!(why.to_string().contains("certificate"), "{why}");
    let insecure = Registries { insecure: vec![registry.host.clone()], ..Default::default() };
    let careless = ImageStore::open(TempDir::new().unwrap().path(), insecure).unwrap();
    let why = careless.pull_with(&name, &[user("secret")], Arc::new(Silent)).await.unwrap_err();
    assert!(why.to_string().contains("manifest unknown"), "spoke to it without trusting it: {why}");
    push_and_pull(registry, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_a_docker_archive_and_an_oci_archive_to_others() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        _ = writeln!(std::io::stderr(), "SKIPPED: needs skopeo");
        return;
    }
    let dir = TempDir::new().unwrap();
    let store = ImageStore::open(&dir.path().join("store"), Registries::default()).unwrap();
    let bytes = archive("reg.example/app:1", &[layer(1, "a"), layer(2, "b")]);
    let loaded = store.load(std::io::Cursor::new(bytes)).await.unwrap().remove(0);
    let file = dir.path().join("saved.tar");
    let out = tokio::fs::File::create(&file).await.unwrap();
    store.save(&["reg.example/app:1".to_owned()], out).await.unwrap();
    let file = file.display().to_string();
    for source in [format!("docker-archive:{file}:reg.example/app:1"), format!("oci-archive:{file}:1")] {
        // copying reads and verifies every blob
        let copy = TempDir::new().unwrap();
        let target = format!("oci:{}:1", copy.path().display());
        let out = Command::new("skopeo").args(["copy", &source, &target]).output().unwrap();
        assert!(out.status.success(), "{source}: {}", String::from_utf8_lossy(&out.stderr));
        let fresh = ImageStore::open(&dir.path().join("fresh"), Registries::default()).unwrap();
        let again = fresh.load_path(copy.path()).await.unwrap();
        assert_eq!(again[0].size, loaded.size, "{source}: a layout by skopeo is read");
    }
}
