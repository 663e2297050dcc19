"""Deployments: rollouts, scales, histories and status."""

from support import condition, conforms, edit, name, scale_operations, status_operations, template, until

GROUP = "apps/v1"
LABELS = {"app": "web"}
MISSING = {"image": "monopod.invalid/missing:1"}


def deployment(ns, replicas=1, labels=None, pods=None, **spec):
    labels = labels or LABELS
    pods = pods or template(labels)
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pods, **spec}
    return ns.create("deployments", {"metadata": {"name": "web", "labels": labels}, "spec": spec}, GROUP)


def replica_set(ns, labels=None, replicas=1, annotations=None):
    labels = labels or LABELS
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template(labels, "sleep 5000")}
    metadata = {"name": "older", "labels": labels, "annotations": annotations or {}}
    ns.create("replicasets", {"metadata": metadata, "spec": spec}, GROUP)
    return ns.until("replicasets/older", lambda it: it["status"].get("readyReplicas") == replicas, GROUP)


def complete(it):
    wanted, status = it["spec"]["replicas"], it.get("status", {})
    seen = status.get("observedGeneration", 0) >= it["metadata"]["generation"]
    return seen and all(status.get(key, 0) == wanted for key in ("replicas", "updatedReplicas", "availableReplicas"))


def until_complete(ns):
    return ns.until("deployments/web", complete, GROUP)


def patch_pods(ns, container):
    container = {"name": "main", **container}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    return ns.cluster.patch(ns.path("deployments/web", GROUP), patch, kind="strategic-merge").ok()


def replica_sets(ns):
    """From the oldest revision to the newest."""
    return sorted(ns.get("replicasets", GROUP)["items"], key=revision)


def revision(it):
    return int(it["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", 0))


@conforms("[sig-apps] Deployment Deployment should have a working scale subresource")
def test_scale(ns):
    deployment(ns)
    until_complete(ns)
    scale_operations(ns, "deployments/web", GROUP)


@conforms("[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones")
def test_recreate(ns):
    deployment(ns, 2, strategy={"type": "Recreate"})
    until_complete(ns)
    at = ns.get("pods")["metadata"]["resourceVersion"]
    old = {it["metadata"]["uid"] for it in ns.pods()}
    patch_pods(ns, {"command": ["sleep", "5000"]})
    until_complete(ns)
    alive, made = set(old), set()

    def replaced(events):
        kind, pod = events[-1]
        uid = pod["metadata"]["uid"]
        if kind == "ADDED":
            assert not alive & old, "a new pod beside an old one"
            alive.add(uid)
            made.add(uid)
        elif kind == "DELETED":
            alive.discard(uid)
        return len(made) == 2

    ns.cluster.watch(ns.path("pods"), replaced, resourceVersion=at)
    assert alive == made


@conforms("[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones")
def test_rolling_update(ns):
    older = replica_set(ns, annotations={"deployment.kubernetes.io/revision": "3546343826724305832"})
    before = ns.pods()[0]["metadata"]["uid"]
    deployment(ns)
    until_complete(ns)
    old, new = replica_sets(ns)
    assert old["metadata"]["uid"] == older["metadata"]["uid"] and old["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    assert revision(new) == 3546343826724305833 == revision(ns.get("deployments/web", GROUP))
    assert new["spec"]["replicas"] == 1
    ns.until("replicasets/older", lambda it: it["spec"]["replicas"] == it["status"]["replicas"] == 0, GROUP)
    until(lambda: [it["metadata"]["uid"] for it in ns.pods() if it["metadata"]["uid"] != before] and len(ns.pods()) == 1, "one pod")


@conforms("[sig-apps] Deployment deployment should delete old replica sets")
def test_history_limit(ns):
    replica_set(ns)
    deployment(ns, revisionHistoryLimit=0)
    until_complete(ns)
    ns.until_gone("replicasets/older", GROUP)
    assert len(replica_sets(ns)) == 1


@conforms("[sig-apps] Deployment deployment should support rollover")
def test_rollover(ns):
    replica_set(ns)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    deployment(ns, pods=template(LABELS, container=MISSING), minReadySeconds=1, strategy=strategy)
    ns.until("deployments/web", lambda it: it.get("status", {}).get("updatedReplicas") == 1, GROUP)
    assert [it["spec"]["replicas"] for it in replica_sets(ns)] == [1, 1], "the old pod stays while the new one is unavailable"
    patch_pods(ns, {"image": "busybox:1"})
    until_complete(ns)
    newest = replica_sets(ns)[-1]
    assert revision(newest) == 2 and len(replica_sets(ns)) == 3
    until(lambda: [it["status"]["replicas"] for it in replica_sets(ns)] == [0, 0, 1], "only the newest has pods")
    assert newest["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox:1"


@conforms("[sig-apps] Deployment deployment should support proportional scaling")
def test_proportional_scaling(ns):
    deployment(ns, 10, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}})
    until_complete(ns)
    first = replica_sets(ns)[0]["metadata"]["name"]
    patch_pods(ns, MISSING)
    ns.until(f"replicasets/{first}", lambda it: it["spec"]["replicas"] == it["status"].get("availableReplicas") == 8, GROUP)
    second = until(lambda: len(replica_sets(ns)) == 2 and replica_sets(ns)[1], "the second set")["metadata"]["name"]
    ns.until(f"replicasets/{second}", lambda it: it["spec"]["replicas"] == it["status"].get("replicas") == 5, GROUP)
    assert ns.get(f"replicasets/{second}", GROUP)["status"].get("availableReplicas", 0) == 0
    ns.cluster.patch(ns.path("deployments/web/scale", GROUP), {"spec": {"replicas": 30}}).ok()
    ns.until(f"replicasets/{first}", lambda it: it["spec"]["replicas"] == it["status"].get("replicas") == 20, GROUP)
    ns.until(f"replicasets/{second}", lambda it: it["spec"]["replicas"] == it["status"].get("replicas") == 13, GROUP)


@conforms("[sig-apps] Deployment should run the lifecycle of a Deployment")
def test_lifecycle(ns, cluster):
    labels = {"case": name("lifecycle")}
    selector = f"case%3D{labels['case']}"
    at = deployment(ns, 1, labels)["metadata"]["resourceVersion"]
    watched = {"labelSelector": selector, "resourceVersion": at}
    path = ns.path("deployments", GROUP)
    cluster.watch(path, lambda events: events[-1][1].get("status", {}).get("readyReplicas") == 1, **watched)

    pods = {"spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "command": ["sleep", "5000"]}]}}
    patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"replicas": 2, "template": pods}}
    cluster.patch(f"{path}/web", patch, kind="strategic-merge").ok()
    events = cluster.watch(path, lambda events: complete(events[-1][1]) and events[-1][1]["spec"]["replicas"] == 2, **watched)
    assert {kind for kind, _ in events} == {"MODIFIED"} and events[-1][1]["metadata"]["labels"]["patched"] == "true"
    everywhere = cluster.get(f"/apis/apps/v1/deployments?labelSelector={selector}").ok()["items"]
    assert [it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] for it in everywhere] == [1]

    def updated(it):
        it["status"]["conditions"].append({"type": "Extra", "status": "True", "reason": "updated"})

    assert condition(edit(ns, "deployments/web/status", GROUP, updated), "Extra") == "True"
    none = {"readyReplicas": 0, "availableReplicas": 0}
    shown = cluster.patch(f"{path}/web/status", {"metadata": {"labels": {"status": "patched"}}, "status": none}).ok()
    assert shown["metadata"]["labels"]["patched"] == "true" and shown["spec"]["replicas"] == 2
    ns.until("deployments/web/status", lambda it: it["status"].get("readyReplicas") == 2, GROUP)

    cluster.delete(f"{path}?labelSelector={selector}").ok()
    cluster.watch(path, lambda events: events[-1][0] == "DELETED", **watched)
    assert cluster.get(f"{path}/web").status == 404


@conforms("[sig-apps] Deployment should validate Deployment Status endpoints")
def test_status(ns):
    deployment(ns)
    until_complete(ns)
    status_operations(ns, "deployments/web", GROUP)
