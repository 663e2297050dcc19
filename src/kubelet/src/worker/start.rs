//! Making one container: image, configuration, create, start, postStart hook.

use crate::container_config::{self, Parts};
use crate::env::environment;
use crate::handlers::{self, At};
use crate::kill::Killer;
use crate::pull::{self, NoImage};
use crate::shared::Shared;
use crate::volumes::{Mounted, devices, mounts};
use crate::work_counts::Operation;
use crate::{labels, pod, resolv};
use cri::{ContainerConfig, ContainerId, ContainerState, ContainerStatus, ImageInfo, Mount, SandboxStatus};
use k8s_openapi::api::core::v1::{Container, Pod};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why a container does not run: what its status shows meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartError {
    pub reason: &'static str,
    pub message: String,
    /// That could not be had: the container's own, or that of a volume.
    pub image: Option<String>,
    /// The container was made and has ended: it waits for its next try as every container that ended does.
    pub has_ended: bool,
}

/// In bytes, about: as much as an ended container may say of itself.
const LONGEST_REASON: usize = 4096;

/// Why a container can not begin, where that is long without its middle: it names what its image says, a user or a directory of
/// megabytes, and it is stored with the pod, and told to whoever watches it.
fn bounded(why: String) -> String {
    const HALF: usize = LONGEST_REASON / 2;
    if why.len() <= 2 * HALF {
        return why;
    }
    let (head, tail) = (why.floor_char_boundary(HALF), why.ceil_char_boundary(why.len() - HALF));
    format!("{} ... {}", &why[..head], &why[tail..])
}

impl StartError {
    fn new(reason: &'static str, message: impl std::fmt::Display) -> Self {
        StartError { reason, message: bounded(message.to_string()), image: None, has_ended: false }
    }

    fn ended(self, has_ended: bool) -> Self {
        StartError { has_ended, ..self }
    }
}

/// What became of a try to start a container.
#[derive(Debug)]
pub(crate) enum Started {
    Runs,
    /// The pod is to end: nobody wants it any more.
    GivenUp,
    Failed(StartError),
}

impl From<NoImage> for StartError {
    fn from(no: NoImage) -> Self {
        StartError { image: Some(no.image), ..StartError::new(no.reason, no.message) }
    }
}

pub(crate) struct Start {
    pub shared: Arc<Shared>,
    pub pod: Arc<Pod>,
    pub container: Container,
    pub attempt: u32,
    pub sandbox: SandboxStatus,
    pub mounted: Mounted,
    /// One that was made by an earlier try and never ran.
    pub instead_of: Option<ContainerId>,
    /// A pull is given up when the pod is to end.
    pub living: CancellationToken,
}

impl Start {
    /// Its events are written when this returns.
    pub async fn run(self) -> Started {
        let living = self.living.clone();
        let image = tokio::select! {
            image = pull::ensure_all(&self.shared, &self.pod, &self.container) => image,
            () = living.cancelled() => return Started::GivenUp,
        };
        let done = match image {
            Ok(image) => self.start(image).await,
            Err(none) => Err(StartError::from(none)),
        };
        match done {
            Ok(()) => Started::Runs,
            Err(error) => {
                self.complain(&error);
                Started::Failed(error)
            }
        }
    }

    fn complain(&self, error: &StartError) {
        let message = match error.reason {
            // these two are told by the hook and by the runtime's own words
            "PostStartHookError" => return,
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                error.message.as_str()
            }
            reason => reason,
        };
        self.shared.warn(&self.pod, &self.container.name, "Failed", format!("Error: {message}"));
    }

    async fn start(&self, image: ImageInfo) -> Result<(), StartError> {
        let (runtime, counts) = (&self.shared.runtime, &self.shared.work_counts);
        if let Some(stale) = &self.instead_of {
            let _ = counts.time(Operation::RemoveContainer, runtime.remove_container(stale)).await;
        }
        let config = self.config(image).await?;
        let name = &self.container.name;
        let create = runtime.create_container(&self.sandbox.id, config);
        let id = counts
            .time(Operation::CreateContainer, create)
            .await
            .map_err(|e| StartError::new("CreateContainerError", e))?;
        self.shared.normal(&self.pod, name, "Created", format!("Created container: {name}"));
        let start = counts.time(Operation::StartContainer, runtime.start_container(&id)).await;
        if let Err(error) = start {
            let now = runtime.container(&id).await;
            let has_ended = now.is_ok_and(|status| matches!(status.state, ContainerState::Exited { .. }));
            return Err(StartError::new("RunContainerError", error).ended(has_ended));
        }
        self.shared.normal(&self.pod, name, "Started", format!("Started container {name}"));
        self.post_start(&id).await
    }

    async fn config(&self, image: ImageInfo) -> Result<ContainerConfig, StartError> {
        let (shared, pod, container) = (self.shared.clone(), self.pod.clone(), self.container.clone());
        let (sandbox, mounted, attempt) = (self.sandbox.clone(), self.mounted.clone(), self.attempt);
        // files and bind mounts
        let made = tokio::task::spawn_blocking(move || {
            describe(&shared, &pod, &container, &sandbox, &mounted, attempt, &image)
        });
        let made = made.await.unwrap_or_else(|e| Err(e.to_string()));
        made.map_err(|why| StartError::new("CreateContainerConfigError", why))
    }

    async fn post_start(&self, id: &ContainerId) -> Result<(), StartError> {
        let Some(handler) = self.container.lifecycle.as_ref().and_then(|l| l.post_start.as_ref()) else {
            return Ok(());
        };
        let at = At {
            id: id.clone(),
            container: self.container.clone(),
            address: self.shared.address_of(&self.sandbox),
        };
        let hook = handlers::hook(&self.shared, &at, handler, None);
        let outcome = tokio::select! {
            outcome = hook => outcome,
            () = self.living.cancelled() => return Ok(()),
            () = self.ended(id) => Err("the container ended before its hook did".to_owned()),
        };
        let Err(why) = outcome else { return Ok(()) };
        self.shared.warn(&self.pod, &self.container.name, "FailedPostStartHook", "PostStartHook failed");
        self.kill(id).await;
        Err(StartError::new("PostStartHookError", why).ended(true))
    }

    /// A hook that waits for something which died would wait for ever.
    async fn ended(&self, id: &ContainerId) {
        let mut events = self.shared.runtime.events();
        loop {
            match self.shared.runtime.container(id).await {
                Ok(status) if crate::kill::runs(&status) => {}
                _ => return,
            }
            if matches!(events.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                return std::future::pending().await;
            }
        }
    }

    async fn kill(&self, id: &ContainerId) {
        let Ok(status) = self.shared.runtime.container(id).await else { return };
        if !crate::kill::runs(&status) {
            return;
        }
        let grace_override = CancellationToken::new();
        let killer = Killer { shared: self.shared.clone(), pod: self.pod.clone(), grace_override };
        let grace = Duration::from_secs(pod::grace_seconds(&self.pod));
        let why = Some("FailedPostStartHook".to_owned());
        if let Err(error) = killer.container(&self.sandbox, &status, grace, why).await {
            tracing::warn!(container = self.container.name, %error, "container without its hook does not end");
        }
    }
}

fn describe(
    shared: &Shared,
    pod: &Pod,
    container: &Container,
    sandbox: &SandboxStatus,
    mounted: &Mounted,
    attempt: u32,
    image: &ImageInfo,
) -> Result<ContainerConfig, String> {
    let config = &shared.config;
    let ip = shared.address_of(sandbox);
    let facts = shared.facts(ip);
    let env = environment(pod, container, &facts, mounted, &shared.sources, config.service_environment)?;
    let pod_dir = shared.pod_dir(pod);
    let mut mounts = mounts::of_container(pod, container, mounted, &env)?;
    let devices = devices::of_container(container, mounted)?;
    let is_taken = |mounts: &[Mount], path: &str| mounts.iter().any(|m| m.target == Path::new(path));
    if !is_taken(&mounts, "/etc/hosts") {
        let ip = facts.pod_ip.as_deref();
        mounts.push(file_mount(write_hosts(pod, ip, &config.cluster_domain, &pod_dir)?, "/etc/hosts"));
    }
    let message_path = container.termination_message_path.as_deref().unwrap_or_default();
    // a file is not made in the machine's own /dev for it
    let in_bound_dev = is_taken(&mounts, "/dev") && message_path.starts_with("/dev/");
    if message_path.starts_with('/') && !is_taken(&mounts, message_path) && !in_bound_dev {
        let file = message_file(&pod_dir, &container.name, attempt);
        make_message_file(&file).map_err(|e| format!("make {}: {e}", file.display()))?;
        mounts.push(file_mount(file, message_path));
    }
    let parts = Parts {
        attempt,
        image,
        env,
        mounts,
        devices,
        memory_capacity: config.machine.memory_bytes,
        state_dir: &config.state_dir,
    };
    let mut made = container_config::container(pod, container, parts)?;
    let target = pod::target(pod::spec(pod), &container.name);
    made.pid_of = target.map(|target| running(sandbox, target)).transpose()?;
    made.annotations.insert(labels::GRACE.to_owned(), pod::grace_seconds(pod).to_string());
    Ok(made)
}

fn running(sandbox: &SandboxStatus, name: &str) -> Result<ContainerId, String> {
    let runs = |c: &&ContainerStatus| c.name == name && matches!(c.state, ContainerState::Running { .. });
    let found = sandbox.containers.iter().find(runs);
    found.map(|c| c.id.clone()).ok_or_else(|| format!("unable to find target container {name:?}"))
}

fn file_mount(source: PathBuf, target: &str) -> Mount {
    Mount { source: Some(source), target: PathBuf::from(target), ..Mount::default() }
}

fn write_hosts(pod: &Pod, ip: Option<&str>, domain: &str, pod_dir: &Path) -> Result<PathBuf, String> {
    let own = if pod::host_network(pod::spec(pod)) {
        fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        String::new()
    };
    let file = pod_dir.join("etc-hosts");
    let text = resolv::hosts_file(pod, ip, domain, &own);
    // containers that run have this very file mounted: it is written in place, and only when it says something else
    let there = trees::open_regular(&file).ok().flatten();
    if !there.is_some_and(|there| says(there, &text)) {
        fs::create_dir_all(pod_dir)
            .and_then(|()| trees::overwrite(&file, text.as_bytes()))
            .map_err(|e| format!("write {}: {e}", file.display()))?;
    }
    Ok(file)
}

/// Whether that is all there is. No more is read to know it: a container has the file mounted, and may have made it larger than the
/// memory that we have, which costs it nothing where it is a hole.
fn says(file: impl Read, text: &str) -> bool {
    let mut found = Vec::new();
    let read = file.take(text.len() as u64 + 1).read_to_end(&mut found);
    read.is_ok() && found == text.as_bytes()
}

/// Where a container writes why it ends; found again after a restart of the daemon.
pub(crate) fn message_file(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir.join("containers").join(container).join(attempt.to_string())
}

fn make_message_file(file: &Path) -> io::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(file, "")?;
    // whatever user the container runs as
    fs::set_permissions(file, fs::Permissions::from_mode(0o666))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_reason_the_middle_is_left_out() {
        let half = LONGEST_REASON / 2;
        for (name, given, want) in [
            ("short", "why".to_owned(), "why".to_owned()),
            ("just as long", "w".repeat(2 * half), "w".repeat(2 * half)),
            (
                "longer",
                format!("{}x{}", "a".repeat(half), "b".repeat(half)),
                format!("{} ... {}", "a".repeat(half), "b".repeat(half)),
            ),
            // half of them is no whole number of characters
            ("of three bytes each", "\u{20ac}".repeat(half), {
                let part = "\u{20ac}".repeat(half / 3);
                format!("{part} ... {part}")
            }),
        ] {
            assert_eq!(bounded(given), want, "{name}");
        }
    }

    /// A container makes its hosts file as large as it likes (`dd seek=`): read as a whole when the container began anew, it took all of
    /// the daemon's memory.
    #[test]
    fn of_a_hosts_file_no_more_is_read_than_it_should_have() {
        struct Endless(usize);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                assert!(self.0 <= 4096, "{} bytes were read", self.0);
                let count = buffer.len().min(512);
                buffer[..count].fill(b'x');
                self.0 += count;
                Ok(count)
            }
        }
        assert!(!says(Endless(0), "xxx"));
        for (name, found, want) in [
            ("the same", "127.0.0.1\tlocalhost\n", true),
            ("more", "127.0.0.1\tlocalhost\n10.1.1.1\tx\n", false),
            ("less", "127.0.0.1\t", false),
            ("nothing", "", false),
        ] {
            assert_eq!(says(found.as_bytes(), "127.0.0.1\tlocalhost\n"), want, "{name}");
        }
    }

    /// An image's USER of eight megabytes was kept, stored and sent to every watch with each of its pods.
    #[test]
    fn what_an_image_says_makes_no_status_of_megabytes() {
        let user = "u".repeat(8 << 20);
        let why = format!("unable to find user {user}: no matching entries in passwd file");
        let none = NoImage { image: "big:1".to_owned(), reason: "ErrImagePull", message: why.clone() };
        for error in [StartError::new("CreateContainerError", why), StartError::from(none)] {
            let message = &error.message;
            assert!(message.len() < 5000, "{}: {} bytes", error.reason, message.len());
            assert!(message.starts_with("unable to find user uuu"), "{message}");
            assert!(message.ends_with("uuu: no matching entries in passwd file"), "{message}");
        }
    }
}
