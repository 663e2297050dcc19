//! A real etcd, on loopback and in a directory of its own.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::Read;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use store::{Credentials, Etcd};

/// Debian's program; `scripts/test` sets it.
const PROGRAM: &str = "MONOPOD_ETCD";
const PATIENCE: Duration = Duration::from_secs(60);
/// What the tests write below.
pub const PREFIX: &str = "/monopod/test/";

/// Ended, and its data removed, when it is dropped.
pub struct EtcdServer {
    program: PathBuf,
    name: String,
    /// All members, by their names and the addresses at which they meet.
    members: String,
    arguments: Vec<String>,
    running: Option<Child>,
    dir: tempfile::TempDir,
    port: u16,
    peer_port: u16,
}

impl EtcdServer {
    /// `None`, loudly, where there is no etcd.
    pub fn start() -> Option<EtcdServer> {
        EtcdServer::start_with(&[])
    }

    pub fn start_with(arguments: &[&str]) -> Option<EtcdServer> {
        EtcdServer::cluster(1, arguments)?.pop()
    }

    /// So many members of one etcd. `None`, loudly, where there is no etcd.
    pub fn cluster(members: usize, arguments: &[&str]) -> Option<Vec<EtcdServer>> {
        let Some(program) = std::env::var_os(PROGRAM) else {
            eprintln!("SKIPPED: {PROGRAM} says where etcd is; `scripts/test` sets it");
            return None;
        };
        let peers: Vec<(String, u16)> =
            (0..members).map(|number| (format!("etcd-{number}"), free_port())).collect();
        let all: Vec<String> =
            peers.iter().map(|(name, port)| format!("{name}=http://127.0.0.1:{port}")).collect();
        let member = |(name, peer_port): (String, u16)| EtcdServer {
            program: program.clone().into(),
            name,
            members: all.join(","),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            running: None,
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            peer_port,
        };
        let mut servers: Vec<EtcdServer> = peers.into_iter().map(member).collect();
        servers.iter_mut().for_each(EtcdServer::again);
        Some(servers)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// As a loss of power would.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }

    /// Stands still and says nothing, or goes on.
    pub fn signal(&self, signal: &str) {
        let pid = self.running.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// What it has on its disk. It must be stopped.
    pub fn save(&self) -> tempfile::TempDir {
        assert!(self.running.is_none());
        let saved = tempfile::tempdir().unwrap();
        copy_directory(&self.dir.path().join("data"), &saved.path().join("data"));
        saved
    }

    /// As who restores a snapshot. It must be stopped.
    pub fn put_back(&self, saved: &tempfile::TempDir) {
        assert!(self.running.is_none());
        let data = self.dir.path().join("data");
        std::fs::remove_dir_all(&data).unwrap();
        copy_directory(&saved.path().join("data"), &data);
    }

    /// With the same data, at the same port.
    pub fn again(&mut self) {
        assert!(self.running.is_none());
        let (clients, peers) = (self.endpoint(), format!("http://127.0.0.1:{}", self.peer_port));
        let mut command = Command::new(&self.program);
        command.arg("--data-dir").arg(self.dir.path().join("data")).args([
            "--listen-client-urls",
            &clients,
            "--advertise-client-urls",
            &clients,
            "--listen-peer-urls",
            &peers,
            "--initial-advertise-peer-urls",
            &peers,
            "--name",
            &self.name,
            "--initial-cluster",
            &self.members,
        ]);
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running = Some(command.spawn().unwrap());
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(began.elapsed() < PATIENCE, "etcd does not come up: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy_directory(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Stands before an etcd, and breaks every connection after some bytes of its answers: before, between and behind them.
pub fn breaking(endpoint: &str, seed: u64) -> String {
    let target = endpoint.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut random = StdRng::seed_from_u64(seed);
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&target) else { continue };
            // some hold long enough for everything to be read
            let most = if random.random_bool(0.3) { 300_000 } else { 4_000 };
            let budget: u64 = random.random_range(0..most);
            let (mut asks, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asks, &mut to_server));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut (&server).take(budget), &mut (&client));
                let _ = client.shutdown(Shutdown::Both);
                // what was asked last is still read, and done
                let _ = std::io::copy(&mut (&server), &mut std::io::sink());
            });
        }
    });
    format!("http://{address}")
}

pub fn place(endpoints: &[&str]) -> Etcd {
    Etcd {
        endpoints: endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
        credentials: Credentials::default(),
        prefix: PREFIX.to_owned(),
    }
}

/// Below those that the kernel gives to whoever connects: no other test has it by the time that etcd listens there, or does so again
/// after its end.
fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    loop {
        // each test is a process; its own ports are some apart from those of its neighbour
        let number = std::process::id().wrapping_mul(16).wrapping_add(ASKED.fetch_add(1, Relaxed));
        let port = 10_000 + u16::try_from(number % 20_000).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
