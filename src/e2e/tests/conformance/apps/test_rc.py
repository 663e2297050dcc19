"""ReplicationControllers: pods that answer, are adopted and released; scale, quota and lifecycle."""

from support import SERVER, condition, conforms, edit, name, owner, scale_operations, template, until, until_each_answers

LABELS = {"app": "web"}


def controller(ns, replicas=1, labels=None, command="sleep 100000"):
    spec = {"replicas": replicas, "selector": LABELS, "template": template(LABELS, command)}
    return ns.create("replicationcontrollers", {"metadata": {"name": "web", "labels": labels or {}}, "spec": spec})


def until_ready(ns, replicas=1):
    return ns.until("replicationcontrollers/web", lambda it: it.get("status", {}).get("readyReplicas") == replicas)


@conforms("[sig-apps] ReplicationController should serve a basic image on each replica with a public image")
def test_serves(ns):
    controller(ns, 2, command=f"{SERVER} 80")
    until_ready(ns, 2)
    until_each_answers(ns, 2)


@conforms("[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota")
def test_quota(ns, cluster):
    ns.create("resourcequotas", {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}})
    ns.until("resourcequotas/two", lambda it: it.get("status", {}).get("hard") == {"pods": "2"})
    controller(ns, 3)
    shown = ns.until("replicationcontrollers/web", lambda it: condition(it, "ReplicaFailure") == "True")
    failure = shown["status"]["conditions"][0]
    assert failure["reason"] == "FailedCreate" and "exceeded quota: two" in failure["message"]
    cluster.patch(ns.path("replicationcontrollers/web/scale"), {"spec": {"replicas": 2}}).ok()
    ns.until("replicationcontrollers/web", lambda it: condition(it, "ReplicaFailure") is None)


@conforms("[sig-apps] ReplicationController should adopt matching pods on creation")
def test_adopts(ns):
    ns.pod("sleep 100000", metadata={"labels": LABELS}, restartPolicy="Always")
    uid = controller(ns)["metadata"]["uid"]
    ns.until("pods/pod", lambda pod: owner(pod) == [("ReplicationController", uid)])
    until_ready(ns)
    assert len(ns.pods()) == 1


@conforms("[sig-apps] ReplicationController should release no longer matching pods")
def test_releases(ns, cluster):
    uid = controller(ns)["metadata"]["uid"]
    until_ready(ns)
    pod = ns.pods()[0]["metadata"]["name"]
    cluster.patch(ns.path(f"pods/{pod}"), {"metadata": {"labels": {"app": "other"}}}).ok()
    ns.until(f"pods/{pod}", lambda pod: not owner(pod))
    assert owner(until(lambda: ns.pods("app=web"), "another pod is made")[0]) == [("ReplicationController", uid)]


@conforms("[sig-apps] ReplicationController should get and update a ReplicationController scale")
def test_scale(ns):
    controller(ns)
    until_ready(ns)
    scale_operations(ns, "replicationcontrollers/web", "v1")


@conforms("[sig-apps] ReplicationController should test the lifecycle of a ReplicationController")
def test_lifecycle(ns, cluster):
    case = name("lifecycle")
    path = ns.path("replicationcontrollers")
    at = controller(ns, labels={"case": case})["metadata"]["resourceVersion"]
    watched = {"labelSelector": f"case%3D{case}", "resourceVersion": at}
    cluster.watch(path, lambda events: events[-1][1].get("status", {}).get("readyReplicas") == 1, **watched)

    assert cluster.patch(f"{path}/web", {"metadata": {"labels": {"patched": "true"}}}).ok()["metadata"]["labels"]["patched"] == "true"
    shown = cluster.get(f"{path}/web/status").ok()
    assert shown["status"]["readyReplicas"] == 1
    # the controller puts it right again, and a watch has seen both
    cluster.patch(f"{path}/web/status", {"status": {"readyReplicas": 0, "availableReplicas": 0}}).ok()

    def put_right(events):
        ready = [it["status"].get("readyReplicas", 0) for _, it in events]
        return ready[-2:] == [0, 1]

    cluster.watch(path, put_right, labelSelector=f"case%3D{case}", resourceVersion=shown["metadata"]["resourceVersion"])
    cluster.patch(f"{path}/web/scale", {"spec": {"replicas": 2}}).ok()
    until_ready(ns, 2)
    edit(ns, "replicationcontrollers/web", "v1", lambda it: it["metadata"]["labels"].update(updated="true"))
    everywhere = cluster.get(f"/api/v1/replicationcontrollers?labelSelector=case%3D{case},updated%3Dtrue").ok()["items"]
    assert [it["metadata"]["name"] for it in everywhere] == ["web"]
    cluster.delete(f"{path}?labelSelector=case%3D{case}").ok()
    assert cluster.watch(path, lambda events: events[-1][0] == "DELETED", **watched)
    assert cluster.get(f"{path}/web").status == 404
