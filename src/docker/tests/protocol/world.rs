//! An engine on a socket of its own, and the client.

use crate::fake::FakeRuntime;
use docker::DockerConfig;
use image::{ImageStore, Registries};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use testkit::networks::FakeNetworks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct World {
    dir: tempfile::TempDir,
    images: Arc<ImageStore>,
    pub runtime: Arc<FakeRuntime>,
    pub networks: Arc<FakeNetworks>,
    engine: Option<(CancellationToken, JoinHandle<()>)>,
}

pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn fine(&self) {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
    }
}

impl World {
    /// None, loudly, where there is no client.
    pub async fn open(name: &str) -> Option<World> {
        if Command::new("docker").arg("--version").output().await.is_err() {
            eprintln!("SKIPPED: {name}: there is no docker client on this machine");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(&dir.path().join("images"), Registries::default()).unwrap();
        images.load(std::io::Cursor::new(archive())).await.unwrap();
        let runtime = FakeRuntime::new();
        let networks = Arc::new(FakeNetworks::default());
        let mut world = World { dir, images, runtime, networks, engine: None };
        world.start().await;
        Some(world)
    }

    /// The status and the body of what a request is answered with.
    pub async fn ask(&self, request: &str, body: &str) -> (u16, String) {
        self.ask_as(&format!("{request} HTTP/1.1\r\nConnection: close"), "application/json", body).await
    }

    pub async fn ask_as(&self, head: &str, kind: &str, body: &str) -> (u16, String) {
        let mut answer = Vec::new();
        self.send_as(head, kind, body).await.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("docker")
    }

    /// A request as it is, and the connection that it leaves behind.
    pub async fn send(&self, head: &str, body: &str) -> UnixStream {
        self.send_as(head, "application/json", body).await
    }

    async fn send_as(&self, head: &str, kind: &str, body: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{head}\r\nHost: docker\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    pub async fn start(&mut self) {
        let config = DockerConfig {
            state_dir: self.dir.path().join("docker"),
            socket: self.socket(),
            name: "test".to_owned(),
            cgroup_parent: "docker".to_owned(),
            gateway: "10.9.0.1".parse().unwrap(),
            pod_cidr: "10.9.0.0/24".parse().unwrap(),
            pools: vec![docker::AddressPool { base: "10.8.0.0/16".parse().unwrap(), size: 24 }],
            dns: "10.9.0.1".parse().unwrap(),
            version: "0".to_owned(),
            unread: runtime::unread,
        };
        let stop = CancellationToken::new();
        let serving = docker::serve(
            config,
            self.runtime.clone(),
            self.networks.clone(),
            self.images.clone(),
            stop.clone(),
        );
        let task = tokio::spawn(async move { serving.await.unwrap() });
        self.engine = Some((stop, task));
        while UnixStream::connect(self.socket()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// Containers go on.
    pub async fn stop(&mut self) {
        let (stop, task) = self.engine.take().unwrap();
        stop.cancel();
        task.await.unwrap();
    }

    pub async fn docker(&self, words: &[&str]) -> Said {
        self.docker_with(words, "").await
    }

    pub async fn docker_with(&self, words: &[&str], input: &str) -> Said {
        let mut client = Command::new("docker")
            .args(words)
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.dir.path().join("client"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        // a client that reads no input may be gone already
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = client.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// An image of one small file.
fn archive() -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, "hello", b"hello");
    let layer = layer.into_inner().unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &layer);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["say", "default"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{hex}")]},
    });
    let manifest =
        json!([{"Config": "config.json", "RepoTags": ["busybox:latest"], "Layers": ["layer.tar"]}]);
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "layer.tar", &layer);
    add(&mut archive, "config.json", config.to_string().as_bytes());
    add(&mut archive, "manifest.json", manifest.to_string().as_bytes());
    archive.into_inner().unwrap()
}

pub fn add(archive: &mut tar::Builder<Vec<u8>>, path: impl AsRef<Path>, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    // whoever runs the tests
    header.set_uid(nix::unistd::getuid().as_raw().into());
    header.set_gid(nix::unistd::getgid().as_raw().into());
    archive.append_data(&mut header, path, content).unwrap();
}
