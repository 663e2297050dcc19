//! A container as `docker inspect` and `docker ps` show it. Pure.

use crate::inspect_network::{endpoints, network_settings, ports};
use crate::networks::Network;
use crate::record::{MountKind, Mounted, Record, State};
use crate::{logging, plan};
use cri::confinement::{MASKED_PATHS, READ_ONLY_PATHS};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Go's zero time: never.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What is not in the record.
pub(crate) struct Around<'a> {
    pub(crate) networks: &'a [Network],
    /// As Docker writes them: with the names that the others have now.
    pub(crate) links: &'a [String],
    pub(crate) log: &'a Path,
    pub(crate) dir: &'a Path,
    pub(crate) execs: Vec<String>,
}

pub(crate) fn time(at: Option<Timestamp>) -> String {
    at.map_or(NEVER.to_owned(), |at| format!("{at:.9}"))
}

pub(crate) fn inspect(record: &Record, around: &Around<'_>) -> Value {
    let words = plan::arguments(&record.config);
    let (path, arguments) = words.split_first().map_or((String::new(), &[][..]), |(p, a)| (p.clone(), a));
    // its own files are made when it starts
    let file = |name: &str| if has_run(record) { around.dir.join(name) } else { PathBuf::new() };
    let has_log = has_run(record) && logging::driver(&record.host.log_config) == logging::JSON_FILE;
    json!({
        "Id": record.id,
        "Created": time(Some(record.created)),
        "Path": path,
        "Args": arguments,
        "State": state(record),
        "Image": record.image,
        "ResolvConfPath": file("resolv.conf"),
        "HostnamePath": file("hostname"),
        "HostsPath": file("hosts"),
        "LogPath": if has_log { around.log } else { Path::new("") },
        "Name": format!("/{}", record.name),
        "RestartCount": record.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": (!around.execs.is_empty()).then_some(&around.execs),
        "HostConfig": host_config(record, around.links),
        "GraphDriver": {"Name": "overlay2", "Data": {
            "ID": record.id, "MergedDir": around.dir.join("root/merged"), "UpperDir": around.dir.join("root/upper"),
            "WorkDir": around.dir.join("root/work"),
        }},
        "Mounts": mounts(record),
        "Config": config(record),
        "NetworkSettings": network_settings(record, around.networks),
    })
}

fn config(record: &Record) -> Value {
    let mut value = json!(record.config);
    if let Some(map) = value.as_object_mut() {
        map.insert("OnBuild".to_owned(), Value::Null);
        for name in ["Volumes", "ExposedPorts"] {
            if map.get(name).and_then(Value::as_object).is_some_and(Map::is_empty) {
                map.remove(name);
            }
        }
        map.entry("Volumes").or_insert(Value::Null);
    }
    value
}

fn host_config(record: &Record, links: &[String]) -> Value {
    let mut value = json!(record.host);
    let defaults = json!({
        "ContainerIDFile": "", "Cgroup": "", "CgroupParent": "", "Isolation": "", "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [], "BlkioDeviceReadIOps": [], "BlkioDeviceWriteIOps": [],
        "ConsoleSize": [0, 0], "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "VolumeDriver": "", "CpuCount": 0,
        "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
    });
    // what Go leaves out, and what it writes as null, while it is empty
    const OMITTED: [&str; 6] = ["Mounts", "Tmpfs", "Sysctls", "Annotations", "StorageOpt", "Init"];
    const NULL: [&str; 10] = [
        "Binds",
        "CapAdd",
        "CapDrop",
        "DeviceCgroupRules",
        "DeviceRequests",
        "ExtraHosts",
        "GroupAdd",
        "Links",
        "SecurityOpt",
        "VolumesFrom",
    ];
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if let (Some(map), Value::Object(defaults)) = (value.as_object_mut(), defaults) {
        for (name, default) in defaults {
            map.entry(name).or_insert(default);
        }
        map.retain(|name, value| !(OMITTED.contains(&name.as_str()) && is_empty(value)));
        for (_, value) in
            map.iter_mut().filter(|(name, value)| NULL.contains(&name.as_str()) && is_empty(value))
        {
            *value = Value::Null;
        }
        let usual = !record.host.privileged;
        for (name, said, list) in [
            ("MaskedPaths", &record.host.masked_paths, &MASKED_PATHS[..]),
            ("ReadonlyPaths", &record.host.readonly_paths, &READ_ONLY_PATHS[..]),
        ] {
            if said.is_none() && usual {
                map.insert(name.to_owned(), json!(list));
            }
        }
        if record.host.log_config.kind.is_empty() {
            map.insert("LogConfig".to_owned(), json!({"Type": "json-file", "Config": {}}));
        }
        if record.host.restart_policy.name.is_empty() {
            map.insert("RestartPolicy".to_owned(), json!({"Name": "no", "MaximumRetryCount": 0}));
        }
        // Ansible compares these with its own, and would make the container anew each time
        if let Some(asked) = &record.asked_ports {
            map.insert("PortBindings".to_owned(), json!(asked));
        }
        if !record.host.links.is_empty() {
            map.insert("Links".to_owned(), json!(links));
        }
        if record.host.shm_size == 0 {
            map.insert("ShmSize".to_owned(), json!(64 << 20));
        }
    }
    value
}

fn state(record: &Record) -> Value {
    let running = record.process();
    let ended = record.ended();
    let started = running.map(|r| r.started_at).or_else(|| ended.and_then(|e| e.started_at));
    let mut state = json!({
        "Status": record.status(),
        "Running": running.is_some() || matches!(record.state, State::Restarting(_)),
        "Paused": running.is_some_and(|r| r.paused),
        "Restarting": matches!(record.state, State::Restarting(_)),
        "OOMKilled": ended.is_some_and(|e| e.oom_killed),
        "Dead": false,
        "Pid": running.map_or(0, |r| r.pid),
        "ExitCode": record.exit_code(),
        "Error": ended.map_or("", |e| e.error.as_str()),
        "StartedAt": time(started),
        "FinishedAt": time(ended.filter(|_| has_run(record)).map(|e| e.finished_at)),
    });
    if let Some(health) = &record.health {
        state["Health"] =
            json!({"Status": health.status, "FailingStreak": health.failing_streak, "Log": health.log});
    }
    state
}

/// Whether a process of it was ever there.
fn has_run(record: &Record) -> bool {
    record.process().is_some() || record.ended().is_some_and(|ended| ended.started_at.is_some())
}

/// Without those of `--tmpfs`, as Docker has it.
fn mounts(record: &Record) -> Vec<Value> {
    let is_shown = |m: &&Mounted| {
        m.kind != MountKind::Tmpfs
            || !record
                .host
                .tmpfs
                .keys()
                .any(|target| Path::new(target).components().eq(m.target.components()))
    };
    record.mounts.iter().filter(is_shown).map(mount).collect()
}

fn mount(mounted: &Mounted) -> Value {
    let mut value = json!({
        "Type": mounted.kind,
        "Source": mounted.source,
        "Destination": mounted.target,
        "Mode": mounted.mode,
        "RW": !mounted.read_only,
        "Propagation": if mounted.kind == MountKind::Bind && mounted.propagation.is_empty() { "rprivate" } else { &mounted.propagation },
    });
    match mounted.kind {
        MountKind::Volume => (value["Name"], value["Driver"]) = (json!(mounted.name), json!("local")),
        MountKind::Image => (value["Name"], value["Source"]) = (json!(mounted.source), json!(mounted.image)),
        MountKind::Bind | MountKind::Tmpfs => {}
    }
    value
}

/// One line of `docker ps`.
pub(crate) fn summary(record: &Record, around: &Around<'_>, now: Timestamp) -> Value {
    json!({
        "Id": record.id,
        "Names": [format!("/{}", record.name)],
        "Image": record.config.image,
        "ImageID": record.image,
        "Command": command(&plan::arguments(&record.config)),
        "Created": record.created.as_second(),
        "Ports": port_list(record),
        "Labels": record.config.labels,
        "State": record.status(),
        "Status": status(record, now),
        "HostConfig": {"NetworkMode": record.host.network_mode},
        "NetworkSettings": {"Networks": endpoints(record, around.networks)},
        "Mounts": mounts(record),
    })
}

/// Arguments with blanks are quoted.
fn command(words: &[String]) -> String {
    let quote = |(at, word): (usize, &String)| match at > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    words.iter().enumerate().map(quote).collect::<Vec<_>>().join(" ")
}

fn port_list(record: &Record) -> Vec<Value> {
    let mut list = Vec::new();
    for (port, bindings) in ports(record).as_object().into_iter().flatten() {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let number: u16 = number.parse().unwrap_or(0);
        match bindings.as_array() {
            None => list.push(json!({"PrivatePort": number, "Type": protocol})),
            Some(bindings) => list.extend(bindings.iter().map(|binding| {
                let public: u16 = binding["HostPort"].as_str().and_then(|p| p.parse().ok()).unwrap_or(0);
                json!({"IP": binding["HostIp"], "PrivatePort": number, "PublicPort": public, "Type": protocol})
            })),
        }
    }
    list
}

/// `Up 3 minutes (healthy)`, `Exited (0) 2 hours ago`.
pub(crate) fn status(record: &Record, now: Timestamp) -> String {
    status_of(&record.state, record, now)
}

fn status_of(state: &State, record: &Record, now: Timestamp) -> String {
    let since = |then: Timestamp| lasting(now.as_second() - then.as_second());
    match state {
        State::Created => "Created".to_owned(),
        State::Starting(_, before) => status_of(before, record, now),
        State::Exited(e) if e.started_at.is_none() => "Created".to_owned(),
        State::Running(r) if r.paused => format!("Up {} (Paused)", since(r.started_at)),
        State::Running(r) => match record.health.as_ref().map(|h| h.status) {
            Some("starting") => format!("Up {} (health: starting)", since(r.started_at)),
            Some(health) => format!("Up {} ({health})", since(r.started_at)),
            None => format!("Up {}", since(r.started_at)),
        },
        State::Restarting(e) => format!("Restarting ({}) {} ago", e.code, since(e.finished_at)),
        State::Exited(e) => format!("Exited ({}) {} ago", e.code, since(e.finished_at)),
        State::Removed(_) => "Removal In Progress".to_owned(),
    }
}

/// A duration in Docker's rough words.
fn lasting(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PortBinding, PortMap};
    use crate::record::tests::{end, record, run};

    fn around<'a>() -> Around<'a> {
        Around { networks: &[], links: &[], log: Path::new("/l"), dir: Path::new("/d"), execs: vec![] }
    }

    #[test]
    fn how_long() {
        for (seconds, want) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (180, "3 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (86400 * 3, "3 days"),
            (86400 * 21, "3 weeks"),
            (86400 * 90, "3 months"),
            (86400 * 800, "2 years"),
        ] {
            assert_eq!(lasting(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn what_ps_says() {
        let now = Timestamp::from_second(180).unwrap();
        let mut web = record("web");
        assert_eq!(status(&web, now), "Created");
        run(&mut web, Some("10.0.0.2".parse().unwrap()));
        assert_eq!(status(&web, now), "Up 3 minutes");
        web.host.port_bindings =
            [("80/tcp".into(), Some(vec![PortBinding { host_port: "8080".into(), ..Default::default() }]))]
                .into();
        let line = summary(&web, &around(), now);
        let port = json!({"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"});
        assert_eq!((&line["Ports"], &line["Names"][0]), (&json!([port]), &json!("/web")));
        let shown = inspect(&web, &around());
        assert_eq!(shown["State"]["Running"], true);
        end(&mut web, 3);
        assert_eq!(status(&web, now), "Exited (3) 3 minutes ago");
        assert_eq!(inspect(&web, &around())["State"]["ExitCode"], 3);
        web.config.cmd = Some(["sh", "-c", "exit 3"].map(str::to_owned).to_vec());
        assert_eq!(summary(&web, &around(), now)["Command"], "sh -c 'exit 3'");
    }

    #[test]
    fn ports_are_shown_as_they_were_asked_for_and_as_they_are() {
        let at = |port: &str| -> PortMap {
            let binding = PortBinding { host_port: port.into(), ..Default::default() };
            [("80/tcp".into(), Some(vec![binding]))].into()
        };
        let mut web = record("web");
        web.host.port_bindings = at("9100");
        let bindings = |web: &Record| inspect(web, &around())["HostConfig"]["PortBindings"].clone();
        assert_eq!(bindings(&web)["80/tcp"][0]["HostPort"], "9100", "a record of an older version");
        web.asked_ports = Some(at("9100-9110"));
        assert_eq!(bindings(&web)["80/tcp"][0]["HostPort"], "9100-9110");
        run(&mut web, Some("10.0.0.2".parse().unwrap()));
        let shown = inspect(&web, &around());
        assert_eq!(shown["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"], "9100");
    }

    #[test]
    fn options_of_a_mount_that_say_nothing_are_left_out() {
        let said = json!([
            {"Type": "volume", "Source": "data", "Target": "/d", "ReadOnly": true,
                "VolumeOptions": {"NoCopy": true, "Labels": {"x": "y"}, "DriverConfig": null}},
            {"Type": "bind", "Source": "/s", "Target": "/b", "BindOptions": {"Propagation": "rslave"}},
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096}},
        ]);
        let mut web = record("web");
        web.host.mounts = serde_json::from_value(said).unwrap();
        let want = json!([
            {"Type": "volume", "Source": "data", "Target": "/d", "ReadOnly": true,
                "VolumeOptions": {"NoCopy": true, "Labels": {"x": "y"}}},
            {"Type": "bind", "Source": "/s", "Target": "/b", "BindOptions": {"Propagation": "rslave"}},
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096}},
        ]);
        assert_eq!(inspect(&web, &around())["HostConfig"]["Mounts"], want);
    }

    /// Without these the CLI stops with a panic.
    #[test]
    fn what_the_cli_relies_on() {
        let shown = inspect(&record("web"), &around());
        for name in ["Config", "HostConfig", "NetworkSettings", "State", "Mounts"] {
            assert!(!shown[name].is_null(), "{name}");
        }
        assert_eq!(shown["State"]["StartedAt"], NEVER);
    }
}
