"""Containers that are added to a running pod."""

from support import BUSYBOX, STAY, conforms, until


def debugger(name):
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", f"echo {name} && sleep 1000"]}


def until_runs(ns, name):
    def look():
        statuses = ns.get("pods/pod")["status"].get("ephemeralContainerStatuses", [])
        return any(it["name"] == name and "running" in it["state"] for it in statuses)

    until(look, f"{name} runs")
    until(lambda: ns.log("pod", name) == f"{name}\n", f"{name} speaks")


def add_first(ns):
    ns.until_ready(ns.pod(STAY))
    change = {"spec": {"ephemeralContainers": [debugger("first")]}}
    ns.cluster.patch(ns.path("pods/pod/ephemeralcontainers"), change, "strategic-merge").ok()
    until_runs(ns, "first")


@conforms("[sig-node] Ephemeral Containers [NodeConformance] will start an ephemeral container in an existing pod")
def test_start(ns):
    add_first(ns)
    assert ns.exec("pod", "echo alive", "first") == "alive\n"
    ns.cluster.patch(ns.path("pods/pod"), {"spec": {"ephemeralContainers": [debugger("other")]}}).refused(422, "pod updates may not change")


@conforms("[sig-node] Ephemeral Containers [NodeConformance] should update the ephemeral containers in an existing pod")
def test_update(ns):
    add_first(ns)
    path = ns.path("pods/pod/ephemeralcontainers")
    ns.cluster.update(path, lambda pod: pod["spec"]["ephemeralContainers"].append(debugger("second")))
    until_runs(ns, "second")
    assert [it["name"] for it in ns.get("pods/pod/ephemeralcontainers")["spec"]["ephemeralContainers"]] == ["first", "second"]
