"""Jobs: indexes, policies of failure and success, orphans, status and lifecycle."""

import pytest
from support import condition, conforms, edit, name, owner, template, until

GROUP = "batch/v1"
# ends well as soon as somebody says so
GATED = "until [ -e /tmp/go ]; do sleep 0.1; done"
ODD_FAIL = "exit $((JOB_COMPLETION_INDEX % 2))"


def job(ns, command, labels=None, pods=None, **spec):
    pods = template({}, command, restartPolicy="Never", **(pods or {}))
    return ns.create("jobs", {"metadata": {"name": "job", "labels": labels or {}}, "spec": {"template": pods, **spec}}, GROUP)


def until_condition(ns, kind):
    """Waits for it; returns the status and the condition."""
    status = ns.until("jobs/job", lambda it: condition(it, kind) == "True", GROUP)["status"]
    return status, next(it for it in status["conditions"] if it["type"] == kind)


def until_running(ns, number):
    def running():
        pods = [it["metadata"]["name"] for it in ns.pods() if it["status"]["phase"] == "Running"]
        return pods if len(pods) == number else None

    return until(running, f"{number} pods run")


def owned(pod):
    return [uid for _, uid in owner(pod)]


@conforms("[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname")
def test_indexed(ns):
    job(ns, 'echo "$(hostname) $JOB_COMPLETION_INDEX"', completions=4, parallelism=4, completionMode="Indexed")
    status, _ = until_condition(ns, "Complete")
    assert status["completedIndexes"] == "0-3" and status["succeeded"] == 4
    pods = {it["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]: it for it in ns.pods()}
    assert set(pods) == {"0", "1", "2", "3"}
    for index, pod in pods.items():
        assert pod["spec"]["hostname"] == f"job-{index}"
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == index
        assert ns.log(pod["metadata"]["name"]) == f"job-{index} {index}\n"


@conforms("[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted")
def test_restarted_locally(ns):
    once = "[ -e /kept/failed ] || { touch /kept/failed; exit 1; }"
    mount = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    pods = template({}, once, mount, restartPolicy="OnFailure", volumes=[{"name": "kept", "emptyDir": {}}])
    spec = {"template": pods, "completions": 4, "parallelism": 2}
    ns.create("jobs", {"metadata": {"name": "job"}, "spec": spec}, GROUP)
    status, _ = until_condition(ns, "Complete")
    assert status["succeeded"] == 4 and not status.get("failed")
    pods = ns.pods()
    assert [it["status"]["phase"] for it in pods] == ["Succeeded"] * 4
    assert [it["status"]["containerStatuses"][0]["restartCount"] for it in pods] == [1] * 4


@conforms("[sig-apps] Job should allow to use the pod failure policy on exit code to fail the job early")
def test_fail_job(ns):
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [1]}}]}
    job(ns, "exit 1", completions=4, parallelism=2, backoffLimit=6, podFailurePolicy=policy)
    status, failed = until_condition(ns, "Failed")
    assert failed["reason"] == "PodFailurePolicy"
    assert "failed with exit code 1 matching FailJob rule at index 0" in failed["message"]
    assert condition({"status": status}, "FailureTarget") == "True"


@conforms("[sig-apps] Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition")
def test_ignored_disruption(ns, cluster):
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    # ends at once when it is told to
    job(ns, f"trap 'exit 1' TERM; {GATED}", completions=2, parallelism=2, backoffLimit=0, podFailurePolicy=policy,
        pods={"terminationGracePeriodSeconds": 30})
    first = until_running(ns, 2)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first[0]}}
    at = ns.get("pods")["metadata"]["resourceVersion"]
    cluster.post(ns.path(f"pods/{first[0]}/eviction"), eviction).ok()

    def failed(events):
        return events[-1][1]["status"]["phase"] == "Failed" and events[-1][1]["metadata"]["name"] == first[0]

    assert condition(cluster.watch(ns.path("pods"), failed, resourceVersion=at)[-1][1], "DisruptionTarget") == "True"
    until(lambda: set(running := until_running(ns, 2)) != set(first) and running, "another pod instead")
    for pod in until_running(ns, 2):
        ns.exec(pod, "touch /tmp/go")
    status, _ = until_condition(ns, "Complete")
    assert status["succeeded"] == 2 and not status.get("failed")


@conforms("[sig-apps] Job should execute all indexes despite some failing when using backoffLimitPerIndex")
def test_limit_per_index(ns):
    # takes ten seconds: so long a failed index waits for its second and last chance
    job(ns, ODD_FAIL, completions=4, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=1)
    status, failed = until_condition(ns, "Failed")
    assert failed["reason"] == "FailedIndexes" and failed["message"] == "Job has failed indexes"
    assert (status["failedIndexes"], status["completedIndexes"]) == ("1,3", "0,2")
    assert (status["failed"], status["succeeded"]) == (4, 2)


@conforms("[sig-apps] Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy")
def test_fail_index(ns):
    policy = {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}]}
    command = "[ $JOB_COMPLETION_INDEX != 0 ] || exit 42"
    job(ns, command, completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=1, podFailurePolicy=policy)
    status, failed = until_condition(ns, "Failed")
    assert failed["reason"] == "FailedIndexes"
    assert (status["failedIndexes"], status["completedIndexes"]) == ("0", "1")
    assert (status["failed"], status["succeeded"]) == (1, 1)


@conforms("[sig-apps] Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes")
def test_max_failed_indexes(ns):
    command = "[ $JOB_COMPLETION_INDEX = 0 ] && exit 1; sleep 100000"
    spec = {"completions": 4, "parallelism": 3, "completionMode": "Indexed"}
    job(ns, command, **spec, backoffLimitPerIndex=0, maxFailedIndexes=0)
    status, failed = until_condition(ns, "Failed")
    assert failed["reason"] == "MaxFailedIndexesExceeded"
    assert failed["message"] == "Job has exceeded the specified maximal number of failed indexes"
    assert status["failedIndexes"] == "0" and not status.get("active")
    assert not status.get("completedIndexes")


@pytest.mark.parametrize(
    ("rule", "completed"),
    [
        pytest.param(
            {"succeededIndexes": "0-1"}, "0,1",
            marks=conforms("[sig-apps] Job with successPolicy should succeeded when all indexes succeeded"),
        ),
        pytest.param(
            {"succeededIndexes": "0"}, "0",
            marks=conforms(
                "[sig-apps] Job with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending"
            ),
        ),
        pytest.param(
            {"succeededCount": 1}, "0",
            marks=conforms(
                "[sig-apps] Job with successPolicy succeededCount rule should succeeded even when some indexes remain pending"
            ),
        ),
    ],
)
def test_success_policy(ns, rule, completed):
    command = "true" if completed == "0,1" else "[ $JOB_COMPLETION_INDEX = 0 ] || sleep 100000"
    job(ns, command, completions=2, parallelism=2, completionMode="Indexed", successPolicy={"rules": [rule]})
    status, complete = until_condition(ns, "Complete")
    met = next(it for it in status["conditions"] if it["type"] == "SuccessCriteriaMet")
    assert met["status"] == "True" and complete["reason"] == met["reason"] == "SuccessPolicy"
    assert met["message"] == complete["message"] == "Matched rules at index 0"
    assert (status["completedIndexes"], status["succeeded"]) == (completed, len(completed.split(",")))
    assert not status.get("active") and not status.get("failed")
    until(lambda: not [it for it in ns.pods() if it["status"]["phase"] == "Running"], "the others are stopped")


@conforms("[sig-apps] Job should adopt matching orphans and release non-matching pods")
def test_adopts_and_releases(ns, cluster):
    uid = job(ns, "sleep 100000", completions=2, parallelism=2)["metadata"]["uid"]
    pod = until_running(ns, 2)[0]
    cluster.patch(ns.path(f"pods/{pod}"), {"metadata": {"ownerReferences": None}}).ok()
    ns.until(f"pods/{pod}", lambda it: owned(it) == [uid])
    removed = {"metadata": {"labels": dict.fromkeys(ns.get(f"pods/{pod}")["metadata"]["labels"])}}
    cluster.patch(ns.path(f"pods/{pod}"), removed).ok()
    ns.until(f"pods/{pod}", lambda it: not owned(it))


@conforms("[sig-apps] Job should delete a job")
def test_delete(ns, cluster):
    uid = job(ns, "sleep 100000", completions=4, parallelism=2)["metadata"]["uid"]
    assert [owned(ns.get(f"pods/{it}")) for it in until_running(ns, 2)] == [[uid]] * 2
    cluster.delete(ns.path("jobs/job", GROUP), {"propagationPolicy": "Foreground"}).ok()
    ns.until_gone("jobs/job", GROUP)
    until(lambda: not ns.pods(), "no pod is left")


@conforms("[sig-apps] Job should apply changes to a job status")
def test_status(ns, cluster):
    job(ns, "sleep 100000", completions=2, parallelism=2)
    until_running(ns, 2)
    path = ns.path("jobs/job/status", GROUP)
    ns.until("jobs/job", lambda it: it["status"].get("ready") == 2, GROUP)
    started = ns.get("jobs/job/status", GROUP)["status"]["startTime"]
    custom = {"type": "CustomConditionType", "status": "True"}
    patched = cluster.patch(path, {"metadata": {"annotations": {"patched": "true"}}, "status": {"conditions": [custom]}}).ok()
    assert condition(patched, "CustomConditionType") == "True" and patched["status"]["startTime"] == started
    assert patched["metadata"]["annotations"]["patched"] == "true"

    def again(body):
        body["metadata"]["annotations"]["updated"] = "true"
        body["status"]["conditions"][0]["reason"] = "Updated"

    updated = edit(ns, "jobs/job/status", GROUP, again)
    assert updated["metadata"]["annotations"]["updated"] == "true"
    shown = ns.get("jobs/job/status", GROUP)["status"]
    assert shown["conditions"][0]["reason"] == "Updated" and shown["startTime"] == started


@conforms("[sig-apps] Job should manage the lifecycle of a job")
def test_lifecycle(ns, cluster):
    case = name("jobs")
    job(ns, GATED, {"case": case}, completions=1, parallelism=1, suspend=True)
    until_condition(ns, "Suspended")
    assert not ns.pods()
    patched = cluster.patch(ns.path("jobs/job", GROUP), {"metadata": {"labels": {"patched": "true"}}}).ok()
    assert patched["metadata"]["labels"]["patched"] == "true"
    edit(ns, "jobs/job", GROUP, lambda it: it["metadata"].update(annotations={"updated": "true"}) or it["spec"].update(suspend=False))
    at = ns.get("jobs/job", GROUP)["metadata"]["resourceVersion"]
    ns.exec(until_running(ns, 1)[0], "touch /tmp/go")
    path = ns.path("jobs", GROUP)
    events = cluster.watch(path, lambda events: condition(events[-1][1], "Complete") == "True", resourceVersion=at)
    shown = events[-1][1]
    assert shown["metadata"]["annotations"]["updated"] == "true" and condition(shown, "Suspended") == "False"
    everywhere = f"/apis/batch/v1/jobs?labelSelector=case%3D{case},patched%3Dtrue"
    assert [it["metadata"]["name"] for it in cluster.get(everywhere).ok()["items"]] == ["job"]
    cluster.delete(f"{path}?labelSelector=case%3D{case}&propagationPolicy=Background").ok()
    until(lambda: not cluster.get(everywhere).ok()["items"] and not ns.pods(), "job and pods are gone")
