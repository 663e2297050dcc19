//! Pure: what Docker's words for a container mean for the runtime.

use crate::config::DockerConfig;
use crate::error::{ApiError, Result};
use crate::model::{Config, HostConfig, Limits, PortBinding};
use crate::networks::{HOST, NONE};
use crate::record::{Container, LABEL, MountKind, Mounted, Record};
use crate::{devices, logging, mounts, seccomp};
use cri::{
    ContainerConfig, HostPort, Mount, OverlayRootfs, Propagation, Protocol, Resources, Rlimit, SandboxConfig,
};
use image::{Healthcheck, RunConfig};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const USUAL_SHM: i64 = 64 << 20; // bytes
const DEFAULT_PERIOD: i64 = 100_000; // microseconds: the kernel's own

/// Where ports lead from that name no address of the machine, for a container whose network says so.
pub(crate) fn bind_ports(host: &mut HostConfig, network: Option<&str>) {
    let Some(address) = network else { return };
    let open = |binding: &&mut PortBinding| binding.host_ip.is_empty();
    let bindings = host.port_bindings.values_mut().flatten().flatten();
    bindings.filter(open).for_each(|binding| binding.host_ip = address.to_owned());
}

/// Fills in what the image says.
pub(crate) fn with_image(mut config: Config, image: &RunConfig) -> Config {
    let said = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let own: BTreeSet<String> = config.env.iter().map(|entry| said(entry)).collect();
    let inherited = image.env.iter().filter(|entry| !own.contains(&said(entry))).cloned();
    config.env = std::mem::take(&mut config.env).into_iter().chain(inherited).collect();
    if config.entrypoint.is_none() {
        config.entrypoint = image.entrypoint.clone();
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd = image.cmd.clone();
        }
    }
    // `--entrypoint ""`
    config.entrypoint = config.entrypoint.filter(|words| words.iter().any(|word| !word.is_empty()));
    for (text, default) in [(&mut config.user, &image.user), (&mut config.working_dir, &image.working_dir)] {
        if text.is_empty() {
            *text = default.clone();
        }
    }
    for (name, value) in &image.labels {
        config.labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for port in image.exposed_ports.keys() {
        config.exposed_ports.entry(port.clone()).or_insert_with(|| serde_json::json!({}));
    }
    for volume in image.volumes.keys() {
        config.volumes.entry(volume.clone()).or_insert_with(|| serde_json::json!({}));
    }
    config.stop_signal = config.stop_signal.or_else(|| image.stop_signal.clone());
    config.healthcheck = match (config.healthcheck, &image.healthcheck) {
        (Some(own), Some(theirs)) => Some(with_images_check(own, theirs)),
        (own, theirs) => own.or_else(|| theirs.clone()),
    };
    config
}

/// `--health-retries 5` alone changes nothing else of the image's check.
fn with_images_check(own: Healthcheck, image: &Healthcheck) -> Healthcheck {
    let or = |own: i64, image: i64| if own == 0 { image } else { own };
    Healthcheck {
        interval: or(own.interval, image.interval),
        timeout: or(own.timeout, image.timeout),
        start_period: or(own.start_period, image.start_period),
        start_interval: or(own.start_interval, image.start_interval),
        retries: or(own.retries, image.retries),
        test: if own.test.is_empty() { image.test.clone() } else { own.test },
    }
}

/// What Docker writes where nothing was said.
pub(crate) fn with_defaults(host: &mut HostConfig, unified: bool) {
    let or = |text: &mut String, default: &str| {
        if text.is_empty() {
            *text = default.to_owned();
        }
    };
    or(&mut host.ipc_mode, "private");
    or(&mut host.cgroupns_mode, if unified && !host.privileged { "private" } else { "host" });
    or(&mut host.restart_policy.name, "no");
    or(&mut host.log_config.kind, logging::JSON_FILE);
    or(&mut host.runtime, "runc");
    if host.shm_size == 0 {
        host.shm_size = USUAL_SHM;
    }
    let limits = &mut host.limits;
    if limits.memory > 0 && limits.memory_swap == 0 {
        // as much swap as memory
        limits.memory_swap = limits.memory.saturating_mul(2);
    }
    limits.pids_limit = limits.pids_limit.filter(|pids| *pids > 0);
    host.memory_swappiness = host.memory_swappiness.filter(|s| *s != -1);
    host.oom_kill_disable = Some(host.oom_kill_disable == Some(true));
}

/// The whole command line.
pub(crate) fn arguments(config: &Config) -> Vec<String> {
    config.entrypoint.iter().chain(&config.cmd).flatten().cloned().collect()
}

pub(crate) fn sandbox(record: &Record, config: &DockerConfig, logs: &Path) -> Result<SandboxConfig> {
    let host = &record.host;
    Ok(SandboxConfig {
        name: record.name.clone(),
        uid: record.id.clone(),
        hostname: record.config.hostname.clone(),
        log_directory: logs.to_owned(),
        host_network: host.network_mode == HOST,
        no_network: host.network_mode == NONE,
        host_pid: host.pid_mode == "host",
        host_ipc: host.ipc_mode == "host",
        host_uts: host.uts_mode == HOST,
        domainname: record.config.domainname.clone(),
        shm_size: match (host.ipc_mode.as_str(), u64::try_from(host.shm_size)) {
            ("none", _) => Some(0),
            (_, Ok(size)) if size > 0 => Some(size),
            _ => None,
        },
        host_ports: host_ports(record)?,
        sysctls: host.sysctls.clone(),
        cgroup_parent: format!("{}/{}", config.cgroup_parent, record.id),
        labels: [(LABEL.to_owned(), record.id.clone())].into(),
        ..SandboxConfig::default()
    })
}

/// What is looked at when a container is made; the rest of it only when it starts.
pub(crate) fn check(record: &Record) -> Result<()> {
    seccomp::security(&record.host)?;
    logging::check(&record.host.log_config)?;
    record.host.device_cgroup_rules.iter().try_for_each(|rule| devices::rule(rule).map(drop))?;
    host_ports(record).map(drop)
}

pub(crate) fn container(record: &Record, container: &Container) -> Result<ContainerConfig> {
    let (config, host) = (&record.config, &record.host);
    if let Some(request) = host.device_requests.first() {
        return Err(devices::no_driver(request));
    }
    let env = config.env.iter().filter_map(|e| e.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned()));
    let security = seccomp::security(host)?;
    let mounts = record.mounts.iter().map(mount).collect::<Result<Vec<_>>>()?;
    let device_rules = host.device_cgroup_rules.iter().map(|rule| devices::rule(rule));
    Ok(ContainerConfig {
        name: record.name.clone(),
        image: record.image.clone(),
        command: arguments(config),
        working_dir: Some(config.working_dir.clone()).filter(|dir| !dir.is_empty()),
        env: env.collect(),
        mounts,
        devices: devices::of(&host.devices)?,
        device_rules: device_rules.collect::<Result<_>>()?,
        user: Some(config.user.clone()).filter(|user| !user.is_empty()),
        group_names: host.group_add.clone(),
        privileged: host.privileged,
        read_only_rootfs: host.readonly_rootfs,
        no_new_privileges: security.no_new_privileges,
        seccomp: security.seccomp,
        add_capabilities: capabilities(&host.cap_add),
        drop_capabilities: capabilities(&host.cap_drop),
        proc_unmasked: security.unmasked,
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        cgroup_namespace: match host.cgroupns_mode.as_str() {
            "private" => Some(true),
            "host" => Some(false),
            _ => None,
        },
        writable_cgroups: security.writable_cgroups,
        terminal_size: terminal_size(host),
        init: host.init == Some(true),
        logging: logging::plan(&host.log_config)?,
        resources: Resources {
            memory_swappiness: host.memory_swappiness.and_then(|s| u64::try_from(s).ok()),
            oom_kill_disable: host.oom_kill_disable == Some(true),
            io_limits: devices::io_limits(host)?,
            ..resources(&host.limits)
        },
        stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        tty: config.tty,
        log_path: PathBuf::from("container.log"),
        stop_signal: config.stop_signal.clone(),
        labels: [(LABEL.to_owned(), record.id.clone())].into(),
        root: Some(OverlayRootfs { layers: Vec::new(), upper: container.upper(), work: container.work() }),
        copy_up: record.mounts.iter().filter(|m| m.copy).map(|m| m.target.clone()).collect(),
        rlimits: host.ulimits.iter().map(rlimit).collect(),
        ..ContainerConfig::default()
    })
}

fn mount(mounted: &Mounted) -> Result<Mount> {
    let propagation = match mounted.propagation.as_str() {
        "shared" | "rshared" => Propagation::Bidirectional,
        "slave" | "rslave" => Propagation::HostToContainer,
        _ => Propagation::Private,
    };
    let subpath = Some(&mounted.subpath).filter(|part| !part.is_empty());
    // a part of an image is looked for when it is there
    if let Some(part) = subpath.filter(|_| mounted.kind != MountKind::Image) {
        mounts::check_part(&mounted.source, part)?;
    }
    let options = match (mounted.kind, mounted.read_only) {
        (MountKind::Tmpfs, _) => mounted.options.clone(),
        // what is mounted below a read-only mount is read-only as well
        (_, true) => {
            let below = if mounted.writable_below { "ro" } else { "rro" };
            [if mounted.non_recursive { "bind" } else { "rbind" }, below].map(str::to_owned).to_vec()
        }
        (_, false) if mounted.non_recursive => vec!["bind".to_owned(), "rw".to_owned()],
        (_, false) => Vec::new(),
    };
    Ok(Mount { propagation, size_limit: mounted.size, options, ..seen(mounted) })
}

/// What it is, without how it is mounted.
pub(crate) fn seen(mounted: &Mounted) -> Mount {
    Mount {
        source: matches!(mounted.kind, MountKind::Bind | MountKind::Volume).then(|| mounted.source.clone()),
        image: (mounted.kind == MountKind::Image).then(|| mounted.image.clone()),
        subpath: Some(&mounted.subpath).filter(|part| !part.is_empty()).map(PathBuf::from),
        target: mounted.target.clone(),
        read_only: mounted.read_only,
        ..Mount::default()
    }
}

/// Rows and columns, as Docker writes them; nothing where the client has no terminal.
fn terminal_size(host: &HostConfig) -> Option<(u16, u16)> {
    host.console_size.filter(|size| *size != [0, 0]).map(|[rows, columns]| (columns, rows))
}

pub(crate) fn rlimit(limit: &crate::model::Ulimit) -> Rlimit {
    let number = |value: i64| u64::try_from(value).unwrap_or(u64::MAX); // -1 is: no limit
    Rlimit { name: limit.name.clone(), soft: number(limit.soft), hard: number(limit.hard) }
}

fn capabilities(names: &[String]) -> Vec<String> {
    names
        .iter()
        .map(|n| n.to_ascii_uppercase())
        .map(|n| n.strip_prefix("CAP_").map(str::to_owned).unwrap_or(n))
        .collect()
}

/// Zero is: nothing said.
pub(crate) fn resources(limits: &Limits) -> Resources {
    let from_cpus = limits.nano_cpus * DEFAULT_PERIOD / 1_000_000_000;
    let quota = if limits.nano_cpus > 0 { from_cpus } else { limits.cpu_quota };
    let swap = match limits.memory_swap {
        // as much swap as memory
        0 if limits.memory > 0 => Some(limits.memory.saturating_mul(2)),
        0 => None,
        said => Some(said),
    };
    Resources {
        cpu_shares: u64::try_from(limits.cpu_shares).ok().filter(|shares| *shares > 0),
        cpu_quota: Some(quota).filter(|quota| *quota != 0),
        cpu_period: (limits.nano_cpus > 0)
            .then_some(DEFAULT_PERIOD as u64)
            .or(Some(limits.cpu_period).filter(|period| *period > 0)),
        cpuset_cpus: Some(limits.cpuset_cpus.clone()).filter(|cpus| !cpus.is_empty()),
        memory_limit: Some(limits.memory).filter(|memory| *memory > 0),
        memory_swap_limit: swap,
        memory_reservation: Some(limits.memory_reservation).filter(|bytes| *bytes > 0),
        cpuset_mems: Some(limits.cpuset_mems.clone()).filter(|mems| !mems.is_empty()),
        blkio_weight: Some(limits.blkio_weight).filter(|weight| *weight > 0),
        pids_limit: limits.pids_limit.filter(|pids| *pids != 0),
        oom_score_adj: (limits.oom_score_adj != 0).then_some(limits.oom_score_adj),
        ..Resources::default()
    }
}

/// `80/tcp` → its number and protocol.
pub(crate) fn port(text: &str) -> Result<(u16, Protocol)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        other => return Err(ApiError::bad(format_args!("invalid protocol: {other}"))),
    };
    let number = number.parse().map_err(|_| ApiError::bad(format_args!("invalid port: {text}")))?;
    Ok((number, protocol))
}

/// Those whose host port is said, or was chosen at the start.
pub(crate) fn host_ports(record: &Record) -> Result<Vec<HostPort>> {
    let mut all = Vec::new();
    if [HOST, NONE].contains(&record.host.network_mode.as_str()) {
        return Ok(all);
    }
    for (text, bindings) in &record.host.port_bindings {
        let (container_port, protocol) = port(text)?;
        for binding in bindings.iter().flatten() {
            all.push(HostPort {
                protocol,
                host_ip: host_ip(binding)?,
                host_port: parse_host_port(binding)?,
                container_port,
            });
        }
    }
    Ok(all)
}

fn host_ip(binding: &PortBinding) -> Result<Option<std::net::IpAddr>> {
    if binding.host_ip.is_empty() {
        return Ok(None);
    }
    let bad = |_| ApiError::bad(format_args!("invalid IP address: {}", binding.host_ip));
    binding
        .host_ip
        .parse()
        .map(Some)
        .map_err(bad)
        .map(|ip: Option<std::net::IpAddr>| ip.filter(|i| !i.is_unspecified()))
}

fn is_open(host_port: &str) -> bool {
    matches!(host_port, "" | "0") || host_port.contains('-')
}

fn parse_host_port(binding: &PortBinding) -> Result<u16> {
    let text = &binding.host_port;
    text.parse().map_err(|_| ApiError::bad(format_args!("invalid published port: {text:?}")))
}

/// Gives a number to the ports that are to be published anywhere, `-P`, `-p 80`, or somewhere, `-p 8000-8010:80`.
pub(crate) fn choose_ports(
    config: &Config,
    host: &mut HostConfig,
    mut choose: impl FnMut(Protocol, &str) -> Result<u16>,
) -> Result<()> {
    if host.publish_all_ports {
        for port in config.exposed_ports.keys() {
            host.port_bindings.entry(port.clone()).or_default().get_or_insert_default();
        }
    }
    for (text, bindings) in &mut host.port_bindings {
        let (_, protocol) = port(text)?;
        let bindings = bindings.get_or_insert_default();
        if bindings.is_empty() {
            bindings.push(PortBinding::default());
        }
        for binding in bindings.iter_mut().filter(|b| is_open(&b.host_port)) {
            binding.host_port = choose(protocol, &binding.host_port)?.to_string();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
