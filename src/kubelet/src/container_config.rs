//! From a pod and its parts to what the runtime needs. Pure.

use crate::config::KubeletConfig;
use crate::expand::{Budget, TooLong, expand};
use crate::{labels, pod, resources};
use cri::{ContainerConfig, Device, HostPort, ImageInfo, Mount, Protocol, SandboxConfig, Seccomp};
use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Where upstream's seccomp profiles for `Localhost` are, below the state directory.
const SECCOMP_DIR: &str = "seccomp";

pub fn sandbox(pod: &Pod, attempt: u32, config: &KubeletConfig, resolv_conf: String) -> SandboxConfig {
    let spec = pod::spec(pod);
    let host_network = pod::host_network(spec);
    let (hostname, domain) = pod::hostname(pod, &config.cluster_domain);
    let hostname = match domain {
        Some(domain) if spec.set_hostname_as_fqdn == Some(true) => format!("{hostname}.{domain}"),
        _ => hostname,
    };
    let security = spec.security_context.as_ref();
    SandboxConfig {
        name: pod::name(pod).to_owned(),
        namespace: pod::namespace(pod).to_owned(),
        uid: pod::uid(pod).to_owned(),
        attempt,
        hostname: if host_network { config.node_name.clone() } else { hostname },
        log_directory: log_directory(pod, config),
        resolv_conf: Some(resolv_conf),
        // each container gets the file as a mount: only then is the pod's address known
        hosts: None,
        host_network,
        // a pod on the host's network has the host's name as well
        host_uts: host_network,
        host_pid: spec.host_pid == Some(true),
        host_ipc: spec.host_ipc == Some(true),
        share_pid: spec.share_process_namespace == Some(true),
        host_ports: host_ports(pod),
        sysctls: security
            .iter()
            .flat_map(|s| s.sysctls.iter().flatten())
            .map(|s| (s.name.clone(), s.value.clone()))
            .collect(),
        cgroup_parent: resources::cgroup_parent(pod),
        resources: resources::of_pod(spec),
        labels: pod_labels(pod),
        annotations: BTreeMap::from([(
            labels::GRACE.to_owned(),
            spec.termination_grace_period_seconds.unwrap_or(30).to_string(),
        )]),
        ..SandboxConfig::default()
    }
}

pub fn log_directory(pod: &Pod, config: &KubeletConfig) -> PathBuf {
    config.logs_dir().join(format!("{}_{}_{}", pod::namespace(pod), pod::name(pod), pod::uid(pod)))
}

fn pod_labels(pod: &Pod) -> BTreeMap<String, String> {
    let mut all = pod.metadata.labels.clone().unwrap_or_default();
    all.extend(pod_identity(pod));
    all
}

/// Containers have these alone, as upstream has it: a pod may have very many labels of its own, and very many containers.
fn pod_identity(pod: &Pod) -> BTreeMap<String, String> {
    let pairs = [
        (labels::POD_NAME, pod::name(pod)),
        (labels::POD_NAMESPACE, pod::namespace(pod)),
        (labels::POD_UID, pod::uid(pod)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// None of a pod in the host's own network: it listens there itself.
pub fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let spec = pod::spec(pod);
    let containers = pod::all_containers(spec).filter(|_| !pod::host_network(spec));
    let ports = containers.flat_map(|c| c.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let host_port = u16::try_from(port.host_port?).ok().filter(|p| *p != 0)?;
            Some(HostPort {
                protocol: match port.protocol.as_deref() {
                    Some("UDP") => Protocol::Udp,
                    Some("SCTP") => Protocol::Sctp,
                    _ => Protocol::Tcp,
                },
                host_ip: port.host_ip.as_deref().and_then(|ip| ip.parse().ok()),
                host_port,
                container_port: u16::try_from(port.container_port).ok()?,
            })
        })
        .collect()
}

/// What was found out before a container can be described.
pub struct Parts<'a> {
    pub attempt: u32,
    pub image: &'a ImageInfo,
    pub env: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    pub memory_capacity: u64,
    pub state_dir: &'a Path,
}

/// # Errors
/// The message of a `CreateContainerConfigError`.
pub fn container(pod: &Pod, container: &Container, parts: Parts<'_>) -> Result<ContainerConfig, String> {
    let spec = pod::spec(pod);
    let own = container.security_context.clone().unwrap_or_default();
    let whole = spec.security_context.clone().unwrap_or_default();
    verify_non_root(pod, container, &own, &whole, parts.image)?;
    let (command, args) = command_line(container, &parts.env)?;
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let privileged = own.privileged == Some(true);
    let mut resources = resources::of_container(spec, container, parts.memory_capacity);
    // a limit of zero processors or bytes is none
    resources.memory_limit = resources.memory_limit.filter(|m| *m > 0);
    Ok(ContainerConfig {
        name: container.name.clone(),
        attempt: parts.attempt,
        image: parts.image.id.clone(),
        command,
        args,
        working_dir: container.working_dir.clone().filter(|d| !d.is_empty()),
        mounts: parts.mounts,
        devices: parts.devices,
        user: None,
        run_as_user: own.run_as_user.or(whole.run_as_user),
        run_as_group: own.run_as_group.or(whole.run_as_group),
        supplemental_groups: groups(&whole),
        run_as_non_root: own.run_as_non_root.or(whole.run_as_non_root).unwrap_or(false),
        privileged,
        read_only_rootfs: own.read_only_root_filesystem == Some(true),
        no_new_privileges: no_new_privileges(&own, privileged),
        add_capabilities: names(capabilities.add),
        drop_capabilities: names(capabilities.drop),
        seccomp: seccomp(
            own.seccomp_profile.as_ref().or(whole.seccomp_profile.as_ref()),
            privileged,
            parts.state_dir,
        )?,
        proc_unmasked: own.proc_mount.as_deref() == Some("Unmasked"),
        resources,
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        keep_unstartable: true,
        log_path: PathBuf::from(&container.name).join(format!("{}.log", parts.attempt)),
        labels: {
            let mut all = pod_identity(pod);
            all.insert(labels::CONTAINER_NAME.to_owned(), container.name.clone());
            all
        },
        annotations: annotations(container, parts.image),
        env: parts.env,
        ..ContainerConfig::default()
    })
}

/// Command and arguments, with what they refer to; no more than a program can begin with beside its environment.
fn command_line(
    container: &Container,
    env: &[(String, String)],
) -> Result<(Vec<String>, Vec<String>), String> {
    let mut budget = Budget::default();
    for (name, value) in env {
        budget.take(name.len() + 1 + value.len()).map_err(|why| why.to_string())?;
    }
    let known: HashMap<&str, &str> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let mut expanded = |what: &str, list: Option<&Vec<String>>| -> Result<Vec<String>, String> {
        let one = |text: &String| -> Result<String, TooLong> {
            let text = expand(text, |name| known.get(name).copied())?;
            budget.take(text.len()).map(|()| text)
        };
        let words = |why: TooLong| match why {
            TooLong::String => format!("{what} has a part that is {why}"),
            TooLong::Together => why.to_string(),
        };
        list.into_iter().flatten().map(one).collect::<Result<Vec<_>, _>>().map_err(words)
    };
    Ok((expanded("command", container.command.as_ref())?, expanded("args", container.args.as_ref())?))
}

fn annotations(container: &Container, image: &ImageInfo) -> BTreeMap<String, String> {
    let spec_image = container.image.clone().unwrap_or_default();
    let message_path =
        container.termination_message_path.clone().unwrap_or_else(|| "/dev/termination-log".to_owned());
    let policy = container.termination_message_policy.clone().unwrap_or_else(|| "File".to_owned());
    [
        (labels::IMAGE, shown_image(&spec_image, image)),
        (labels::IMAGE_ID, image.repo_digests.first().unwrap_or(&image.id).clone()),
        (labels::SPEC_IMAGE, spec_image),
        (
            labels::RESOURCES,
            serde_json::to_string(&container.resources.clone().unwrap_or_default()).unwrap_or_default(),
        ),
        (labels::MESSAGE_PATH, message_path),
        (labels::MESSAGE_POLICY, policy),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect()
}

/// The full name under which the store knows what the user typed.
fn shown_image(typed: &str, image: &ImageInfo) -> String {
    let same = |full: &&String| {
        full.as_str() == typed
            || full.trim_end_matches(":latest").ends_with(typed.trim_end_matches(":latest"))
    };
    image.repo_tags.iter().find(same).or(image.repo_tags.first()).cloned().unwrap_or_else(|| typed.to_owned())
}

fn groups(whole: &PodSecurityContext) -> Vec<i64> {
    whole.supplemental_groups.iter().flatten().copied().chain(whole.fs_group).collect()
}

fn names(list: Option<Vec<String>>) -> Vec<String> {
    let plain = |name: String| name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name);
    list.into_iter().flatten().map(plain).collect()
}

/// Upstream's `AddNoNewPrivileges`: only where escalation is forbidden, which a privileged container can not be.
fn no_new_privileges(own: &SecurityContext, privileged: bool) -> bool {
    own.allow_privilege_escalation == Some(false) && !privileged
}

fn seccomp(profile: Option<&SeccompProfile>, privileged: bool, state_dir: &Path) -> Result<Seccomp, String> {
    let Some(profile) = profile.filter(|_| !privileged) else { return Ok(Seccomp::Unconfined) };
    match profile.type_.as_str() {
        "Unconfined" => Ok(Seccomp::Unconfined),
        "RuntimeDefault" => Ok(Seccomp::RuntimeDefault),
        "Localhost" => Ok(Seccomp::Localhost(
            state_dir.join(SECCOMP_DIR).join(profile.localhost_profile.as_deref().unwrap_or_default()),
        )),
        // one that was stored before validation refused it
        other => Err(format!("unknown seccomp profile type {other:?}")),
    }
}

fn verify_non_root(
    pod: &Pod,
    container: &Container,
    own: &SecurityContext,
    whole: &PodSecurityContext,
    image: &ImageInfo,
) -> Result<(), String> {
    if own.run_as_non_root.or(whole.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let who = format!("(pod: \"{}\", container: {})", pod::full_name(pod), container.name);
    match own.run_as_user.or(whole.run_as_user) {
        Some(0) => return Err(format!("container's runAsUser breaks non-root policy {who}")),
        Some(_) => return Ok(()),
        None => {}
    }
    let user = image.user.as_deref().unwrap_or_default().split(':').next().unwrap_or_default();
    // as the runtime reads it: a number too large for one is refused by both, and never looked up as a name
    match (user, cri::parse_id(user).map_err(|e| format!("{e} {who}"))?) {
        ("", _) | (_, Some(0)) => Err(format!("container has runAsNonRoot and image will run as root {who}")),
        (_, Some(_)) => Ok(()),
        (name, None) => Err(format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {who}"
        )),
    }
}

#[cfg(test)]
mod tests;
