"""Containers that run before a pod's own."""

import pytest
from support import BUSYBOX, conforms, until


def container(name, command):
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", command]}


def pod(ns, policy, first, second, main):
    spec = {
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 0,
        "initContainers": [container("init1", first), container("init2", second)],
        "containers": [container("run1", main)],
    }
    ns.cluster.post(ns.path("pods"), {"metadata": {"name": "pod"}, "spec": spec}).ok()


def initialized(pod):
    return next(it for it in pod["status"]["conditions"] if it["type"] == "Initialized")


@pytest.mark.parametrize(
    ("policy", "main", "phase"),
    [
        pytest.param(
            "Never", "true", "Succeeded",
            marks=conforms("[sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartNever pod"),
        ),
        pytest.param(
            "Always", "sleep 1000", "Running",
            marks=conforms("[sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartAlways pod"),
        ),
    ],
)
def test_in_order(ns, policy, main, phase):
    pod(ns, policy, "true", "true", main)
    seen = ns.until_phase("pod", phase)
    assert initialized(seen)["status"] == "True"
    inits = seen["status"]["initContainerStatuses"]
    ends = [it["state"]["terminated"] for it in inits]
    assert [it["name"] for it in inits] == ["init1", "init2"]
    assert [it["exitCode"] for it in ends] == [0, 0] and all(it["ready"] for it in inits)
    run = seen["status"]["containerStatuses"][0]["state"]
    began = run.get("running", run.get("terminated"))["startedAt"]
    assert ends[0]["finishedAt"] <= ends[1]["startedAt"] and ends[1]["finishedAt"] <= began


@conforms("[sig-node] InitContainer [NodeConformance] should not start app containers if init containers fail on a RestartAlways pod")
def test_fails_and_restarts(ns):
    pod(ns, "Always", "false", "true", "true")

    def restarted():
        status = ns.get("pods/pod")["status"]
        return status if (status.get("initContainerStatuses") or [{"restartCount": 0}])[0]["restartCount"] >= 1 else None

    status = until(restarted, "init1 is restarted")
    first, second = status["initContainerStatuses"]
    assert first["lastState"]["terminated"]["exitCode"] == 1
    assert second["state"]["waiting"]["reason"] == "PodInitializing"
    assert status["phase"] == "Pending" and status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    condition = initialized({"status": status})
    assert condition["status"] == "False" and condition["reason"] == "ContainersNotInitialized"
    assert condition["message"] == "containers with incomplete status: [init1 init2]"


@conforms("[sig-node] InitContainer [NodeConformance] should not start app containers and fail the pod if init containers fail on a RestartNever pod")
def test_fails(ns):
    pod(ns, "Never", "true", "false", "true")
    status = ns.until_phase("pod", "Failed", "Succeeded")["status"]
    assert status["phase"] == "Failed"
    assert [it["state"]["terminated"]["exitCode"] for it in status["initContainerStatuses"]] == [0, 1]
    assert status["initContainerStatuses"][1]["state"]["terminated"]["reason"] == "Error"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    condition = initialized({"status": status})
    assert condition["status"] == "False" and condition["reason"] == "ContainersNotInitialized"
    assert condition["message"] == "containers with incomplete status: [init2]"
