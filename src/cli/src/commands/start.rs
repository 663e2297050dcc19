//! `monopod start`: checks the machine, starts a daemon in the background or is one itself, and shows how it comes up.

use super::datastore::DatastoreFiles;
use super::{CommandLine, OutputArgument, Setting, update_context};
use crate::control_client::{self, Presence, presence};
use crate::failures::{self, Failure};
use crate::interruption::Interruption;
use crate::kubeconfig::Kubeconfig;
use crate::output::{self, Format};
use crate::{at_boot, thread_caches};
use anyhow::Result;
use appliance::{DaemonMemory, Datastore, DatastoreEndpoint, MaxPods, Paths, StartOptions, Step};
use clap::CommandFactory;
use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::signal::Signal;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Where the docker command looks when nobody tells it.
const STANDARD_SOCKET: &str = "/var/run/docker.sock";

#[derive(clap::Args)]
pub struct Start {
    /// Stay in this terminal instead of going to the background.
    #[arg(long)]
    pub(super) foreground: bool,
    /// The API server's port; chosen at the first start, 8443 where it is free.
    #[arg(long)]
    apiserver_port: Option<u16>,
    /// A name or an address that the API server's certificate holds beside this machine's own, for clients that come by it;
    /// kept for later starts.
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    apiserver_name: Vec<String>,
    /// A registry (host or host:port) that may speak plain HTTP, or HTTPS with a certificate that nobody vouches for; kept
    /// for later starts.
    #[arg(long, value_name = "HOST")]
    insecure_registry: Vec<String>,
    /// Ask this registry before docker.io; kept for later starts.
    #[arg(long, value_name = "URL")]
    registry_mirror: Vec<String>,
    /// Also listen for docker at PATH, or with "standard" at /var/run/docker.sock, where every docker command looks; "own"
    /// takes that back. Kept for later starts.
    #[arg(long, value_name = "PATH", value_parser = docker_socket)]
    docker_socket: Option<DockerSocket>,
    /// Go on with what is there where the store has lost something that was acknowledged, and say what.
    #[arg(long)]
    accept_loss: bool,
    /// What the daemon itself may have of the machine's memory (2Gi), so that no fault of its own takes all of it; "default" is
    /// half, "unlimited" takes the limit away. Containers are not under it. Kept for later starts.
    #[arg(long, value_name = "AMOUNT")]
    daemon_memory: Option<DaemonMemory>,
    /// How many pods the node takes, 110 at first; kept for later starts.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_pods: Option<MaxPods>,
    /// Tell of requests to the API in an audit log, as this policy (audit.k8s.io/v1) says; "none" takes that back. The file is
    /// read at each start. Kept for later starts.
    #[arg(long, value_name = "FILE", value_parser = kept_file)]
    audit_policy: Option<KeptFile>,
    /// Where the audit log is written, a line of JSON for each event; "none" is the profile's own directory. Kept for later
    /// starts.
    #[arg(long, value_name = "FILE", value_parser = kept_file)]
    audit_log: Option<KeptFile>,
    /// Believe tokens of these OpenID Connect issuers, and anonymous requests or none (apiserver.config.k8s.io, kind
    /// AuthenticationConfiguration); "none" takes that back. The file is read when it changes. Kept for later starts.
    #[arg(long, value_name = "FILE", value_parser = kept_file)]
    authentication_config: Option<KeptFile>,
    /// Ask these whether somebody may do something, in their order: RBAC, webhooks (apiserver.config.k8s.io, kind
    /// AuthorizationConfiguration); "none" takes that back. The file is read when it changes. Kept for later starts.
    #[arg(long, value_name = "FILE", value_parser = kept_file)]
    authorization_config: Option<KeptFile>,
    /// Encrypt Secrets, or what else this file names, where they are stored (apiserver.config.k8s.io/v1, kind
    /// EncryptionConfiguration). What is stored in another form is written anew by the start; "none" takes the file back, once
    /// nothing is encrypted any more. It is read at each start. Kept for later starts.
    #[arg(long, value_name = "FILE", value_parser = kept_file)]
    encryption_provider_config: Option<KeptFile>,
    /// Place pods by these profiles (kubescheduler.config.k8s.io/v1, kind KubeSchedulerConfiguration); "none" takes that back. The
    /// file is read at each start. Kept for later starts.
    #[arg(long, value_name = "FILE", value_parser = kept_file)]
    scheduler_config: Option<KeptFile>,
    /// Keep the cluster's state in an etcd cluster (https://HOST:2379,…) instead of a file of the profile; kept for later starts. A
    /// state that is there already is brought along by `monopod datastore copy`.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    datastore_endpoint: Vec<DatastoreEndpoint>,
    #[command(flatten)]
    datastore_files: DatastoreFiles,
    /// Go on with the state that a profile of the same name on another machine has left in etcd.
    #[arg(long)]
    datastore_take_over: bool,
    /// Start the Docker half alone, without Kubernetes beside it; kept for later starts, until `--no-kubernetes=false`.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    no_kubernetes: Option<bool>,
    /// Start this profile with the machine from now on, by a systemd unit; `--at-boot=false` takes that back.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    at_boot: Option<bool>,
    /// Leave the user's kubeconfig alone.
    #[arg(long)]
    no_kubeconfig: bool,
    /// Put the context into the kubeconfig, and keep the current one.
    #[arg(long)]
    keep_context: bool,
    #[command(flatten)]
    output: OutputArgument,
    /// Report each step as a JSON line on standard output: how the daemon talks to the `start` that waits for it.
    #[arg(long, hide = true)]
    report: bool,
    #[command(flatten)]
    of_machines: MachineFlags,
}

fn server_name(text: &str) -> Result<String, String> {
    match appliance::is_server_name(text) {
        true => Ok(text.to_owned()),
        false => Err("it is neither an address nor a DNS name".to_owned()),
    }
}

/// Where the Docker socket is beside the profile's own place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DockerSocket(Option<PathBuf>);

fn docker_socket(text: &str) -> Result<DockerSocket, String> {
    match text {
        "standard" => Ok(DockerSocket(Some(STANDARD_SOCKET.into()))),
        "own" => Ok(DockerSocket(None)),
        path if path.starts_with('/') => Ok(DockerSocket(Some(path.into()))),
        _ => Err("give an absolute path, \"standard\" or \"own\"".to_owned()),
    }
}

/// A file of the user that later starts ask for again, from wherever they are typed; `None` for "none".
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeptFile(Option<PathBuf>);

fn kept_file(text: &str) -> Result<KeptFile, String> {
    match text {
        "none" => Ok(KeptFile(None)),
        path => std::path::absolute(path).map(|path| KeptFile(Some(path))).map_err(|e| e.to_string()),
    }
}

impl KeptFile {
    /// As it was typed.
    fn word(&self) -> &OsStr {
        self.0.as_deref().unwrap_or(Path::new("none")).as_os_str()
    }
}

/// What others need to make a machine with. Accepted, so that scripts go on working, and said to be without effect.
#[derive(clap::Args)]
struct MachineFlags {
    #[arg(long, hide = true)]
    driver: Option<String>,
    #[arg(long, hide = true)]
    container_runtime: Option<String>,
    #[arg(long, hide = true)]
    cpus: Option<String>,
    #[arg(long, hide = true)]
    memory: Option<String>,
    #[arg(long, hide = true)]
    disk_size: Option<String>,
}

impl MachineFlags {
    fn given(&self) -> Vec<&'static str> {
        let flags = [
            ("--driver", &self.driver),
            ("--container-runtime", &self.container_runtime),
            ("--cpus", &self.cpus),
            ("--memory", &self.memory),
            ("--disk-size", &self.disk_size),
        ];
        flags.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect()
    }
}

/// A daemon that runs as wanted.
struct Up {
    ran_before: bool,
    without_kubernetes: bool,
    /// Whether the user's kubeconfig has the context.
    has_context: bool,
}

impl Start {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let began = Instant::now();
        if self.foreground {
            thread_caches::leave();
        }
        if let Some(missing) = appliance::preflight().first() {
            return Err(Failure::from(*missing).because(format!("start {}", setting.paths.profile)));
        }
        // who waits for the steps has looked, and hears of a daemon that came meanwhile by the lock
        if self.foreground && self.report {
            return self.stay(setting);
        }
        if self.foreground {
            return match presence(&setting.paths) {
                Presence::Running(_) => {
                    Err(failures::STATE_IN_USE
                        .because(format!("{} is running already", setting.paths.profile)))
                }
                Presence::Broken(why) => Err(failures::NO_ANSWER.because(why)),
                Presence::Forbidden(why) => Err(failures::NOT_ROOT.because(why)),
                Presence::Stopped => self.stay(setting),
            };
        }
        let interruption = Interruption::watch();
        let progress = Progress::new(self.output.output);
        for flag in self.of_machines.given() {
            let what = format!("{flag} has no effect: pods run on this machine itself");
            progress.show(&Step::Noted { what });
        }
        let up = self.bring_up(setting, &interruption, &mut |step| progress.show(step))?;
        self.set_at_boot(setting, &progress)?;
        at_boot::hand_over(&setting.paths)?;
        if up.ran_before {
            progress.bar.finish_and_clear();
            println!("{} is running already", setting.paths.profile);
            return Ok(ExitCode::SUCCESS);
        }
        progress.say_done(setting, began.elapsed(), &up)
    }

    fn set_at_boot(&self, setting: &Setting, progress: &Progress) -> Result<()> {
        let profile = &setting.paths.profile;
        let what = match self.at_boot {
            None => return Ok(()),
            Some(true) => {
                at_boot::enable(profile)?;
                format!("{profile} starts with the machine: {}", at_boot::unit_name(profile))
            }
            Some(false) => match at_boot::disable(profile)? {
                true => format!("{profile} starts with the machine no more"),
                false => format!("{profile} did not start with the machine"),
            },
        };
        progress.show(&Step::Noted { what });
        Ok(())
    }

    /// Starts the daemon where it does not run as wanted; what was paused goes on, and no stop is scheduled any more.
    fn bring_up(
        &self,
        setting: &Setting,
        interruption: &Interruption,
        show: &mut dyn FnMut(&Step),
    ) -> Result<Up> {
        let paths = &setting.paths;
        let runs = match presence(paths) {
            Presence::Broken(why) => return Err(failures::NO_ANSWER.because(why)),
            Presence::Forbidden(why) => return Err(failures::NOT_ROOT.because(why)),
            Presence::Running(status)
                if self.no_kubernetes.is_none_or(|no| no == status.without_kubernetes) =>
            {
                true
            }
            Presence::Running(_) => {
                let what =
                    "the daemon is started anew: with Kubernetes, or without it, is another way to run";
                show(&Step::Noted { what: what.to_owned() });
                at_boot::end(paths)?;
                false
            }
            Presence::Stopped => false,
        };
        if runs && let Some(asked) = self.datastore()? {
            self.is_used_already(paths, &asked)?;
        }
        match runs {
            false => {
                let mut daemon = interruption.guard(|| self.spawn(setting))?;
                let started = wait_for(&mut daemon, paths, show);
                if interruption.finish() || ended_by_ctrl_c(&mut daemon) {
                    daemon.wait()?;
                    return Err(failures::INTERRUPTED.because(format!("start {}", paths.profile)));
                }
                started?;
            }
            true => {
                for flag in self.read_at_start() {
                    let what = format!("{flag} has no effect on a daemon that runs: stop it first");
                    show(&Step::Noted { what });
                }
            }
        }
        let status = control_client::status(paths)?;
        if status.stops_at.is_some() {
            control_client::cancel_stop(paths)?;
            show(&Step::Noted { what: "the stop that was scheduled is cancelled".to_owned() });
        }
        if status.paused.is_some() {
            let count = control_client::unpause(paths, None)?;
            show(&Step::Noted { what: format!("it was paused: {count} containers go on") });
        }
        let has_context = !status.without_kubernetes && self.point_kubectl(setting, show)?;
        Ok(Up { ran_before: runs, without_kubernetes: status.without_kubernetes, has_context })
    }

    /// What was given of what the daemon looks at when it starts.
    fn read_at_start(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("--apiserver-port", self.apiserver_port.is_some()),
            ("--apiserver-name", !self.apiserver_name.is_empty()),
            ("--insecure-registry", !self.insecure_registry.is_empty()),
            ("--registry-mirror", !self.registry_mirror.is_empty()),
            ("--docker-socket", self.docker_socket.is_some()),
            ("--daemon-memory", self.daemon_memory.is_some()),
            ("--max-pods", self.max_pods.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        given.chain(self.kept_files().map(|(flag, _)| flag))
    }

    fn kept_files(&self) -> impl Iterator<Item = (&'static str, &KeptFile)> {
        let all = [
            ("--audit-policy", &self.audit_policy),
            ("--audit-log", &self.audit_log),
            ("--authentication-config", &self.authentication_config),
            ("--authorization-config", &self.authorization_config),
            ("--encryption-provider-config", &self.encryption_provider_config),
            ("--scheduler-config", &self.scheduler_config),
        ];
        all.into_iter().filter_map(|(flag, file)| Some((flag, file.as_ref()?)))
    }

    fn datastore(&self) -> Result<Option<Datastore>> {
        if self.datastore_endpoint.is_empty() && self.datastore_files.are_given() {
            let what = "the files of a datastore need its --datastore-endpoint <URL> beside them";
            CommandLine::command().error(ErrorKind::MissingRequiredArgument, what).exit();
        }
        self.datastore_files.datastore(&self.datastore_endpoint)
    }

    /// The daemon itself.
    fn stay(&self, setting: &Setting) -> Result<ExitCode> {
        let options = StartOptions {
            api_port: self.apiserver_port,
            api_names: self.apiserver_name.clone(),
            insecure_registries: self.insecure_registry.clone(),
            registry_mirrors: self.registry_mirror.clone(),
            docker_socket: self.docker_socket.clone().map(|DockerSocket(place)| place),
            accept_loss: self.accept_loss,
            daemon_memory: self.daemon_memory,
            max_pods: self.max_pods,
            audit_policy: self.audit_policy.clone().map(|KeptFile(path)| path),
            audit_log: self.audit_log.clone().map(|KeptFile(path)| path),
            authentication_config: self.authentication_config.clone().map(|KeptFile(path)| path),
            authorization_config: self.authorization_config.clone().map(|KeptFile(path)| path),
            encryption_provider_config: self.encryption_provider_config.clone().map(|KeptFile(path)| path),
            scheduler_config: self.scheduler_config.clone().map(|KeptFile(path)| path),
            datastore: self.datastore()?,
            take_over: self.datastore_take_over,
            kubernetes: self.no_kubernetes.map(|no| !no),
            log_to_file: self.report,
        };
        let report = self.report;
        let profile = setting.paths.profile.clone();
        let step = move |step: Step| {
            if matches!(step, Step::Ready { .. }) {
                at_boot::tell_ready();
            }
            match report {
                // who started us may have gone: that is no reason to end
                true => {
                    _ = writeln!(std::io::stdout(), "{}", serde_json::to_string(&step).unwrap_or_default())
                }
                false => _ = writeln!(std::io::stderr(), "{profile}: {}", words(&step)),
            }
        };
        match appliance::run(&setting.paths, &options, step) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            // who waits for the pipe has been told
            Err(_) if self.report => Ok(ExitCode::FAILURE),
            Err(error) => Err(Failure::from(&error).because(error)),
        }
    }

    fn spawn(&self, setting: &Setting) -> Result<Child> {
        let mut words: Vec<OsString> = ["start", "--foreground", "--report"].map(OsString::from).into();
        let mut add = |flag: &str, value: &OsStr| words.extend([OsString::from(flag), value.to_owned()]);
        if let Some(port) = self.apiserver_port {
            add("--apiserver-port", port.to_string().as_ref());
        }
        for name in &self.apiserver_name {
            add("--apiserver-name", name.as_ref());
        }
        for host in &self.insecure_registry {
            add("--insecure-registry", host.as_ref());
        }
        if let Some(DockerSocket(place)) = &self.docker_socket {
            add("--docker-socket", place.as_deref().unwrap_or(Path::new("own")).as_os_str());
        }
        if let Some(memory) = &self.daemon_memory {
            add("--daemon-memory", memory.to_string().as_ref());
        }
        if let Some(most) = &self.max_pods {
            add("--max-pods", most.to_string().as_ref());
        }
        for (flag, file) in self.kept_files() {
            add(flag, file.word());
        }
        for url in &self.registry_mirror {
            add("--registry-mirror", url.as_ref());
        }
        if let Some(datastore) = self.datastore()? {
            add("--datastore-endpoint", datastore.endpoints().as_ref());
            if let Some(file) = datastore.cafile() {
                add("--datastore-cafile", file.as_ref());
            }
            if let Some((certificate, key)) = datastore.identity() {
                add("--datastore-certfile", certificate.as_ref());
                add("--datastore-keyfile", key.as_ref());
            }
        }
        words.extend(self.no_kubernetes.map(|no| format!("--no-kubernetes={no}").into()));
        words.extend(self.accept_loss.then(|| "--accept-loss".into()));
        words.extend(self.datastore_take_over.then(|| "--datastore-take-over".into()));
        spawn_daemon(&std::env::current_exe()?, &setting.paths, words)
    }

    /// A daemon that runs does not change where it writes.
    fn is_used_already(&self, paths: &Paths, asked: &Datastore) -> Result<()> {
        let used = appliance::Settings::load(paths).ok().flatten().and_then(|settings| settings.datastore);
        match used {
            Some(used) if used.endpoints() == asked.endpoints() => Ok(()),
            _ => Err(failures::DATASTORE_STATE.because(format!(
                "{} runs with its state somewhere else than in etcd at {}: stop it first",
                paths.profile,
                asked.endpoints()
            ))),
        }
    }

    /// Whether the user's kubeconfig has the context now. One that is not the user's keeps nobody from starting: that is how
    /// `sudo kubectl` leaves it behind, and nothing is wrong with the cluster.
    fn point_kubectl(&self, setting: &Setting, show: &mut dyn FnMut(&Step)) -> Result<bool> {
        if self.no_kubeconfig {
            return Ok(false);
        }
        let user = Kubeconfig::of_user();
        let before = user.current_context();
        let merged = update_context::merge(setting, &user).and_then(|()| match before {
            Some(before) if self.keep_context => user.use_context(&before),
            _ => Ok(()),
        });
        match merged {
            Err(error) if failures::is(&error, failures::KUBECONFIG_OWNER) => {
                let cure = failures::KUBECONFIG_OWNER.cure;
                let what = format!("kubectl is not pointed at the cluster, which runs: {error:#}; {cure}");
                show(&Step::Noted { what });
                Ok(false)
            }
            Err(error) if failures::is(&error, failures::KUBECONFIG) => {
                let what = format!("{} runs, but kubectl is not pointed at it", setting.paths.profile);
                Err(failures::KUBECONFIG.because(format!("{what}: {error:#}")))
            }
            merged => merged.map(|()| true),
        }
    }
}

/// A daemon that outlives us, and tells its steps on its standard output.
///
/// # Errors
/// The program can not be run.
pub(super) fn spawn_daemon(
    program: &Path,
    paths: &Paths,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Child> {
    let mut daemon = Command::new(program);
    daemon.args(["-p", paths.profile.as_str()]).args(words);
    daemon.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(daemon.spawn()?)
}

/// Starts with these flags and says nothing but what `note` is told. Gives whether the user's kubeconfig has the context.
///
/// # Errors
/// As `monopod start`.
pub fn start_quietly(setting: Setting, words: &[String], mut note: impl FnMut(String)) -> Result<bool> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        start: Start,
    }
    let line = std::iter::once("start".to_owned()).chain(words.iter().cloned());
    let start = <Line as clap::Parser>::try_parse_from(line)?.start;
    if let Some(missing) = appliance::preflight().first() {
        return Err(Failure::from(*missing).because(format!("start {}", setting.paths.profile)));
    }
    let up = start.bring_up(&setting, &Interruption::watch(), &mut |step| {
        if let Step::Noted { what } = step {
            note(what.clone());
        }
    })?;
    at_boot::hand_over(&setting.paths)?;
    Ok(up.has_context)
}

/// By the terminal itself, before it had a session of its own.
fn ended_by_ctrl_c(daemon: &mut Child) -> bool {
    let ended = daemon.try_wait().ok().flatten();
    ended.and_then(|how| how.signal()) == Some(Signal::SIGINT as i32)
}

/// Reads the daemon's steps until it is ready, or has failed.
///
/// # Errors
/// Why it failed.
pub(super) fn wait_for(daemon: &mut Child, paths: &Paths, show: &mut dyn FnMut(&Step)) -> Result<()> {
    let steps = daemon.stdout.take().map(BufReader::new);
    for line in steps.into_iter().flat_map(BufRead::lines) {
        match serde_json::from_str(&line?) {
            Ok(Step::Ready { .. }) => return Ok(()),
            Ok(Step::Failed { error }) => {
                daemon.wait()?;
                return Err(Failure::from(&error).because(error));
            }
            Ok(step) => show(&step),
            Err(_) => {}
        }
    }
    let how = daemon.wait()?;
    Err(failures::START_FAILED.because(format!("start {}: the daemon ended with {how}", paths.profile)))
}

fn words(step: &Step) -> String {
    match step {
        Step::Begun { what } => format!("{what} …"),
        Step::Noted { what } => what.clone(),
        Step::Ready { api } => format!("ready at {api}"),
        Step::Failed { error } => format!("failed: {error}"),
    }
}

struct Progress {
    bar: ProgressBar,
    format: Format,
}

impl Progress {
    fn new(format: Format) -> Self {
        let bar = if format == Format::Json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.enable_steady_tick(Duration::from_millis(80));
        Progress { bar, format }
    }

    fn show(&self, step: &Step) {
        match step {
            // a bar that is not on a terminal prints nothing
            Step::Noted { what } => self.bar.suspend(|| eprintln!("! {what}")),
            step => self.bar.set_message(words(step)),
        }
    }

    fn say_done(&self, setting: &Setting, took: Duration, up: &Up) -> Result<ExitCode> {
        self.bar.finish_and_clear();
        let profile = &setting.paths.profile;
        if self.format == Format::Json {
            output::json(
                &serde_json::json!({"profile": profile.as_str(), "status": "Running", "seconds": took.as_secs_f64()}),
            )?;
            return Ok(ExitCode::SUCCESS);
        }
        if up.without_kubernetes {
            println!("{profile} is ready after {:.2} s, without Kubernetes", took.as_secs_f64());
            println!("  next: eval $({} docker-env)", setting.typed());
            return Ok(ExitCode::SUCCESS);
        }
        if !up.has_context {
            println!("{profile} is ready after {:.2} s", took.as_secs_f64());
            println!("  next: {} update-context   # points kubectl at it", setting.typed());
            return Ok(ExitCode::SUCCESS);
        }
        println!(
            "{profile} is ready after {:.2} s; kubectl uses the context \"{profile}\"",
            took.as_secs_f64()
        );
        println!("  next: {} demo   # a tour, with its kubectl commands", setting.typed());
        println!("        kubectl get nodes");
        println!("        kubectl create deployment kubia --image={} --replicas=3", appliance::SAMPLE_IMAGE);
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_docker_socket() {
        for (text, want) in [
            ("standard", Some(DockerSocket(Some(STANDARD_SOCKET.into())))),
            ("own", Some(DockerSocket(None))),
            ("/run/x.sock", Some(DockerSocket(Some("/run/x.sock".into())))),
            ("x.sock", None),
            ("", None),
        ] {
            assert_eq!(docker_socket(text).ok(), want, "{text}");
        }
    }
}
