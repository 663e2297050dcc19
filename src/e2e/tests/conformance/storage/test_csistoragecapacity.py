"""CSIStorageCapacities as the API has them."""

from support import all_operations, conforms


@conforms("[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations")
def test_operations(ns):
    body = {"storageClassName": "class", "capacity": "10Gi", "nodeTopology": {"matchLabels": {"zone": "one"}}}
    all_operations(ns.cluster, "storage.k8s.io/v1", "csistoragecapacities", body, ns.name)
    path = ns.path("csistoragecapacities", "storage.k8s.io/v1")
    made = ns.cluster.post(path, {"metadata": {"name": "it"}, **body}).ok()
    assert made["capacity"] == "10Gi"
    ns.cluster.patch(f"{path}/it", {"capacity": "5Gi"}).ok()
    ns.cluster.patch(f"{path}/it", {"storageClassName": "other"}).refused(422, "storageClassName", "field is immutable")
