//! What a client sends to make a container, as Docker's API spells it. What this program does not use stays in it and is
//! shown again by inspect.

mod mount;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(crate) use mount::{MountSpec, TmpfsOptions};

/// Go writes an empty list or map as null.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The body of `POST /containers/create`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Create {
    #[serde(flatten)]
    pub(crate) config: Config,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) host_config: HostConfig,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) networking_config: NetworkingConfig,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkingConfig {
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) endpoints_config: BTreeMap<String, Option<EndpointConfig>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct EndpointConfig {
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) aliases: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) links: Vec<String>,
    #[serde(rename = "IPAMConfig", skip_serializing_if = "Option::is_none")]
    pub(crate) ipam_config: Option<EndpointIpam>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) mac_address: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) driver_opts: BTreeMap<String, String>,
    /// The network with the highest is the way out.
    pub(crate) gw_priority: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EndpointIpam {
    #[serde(rename = "IPv4Address", skip_serializing_if = "String::is_empty")]
    pub(crate) ipv4_address: String,
    #[serde(rename = "IPv6Address", skip_serializing_if = "String::is_empty")]
    pub(crate) ipv6_address: String,
    #[serde(
        rename = "LinkLocalIPs",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) link_local_ips: Vec<String>,
}

impl EndpointConfig {
    /// The address that it is to have.
    pub(crate) fn address(&self) -> Option<std::net::Ipv4Addr> {
        self.ipam_config.as_ref()?.ipv4_address.parse().ok()
    }
}

/// One string or a list of them, as old clients send commands.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(Option::<Words>::deserialize(deserializer)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Many(many) => many,
    }))
}

/// `Config`: what the container is, wherever it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) hostname: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) domainname: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) user: String,
    pub(crate) attach_stdin: bool,
    pub(crate) attach_stdout: bool,
    pub(crate) attach_stderr: bool,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) exposed_ports: BTreeMap<String, Value>,
    pub(crate) tty: bool,
    pub(crate) open_stdin: bool,
    pub(crate) stdin_once: bool,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) env: Vec<String>,
    #[serde(deserialize_with = "words")]
    pub(crate) cmd: Option<Vec<String>>,
    pub(crate) image: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) volumes: BTreeMap<String, Value>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) working_dir: String,
    /// As clients before 1.44 say it.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub(crate) mac_address: String,
    #[serde(deserialize_with = "words")]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_signal: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthcheck: Option<image::Healthcheck>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) network_disabled: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PortBinding {
    pub(crate) host_ip: String,
    pub(crate) host_port: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RestartPolicy {
    pub(crate) name: String,
    pub(crate) maximum_retry_count: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LogConfig {
    #[serde(rename = "Type")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) config: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Ulimit {
    pub(crate) name: String,
    pub(crate) soft: i64,
    pub(crate) hard: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DeviceMapping {
    pub(crate) path_on_host: String,
    pub(crate) path_in_container: String,
    pub(crate) cgroup_permissions: String,
}

/// What Go leaves out of its own while it is zero, and inspect fills in.
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct WeightDevice {
    pub(crate) path: String,
    pub(crate) weight: u16,
}

/// The most in a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ThrottleDevice {
    pub(crate) path: String,
    pub(crate) rate: u64,
}

/// Where ports of the container, as `80/tcp`, are published.
pub(crate) type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// `HostConfig`: how it runs on this machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostConfig {
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) binds: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) mounts: Vec<MountSpec>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) tmpfs: BTreeMap<String, String>,
    pub(crate) network_mode: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) port_bindings: PortMap,
    pub(crate) publish_all_ports: bool,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) restart_policy: RestartPolicy,
    pub(crate) auto_remove: bool,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) log_config: LogConfig,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) cap_add: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) cap_drop: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) dns: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) dns_options: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) dns_search: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) extra_hosts: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) group_add: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) links: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) volumes_from: Vec<String>,
    pub(crate) pid_mode: String,
    pub(crate) ipc_mode: String,
    #[serde(rename = "UTSMode")]
    pub(crate) uts_mode: String,
    pub(crate) userns_mode: String,
    pub(crate) cgroupns_mode: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) runtime: String,
    pub(crate) privileged: bool,
    pub(crate) readonly_rootfs: bool,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) security_opt: Vec<String>,
    /// Bytes; zero is Docker's 64 MiB.
    pub(crate) shm_size: i64,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) sysctls: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) ulimits: Vec<Ulimit>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) devices: Vec<DeviceMapping>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) device_cgroup_rules: Vec<String>,
    /// What `--gpus` asks for.
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) device_requests: Vec<Value>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) storage_opt: BTreeMap<String, String>,
    /// Of /proc and /sys; Docker's usual ones where `None`.
    pub(crate) masked_paths: Option<Vec<String>>,
    pub(crate) readonly_paths: Option<Vec<String>>,
    pub(crate) init: Option<bool>,
    /// Rows and columns of the client's terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) console_size: Option<[u16; 2]>,
    pub(crate) oom_kill_disable: Option<bool>,
    /// `None` and -1 are: nothing said.
    pub(crate) memory_swappiness: Option<i64>,
    /// What makes volumes that are not there yet; only `local` is known.
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub(crate) volume_driver: String,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub(crate) cgroup_parent: String,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub(crate) isolation: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) cpu_realtime_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) cpu_realtime_runtime: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) cpu_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) cpu_percent: i64,
    #[serde(rename = "IOMaximumIOps", skip_serializing_if = "is_zero")]
    pub(crate) io_maximum_iops: i64,
    #[serde(rename = "IOMaximumBandwidth", skip_serializing_if = "is_zero")]
    pub(crate) io_maximum_bandwidth: i64,
    /// Bytes; of API before 1.42.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) kernel_memory: i64,
    #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_zero")]
    pub(crate) kernel_memory_tcp: i64,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub(crate) blkio_weight_device: Vec<WeightDevice>,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub(crate) blkio_device_read_bps: Vec<ThrottleDevice>,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub(crate) blkio_device_write_bps: Vec<ThrottleDevice>,
    #[serde(
        rename = "BlkioDeviceReadIOps",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) blkio_device_read_iops: Vec<ThrottleDevice>,
    #[serde(
        rename = "BlkioDeviceWriteIOps",
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) blkio_device_write_iops: Vec<ThrottleDevice>,
    #[serde(flatten)]
    pub(crate) limits: Limits,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// What `docker update` changes as well. Zero is: nothing said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Limits {
    pub(crate) memory: i64,
    pub(crate) memory_swap: i64,
    pub(crate) memory_reservation: i64,
    #[serde(rename = "NanoCpus")]
    pub(crate) nano_cpus: i64,
    pub(crate) cpu_shares: i64,
    pub(crate) cpu_quota: i64,
    pub(crate) cpu_period: u64,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) cpuset_cpus: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(crate) cpuset_mems: String,
    pub(crate) blkio_weight: u16,
    pub(crate) pids_limit: Option<i64>,
    pub(crate) oom_score_adj: i32,
}
