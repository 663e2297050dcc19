"""StorageClasses as the API has them."""

from support import all_operations, conforms, name

PATH = "/apis/storage.k8s.io/v1/storageclasses"


@conforms("[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass")
def test_lifecycle(cluster):
    all_operations(cluster, "storage.k8s.io/v1", "storageclasses", {"provisioner": "e2e-fake-provisioner"})
    made = name("class")
    body = {"metadata": {"name": made}, "provisioner": "e2e-fake-provisioner", "parameters": {"a": "b"}}
    found = cluster.post(PATH, body).ok()
    try:
        assert (found["reclaimPolicy"], found["volumeBindingMode"]) == ("Delete", "Immediate")
        cluster.patch(f"{PATH}/{made}", {"provisioner": "other"}).refused(422, "provisioner")
        cluster.patch(f"{PATH}/{made}", {"parameters": {"a": "c"}}).refused(422, "parameters")
        assert cluster.patch(f"{PATH}/{made}", {"allowVolumeExpansion": True}).ok()["allowVolumeExpansion"]
    finally:
        cluster.delete(f"{PATH}/{made}").ok()
