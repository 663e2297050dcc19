"""Namespaces: what is in them goes with them, and they are changed."""

from support import condition, conforms, name, until


@conforms("[sig-api-machinery] Namespaces [Serial] should ensure that all pods are removed when a namespace is deleted")
def test_pods_go(cluster, make_ns):
    ns = make_ns()
    ns.pod("sleep 1000")
    ns.until_phase("pod", "Running")
    cluster.delete(f"/api/v1/namespaces/{ns.name}").ok()
    until(lambda: cluster.get(f"/api/v1/namespaces/{ns.name}").status == 404, "the namespace is gone")
    metadata = {"metadata": {"name": ns.name}}
    cluster.post("/api/v1/namespaces", metadata).ok()
    assert ns.get("pods")["items"] == []
    cluster.get(ns.path("pods/pod")).refused(404, "NotFound")


@conforms("[sig-api-machinery] Namespaces [Serial] should ensure that all services are removed when a namespace is deleted")
def test_services_go(cluster, make_ns):
    ns = make_ns()
    cluster.post(ns.path("services"), {"metadata": {"name": "service"}, "spec": {"ports": [{"port": 80}]}}).ok()
    cluster.delete(f"/api/v1/namespaces/{ns.name}").ok()
    until(lambda: cluster.get(f"/api/v1/namespaces/{ns.name}").status == 404, "the namespace is gone")
    cluster.post("/api/v1/namespaces", {"metadata": {"name": ns.name}}).ok()
    assert ns.get("services")["items"] == []


@conforms("[sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first")
def test_pods_go_first(cluster, make_ns):
    ns = make_ns()
    path = f"/api/v1/namespaces/{ns.name}"
    held = {"finalizers": ["example.com/held"]}
    ns.pod("sleep 1000", metadata=held, nodeSelector={"no": "node"})
    cluster.post(ns.path("configmaps"), {"metadata": {"name": "map"}}).ok()
    cluster.delete(path).ok()
    try:
        until(lambda: "deletionTimestamp" in ns.get("pods/pod")["metadata"], "the pod is deleted")
        shown = until(lambda: (it := cluster.get(path).ok()) and condition(it, "NamespaceDeletionContentFailure") and it, "a condition")
        assert shown["status"]["phase"] == "Terminating"
        assert condition(shown, "NamespaceContentRemaining") == "True"
        # while the pod is there, nothing else goes
        assert "deletionTimestamp" not in ns.get("configmaps/map")["metadata"]
    finally:
        cluster.patch(ns.path("pods/pod"), {"metadata": {"finalizers": None}}).ok()
    until(lambda: cluster.get(path).status == 404, "the namespace is gone")


@conforms("[sig-api-machinery] Namespaces [Serial] should patch a Namespace")
def test_patch(cluster, make_ns):
    path = f"/api/v1/namespaces/{make_ns().name}"
    cluster.patch(path, {"metadata": {"labels": {"patched": "yes"}}}).ok()
    assert cluster.get(path).ok()["metadata"]["labels"]["patched"] == "yes"


@conforms("[sig-api-machinery] Namespaces [Serial] should apply an update to a Namespace")
def test_update(cluster, make_ns):
    path = f"/api/v1/namespaces/{make_ns().name}"
    updated = cluster.update(path, lambda shown: shown["metadata"]["labels"].update(updated="yes"))
    assert updated["metadata"]["labels"]["updated"] == "yes"
    assert cluster.get(path).ok()["metadata"]["labels"]["updated"] == "yes"


@conforms("[sig-api-machinery] Namespaces [Serial] should apply changes to a namespace status")
def test_status(cluster, make_ns):
    path = f"/api/v1/namespaces/{make_ns().name}/status"
    shown = cluster.get(path).ok()
    assert shown["status"]["phase"] == "Active"
    told = {"type": "StatusPatch", "status": "True", "reason": "Case", "message": "patched by a case"}
    patched = cluster.patch(path, {"metadata": {"annotations": {"status": "patched"}}, "status": {"conditions": [told]}}).ok()
    assert condition(patched, "StatusPatch") == "True" and patched["metadata"]["annotations"]["status"] == "patched"
    updated = cluster.update(path, lambda shown: shown["status"]["conditions"].append({**told, "type": "StatusUpdate"}))
    assert condition(updated, "StatusUpdate") == condition(updated, "StatusPatch") == "True"


@conforms("[sig-api-machinery] Namespaces [Serial] should apply a finalizer to a Namespace")
def test_finalizer(cluster):
    made = name("case")
    path = f"/api/v1/namespaces/{made}"
    shown = cluster.post("/api/v1/namespaces", {"metadata": {"name": made}}).ok()
    assert shown["spec"]["finalizers"] == ["kubernetes"]

    def finalize(finalizers):
        def put():
            shown = cluster.get(path).ok()
            shown["spec"]["finalizers"] = finalizers
            answer = cluster.put(f"{path}/finalize", shown)
            return answer.status != 409 and answer.ok()

        assert until(put, "the update")["spec"]["finalizers"] == finalizers

    finalize(["kubernetes", "example.com/case"])
    cluster.delete(path).ok()
    until(lambda: cluster.get(path).ok()["spec"]["finalizers"] == ["example.com/case"], "ours is left")
    assert cluster.get(path).ok()["status"]["phase"] == "Terminating"

    def let_go():
        shown = cluster.get(path).ok()
        del shown["spec"]["finalizers"]
        answer = cluster.put(f"{path}/finalize", shown)
        return answer.status != 409 and answer.ok()

    until(let_go, "the last update")
    until(lambda: cluster.get(path).status == 404, "the namespace is gone")
