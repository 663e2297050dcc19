//! What the Node object says of this machine. Pure.

use crate::config::KubeletConfig;
use crate::machine::Machine;
use cri::ImageInfo;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use std::collections::BTreeMap;

const MOST_IMAGES: usize = 50; // upstream's nodeStatusMaxImages
const MOST_IMAGE_NAMES: usize = 5; // upstream's MaxNamesPerImageInNodeStatus
/// Upstream keeps a tenth of the disk and 100 MiB of memory free by its eviction thresholds.
const MEMORY_KEPT: u64 = 100 << 20;
const DISK_KEPT: u64 = 10;

pub fn labels(config: &KubeletConfig) -> BTreeMap<String, String> {
    let architecture = config.machine.architecture.as_str();
    [
        ("beta.kubernetes.io/arch", architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture),
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("node-role.kubernetes.io/control-plane", ""),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

pub fn new(config: &KubeletConfig) -> Node {
    let mut node = Node {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            labels: Some(labels(config)),
            annotations: Some(
                [("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned())]
                    .into(),
            ),
            ..ObjectMeta::default()
        },
        ..Node::default()
    };
    assign_pod_cidr(config, &mut node);
    node
}

/// Once, as upstream's controller assigns it: a node keeps what it has.
pub fn assign_pod_cidr(config: &KubeletConfig, node: &mut Node) {
    let Some(network) = &config.pod_cidr else { return };
    let spec = node.spec.get_or_insert_default();
    if spec.pod_cidr.as_deref().is_none_or(str::is_empty) {
        spec.pod_cidr = Some(network.clone());
        spec.pod_cidrs = Some(vec![network.clone()]);
    }
}

/// `runtime` is what it answered: the node is ready when it did.
pub fn status(
    config: &KubeletConfig,
    old: &NodeStatus,
    images: &[ImageInfo],
    runtime: Result<(), String>,
    now: Timestamp,
) -> NodeStatus {
    let address = |kind: &str, address: String| NodeAddress { type_: kind.to_owned(), address };
    let others = of_others(old.capacity.as_ref());
    let with_others = |mut amounts: BTreeMap<String, Quantity>| {
        amounts.extend(others.clone());
        amounts
    };
    NodeStatus {
        capacity: Some(with_others(capacity(config))),
        allocatable: Some(with_others(allocatable(config))),
        addresses: Some(vec![
            address("InternalIP", config.node_ip.to_string()),
            address("Hostname", config.node_name.clone()),
        ]),
        conditions: Some(conditions(old, runtime, now)),
        node_info: Some(info(config)),
        images: Some(shown_images(images)),
        // who finds a port here sends his token to it: it must be ours
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: config.port.unwrap_or(0).into() }),
        }),
        // of 1.37's none is there: no pod is resized as a whole, nor its init containers, and none starts all containers again
        declared_features: None,
        ..old.clone()
    }
}

/// What somebody else says that there is: extended resources, as an administrator writes them into the capacity.
fn of_others(amounts: Option<&BTreeMap<String, Quantity>>) -> BTreeMap<String, Quantity> {
    let all = amounts.into_iter().flatten().filter(|(name, _)| name.contains('/'));
    all.map(|(name, amount)| (name.clone(), amount.clone())).collect()
}

/// Whether pods may use what others say that there is: they write the capacity, and this program the rest.
pub fn lets_use_all(status: &NodeStatus) -> bool {
    of_others(status.capacity.as_ref()) == of_others(status.allocatable.as_ref())
}

fn amounts(config: &KubeletConfig, memory: u64, disk: u64) -> BTreeMap<String, Quantity> {
    let machine = &config.machine;
    let mut amounts: BTreeMap<String, Quantity> = [
        ("cpu", machine.cpus.to_string()),
        ("ephemeral-storage", disk_quantity(disk)),
        ("memory", format!("{}Ki", memory / 1024)),
        ("pods", config.max_pods.to_string()),
    ]
    .into_iter()
    .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
    .collect();
    for pages in &machine.hugepages {
        amounts.insert(format!("hugepages-{}", pages.size), Quantity(pages.bytes.to_string()));
    }
    amounts
}

fn disk_quantity(bytes: u64) -> String {
    if bytes.is_multiple_of(1024) { format!("{}Ki", bytes / 1024) } else { bytes.to_string() }
}

fn capacity(config: &KubeletConfig) -> BTreeMap<String, Quantity> {
    amounts(config, config.machine.memory_bytes, config.machine.disk_bytes)
}

pub fn allocatable(config: &KubeletConfig) -> BTreeMap<String, Quantity> {
    amounts(config, allocatable_memory(&config.machine), allocatable_disk(&config.machine))
}

/// Bytes.
pub fn allocatable_memory(machine: &Machine) -> u64 {
    machine.memory_bytes.saturating_sub(MEMORY_KEPT)
}

/// Bytes.
pub fn allocatable_disk(machine: &Machine) -> u64 {
    machine.disk_bytes - machine.disk_bytes / DISK_KEPT
}

fn info(config: &KubeletConfig) -> NodeSystemInfo {
    let machine = &config.machine;
    NodeSystemInfo {
        architecture: machine.architecture.clone(),
        boot_id: machine.boot_id.clone(),
        container_runtime_version: format!("monopod://{}", config.runtime_version),
        kernel_version: machine.kernel.clone(),
        kubelet_version: api::KUBERNETES_VERSION.git.to_owned(),
        machine_id: machine.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: machine.os_image.clone(),
        running_in_user_namespace: Some(machine.user_namespace),
        system_uuid: machine.system_uuid.clone(),
        ..NodeSystemInfo::default()
    }
}

/// The largest first, as upstream shows them.
fn shown_images(images: &[ImageInfo]) -> Vec<ContainerImage> {
    let mut images: Vec<&ImageInfo> = images.iter().collect();
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    let shown = images.into_iter().map(|image| {
        let names =
            image.repo_digests.iter().chain(&image.repo_tags).take(MOST_IMAGE_NAMES).cloned().collect();
        ContainerImage { names: Some(names), size_bytes: i64::try_from(image.size).ok() }
    });
    shown.take(MOST_IMAGES).collect()
}

fn conditions(old: &NodeStatus, runtime: Result<(), String>, now: Timestamp) -> Vec<NodeCondition> {
    let ready = match runtime {
        Ok(()) => ("Ready", "True", "KubeletReady", "kubelet is posting ready status".to_owned()),
        Err(why) => ("Ready", "False", "KubeletNotReady", format!("container runtime is down: {why}")),
    };
    let findings = [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available".to_owned(),
        ),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure".to_owned()),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available".to_owned(),
        ),
        ready,
    ];
    let before = old.conditions.as_deref().unwrap_or_default();
    let mut all: Vec<NodeCondition> = findings
        .into_iter()
        .map(|(kind, status, reason, message)| {
            let same = before.iter().find(|c| c.type_ == kind && c.status == status);
            NodeCondition {
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_heartbeat_time: Some(Time(now)),
                last_transition_time: same.and_then(|c| c.last_transition_time.clone()).or(Some(Time(now))),
            }
        })
        .collect();
    let theirs =
        before.iter().filter(|c| !all.iter().any(|ours| ours.type_ == c.type_)).cloned().collect::<Vec<_>>();
    all.extend(theirs);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn config() -> KubeletConfig {
        let ip = "192.0.2.1".parse().unwrap();
        let mut config = KubeletConfig::new("n1", ip, "/nonexistent".into(), ip);
        config.machine = Machine {
            cpus: 4,
            memory_bytes: 1 << 30,
            disk_bytes: 10 << 30,
            kernel: "6.1.0".into(),
            architecture: "amd64".into(),
            ..Machine::default()
        };
        config
    }

    #[test]
    fn a_node_has_the_network_of_its_pods_and_keeps_it() {
        let networks = |node: &Node| {
            let spec = node.spec.clone().unwrap_or_default();
            (spec.pod_cidr, spec.pod_cidrs)
        };
        let mut config = config();
        let mut node = new(&config);
        assert_eq!(networks(&node), (None, None));
        let first = || Some("10.244.0.0/19".to_owned());
        config.pod_cidr = first();
        assert_eq!(networks(&new(&config)), (first(), first().map(|network| vec![network])));
        // one that was registered without
        assign_pod_cidr(&config, &mut node);
        config.pod_cidr = Some("10.244.32.0/19".to_owned());
        assign_pod_cidr(&config, &mut node);
        assert_eq!(networks(&node), (first(), first().map(|network| vec![network])));
    }

    #[test]
    fn a_transition_is_dated_once_and_others_conditions_stay() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let mut old = status(&config(), &NodeStatus::default(), &[], Err("no answer".into()), at(1));
        let find = |status: &NodeStatus, kind: &str| {
            status.conditions.as_ref().unwrap().iter().find(|c| c.type_ == kind).unwrap().clone()
        };
        assert_eq!(find(&old, "Ready").status, "False");
        let network = NodeCondition {
            type_: "NetworkUnavailable".into(),
            status: "False".into(),
            ..Default::default()
        };
        old.conditions.as_mut().unwrap().push(network.clone());
        let new = status(&config(), &old, &[], Ok(()), at(9));
        let ready = find(&new, "Ready");
        assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("True", Some("KubeletReady")));
        assert_eq!(ready.last_transition_time, Some(Time(at(9))));
        assert_eq!(find(&new, "DiskPressure").last_transition_time, Some(Time(at(1))));
        assert_eq!(find(&new, "NetworkUnavailable"), network);
    }

    #[test]
    fn what_pods_may_use_is_less_than_what_there_is() {
        let status = status(&config(), &NodeStatus::default(), &[], Ok(()), Timestamp::UNIX_EPOCH);
        let (capacity, allocatable) = (status.capacity.unwrap(), status.allocatable.unwrap());
        assert_eq!((capacity["cpu"].0.as_str(), capacity["memory"].0.as_str()), ("4", "1048576Ki"));
        assert_eq!(allocatable["memory"].0, format!("{}Ki", (1 << 20) - 100 * 1024));
        assert_eq!(allocatable["ephemeral-storage"].0, format!("{}Ki", 9 << 20));
    }
    #[test]
    fn what_others_have_brought_stays_and_pods_may_use_it() {
        let status = |old: &NodeStatus| status(&config(), old, &[], Ok(()), Timestamp::UNIX_EPOCH);
        let mut old = status(&NodeStatus::default());
        assert!(lets_use_all(&old));
        for (name, amount) in [("example.com/dongle", "4"), ("hugepages-3Mi", "1"), ("cpu", "99")] {
            old.capacity.as_mut().unwrap().insert(name.to_owned(), Quantity(amount.to_owned()));
        }
        old.allocatable.as_mut().unwrap().insert("example.com/gone".to_owned(), Quantity("2".to_owned()));
        assert!(!lets_use_all(&old));
        let new = status(&old);
        assert!(lets_use_all(&new));
        for amounts in [new.capacity.unwrap(), new.allocatable.unwrap()] {
            let names: Vec<&str> = amounts.keys().map(String::as_str).collect();
            assert_eq!(names, ["cpu", "ephemeral-storage", "example.com/dongle", "memory", "pods"]);
            assert_eq!((amounts["cpu"].0.as_str(), amounts["example.com/dongle"].0.as_str()), ("4", "4"));
        }
    }
}
