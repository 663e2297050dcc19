"""Ranges of addresses for Services, and the addresses, as an API."""

import secrets

from support import all_operations, condition, conforms, name, until

GROUP = "networking.k8s.io/v1"


@conforms("[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations")
def test_ranges(cluster):
    own = cluster.get(f"/apis/{GROUP}/servicecidrs/kubernetes").ok()
    assert condition(own, "Ready") == "True"
    path = f"/apis/{GROUP}/servicecidrs"
    called = name("range")
    cluster.post(path, {"metadata": {"name": called}, "spec": {"cidrs": ["192.0.2.0/28"]}}).ok()
    try:
        until(lambda: condition(cluster.get(f"{path}/{called}").ok(), "Ready"), "it is judged")
        cluster.patch(f"{path}/{called}", {"spec": {"cidrs": ["192.0.2.16/28"]}}).refused(422, "field is immutable")
        add = {"status": {"conditions": [{"type": "Extra", "status": "True", "reason": "Added", "message": "by a case",
                                          "lastTransitionTime": "2024-01-01T00:00:00Z"}]}}
        assert condition(cluster.patch(f"{path}/{called}/status", add, kind="strategic-merge").ok(), "Extra") == "True"
        assert condition(cluster.get(f"{path}/{called}/status").ok(), "Extra") == "True"
    finally:
        cluster.delete(f"{path}/{called}").ok()
    until(lambda: cluster.get(f"{path}/{called}").status == 404, "it is gone")
    all_operations(cluster, GROUP, "servicecidrs", {"spec": {"cidrs": ["192.0.2.128/28"]}})


@conforms("[sig-network] ServiceCIDR and IPAddress API should support IPAddress API operations")
def test_addresses(ns, cluster):
    path = f"/apis/{GROUP}/ipaddresses"
    resources = {it["name"]: set(it["verbs"]) for it in cluster.get(f"/apis/{GROUP}").ok()["resources"]}
    assert resources["ipaddresses"] == {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
    service = ns.create("services", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    own = cluster.get(f"{path}/{service['spec']['clusterIP']}").ok()
    parent = {"group": "", "resource": "services", "namespace": ns.name, "name": "web"}
    assert own["spec"]["parentRef"] == {key: value for key, value in parent.items() if value}
    assert own["metadata"]["labels"]["ipaddress.kubernetes.io/managed-by"] == "ipallocator.k8s.io"

    case = name("addresses")
    # of no range of the cluster's
    address = f"198.51.100.{secrets.randbelow(200)}"
    labels = {"case": case, "ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "case"}
    every = f"{path}?labelSelector=case%3D{case}"
    made = cluster.post(path, {"metadata": {"name": address, "labels": labels}, "spec": {"parentRef": parent}}).ok()
    try:
        cluster.post(path, {"metadata": {"name": "no-address"}, "spec": {"parentRef": parent}}).refused(422, "metadata.name")
        assert cluster.get(f"{path}/{address}").ok() == made
        assert [it["metadata"]["name"] for it in cluster.get(every).ok()["items"]] == [address]
        patched = cluster.patch(f"{path}/{address}", {"metadata": {"annotations": {"patched": "true"}}}).ok()
        patched["metadata"]["annotations"]["updated"] = "true"
        assert cluster.put(f"{path}/{address}", patched).ok()["metadata"]["annotations"] == {"patched": "true", "updated": "true"}
        cluster.patch(f"{path}/{address}", {"spec": {"parentRef": {"name": "other"}}}).refused(422, "field is immutable")
    finally:
        cluster.delete(every).ok()
    at = made["metadata"]["resourceVersion"]
    events = cluster.watch(path, lambda events: events[-1][0] == "DELETED", resourceVersion=at, labelSelector=f"case%3D{case}")
    assert [kind for kind, _ in events] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert cluster.get(f"{path}/{address}").status == 404
