//! Who did what: the audit log of the API, as a policy wants it.

mod common;

use common::appliance;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  userGroups: [\"system:nodes\"]
- level: RequestResponse
  resources: [{resources: [configmaps]}]
- level: Metadata
  resources: [{resources: [secrets, pods/exec]}]
";

fn events(log: &Path, about: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    // the last line may be half written
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let all = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["objectRef"]["name"] == about).collect()
}

/// Waits until what the log has of it is enough: it is written a moment after the answer.
fn until_events(log: &Path, about: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let told = events(log, about);
        if enough(&told) {
            return told;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "of {about}: {told:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_policy_says_what_the_audit_log_tells() {
    let Some(at) = appliance("audit-log") else { return };
    at.monopod(&["stop"]).ok("stop");
    let policy = at.home().join("policy.yaml");
    let policy = policy.to_str().unwrap();
    std::fs::write(policy, POLICY.replace("Metadata", "Everything")).unwrap();
    let refused = at.monopod(&["start", "--audit-policy", policy]).refused("no level");
    assert!(refused.contains(policy) && refused.contains("Everything"), "{refused}");
    // what was refused is not kept
    at.monopod(&["start"]).ok("start without a policy");
    std::fs::write(policy, POLICY).unwrap();
    let noted = at.monopod(&["start", "--audit-policy", policy]);
    assert!(noted.err().contains("--audit-policy has no effect on a daemon that runs"), "{}", noted.err());
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", "--audit-policy", policy]).ok("start with a policy");

    let log = at.places()[0].join("audit.log");
    at.load_busybox();
    at.kubectl(&["create", "configmap", "settings", "--from-literal=colour=blue"]).ok("config map");
    at.kubectl(&["create", "secret", "generic", "safe", "--from-literal=key=hidden"]).ok("secret");
    let told = until_events(&log, "settings", |told| !told.is_empty());
    assert_eq!(told[0]["responseObject"]["data"]["colour"], "blue", "{told:?}");
    assert_eq!(told[0]["user"]["username"], "monopod-admin", "{told:?}");
    let told = until_events(&log, "safe", |told| !told.is_empty());
    assert!(told[0]["verb"] == "create" && told[0]["requestObject"].is_null(), "{told:?}");
    assert!(!std::fs::read_to_string(&log).unwrap().contains("hidden"));

    at.kubectl(&["run", "web", "--image=busybox:1", "--", "sleep", "1000"]).ok("run");
    at.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "pod/web"]).ok("ready");
    at.kubectl(&["exec", "web", "--", "true"]).ok("exec");
    let text =
        |event: &Value| format!("{} {}", event["stage"].as_str().unwrap(), event["responseStatus"]["code"]);
    // the connection ends a moment after kubectl
    let told = until_events(&log, "web", |told| told.len() >= 2);
    let stages: Vec<String> = told.iter().map(text).collect();
    assert_eq!(stages, ["ResponseStarted 101", "ResponseComplete 101"]);

    // kept for later starts, until it is taken back
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start again");
    at.kubectl(&["delete", "configmap", "settings"]).ok("delete");
    until_events(&log, "settings", |told| told.iter().any(|event| event["verb"] == "delete"));
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", "--audit-policy", "none"]).ok("start without");
    let before = std::fs::read_to_string(&log).unwrap();
    at.kubectl(&["delete", "secret", "safe"]).ok("delete");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), before);
}
