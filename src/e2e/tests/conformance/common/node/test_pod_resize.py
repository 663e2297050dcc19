"""Other processors and memory for the containers of a running pod."""

import pytest
from support import BUSYBOX, STAY, conforms, until

# what the kernel holds a container to: memory, and processor time in each tenth of a second; of cgroups v1 also its share of what is short
KERNEL = """cd /sys/fs/cgroup
if [ -e memory.max ]; then cat memory.max cpu.max | busybox xargs
else cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares | busybox xargs; fi"""


def resources(cpu=None, memory=None, cpu_limit=None, memory_limit=None):
    """Milli-CPUs and MiB."""

    def quantities(cpu, memory):
        both = {"cpu": f"{cpu}m" if cpu else None, "memory": f"{memory}Mi" if memory else None}
        return {name: it for name, it in both.items() if it}

    both = {"requests": quantities(cpu, memory), "limits": quantities(cpu_limit, memory_limit)}
    return {name: it for name, it in both.items() if it}


def equal(cpu, memory):
    return resources(cpu, memory, cpu, memory)


def held(asked):
    """What KERNEL prints for these; None where there is no limit, which the kernels say differently."""
    limits = asked.get("limits", {})
    memory = int(limits["memory"][:-2]) << 20 if "memory" in limits else None
    # a thousandth of a processor is less than the kernel takes
    quota = max(int(limits["cpu"][:-1]) * 100, 1000) if "cpu" in limits else None
    request = asked.get("requests", limits).get("cpu", "0m")
    return memory, quota, 100000 if quota else None, max(int(request[:-1]) * 1024 // 1000, 2)


def containers(all_resources):
    return [{"name": f"c{n}", "resources": it} for n, it in enumerate(all_resources, 1)]


def start(ns, before):
    more = {"image": BUSYBOX, "command": ["sh", "-c", STAY]}
    spec = {"containers": [{**it, **more} for it in containers(before)], "terminationGracePeriodSeconds": 0}
    ns.cluster.post(ns.path("pods"), {"metadata": {"name": "pod"}, "spec": spec}).ok()
    ns.until_ready("pod")
    until_resized(ns, before)


def until_resized(ns, wanted):
    def look():
        pod = ns.get("pods/pod")
        statuses = sorted(pod["status"]["containerStatuses"], key=lambda it: it["name"])
        conditions = {it["type"] for it in pod["status"]["conditions"]}
        return (
            [it.get("resources", {}) for it in statuses] == wanted
            and [it.get("allocatedResources", {}) for it in statuses] == [it.get("requests", {}) for it in wanted]
            and not conditions & {"PodResizePending", "PodResizeInProgress"}
            and pod["status"]["observedGeneration"] == pod["metadata"]["generation"]
            and pod
        )

    pod = until(look, f"resized to {wanted}")
    assert [it["resources"] for it in pod["spec"]["containers"]] == wanted
    assert [it["restartCount"] for it in pod["status"]["containerStatuses"]] == [0] * len(wanted)
    for container in containers(wanted):
        seen = ns.exec("pod", KERNEL, container["name"]).split()
        for is_, should_be in zip(seen, held(container["resources"]), strict=False):
            assert should_be is None or int(is_) == should_be, f"{container}: {seen}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            [equal(20, 20), equal(20, 20), equal(30, 30)], [equal(30, 30), equal(30, 30), equal(20, 25)],
            marks=conforms("[sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, c2, decrease cpu & mem on c3 - net increase [MinimumKubeletVersion:1.34]"),
        ),
        pytest.param(
            [equal(20, 20), equal(30, 30), equal(30, 30)], [equal(25, 22), equal(20, 20), equal(20, 20)],
            marks=conforms("[sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, decrease cpu & mem on c2, c3 - net decrease [MinimumKubeletVersion:1.34]"),
        ),
        pytest.param(
            [equal(20, 20), equal(30, 20), equal(20, 20)], [equal(25, 20), equal(20, 25), equal(25, 25)],
            marks=conforms("[sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase: CPU (c1,c3), memory (c2, c3) ; decrease: CPU (c2) [MinimumKubeletVersion:1.34]"),
        ),
        pytest.param(
            # more, less, a limit for requests, requests for nothing, both for nothing, and one that stays
            [
                resources(20, 20, 30, 30), resources(30, 30, 50, 50), resources(20, 20), {}, {}, resources(20, 20, 30, 30),
            ],
            [
                resources(25, 25, 35, 35), resources(20, 20, 40, 40), resources(20, 20, 30, 30), resources(10, 10),
                resources(10, 10, 20, 30), resources(20, 20, 30, 30),
            ],
            marks=conforms("[sig-node] Pod InPlace Resize Container burstable pods - extended 6 containers - various operations performed (including adding limits and requests) [MinimumKubeletVersion:1.34]"),
        ),
        pytest.param(
            # to the kernel both are the same: less than the least that it knows
            [resources(2, None, 10, None), resources(1, None, 5, None)], [resources(1, None, 5, None), resources(2, None, 10, None)],
            marks=conforms("[sig-node] Pod InPlace Resize Container burstable pods - extended resize with equivalents [MinimumKubeletVersion:1.34]"),
        ),
    ],
)
def test_resize(ns, before, after):
    start(ns, before)
    change = {"spec": {"containers": containers(after)}}
    ns.cluster.patch(ns.path("pods/pod/resize"), change, "strategic-merge").ok()
    until_resized(ns, after)
    ns.cluster.patch(ns.path("pods/pod"), {"spec": {"containers": containers(before)}}, "strategic-merge").refused(422)


@conforms("[sig-node] Pod InPlace Resize Container resize pod via the replace endpoint [MinimumKubeletVersion:1.34]")
def test_replace(ns):
    before, after = [resources(20, 20, 30, 30)], [resources(25, 25, 35, 35)]
    start(ns, before)
    pod = ns.get("pods/pod/resize")
    assert pod["spec"]["containers"][0]["resources"] == before[0]
    replaced = ns.cluster.update(ns.path("pods/pod/resize"), lambda it: it["spec"]["containers"][0].update(resources=after[0]))
    assert replaced["spec"]["containers"][0]["resources"] == after[0]
    assert replaced["metadata"]["generation"] == pod["metadata"]["generation"] + 1
    until_resized(ns, after)
