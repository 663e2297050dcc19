//! What is refused and what is warned of, each in Docker's words.

use super::*;
use serde_json::{Value, json};

fn machine() -> Machine {
    Machine {
        cpus: 2,
        cpuset_cpus: "0-1".into(),
        cpuset_mems: "0".into(),
        swap: true,
        blkio_throttle: true,
        ..Machine::default()
    }
}

fn check(config: Value, host: Value) -> Result<Vec<String>, String> {
    let config = serde_json::from_value(config).unwrap();
    let mut host: HostConfig = serde_json::from_value(host).unwrap();
    container(&config, &mut host, &machine()).map_err(|e| e.message)
}

#[test]
fn what_can_not_be() {
    for (host, want) in [
        (json!({"Memory": 1 << 20}), "Minimum memory limit allowed is 6MB"),
        (json!({"MemorySwap": 1 << 20}), "You should always set the Memory limit"),
        (json!({"Memory": 64 << 20, "MemorySwap": 32 << 20}), "Minimum memoryswap limit should be larger"),
        (json!({"Memory": 64 << 20, "MemoryReservation": 128 << 20}), "Minimum memory limit can not be less"),
        (json!({"MemorySwappiness": 101}), "Invalid value: 101"),
        (json!({"NanoCpus": 3_000_000_000_i64}), "range of CPUs is from 0.01 to 2.00"),
        (
            json!({"NanoCpus": 1_000_000_000, "CpuQuota": 1000}),
            "Conflicting options: Nano CPUs and CPU Quota",
        ),
        (json!({"CpuPeriod": 1}), "CPU cfs period can not be less than 1ms"),
        (json!({"CpuQuota": 1}), "CPU cfs quota can not be less than 1ms"),
        (json!({"CpusetCpus": "77"}), "Requested CPUs are not available - requested 77, available: 0-1"),
        (json!({"CpusetCpus": "x"}), "Invalid value x for cpuset cpus: invalid format: x"),
        (json!({"CpusetMems": "1"}), "Requested memory nodes are not available"),
        (json!({"OomScoreAdj": 5000}), "Invalid value 5000"),
        (json!({"PidMode": "what"}), "invalid PID mode: what"),
        (json!({"IpcMode": "what"}), "invalid IPC mode: what"),
        (json!({"CapAdd": ["bogus"]}), "invalid CapAdd: unknown capability: \"CAP_BOGUS\""),
        (json!({"Runtime": "kata"}), "unknown or invalid runtime name: kata"),
        (json!({"RestartPolicy": {"Name": "x"}}), "invalid restart policy: unknown policy 'x'"),
        (
            json!({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}),
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            json!({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}}),
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            json!({"AutoRemove": true, "RestartPolicy": {"Name": "always"}}),
            "can't create 'AutoRemove' container",
        ),
    ] {
        let said = check(json!({}), host.clone()).unwrap_err();
        assert!(said.starts_with(want), "{host}: {said}");
    }
    let said = check(json!({"WorkingDir": "rel"}), json!({})).unwrap_err();
    assert!(said.starts_with("the working directory 'rel' is invalid"), "{said}");
    let said = check(json!({"Hostname": "x"}), json!({"UTSMode": "host"})).unwrap_err();
    assert_eq!(said, "conflicting options: hostname and the UTS mode");
    let said = check(json!({"Healthcheck": {"Test": ["CMD", "x"], "Interval": 10}}), json!({})).unwrap_err();
    assert_eq!(said, "Interval in Healthcheck cannot be less than 1ms");
}

#[test]
fn what_is_good_and_what_is_warned_of() {
    let plain = json!({"Memory": 64 << 20, "MemorySwap": -1, "CpusetCpus": "0-1", "IpcMode": "container:x", "CapAdd": ["net_admin", "ALL"]});
    assert_eq!(check(json!({}), plain), Ok(vec![]));
    let warned = check(json!({}), json!({"BlkioWeight": 300, "OomKillDisable": true})).unwrap();
    assert_eq!(warned.len(), 2, "{warned:?}");
    let at = |address: &str| json!([{"HostIp": address, "HostPort": "80"}]);
    let ports =
        json!({"80/tcp": at("::1"), "80/udp": at("::1"), "81/tcp": at("::"), "82/tcp": at("127.0.0.1")});
    let warned = check(json!({}), json!({"PortBindings": ports})).unwrap();
    assert_eq!(warned, ["IPv6 is not offered: nothing is published at [::1]"]);
}
