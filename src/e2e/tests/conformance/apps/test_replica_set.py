"""ReplicaSets: pods that answer, are adopted and released; scale and status."""

from support import SERVER, conforms, edit, name, owner, scale_operations, status_operations, template, until, until_each_answers

GROUP = "apps/v1"
LABELS = {"app": "web"}


def replica_set(ns, replicas=1, name_="web", labels=None, command="sleep 100000"):
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template(LABELS, command)}
    return ns.create("replicasets", {"metadata": {"name": name_, "labels": labels or {}}, "spec": spec}, GROUP)


def until_ready(ns, replicas=1):
    return ns.until("replicasets/web", lambda it: it.get("status", {}).get("readyReplicas") == replicas, GROUP)


@conforms("[sig-apps] ReplicaSet should serve a basic image on each replica with a public image")
def test_serves(ns):
    replica_set(ns, 2, command=f"{SERVER} 80")
    until_ready(ns, 2)
    until_each_answers(ns, 2)


@conforms("[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods")
def test_adopts_and_releases(ns, cluster):
    ns.pod("sleep 100000", metadata={"labels": LABELS}, restartPolicy="Always")
    uid = replica_set(ns)["metadata"]["uid"]
    ns.until("pods/pod", lambda pod: owner(pod) == [("ReplicaSet", uid)])
    until_ready(ns)
    assert len(ns.pods()) == 1
    cluster.patch(ns.path("pods/pod"), {"metadata": {"labels": {"app": "other"}}}).ok()
    ns.until("pods/pod", lambda pod: not owner(pod))
    replacement = until(lambda: ns.pods("app=web"), "another pod is made")
    assert owner(replacement[0]) == [("ReplicaSet", uid)]


@conforms("[sig-apps] ReplicaSet Replicaset should have a working scale subresource")
def test_scale(ns):
    replica_set(ns)
    until_ready(ns)
    scale_operations(ns, "replicasets/web", GROUP)


@conforms("[sig-apps] ReplicaSet Replace and Patch tests")
def test_replace_and_patch(ns, cluster):
    replica_set(ns)
    until_ready(ns)
    edit(ns, "replicasets/web", GROUP, lambda it: it["spec"].update(replicas=2))
    at = until_ready(ns, 2)["metadata"]["resourceVersion"]
    container = {"name": "main", "command": ["sleep", "5000"]}
    patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}}}
    cluster.patch(ns.path("replicasets/web", GROUP), patch, kind="strategic-merge").ok()

    def grown(events):
        return events[-1][1]["status"].get("readyReplicas") == 3

    shown = cluster.watch(ns.path("replicasets", GROUP), grown, resourceVersion=at)[-1][1]
    assert shown["metadata"]["labels"] == {"patched": "true"}
    assert shown["spec"]["template"]["spec"]["containers"][0]["command"] == ["sleep", "5000"]
    assert sorted(it["spec"]["containers"][0]["command"][0] for it in ns.pods()) == ["sh", "sh", "sleep"], "old pods stay"


@conforms("[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets")
def test_collection(ns, cluster):
    case = name("sets")
    for number in range(3):
        replica_set(ns, 0, f"web-{number}", {"case": case})
    listed = cluster.get(f"/apis/apps/v1/replicasets?labelSelector=case%3D{case}").ok()["items"]
    assert sorted(it["metadata"]["name"] for it in listed) == ["web-0", "web-1", "web-2"]
    cluster.delete(ns.path(f"replicasets?labelSelector=case%3D{case}", GROUP)).ok()
    ns.until("replicasets", lambda it: not it["items"], GROUP)


@conforms("[sig-apps] ReplicaSet should validate Replicaset Status endpoints")
def test_status(ns):
    replica_set(ns)
    until_ready(ns)
    status_operations(ns, "replicasets/web", GROUP)
