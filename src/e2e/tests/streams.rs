//! Logs, exec, attach, port-forward and cp, with the real kubectl.

mod common;

use common::{Appliance, appliance};
use std::io::Write;
use std::process::Stdio;

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: 'busybox:1', command: [sh, -c, 'echo out; echo err >&2; sleep 3600']}
  - {name: side, image: 'busybox:1', command: [cat], stdin: true, stdinOnce: true}
---
apiVersion: v1
kind: Pod
metadata: {name: counter}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: 'busybox:1', command: [sh, -c, 'for i in 1 2 3 4 5; do echo line $i; done']}
";

fn with_pods(profile: &str) -> Option<Appliance> {
    let at = appliance(profile)?;
    at.load_busybox();
    at.kubectl_with(&["create"], PODS).ok("create");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/shell", "--timeout=60s"]).ok("wait");
    Some(at)
}

#[test]
fn logs_are_told_as_asked() {
    let Some(at) = with_pods("logs") else { return };
    let all = "line 1\nline 2\nline 3\nline 4\nline 5\n";
    // of what has not begun there are no logs
    at.until_some(&[
        "get",
        "pod",
        "counter",
        "-o",
        "jsonpath={.status.containerStatuses[0].state..startedAt}",
    ]);
    assert_eq!(at.kubectl(&["logs", "-f", "counter"]).ok("follow to the end"), all);
    assert_eq!(at.kubectl(&["logs", "counter", "--tail=2"]).ok("tail"), "line 4\nline 5\n");
    assert_eq!(at.kubectl(&["logs", "counter", "--since=1h"]).ok("since"), all);
    assert_eq!(at.kubectl(&["logs", "counter", "--limit-bytes=6"]).ok("limit"), "line 1");
    let stamped = at.kubectl(&["logs", "counter", "--timestamps", "--tail=1"]).ok("timestamps");
    assert!(stamped.starts_with("20") && stamped.ends_with("Z line 5\n"), "{stamped}");
    at.until(&["logs", "shell", "-c", "main"], "out\nerr");
    let why = at.kubectl(&["logs", "shell", "-c", "none"]).refused("no such container");
    assert!(why.contains("container none is not valid for pod shell"), "{why}");
}

#[test]
fn exec_has_streams_and_exit_codes() {
    let Some(at) = with_pods("exec") else { return };
    let exec = |line: &str| at.kubectl(&["exec", "shell", "-c", "main", "--", "sh", "-c", line]);
    let both = exec("echo to out; echo to err >&2");
    assert_eq!((both.out().as_str(), both.err().as_str()), ("to out\n", "to err\n"));
    assert_eq!(exec("exit 7").0.status.code(), Some(7));
    let missing = at.kubectl(&["exec", "shell", "-c", "main", "--", "nothing"]);
    assert!(missing.refused("no such program").contains("executable file not found in $PATH"));
    let big: Vec<u8> = (0..10_000_000u32).map(|n| b'a' + (n % 26) as u8).collect();
    let counted =
        at.kubectl_fed(&["exec", "-i", "shell", "-c", "main", "--", "wc", "-c"], &big).ok("large stdin");
    assert_eq!(counted.trim(), "10000000");
    let echoed = at.kubectl_fed(&["exec", "-i", "shell", "-c", "main", "--", "cat"], &big);
    assert!(echoed.0.stdout == big, "{} bytes came back", echoed.0.stdout.len());
}

#[test]
fn a_terminal_is_a_terminal() {
    let Some(at) = with_pods("tty") else { return };
    // `script` gives kubectl a terminal of its own
    let line = format!("script -qec '{} exec -it shell -c main -- sh' /dev/null", at.kubectl_path());
    let mut shell = at.command("sh");
    let mut shell = shell.args(["-c", &line]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keys = shell.stdin.take().unwrap();
    keys.write_all(b"stty size; test -t 0 && echo on a terminal\nexit 5\n").unwrap();
    let done = shell.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("\non a terminal"), "{said}");
    assert_eq!(done.status.code(), Some(5), "{said}");
}

#[test]
fn attach_reaches_the_first_process() {
    let Some(at) = with_pods("attach") else { return };
    let said = at.kubectl_fed(&["attach", "-i", "shell", "-c", "side"], b"hello cat\n");
    assert!(said.out().contains("hello cat"), "{} {}", said.out(), said.err());
}

#[test]
fn files_are_copied_both_ways() {
    let Some(at) = with_pods("cp") else { return };
    let (to, back) = (at.home().join("to"), at.home().join("back"));
    let content: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&to, &content).unwrap();
    at.kubectl(&["cp", "-c", "main", to.to_str().unwrap(), "shell:/there"]).ok("cp there");
    at.kubectl(&["cp", "-c", "main", "shell:/there", back.to_str().unwrap()]).ok("cp back");
    assert!(std::fs::read(&back).unwrap() == content);
}

#[test]
fn a_forwarded_port_answers() {
    let Some(at) = appliance("forward") else { return };
    at.kubectl(&["run", "kubia", "--image=monopod/kubia"]).ok("run");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/kubia", "--timeout=60s"]).ok("wait");
    let ip = at.until_some(&["get", "pod", "kubia", "-o", "jsonpath={.status.podIP}"]);
    at.until_hit(&format!("{ip}:8080"), 1);
    let mut forward = at.command(&at.kubectl_path());
    let mut forward =
        forward.args(["port-forward", "pod/kubia", "18080:8080"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(forward.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut said).unwrap();
    for _ in 0..3 {
        let answer = at.shell("curl -sS --max-time 10 http://127.0.0.1:18080").ok("curl");
        assert_eq!(answer, "You've hit kubia\n");
    }
    forward.kill().unwrap();
    forward.wait().unwrap();
}
