"""What quotas count, refuse and release."""

import pytest
from support import BUSYBOX, conforms, name, until

COUNTED = {
    "configmaps": "3", "count/replicasets.apps": "5", "persistentvolumeclaims": "10", "pods": "5", "replicationcontrollers": "10",
    "resourcequotas": "1", "secrets": "10", "services": "10", "services.loadbalancers": "1", "services.nodeports": "1",
    "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi", "requests.example.com/thing": "3",
}


@pytest.fixture
def quota(ns):
    """A quota of nearly everything, whose status is there; gives what it says is used."""
    ns.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"}, "spec": {"hard": COUNTED}})

    def used():
        return ns.get("resourcequotas/quota").get("status", {}).get("used", {})

    until(lambda: used().get("resourcequotas") == "1", "the quota's status")
    return used


def until_used(quota, **wanted):
    wanted = {key.replace("_", "."): value for key, value in wanted.items()}
    until(lambda: {key: quota().get(key) for key in wanted} == wanted, f"{wanted}: {quota()}")


def pod(named, requests=None, **spec):
    resources = {"requests": requests, "limits": {k: v for k, v in requests.items() if "/" in k}} if requests else {}
    container = {"name": "main", "image": BUSYBOX, "command": ["sleep", "1000"], "resources": resources}
    # which node there is does not matter here
    spec = {"containers": [container], "nodeSelector": {"no": "node"}, "terminationGracePeriodSeconds": 0, **spec}
    return {"metadata": {"name": named}, "spec": spec}


@conforms("[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated.")
def test_status_is_calculated(ns, quota):
    status = ns.get("resourcequotas/quota")["status"]
    assert status["hard"] == COUNTED
    assert set(status["used"]) == set(COUNTED)
    assert status["used"]["pods"] == "0" and status["used"]["cpu"] == "0"


@conforms("[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a configMap.")
def test_config_map(cluster, ns, quota):
    # the authority's certificate is in each namespace
    until_used(quota, configmaps="1")
    cluster.post(ns.path("configmaps"), {"metadata": {"name": "map"}}).ok()
    until_used(quota, configmaps="2")
    cluster.delete(ns.path("configmaps/map")).ok()
    until_used(quota, configmaps="1")


@conforms("[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret.")
def test_secret(cluster, ns, quota):
    until_used(quota, secrets="0")
    cluster.post(ns.path("secrets"), {"metadata": {"name": "secret"}}).ok()
    until_used(quota, secrets="1")
    cluster.delete(ns.path("secrets/secret")).ok()
    until_used(quota, secrets="0")


@conforms("[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replica set.")
def test_replica_set(cluster, ns, quota):
    label = {"app": "x"}
    template = {"metadata": {"labels": label}, "spec": pod("x")["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": label}, "template": template}
    cluster.post(ns.path("replicasets", "apps/v1"), {"metadata": {"name": "set"}, "spec": spec}).ok()
    until_used(quota, **{"count/replicasets_apps": "1"})
    cluster.delete(ns.path("replicasets/set", "apps/v1")).ok()
    until_used(quota, **{"count/replicasets_apps": "0"})


@conforms("[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication controller.")
def test_replication_controller(cluster, ns, quota):
    label = {"app": "x"}
    spec = {"replicas": 0, "selector": label, "template": {"metadata": {"labels": label}, "spec": pod("x")["spec"]}}
    cluster.post(ns.path("replicationcontrollers"), {"metadata": {"name": "rc"}, "spec": spec}).ok()
    until_used(quota, replicationcontrollers="1")
    cluster.delete(ns.path("replicationcontrollers/rc"), {"propagationPolicy": "Background"}).ok()
    until_used(quota, replicationcontrollers="0")


@conforms("[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service.")
def test_service(cluster, ns, quota):
    def service(named, kind, **more):
        spec = {"type": kind, "selector": {"no": "pod"}, "ports": [{"port": 80}], **more}
        return cluster.post(ns.path("services"), {"metadata": {"name": named}, "spec": spec})

    service("inside", "ClusterIP").ok()
    service("port", "NodePort").ok()
    until_used(quota, services="2", services_nodeports="1", services_loadbalancers="0")
    service("more", "LoadBalancer").refused(403, "exceeded quota: quota", "limited: services.nodeports=1")
    cluster.delete(ns.path("services/port")).ok()
    until_used(quota, services="1", services_nodeports="0")
    service("balanced", "LoadBalancer", allocateLoadBalancerNodePorts=False).ok()
    until_used(quota, services="2", services_nodeports="0", services_loadbalancers="1")
    service("more", "LoadBalancer", allocateLoadBalancerNodePorts=False).refused(403, "limited: services.loadbalancers=1")
    for named in ("inside", "balanced"):
        cluster.delete(ns.path(f"services/{named}")).ok()
    until_used(quota, services="0", services_nodeports="0", services_loadbalancers="0")


@conforms("[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod.")
def test_pod(cluster, ns, quota):
    requests = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/thing": "2"}
    nothing = {"pods": "0", "cpu": "0", "memory": "0", "ephemeral-storage": "0", "requests.example.com/thing": "0"}
    counted = {"pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "requests.example.com/thing": "2"}
    cluster.post(ns.path("pods"), pod("one", requests)).ok()
    until_used(quota, **counted)
    more = {"cpu": "600m", "memory": "100Mi"}
    refused = cluster.post(ns.path("pods"), pod("two", more))
    refused.refused(403, "exceeded quota: quota", "requested: cpu=600m, used: cpu=500m, limited: cpu=1")
    more = {"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "10Gi", "example.com/thing": "2"}
    cluster.post(ns.path("pods"), pod("two", more)).refused(403, "exceeded quota: quota", "limited: requests.example.com/thing=3")
    cluster.post(ns.path("pods"), pod("two", {"cpu": "100m"})).refused(403, "must specify", "memory")
    cluster.patch(ns.path("pods/one"), {"metadata": {"labels": {"changed": "yes"}}}).ok()
    changed = {"spec": {"containers": [{"name": "main", "resources": {"requests": more}}]}}
    refused = cluster.patch(ns.path("pods/one"), changed, "strategic-merge")
    refused.refused(422, "pod updates may not change fields other than")
    until_used(quota, **counted)
    cluster.delete(ns.path("pods/one")).ok()
    until_used(quota, **nothing)


def scoped(cluster, ns, scopes):
    """A quota of five pods for each scope; gives how many pods each counts."""
    for scope in scopes:
        spec = {"hard": {"pods": "5"}, "scopes": [scope]}
        cluster.post(ns.path("resourcequotas"), {"metadata": {"name": scope.lower()}, "spec": spec}).ok()

    def used():
        statuses = {it["metadata"]["name"]: it.get("status", {}) for it in ns.get("resourcequotas")["items"]}
        return [statuses[scope.lower()].get("used", {}).get("pods") for scope in scopes]

    until(lambda: used() == ["0"] * len(scopes), "the quotas' status")
    return used


@pytest.mark.parametrize(
    ("scopes", "pods"),
    [
        pytest.param(
            ["Terminating", "NotTerminating"], [{"activeDeadlineSeconds": 3600}, {}],
            marks=conforms("[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes."),
        ),
        pytest.param(
            ["BestEffort", "NotBestEffort"], [{}, {"requests": {"cpu": "100m", "memory": "10Mi"}}],
            marks=conforms("[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope."),
        ),
    ],
)
def test_scopes(cluster, ns, scopes, pods):
    used = scoped(cluster, ns, scopes)
    for at, spec in enumerate(pods):
        cluster.post(ns.path("pods"), pod("pod", **spec)).ok()
        wanted = ["1" if at == index else "0" for index in range(2)]
        until(lambda wanted=wanted: used() == wanted, f"{wanted}: {used()}")
        cluster.delete(ns.path("pods/pod")).ok()
        until(lambda: used() == ["0", "0"], "the pod is released")
        ns.until_gone("pods/pod")


@conforms("[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota.")
def test_update_and_delete(cluster, ns):
    path = ns.path("resourcequotas/quota")
    cluster.post(ns.path("resourcequotas"), {"metadata": {"name": "quota"}, "spec": {"hard": {"cpu": "1", "memory": "500Mi"}}}).ok()
    shown = cluster.get(path).ok()
    assert shown["spec"]["hard"] == {"cpu": "1", "memory": "500Mi"}

    updated = cluster.update(path, lambda shown: shown["spec"].update(hard={"cpu": "2", "memory": "1Gi"}))
    assert updated["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    until(lambda: cluster.get(path).ok()["status"].get("hard") == {"cpu": "2", "memory": "1Gi"}, "the status follows")
    cluster.delete(path).ok()
    assert cluster.get(path).status == 404


@conforms("[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota")
def test_lifecycle(cluster, ns):
    label = name("quota")
    every = f"/api/v1/resourcequotas?labelSelector=case%3D{label}"
    spec = {"hard": {"cpu": "1", "memory": "500Mi"}}
    cluster.post(ns.path("resourcequotas"), {"metadata": {"name": "quota", "labels": {"case": label}}, "spec": spec}).ok()
    assert [it["metadata"]["name"] for it in cluster.get(every).ok()["items"]] == ["quota"]
    patch = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"hard": {"memory": "750Mi"}}}
    patched = cluster.patch(ns.path("resourcequotas/quota"), patch).ok()
    assert patched["spec"]["hard"] == {"cpu": "1", "memory": "750Mi"} and patched["metadata"]["labels"]["patched"] == "yes"
    cluster.delete(f"{ns.path('resourcequotas')}?labelSelector=case%3D{label}").ok()
    until(lambda: cluster.get(every).ok()["items"] == [], "all are gone")


@conforms("[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status")
def test_status(cluster, ns):
    path = ns.path("resourcequotas/quota")
    hard = {"cpu": "500m", "memory": "500Mi"}
    metadata = {"name": "quota", "labels": {"case": ns.name}}
    made = cluster.post(ns.path("resourcequotas"), {"metadata": metadata, "spec": {"hard": hard}}).ok()
    until(lambda: cluster.get(path).ok()["status"].get("hard") == hard, "the status")
    written = {"cpu": "1", "memory": "1Gi"}

    def change(shown):
        shown["status"]["hard"], shown["spec"]["hard"] = written, {"cpu": "7"}

    updated = cluster.update(f"{path}/status", change)
    assert updated["status"]["hard"] == written and updated["spec"]["hard"] == hard
    # the controller puts right what the spec does not say
    until(lambda: cluster.get(path).ok()["status"]["hard"] == hard, "the status is put right")
    patched = cluster.patch(f"{path}/status", {"status": {"hard": {"cpu": "2", "memory": "2Gi"}}}).ok()
    assert patched["status"]["hard"] == {"cpu": "2", "memory": "2Gi"} and patched["spec"]["hard"] == hard
    until(lambda: cluster.get(path).ok()["status"]["hard"] == hard, "the status is put right again")

    def both(events):
        seen = [shown["status"].get("hard") for _, shown in events]
        return written in seen and patched["status"]["hard"] in seen

    cluster.watch(ns.path("resourcequotas"), both, resourceVersion=made["metadata"]["resourceVersion"])
