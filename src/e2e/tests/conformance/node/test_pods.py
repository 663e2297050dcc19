"""Classes of quality and generations of pods."""

from support import BUSYBOX, STAY, conforms


@conforms("[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu")
def test_quality(ns):
    amounts = {"cpu": "10m", "memory": "10Mi"}
    ns.pod(STAY, container={"resources": {"requests": amounts, "limits": amounts}})
    assert ns.get("pods/pod")["status"]["qosClass"] == "Guaranteed"
    assert ns.until_ready("pod")["status"]["qosClass"] == "Guaranteed"


def until_observed(ns, generation):
    ns.until("pods/pod", lambda it: it["status"].get("observedGeneration") == generation)
    assert ns.get("pods/pod")["metadata"]["generation"] == generation


@conforms("[sig-node] Pods Extended (pod generation) Pod Generation pod generation should start at 1 and increment per update [MinimumKubeletVersion:1.34]")
def test_increments(ns):
    ns.pod(STAY, activeDeadlineSeconds=5000)
    ns.until_ready("pod")
    until_observed(ns, 1)
    toleration = {"key": "key", "operator": "Exists", "effect": "NoExecute"}
    tolerations = [*ns.get("pods/pod")["spec"]["tolerations"], toleration]
    image = f"docker.io/library/{BUSYBOX}"
    for change, generation in [
        ({"spec": {"activeDeadlineSeconds": 4000}}, 2),
        ({"spec": {"tolerations": tolerations}}, 3),
        # what is none of the specification counts for nothing
        ({"metadata": {"labels": {"more": "label"}}}, 3),
        ({"metadata": {"annotations": {"more": "annotation"}}}, 3),
        ({"spec": {"activeDeadlineSeconds": 4000}}, 3),
        ({"spec": {"containers": [{"name": "main", "image": image}]}}, 4),
    ]:
        shown = ns.cluster.patch(ns.path("pods/pod"), change, "merge" if "tolerations" in str(change) else "strategic-merge").ok()
        assert shown["metadata"]["generation"] == generation, change
        until_observed(ns, generation)
    ns.cluster.patch(ns.path("pods/pod/status"), {"status": {"message": "changed"}}).ok()
    assert ns.get("pods/pod")["metadata"]["generation"] == 4
    debugger = {"name": "debugger", "image": BUSYBOX, "command": ["sleep", "1000"]}
    change = {"spec": {"ephemeralContainers": [debugger]}}
    assert ns.cluster.patch(ns.path("pods/pod/ephemeralcontainers"), change, "strategic-merge").ok()["metadata"]["generation"] == 5
    until_observed(ns, 5)


@conforms("[sig-node] Pods Extended (pod generation) Pod Generation custom-set generation on new pods and graceful delete")
def test_graceful_delete(ns):
    ns.pod("trap '' TERM; sleep 1000 & wait; sleep 1000", metadata={"generation": 100}, terminationGracePeriodSeconds=2)
    assert ns.get("pods/pod")["metadata"]["generation"] == 1
    ns.until_ready("pod")
    until_observed(ns, 1)
    at = ns.get("pods/pod")["metadata"]["resourceVersion"]
    deleted = ns.cluster.delete(ns.path("pods/pod")).ok()
    assert deleted["metadata"]["deletionTimestamp"] and deleted["metadata"]["generation"] == 2
    events = ns.cluster.watch(ns.path("pods"), lambda it: it[-1][0] == "DELETED", resourceVersion=at)
    assert {pod["metadata"]["generation"] for _, pod in events} == {2}
    assert 2 in [pod["status"]["observedGeneration"] for _, pod in events]


@conforms("[sig-node] Pods Extended (pod generation) Pod Generation issue 500 podspec updates and verify generation and observedGeneration eventually converge [MinimumKubeletVersion:1.34]")
def test_many_updates(ns):
    ns.pod(STAY, activeDeadlineSeconds=100000)
    ns.until_ready("pod")
    for n in range(1, 500):
        ns.cluster.patch(ns.path("pods/pod"), {"spec": {"activeDeadlineSeconds": 100000 - n}}).ok()
    assert ns.get("pods/pod")["metadata"]["generation"] == 500
    until_observed(ns, 500)
