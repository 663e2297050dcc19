"""Leases as the API has them."""

from support import conforms

GROUP = "coordination.k8s.io/v1"


@conforms("[sig-node] Lease lease API should be available")
def test_lease(ns):
    cluster, path = ns.cluster, ns.path("leases", GROUP)
    first = {
        "holderIdentity": "holder", "leaseDurationSeconds": 30, "leaseTransitions": 0,
        "acquireTime": "2026-01-02T03:04:05.000006Z", "renewTime": "2026-01-02T03:04:15.000006Z",
    }
    cluster.post(path, {"metadata": {"name": "lease"}, "spec": first}).ok()
    lease = cluster.get(f"{path}/lease").ok()
    assert lease["spec"] == first
    lease["spec"] = {**first, "holderIdentity": "holder2", "leaseTransitions": 1, "renewTime": "2026-01-02T03:05:00.000000Z"}
    assert cluster.put(f"{path}/lease", lease).ok()["spec"] == lease["spec"]
    assert cluster.get(f"{path}/lease").ok()["spec"] == lease["spec"]
    change = {"spec": {"holderIdentity": "holder3", "leaseDurationSeconds": 60}}
    patched = cluster.patch(f"{path}/lease", change, "strategic-merge").ok()
    assert patched["spec"] == {**lease["spec"], **change["spec"]}
    cluster.post(path, {"metadata": {"name": "other", "labels": {"removed": "true"}}, "spec": first}).ok()
    assert {it["metadata"]["name"] for it in cluster.get(path).ok()["items"]} == {"lease", "other"}
    cluster.delete(f"{path}?labelSelector=removed=true").ok()
    assert [it["metadata"]["name"] for it in cluster.get(path).ok()["items"]] == ["lease"]
    cluster.delete(f"{path}/lease").ok()
    cluster.get(f"{path}/lease").refused(404, "NotFound")
