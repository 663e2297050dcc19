"""VolumeAttachments as the API has them."""

from support import all_operations, conforms, name

PATH = "/apis/storage.k8s.io/v1/volumeattachments"
SPEC = {"attacher": "e2e-test.storage.k8s.io", "nodeName": "e2e-node", "source": {"persistentVolumeName": "e2e-volume"}}


@conforms("[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment")
def test_lifecycle(cluster):
    all_operations(cluster, "storage.k8s.io/v1", "volumeattachments", {"spec": SPEC})


@conforms("[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status")
def test_status(cluster):
    made = name("attachment")
    found = cluster.post(PATH, {"metadata": {"name": made}, "spec": SPEC, "status": {"attached": True}}).ok()
    path = f"{PATH}/{made}"
    try:
        # a status comes by its own way only
        assert not found.get("status", {}).get("attached")
        assert not cluster.patch(path, {"status": {"attached": True}}).ok().get("status", {}).get("attached")
        patched = cluster.patch(f"{path}/status", {"status": {"attached": True}}).ok()
        assert patched["status"] == {"attached": True}
        assert cluster.get(f"{path}/status").ok()["status"] == {"attached": True}
        patched["status"] = {"attached": False}
        assert cluster.put(f"{path}/status", patched).ok()["status"] == {"attached": False}
        cluster.patch(path, {"spec": {"attacher": "other"}}).refused(422, "spec", "field is immutable")
    finally:
        cluster.delete(path).ok()
