//! Jobs, CronJobs, DaemonSets and StatefulSets on real pods, seen through kubectl.

mod common;

use common::{Appliance, appliance};

fn ready(profile: &str) -> Option<Appliance> {
    let at = appliance(profile)?;
    at.load_busybox();
    Some(at)
}

#[test]
fn jobs_run_to_their_end() {
    let Some(at) = ready("jobs") else { return };
    at.kubectl(&["create", "job", "hello", "--image=busybox:1", "--", "sh", "-c", "echo hi"]).ok("create");
    at.kubectl(&["wait", "--for=condition=complete", "job/hello", "--timeout=60s"]).ok("wait");
    assert_eq!(at.kubectl(&["logs", "job/hello"]).ok("logs"), "hi\n");
    let shown = at.kubectl(&["get", "jobs"]).ok("get");
    assert!(shown.contains("hello   Complete   1/1"), "{shown}");
    for event in ["SuccessfulCreate", "Completed"] {
        at.until_told(&["describe", "job", "hello"], event);
    }
    at.kubectl(&["delete", "job", "hello"]).ok("delete");
    at.until(&["get", "pods", "-o", "name"], "");
    let indexed = "
apiVersion: batch/v1
kind: Job
metadata: {name: parts}
spec:
  completionMode: Indexed
  completions: 3
  parallelism: 2
  ttlSecondsAfterFinished: 3600
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: 'busybox:1', command: [sh, -c, 'echo part $JOB_COMPLETION_INDEX of $(hostname)']}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: fails}
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: 'busybox:1', command: [sh, -c, 'exit 3']}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: waits}
spec:
  suspend: true
  activeDeadlineSeconds: 2
  template:
    spec: {restartPolicy: Never, terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]}
";
    at.kubectl_with(&["create"], indexed).ok("create");
    at.kubectl(&["wait", "--for=condition=complete", "job/parts", "--timeout=60s"]).ok("wait");
    assert_eq!(
        at.kubectl(&["get", "job", "parts", "-o", "jsonpath={.status.completedIndexes}"]).ok("get"),
        "0-2"
    );
    let logs = at.kubectl(&["logs", "-l", "batch.kubernetes.io/job-completion-index=2"]).ok("logs");
    assert_eq!(logs, "part 2 of parts-2\n");
    at.kubectl(&["wait", "--for=condition=failed", "job/fails", "--timeout=60s"]).ok("wait");
    let reason =
        at.kubectl(&["get", "job", "fails", "-o", "jsonpath={.status.conditions[-1:].reason}"]).ok("get");
    assert_eq!(reason, "BackoffLimitExceeded");
    at.until_told(&["get", "job", "waits"], "Suspended");
    at.kubectl(&["patch", "job", "waits", "-p", r#"{"spec":{"suspend":false}}"#]).ok("resume");
    at.kubectl(&["wait", "--for=condition=failed", "job/waits", "--timeout=60s"]).ok("wait");
    at.until(&["get", "pods", "-l", "job-name=waits", "-o", "name"], "");
    // a template that never ends is answered with what could be
    let said =
        at.kubectl_with(&["create"], &indexed.replace("restartPolicy: Never", "restartPolicy: Always"));
    assert!(said.refused("always").contains(
        "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
    ));
    at.kubectl(&["delete", "jobs", "--all"]).ok("delete");
    at.until(&["get", "pods", "-o", "name"], "");
}

#[test]
fn cron_jobs_start_jobs() {
    let Some(at) = ready("crons") else { return };
    at.kubectl(&["create", "cronjob", "tick", "--image=busybox:1", "--schedule=@every 2s", "--", "true"])
        .ok("create");
    at.until_some(&["get", "cronjob", "tick", "-o", "jsonpath={.status.lastSuccessfulTime}"]);
    let shown = at.kubectl(&["get", "cronjobs"]).ok("get");
    assert!(shown.contains("tick   @every 2s   <none>"), "{shown}");
    at.kubectl(&["patch", "cronjob", "tick", "-p", r#"{"spec":{"suspend":true}}"#]).ok("suspend");
    at.kubectl(&["create", "job", "now", "--from=cronjob/tick"]).ok("by hand");
    at.kubectl(&["wait", "--for=condition=complete", "job/now", "--timeout=60s"]).ok("wait");
    let said =
        at.kubectl(&["create", "cronjob", "bad", "--image=x", "--schedule=* * *"]).refused("bad schedule");
    assert!(said.contains("expected exactly 5 fields, found 3: [* * *]"), "{said}");
    at.kubectl(&["delete", "cronjob", "tick"]).ok("delete");
    at.until(&["get", "jobs,pods", "-o", "name"], "");
}

const AGENT: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]}
";

#[test]
fn a_daemon_set_is_on_the_node_and_rolls_back() {
    let Some(at) = ready("daemons") else { return };
    at.kubectl_with(&["apply"], AGENT).ok("apply");
    at.kubectl(&["rollout", "status", "ds/agent", "--timeout=60s"]).ok("rollout");
    let shown = at.kubectl(&["get", "ds"]).ok("get");
    assert!(shown.contains("agent   1         1         1       1            1           <none>"), "{shown}");
    at.kubectl_with(&["apply"], &AGENT.replace("'3600'", "'7200'")).ok("change");
    at.kubectl(&["rollout", "status", "ds/agent", "--timeout=60s"]).ok("rollout");
    let command =
        ["get", "pods", "-l", "app=agent", "-o", "jsonpath={.items[*].spec.containers[0].command[1]}"];
    at.until(&command, "7200");
    let history = at.kubectl(&["rollout", "history", "ds/agent"]).ok("history");
    assert!(history.contains('1') && history.contains('2'), "{history}");
    at.kubectl(&["rollout", "undo", "ds/agent"]).ok("undo");
    at.kubectl(&["rollout", "status", "ds/agent", "--timeout=60s"]).ok("rollout");
    at.until(&command, "3600");
    let revisions = at.kubectl(&["get", "controllerrevisions"]).ok("revisions");
    assert!(revisions.contains("daemonset.apps/agent"), "{revisions}");
    // the node that is cordoned keeps it
    let node = at.kubectl(&["get", "nodes", "-o", "name"]).ok("node");
    at.kubectl(&["cordon", node.trim()]).ok("cordon");
    at.kubectl(&["delete", "pods", "-l", "app=agent"]).ok("delete a pod");
    at.kubectl(&["rollout", "status", "ds/agent", "--timeout=60s"]).ok("rollout");
    at.kubectl(&["delete", "ds", "agent"]).ok("delete");
    at.until(&["get", "pods,controllerrevisions", "-o", "name"], "");
}

const DATABASE: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'busybox:1', command: [sleep, '3600']}]}
";

#[test]
fn a_stateful_set_has_names_and_rolls_back() {
    let Some(at) = ready("numbered") else { return };
    at.kubectl_with(&["apply"], DATABASE).ok("apply");
    at.kubectl(&["rollout", "status", "sts/db", "--timeout=60s"]).ok("rollout");
    let shown = at.kubectl(&["get", "sts"]).ok("get");
    assert!(shown.contains("db     2/2"), "{shown}");
    let ip = at.kubectl(&["get", "pod", "db-1", "-o", "jsonpath={.status.podIP}"]).ok("ip");
    // a name comes a moment after its pod is ready
    let look_up = ["exec", "db-0", "--", "nslookup", "-type=a", "db-1.db.default.svc.cluster.local"];
    at.until_told(&look_up, &ip);
    assert_eq!(
        at.kubectl(&["exec", "db-1", "--", "hostname", "-f"]).ok("name"),
        "db-1.db.default.svc.cluster.local\n"
    );
    at.kubectl(&["scale", "sts/db", "--replicas=3"]).ok("scale");
    at.kubectl(&["rollout", "status", "sts/db", "--timeout=60s"]).ok("rollout");
    let names = ["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"];
    at.until(&names, "db-0 db-1 db-2");
    at.kubectl(&["set", "env", "sts/db", "A=b"]).ok("change");
    at.kubectl(&["rollout", "status", "sts/db", "--timeout=90s"]).ok("rollout");
    let variables = ["get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].env[*].value}"];
    at.until(&variables, "b b b");
    at.kubectl(&["rollout", "undo", "sts/db"]).ok("undo");
    at.kubectl(&["rollout", "status", "sts/db", "--timeout=90s"]).ok("rollout");
    at.until(&variables, "");
    at.kubectl(&["delete", "pod", "db-1"]).ok("delete a pod");
    at.kubectl(&["rollout", "status", "sts/db", "--timeout=60s"]).ok("rollout");
    at.kubectl(&["scale", "sts/db", "--replicas=1"]).ok("scale");
    at.until(&names, "db-0");
    at.kubectl(&["delete", "sts", "db"]).ok("delete");
    at.until(&["get", "pods,controllerrevisions", "-o", "name"], "");
}
