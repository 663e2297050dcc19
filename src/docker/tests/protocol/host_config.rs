//! All that `HostConfig` of the API has, field by field: each is done, refused in Docker's words, or warned of. None is taken
//! without effect. A field that a later version of the API adds is missing here until somebody decides on it.

use crate::world::World;
use serde_json::{Value, json};

enum Outcome {
    /// The runtime hears of it.
    Told,
    /// The engine itself acts on it; tests of its own show how.
    Engine,
    Refused(u16, &'static str),
    Warned(&'static str),
    /// Done where the machine's kernel can, else warned of.
    Machine,
}
use Outcome::*;

/// The properties of `HostConfig` and `Resources` in the API's description, version 1.51, and what older ones had beside.
const ALL: &str = "Annotations AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps \
    BlkioDeviceWriteIOps BlkioWeight BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode ConsoleSize \
    ContainerIDFile CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares CpusetCpus \
    CpusetMems DeviceCgroupRules DeviceRequests Devices Dns DnsOptions DnsSearch ExtraHosts GroupAdd IOMaximumBandwidth \
    IOMaximumIOps Init IpcMode Isolation KernelMemory KernelMemoryTCP Links LogConfig MaskedPaths Memory \
    MemoryReservation MemorySwap MemorySwappiness Mounts NanoCpus NetworkMode OomKillDisable OomScoreAdj PidMode \
    PidsLimit PortBindings Privileged PublishAllPorts ReadonlyPaths ReadonlyRootfs RestartPolicy Runtime SecurityOpt \
    ShmSize StorageOpt Sysctls Tmpfs UTSMode Ulimits UsernsMode VolumeDriver VolumesFrom";

fn table() -> Vec<(&'static str, Value, Outcome)> {
    let throttle = json!([{"Path": "/dev/null", "Rate": 1024}]);
    let own_cgroups = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    vec![
        (
            "Annotations",
            json!({"": "x"}),
            Refused(400, "the empty string is not permitted as an annotation key"),
        ),
        ("Annotations", json!({"a": "x"}), Engine),
        ("AutoRemove", json!(true), Engine),
        ("Binds", json!(["/etc:/x"]), Told),
        ("Binds", json!(["/:/x:private"]), Refused(400, "must use either propagation mode")),
        ("BlkioDeviceReadBps", throttle.clone(), Machine),
        ("BlkioDeviceReadIOps", throttle.clone(), Machine),
        ("BlkioDeviceWriteBps", throttle.clone(), Machine),
        ("BlkioDeviceWriteIOps", throttle, Machine),
        ("BlkioWeight", json!(300), Machine),
        (
            "BlkioWeightDevice",
            json!([{"Path": "/dev/null", "Weight": 300}]),
            Warned("Weight-device discarded."),
        ),
        ("CapAdd", json!(["NET_ADMIN"]), Told),
        ("CapDrop", json!(["CHOWN"]), Told),
        ("Cgroup", json!(""), Engine),
        ("CgroupParent", json!("/x"), Refused(400, "invalid cgroup-parent: ")),
        ("CgroupnsMode", json!(if own_cgroups { "host" } else { "private" }), Told),
        ("ConsoleSize", json!([24, 80]), Told),
        ("ContainerIDFile", json!("/x"), Engine),
        ("CpuCount", json!(2), Warned("linux does not support CPU count.")),
        ("CpuPercent", json!(50), Warned("linux does not support CPU percent.")),
        ("CpuPeriod", json!(50_000), Told),
        ("CpuQuota", json!(50_000), Told),
        ("CpuRealtimePeriod", json!(1000), Refused(400, "kernel does not support CPU real-time scheduler")),
        ("CpuRealtimeRuntime", json!(1000), Refused(400, "kernel does not support CPU real-time scheduler")),
        ("CpuShares", json!(512), Told),
        ("CpuShares", json!(-1), Refused(400, "invalid CPU shares (-1): value must be a positive integer")),
        ("CpusetCpus", json!("0"), Told),
        ("CpusetMems", json!("0"), Told),
        ("DeviceCgroupRules", json!(["c 1:3 r"]), Told),
        (
            "DeviceRequests",
            json!([{"Capabilities": [["gpu"]]}]),
            Refused(500, "could not select device driver"),
        ),
        ("Devices", json!([{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x"}]), Told),
        ("Dns", json!(["192.0.2.1"]), Engine),
        ("DnsOptions", json!(["ndots:1"]), Engine),
        ("DnsSearch", json!(["example"]), Engine),
        ("ExtraHosts", json!(["a:192.0.2.1"]), Engine),
        ("GroupAdd", json!(["7"]), Told),
        (
            "IOMaximumBandwidth",
            json!(1),
            Refused(400, "invalid QoS settings: linux does not support Maximum IO"),
        ),
        ("IOMaximumIOps", json!(1), Refused(400, "invalid QoS settings: linux does not support Maximum IO")),
        ("Init", json!(true), Told),
        ("IpcMode", json!("host"), Told),
        ("IpcMode", json!("container:nobody"), Refused(400, "No such container: nobody")),
        (
            "Isolation",
            json!("hyperv"),
            Refused(400, "invalid isolation: \"hyperv\" - linux only supports 'default'"),
        ),
        ("KernelMemory", json!(64 << 20), Warned("Your kernel does not support kernel memory limit")),
        ("KernelMemoryTCP", json!(64 << 20), Warned("Your kernel does not support kernel memory TCP limit")),
        ("Links", json!(["nobody"]), Refused(400, "could not get container for nobody")),
        ("LogConfig", json!({"Type": "none"}), Told),
        ("LogConfig", json!({"Type": "syslog"}), Refused(400, "error looking up logging plugin syslog")),
        ("MaskedPaths", json!(["/proc/kcore"]), Told),
        ("Memory", json!(64 << 20), Told),
        ("MemoryReservation", json!(64 << 20), Told),
        ("MemorySwap", json!(64 << 20), Refused(400, "You should always set the Memory limit")),
        ("MemorySwappiness", json!(10), Machine),
        ("Mounts", json!([{"Type": "tmpfs", "Target": "/t"}]), Told),
        (
            "Mounts",
            json!([{"Type": "cluster", "Source": "x", "Target": "/t"}]),
            Refused(400, "mount type unknown"),
        ),
        ("NanoCpus", json!(500_000_000), Told),
        ("NetworkMode", json!("none"), Told),
        ("OomKillDisable", json!(true), Machine),
        ("OomScoreAdj", json!(500), Told),
        ("PidMode", json!("host"), Told),
        ("PidMode", json!("container:nobody"), Refused(400, "No such container: nobody")),
        ("PidsLimit", json!(50), Told),
        ("PortBindings", json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "28417"}]}), Told),
        (
            "PortBindings",
            json!({"80/tcp": [{"HostIp": "192.0.2.1", "HostPort": "28417"}]}),
            Refused(500, "cannot assign requested address"),
        ),
        ("Privileged", json!(true), Told),
        ("PublishAllPorts", json!(true), Told),
        ("ReadonlyPaths", json!(["/proc/bus"]), Told),
        ("ReadonlyRootfs", json!(true), Told),
        ("RestartPolicy", json!({"Name": "always"}), Engine),
        (
            "RestartPolicy",
            json!({"Name": "what"}),
            Refused(400, "invalid restart policy: unknown policy 'what'"),
        ),
        ("Runtime", json!("kata"), Refused(400, "unknown or invalid runtime name: kata")),
        ("SecurityOpt", json!(["no-new-privileges"]), Told),
        ("SecurityOpt", json!(["writable-cgroups"]), Told),
        (
            "SecurityOpt",
            json!(["apparmor=docker-default"]),
            Refused(400, "apparmor: config provided but apparmor not supported"),
        ),
        ("SecurityOpt", json!(["label=type:spc_t"]), Warned("SELinux is not enabled")),
        ("ShmSize", json!(1 << 20), Told),
        (
            "StorageOpt",
            json!({"size": "1G"}),
            Refused(400, "--storage-opt is supported only for overlay over xfs"),
        ),
        ("Sysctls", json!({"net.core.somaxconn": "77"}), Told),
        ("Tmpfs", json!({"/t": ""}), Told),
        ("UTSMode", json!("host"), Told),
        ("Ulimits", json!([{"Name": "nofile", "Soft": 10, "Hard": 10}]), Told),
        ("UsernsMode", json!("private"), Refused(400, "invalid user namespace mode: private")),
        (
            "VolumeDriver",
            // without a volume it is nobody's; with one the command line test of its refusal is beside this one
            json!("nfs"),
            Engine,
        ),
        ("VolumesFrom", json!(["nobody"]), Refused(400, "No such container: nobody")),
    ]
}

/// What the runtime was asked for, without what is another one's for every container.
fn told(world: &World, id: &str) -> String {
    let (sandbox, container) = world.runtime.told("box").expect("it runs");
    let (own, short) = (format!("{sandbox:?} {container:?}"), &id[..12]);
    own.replace(id, "ID").replace(short, "SHORT").replace(&addresses(&own), "")
}

/// Each start has the next address.
fn addresses(text: &str) -> String {
    let from = text.find("connection: ").unwrap();
    let until = text[from..].find(", host_pid").unwrap();
    text[from..from + until].to_owned()
}

struct Made {
    status: u16,
    said: String,
    warnings: Vec<String>,
    told: Option<String>,
}

async fn make(world: &World, host: Value, version: &str) -> Made {
    let body =
        json!({"Image": "busybox", "Cmd": ["wait"], "ExposedPorts": {"70/tcp": {}}, "HostConfig": host});
    let create = format!("POST /v{version}/containers/create?name=box");
    let (mut status, mut said) = world.ask(&create, &body.to_string()).await;
    let (mut warnings, mut runtime_told) = (Vec::new(), None);
    if status == 201 {
        let made: Value = serde_json::from_str(&said).unwrap();
        let id = made["Id"].as_str().unwrap();
        warnings =
            made["Warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect();
        let (started, why) = world.ask(&format!("POST /v{version}/containers/{id}/start"), "").await;
        match started {
            204 => runtime_told = Some(told(world, id)),
            _ => (status, said) = (started, why),
        }
        let (removed, why) = world.ask("DELETE /v1.51/containers/box?force=1&v=1", "").await;
        assert_eq!(removed, 204, "{why}");
    }
    Made { status, said, warnings, told: runtime_told }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_is_taken_without_effect() {
    let Some(world) = World::open("fields").await else { return };
    let plain = make(&world, json!({}), "1.51").await.told.unwrap();
    let again = make(&world, json!({}), "1.51").await.told.unwrap();
    assert_eq!(plain, again, "two containers of the same words are the same to the runtime");
    let table = table();
    for field in ALL.split_whitespace() {
        assert!(table.iter().any(|(name, ..)| *name == field), "{field} is not in the table");
    }
    for (field, value, want) in table {
        // these two are no longer part of the API
        let version = if field.starts_with("Kernel") { "1.41" } else { "1.51" };
        let made = make(&world, json!({ field: value }), version).await;
        let (name, differs) =
            (format!("{field}={value}"), made.told.as_ref().is_some_and(|told| *told != plain));
        let said = &made.said;
        match want {
            Refused(status, words) => {
                let answer: Value = serde_json::from_str(said).unwrap_or_default();
                let said = answer["message"].as_str().unwrap_or_default();
                assert!(made.status == status && said.contains(words), "{name}: {} {said}", made.status);
            }
            _ if made.told.is_none() => panic!("{name}: {} {said}", made.status),
            Told => assert!(differs && made.warnings.is_empty(), "{name}: {:?}", made.warnings),
            Engine => assert!(made.warnings.is_empty(), "{name}: {:?}", made.warnings),
            Warned(words) => {
                assert!(made.warnings.iter().any(|w| w.contains(words)), "{name}: {:?}", made.warnings);
            }
            Machine => assert!(differs || !made.warnings.is_empty(), "{name} is taken without effect"),
        }
    }
}
