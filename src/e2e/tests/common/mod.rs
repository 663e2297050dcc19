//! One appliance on a profile of its own, and the real kubectl beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where the programs are; `scripts/test` sets both.
const PROGRAM: &str = "MONOPOD_BIN";
const KUBECTL: &str = "MONOPOD_KUBECTL";
const PATIENCE: Duration = Duration::from_secs(10);

/// Deleted, with everything that it made, when it is dropped.
pub struct Appliance {
    profile: String,
    program: PathBuf,
    kubectl: PathBuf,
    home: tempfile::TempDir,
}

/// `None`, loudly, where the programs are not given.
pub fn appliance(profile: &str) -> Option<Appliance> {
    let (Some(program), Some(kubectl)) = (std::env::var_os(PROGRAM), std::env::var_os(KUBECTL)) else {
        eprintln!("SKIPPED: {PROGRAM} and {KUBECTL} say where the programs are; `scripts/test` sets them");
        return None;
    };
    let home = tempfile::tempdir().unwrap();
    let appliance = Appliance {
        profile: format!("e2e-{profile}"),
        program: program.into(),
        kubectl: kubectl.into(),
        home,
    };
    appliance.monopod(&["start"]).ok("start");
    Some(appliance)
}

pub struct Answer(pub Output);

impl Answer {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// What it printed; fails the test where the program failed.
    pub fn ok(&self, what: &str) -> String {
        assert!(self.0.status.success(), "{what}: {}\n{}{}", self.0.status, self.out(), self.err());
        self.out()
    }

    /// What it complained of; fails the test where it did not.
    pub fn refused(&self, what: &str) -> String {
        assert!(!self.0.status.success(), "{what} was not refused: {}", self.out());
        self.err()
    }
}

impl Appliance {
    pub fn monopod(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(&self.program);
        self.run(command.args(["-p", &self.profile]).args(arguments))
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Answer {
        self.run(Command::new(&self.kubectl).args(arguments))
    }

    /// `kubectl … -f -` with the manifest.
    pub fn kubectl_with(&self, arguments: &[&str], manifest: &str) -> Answer {
        let path = self.home.path().join("manifest.yaml");
        std::fs::write(&path, manifest).unwrap();
        self.kubectl(&[arguments, &["-f", path.to_str().unwrap()]].concat())
    }

    /// Looks again until kubectl prints what is wanted.
    pub fn until(&self, arguments: &[&str], want: &str) {
        let began = Instant::now();
        loop {
            let seen = self.kubectl(arguments);
            if seen.out().trim() == want {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{arguments:?}: wanted {want:?}, saw {:?} {}",
                seen.out(),
                seen.err()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn pid(&self) -> String {
        let status = self.monopod(&["status", "-o", "json"]).ok("status");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["detail"]["pid"].to_string()
    }

    pub fn places(&self) -> [PathBuf; 2] {
        [Path::new("/var/lib").join(&self.profile), Path::new("/run").join(&self.profile)]
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("config")
    }

    fn run(&self, command: &mut Command) -> Answer {
        let command = command
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.kubeconfig())
            .env_remove("SUDO_USER");
        Answer(command.stdin(Stdio::null()).output().unwrap())
    }
}

/// Whether the process ends in time. One that only waits to be reaped has ended.
pub fn ends(pid: &str) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if status.is_empty() || status.contains("State:\tZ") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let deleted = self.monopod(&["delete"]);
        if !std::thread::panicking() {
            deleted.ok("delete");
        }
    }
}
