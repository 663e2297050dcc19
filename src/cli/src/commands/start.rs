//! `monopod start`: checks the machine, starts a daemon in the background or is one itself, and shows how it comes up.

mod flags;
mod progress;
mod values;

use super::daemon_process::{ended_by_ctrl_c, spawn_daemon, wait_for};
use super::datastore::DatastoreFiles;
use super::{OutputArgument, Setting, update_context};
use crate::control_client::{self, Presence, presence};
use crate::failures::{self, Failure};
use crate::interruption::Interruption;
use crate::kubeconfig::Kubeconfig;
use crate::{at_boot, thread_caches};
use anyhow::Result;
use appliance::{DaemonMemory, Datastore, DatastoreEndpoint, MaxPods, Paths, Step};
use progress::{Progress, words};
use std::io::Write;
use std::process::{Child, ExitCode};
use std::time::Instant;
use values::{DockerSocket, KeptFile, MachineFlags, docker_socket, kept_file, server_name};

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
    /// A registry (host or host:port) that may speak plain HTTP, or HTTPS with a certificate that nobody vouches for, or a
    /// network (10.0.0.0/24) of such registries; kept for later starts.
    #[arg(long, value_name = "HOST", value_parser = appliance::insecure_registry)]
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
            progress.clear();
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
            self.ensure_same_datastore(paths, &asked)?;
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

    /// The daemon itself.
    fn stay(&self, setting: &Setting) -> Result<ExitCode> {
        let options = self.options()?;
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
        let words = self.daemon_words()?;
        spawn_daemon(&std::env::current_exe()?, &setting.paths, words)
    }

    /// A daemon that runs does not change where it writes.
    fn ensure_same_datastore(&self, paths: &Paths, asked: &Datastore) -> Result<()> {
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
