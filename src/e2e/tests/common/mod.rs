//! One appliance on a profile of its own, in a network of its own, and the real kubectl beside it.

// each test file uses a part of this
#![allow(dead_code)]

pub mod footprint;
pub mod helm;
pub mod https;
pub mod images;
pub mod lab;
pub mod loops;
pub mod redis;
pub mod registry;
pub mod tap;
pub mod volumes;

use footprint::footprint;
use lab::Lab;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where the programs are; `scripts/test` sets both.
const PROGRAM: &str = "MONOPOD_BIN";
const KUBECTL: &str = "MONOPOD_KUBECTL";
/// Long enough for a loaded machine; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Deleted, with everything that it made, when it is dropped.
pub struct Appliance {
    profile: String,
    program: PathBuf,
    kubectl: PathBuf,
    home: tempfile::TempDir,
    pub lab: Lab,
    before: Vec<String>,
}

/// `None`, loudly, where the programs are not given.
pub fn appliance(profile: &str) -> Option<Appliance> {
    let appliance = unstarted(profile)?;
    appliance.monopod(&["start"]).ok("start");
    Some(appliance)
}

/// One that a test starts by itself.
pub fn unstarted(profile: &str) -> Option<Appliance> {
    let (Some(program), Some(kubectl)) = (std::env::var_os(PROGRAM), std::env::var_os(KUBECTL)) else {
        eprintln!("SKIPPED: {PROGRAM} and {KUBECTL} say where the programs are; `scripts/test` sets them");
        return None;
    };
    let profile = format!("e2e-{profile}");
    let lab = Lab::enter();
    Some(Appliance {
        before: footprint(&profile),
        profile,
        program: program.into(),
        kubectl: kubectl.into(),
        home: tempfile::tempdir().unwrap(),
        lab,
    })
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
        self.run(&self.program, &[&["-p", &self.profile], arguments].concat())
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Answer {
        self.run(&self.kubectl, arguments)
    }

    /// `kubectl … -f -` with the manifest.
    pub fn kubectl_with(&self, arguments: &[&str], manifest: &str) -> Answer {
        let path = self.home.path().join("manifest.yaml");
        // what begins with a brace would be JSON to an older kubectl
        std::fs::write(&path, format!("---\n{manifest}")).unwrap();
        self.kubectl(&[arguments, &["-f", path.to_str().unwrap()]].concat())
    }

    /// Looks again until kubectl prints what is wanted.
    pub fn until(&self, arguments: &[&str], want: &str) {
        self.until_it(arguments, &format!("{want:?}"), |seen| seen == want);
    }

    /// Looks again until kubectl prints something, and returns that.
    pub fn until_some(&self, arguments: &[&str]) -> String {
        self.until_it(arguments, "something", |seen| !seen.is_empty())
    }

    /// Looks again until kubectl prints that among other things.
    pub fn until_told(&self, arguments: &[&str], want: &str) {
        self.until_it(arguments, &format!("{want:?} in it"), |seen| seen.contains(want));
    }

    fn until_it(&self, arguments: &[&str], wanted: &str, enough: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let seen = self.kubectl(arguments);
            if enough(seen.out().trim()) {
                return seen.out().trim().to_owned();
            }
            let (out, err) = (seen.out(), seen.err());
            assert!(began.elapsed() < PATIENCE, "{arguments:?}: wanted {wanted}, saw {out:?} {err}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Looks again until the line of the shell prints that.
    pub fn until_shell(&self, line: &str, want: &str) {
        let began = Instant::now();
        loop {
            let seen = self.shell(line);
            if seen.out() == want {
                return;
            }
            let (out, err) = (seen.out(), seen.err());
            assert!(began.elapsed() < PATIENCE, "{line}: wanted {want:?}, saw {out:?} {err}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything that was made is gone, and nothing else.
    pub fn nothing_is_left(&self) {
        let began = Instant::now();
        // a process that has ended may take a moment to leave the table
        while footprint(&self.profile) != self.before && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
        }
        let after = footprint(&self.profile);
        let left: Vec<_> = after.iter().filter(|line| !self.before.contains(line)).collect();
        let missing: Vec<_> = self.before.iter().filter(|line| !after.contains(line)).collect();
        assert!(left.is_empty() && missing.is_empty(), "left: {left:#?}\nmissing: {missing:#?}");
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The stock docker command, pointed at this cluster.
    pub fn docker(&self, arguments: &[&str]) -> Answer {
        let program = std::env::var("MONOPOD_DOCKER").unwrap_or_else(|_| "docker".to_owned());
        let mut command = self.command(&program);
        command.args(arguments);
        Answer(self.of_docker(&mut command).output().unwrap())
    }

    /// The environment that `monopod docker-env` prints, and the classic builder, whatever plugins this machine has.
    pub fn of_docker<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let socket = self.places()[1].join("docker.sock");
        command.env("DOCKER_HOST", format!("unix://{}", socket.display())).env("DOCKER_BUILDKIT", "0")
    }

    /// Runs any program on the appliance's machine.
    pub fn shell(&self, line: &str) -> Answer {
        self.run("sh", &["-c", line])
    }

    /// Asks until so many different pods have answered.
    pub fn until_hit(&self, address: &str, pods: usize) {
        let (began, mut hit) = (Instant::now(), std::collections::BTreeSet::new());
        while hit.len() < pods {
            let answer = self.shell(&format!("curl -sS --max-time 5 http://{address}"));
            assert!(began.elapsed() < PATIENCE, "{address}: {hit:?} {}", answer.err());
            if answer.0.status.success() {
                hit.insert(answer.out());
            }
        }
    }

    /// The pids of the sample servers that run in this test's pods whose names begin so, in order.
    pub fn processes(&self, pod: &str) -> Vec<u32> {
        let mut found: Vec<u32> = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                let host =
                    || Command::new("nsenter").args(["-t", &pid.to_string(), "-u", "hostname"]).output();
                line == "/kubia\0"
                    && cgroup.contains(&format!("/{}/", self.profile))
                    && (pod.is_empty()
                        || host().is_ok_and(|host| String::from_utf8_lossy(&host.stdout).starts_with(pod)))
            })
            .collect();
        found.sort_unstable();
        found
    }

    pub fn until_processes(&self, count: usize) {
        let began = Instant::now();
        while self.processes("").len() != count {
            assert!(began.elapsed() < PATIENCE, "wanted {count} containers, saw {:?}", self.processes(""));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The image `busybox` with a shell, in the appliance's store.
    pub fn load_busybox(&self) {
        self.load_busybox_with(&[]);
    }

    pub fn load_busybox_with(&self, programs: &[&str]) {
        let archive = images::busybox(self.home.path(), "busybox:1", programs);
        self.monopod(&["image", "load", archive.to_str().unwrap()]).ok("load busybox");
    }

    pub fn pid(&self) -> String {
        let status = self.monopod(&["status", "-o", "json"]).ok("status");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["detail"]["pid"].to_string()
    }

    /// The daemon's mount tables, of each of its threads: one may have a namespace of its own, as a test's thread has, and what is
    /// mounted in it stands in no other table.
    pub fn mounts_of_daemon(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
        // one that has ended meanwhile has none
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("mountinfo")).ok()).collect()
    }

    /// As the machine may end it at any moment. When this returns, it is gone: it holds no lock, and no port.
    pub fn kill_daemon(&self) {
        let pid = self.pid();
        self.shell(&format!("kill -9 {pid}")).ok("kill the daemon");
        assert!(ends(&pid), "{pid} goes on");
    }

    pub fn places(&self) -> [PathBuf; 2] {
        footprint::places(&self.profile)
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("config")
    }

    /// A directory with a Dockerfile and what it copies.
    pub fn build_context(&self, dockerfile: &str) -> String {
        let directory = self.home.path().join("context");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("Dockerfile"), dockerfile).unwrap();
        std::fs::write(directory.join("app.txt"), "made from a file\n").unwrap();
        directory.display().to_string()
    }

    pub fn kubectl_path(&self) -> String {
        self.kubectl.display().to_string()
    }

    /// kubectl with something on its standard input.
    pub fn kubectl_fed(&self, arguments: &[&str], input: &[u8]) -> Answer {
        let mut command = self.command(&self.kubectl_path());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // it may end before it has read everything, and says so by its exit code
            scope.spawn(move || std::io::Write::write_all(&mut stdin, input));
            Answer(child.wait_with_output().unwrap())
        })
    }

    /// A program with the environment that a user of this cluster has.
    pub fn command(&self, program: &str) -> Command {
        self.of_user(Command::new(program))
    }

    fn of_user(&self, mut command: Command) -> Command {
        command
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.kubeconfig())
            .env_remove("SUDO_USER")
            .env_remove("SUDO_UID")
            .stdin(Stdio::null());
        command
    }

    /// Any program, as the user.
    pub fn program(&self, program: &Path, arguments: &[&str]) -> Answer {
        self.run(program, arguments)
    }

    fn run(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Answer {
        Answer(self.of_user(Command::new(program)).args(arguments).output().unwrap())
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
        if std::thread::panicking() {
            eprintln!("{}", self.monopod(&["logs", "--tail", "60"]).out());
            eprintln!("{}", self.kubectl(&["get", "events,pods", "-A", "-o", "wide"]).out());
            self.monopod(&["delete"]);
            return;
        }
        self.monopod(&["delete"]).ok("delete");
        self.nothing_is_left();
    }
}
