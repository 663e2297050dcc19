"""How containers end: phases, restarts, and their last words."""

import pytest
from support import conforms, until

FALLBACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}


@pytest.mark.parametrize(
    ("command", "container", "phase", "message"),
    [
        pytest.param(
            "printf DONE > /dev/termination-custom-log",
            {"terminationMessagePath": "/dev/termination-custom-log", "securityContext": {"runAsUser": 1000}},
            "Succeeded", "DONE",
            marks=conforms("[sig-node] Container Runtime blackbox test on terminated container should report termination message if TerminationMessagePath is set as non-root user and at a non-default path [NodeConformance]"),
        ),
        pytest.param(
            "printf DONE; exit 1", FALLBACK, "Failed", "DONE",
            marks=conforms("[sig-node] Container Runtime blackbox test on terminated container should report termination message from log output if TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance]"),
        ),
        pytest.param(
            "printf DONE", FALLBACK, "Succeeded", None,
            marks=conforms("[sig-node] Container Runtime blackbox test on terminated container should report termination message as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance]"),
        ),
        pytest.param(
            "printf OK > /dev/termination-log; printf DONE", FALLBACK, "Succeeded", "OK",
            marks=conforms("[sig-node] Container Runtime blackbox test on terminated container should report termination message from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance]"),
        ),
    ],
)
def test_message(ns, command, container, phase, message):
    pod = ns.until_phase(ns.pod(command, container=container), "Succeeded", "Failed")
    assert pod["status"]["phase"] == phase
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"].get("message") == message


# fails once, succeeds once, and then runs
RUNS = "echo run >> /work/runs; case $(wc -l < /work/runs) in 1) exit 1;; 2) exit 0;; *) sleep 1000;; esac"


@conforms("[sig-node] Container Runtime blackbox test when starting a container that exits should run with the expected status [NodeConformance]")
def test_exits(ns):
    expected = {
        "Always": ("Running", "running", 2, True),
        "OnFailure": ("Succeeded", "terminated", 1, False),
        "Never": ("Failed", "terminated", 0, False),
    }
    for policy in expected:
        mount = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
        ns.pod(RUNS, policy.lower(), container=mount, volumes=[{"name": "work", "emptyDir": {}}], restartPolicy=policy)

    def seen(policy):
        status = ns.get(f"pods/{policy.lower()}")["status"]
        container = (status.get("containerStatuses") or [{"state": {"waiting": {}}, "restartCount": 0, "ready": False}])[0]
        return status["phase"], *container["state"], container["restartCount"], container["ready"]

    until(lambda: {policy: seen(policy) for policy in expected} == expected, f"{expected}")
