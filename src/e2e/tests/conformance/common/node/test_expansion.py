"""Variables in environments, commands, arguments and sub paths."""

import pytest
from support import conforms, until

SHELL = ["sh", "-c"]
FIELD = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


@pytest.mark.parametrize(
    ("container", "printed"),
    [
        pytest.param(
            {
                "command": [*SHELL, "env"],
                "env": [
                    {"name": "FOO", "value": "foo-value"},
                    {"name": "BAR", "value": "bar-value"},
                    {"name": "FOOBAR", "value": "$(FOO);;$(BAR)"},
                ],
            },
            "FOOBAR=foo-value;;bar-value\n",
            marks=conforms("[sig-node] Variable Expansion should allow composing env vars into new env vars [NodeConformance]"),
        ),
        pytest.param(
            {"command": [*SHELL, 'echo "$(GREETING) $$(GREETING)"'], "env": [{"name": "GREETING", "value": "hello"}]},
            "hello",
            marks=conforms("[sig-node] Variable Expansion should allow substituting values in a container's command [NodeConformance]"),
        ),
        pytest.param(
            {"command": SHELL, "args": ['echo "$(GREETING) there"'], "env": [{"name": "GREETING", "value": "hello"}]},
            "hello there\n",
            marks=conforms("[sig-node] Variable Expansion should allow substituting values in a container's args [NodeConformance]"),
        ),
    ],
)
def test_values(ns, container, printed):
    assert printed in ns.output(container=container)


def volume(expression):
    """A container that has one volume at two places, the second below what the expression says."""
    mount = {"name": "work", "mountPath": "/logs"}
    return {
        "container": {"env": [FIELD], "volumeMounts": [mount, {**mount, "mountPath": "/sub", "subPathExpr": expression}]},
        "volumes": [{"name": "work", "emptyDir": {}}],
    }


@conforms("[sig-node] Variable Expansion should allow substituting values in a volume subpath")
def test_sub_path(ns):
    assert ns.output("echo here > /sub/x; cat /logs/pod/x", **volume("$(POD_NAME)")) == "here\n"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(
            "/tmp", "must not be an absolute path",
            marks=conforms("[sig-node] Variable Expansion should fail substituting values in a volume subpath with absolute path"),
        ),
        pytest.param(
            "..", "must not contain '..'",
            marks=conforms("[sig-node] Variable Expansion should fail substituting values in a volume subpath with backticks"),
        ),
    ],
)
def test_bad_sub_path(ns, value, words):
    spec = volume("$(WHERE)")
    spec["container"]["env"] = [{"name": "WHERE", "value": value}]
    name = ns.pod("true", **spec)

    def waiting():
        statuses = ns.get(f"pods/{name}")["status"].get("containerStatuses", [])
        return statuses and statuses[0]["state"].get("waiting")

    said = until(lambda: (it := waiting()) and it["reason"] == "CreateContainerConfigError" and it, "the error")
    assert words in said["message"]


@conforms("[sig-node] Variable Expansion should succeed in writing subpaths in container")
def test_writing(ns):
    spec = volume("$(WHERE)/deep")
    where = {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['where']"}}}
    spec["container"]["env"] = [where]
    ns.pod("sleep 1000", metadata={"annotations": {"where": "mine"}}, **spec)
    ns.until_ready("pod")
    ns.exec("pod", "echo here > /sub/x")
    assert ns.exec("pod", "cat /logs/mine/deep/x") == "here\n"
    # what is said of the pod later moves nothing
    ns.cluster.patch(ns.path("pods/pod"), {"metadata": {"annotations": {"where": "other"}}}).ok()
    assert ns.exec("pod", "cat /sub/x; ls /logs") == "here\nmine\n"


@conforms("[sig-node] Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle of a container [Slow]")
def test_healed(ns):
    spec = volume("$(WHERE)")
    where = {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['where']"}}}
    spec["container"]["env"] = [where]
    ns.pod("sleep 1000", metadata={"annotations": {"where": "/absolute"}}, **spec)

    def waits():
        statuses = ns.get("pods/pod")["status"].get("containerStatuses", [])
        return statuses and statuses[0]["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError"

    until(waits, "the error")
    ns.cluster.patch(ns.path("pods/pod"), {"metadata": {"annotations": {"where": "mine"}}}).ok()
    pod = ns.until_ready("pod")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert ns.exec("pod", "ls /logs") == "mine\n"
