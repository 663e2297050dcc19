"""PersistentVolumes and their claims as the API has them."""

import pytest
from support import condition, conforms, name, until

VOLUMES = "/api/v1/persistentvolumes"


@pytest.fixture
def pair(ns):
    """Makes a volume that no provisioner knows, and a claim that takes it; returns their paths."""
    label = name("volume")
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": label, "volumeMode": "Filesystem"}

    def make(suffix):
        made = f"{label}-{suffix}"
        metadata = {"name": made, "labels": {"case": label}}
        source = {"csi": {"driver": "e2e-driver", "volumeHandle": made}, "persistentVolumeReclaimPolicy": "Retain"}
        volume = {**spec, **source, "capacity": {"storage": "1Gi"}}
        ns.cluster.post(VOLUMES, {"metadata": metadata, "spec": volume}).ok()
        claim = {**spec, "resources": {"requests": {"storage": "1Gi"}}}
        ns.cluster.post(ns.path("persistentvolumeclaims"), {"metadata": metadata, "spec": claim}).ok()
        paths = f"{VOLUMES}/{made}", ns.path(f"persistentvolumeclaims/{made}")
        for path in paths:
            until(lambda path=path: ns.cluster.get(path).ok().get("status", {}).get("phase") == "Bound", f"{path} is bound")
        return paths

    yield label, make
    ns.cluster.delete(ns.path(f"persistentvolumeclaims?labelSelector=case={label}"))
    ns.cluster.delete(f"{VOLUMES}?labelSelector=case={label}")


@conforms("[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC")
def test_lifecycle(ns, pair):
    cluster, (label, make) = ns.cluster, pair
    volume, claim = make("one")
    bound = cluster.get(claim).ok()
    assert bound["spec"]["volumeName"] == f"{label}-one" and bound["status"]["capacity"] == {"storage": "1Gi"}
    assert cluster.get(volume).ok()["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]
    claims = ns.path(f"persistentvolumeclaims?labelSelector=case={label}")
    volumes = f"{VOLUMES}?labelSelector=case={label}"
    for path, listed in [(volume, volumes), (claim, claims)]:
        assert [it["metadata"]["name"] for it in cluster.get(listed).ok()["items"]] == [f"{label}-one"]
        patched = cluster.patch(path, {"metadata": {"labels": {"patched": "true"}}}, "strategic-merge").ok()
        assert patched["metadata"]["labels"] == {"case": label, "patched": "true"}
    cluster.patch(claim, {"spec": {"volumeName": "other"}}).refused(422, "spec is immutable after creation")
    cluster.patch(volume, {"spec": {"csi": {"volumeHandle": "other"}}}).refused(422, "spec.persistentvolumesource", "is immutable")
    # a volume that is claimed waits for its claim
    assert cluster.delete(volume).ok()["metadata"]["deletionTimestamp"]
    assert cluster.get(volume).ok()["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    cluster.delete(claim).ok()
    for path in (claim, volume):
        until(lambda path=path: cluster.get(path).status == 404, f"{path} is gone")

    volume, claim = make("two")
    for path in (volume, claim):

        def updated(path=path):
            found = cluster.get(path).ok()
            found["metadata"]["labels"]["updated"] = "true"
            answer = cluster.put(path, found)
            return answer.status != 409 and answer.ok()

        until(updated, f"{path} is updated")
    assert len(cluster.get(f"{volumes},updated=true").ok()["items"]) == 1
    for listed in (claims, volumes):
        cluster.delete(listed).ok()
        until(lambda listed=listed: cluster.get(listed).ok()["items"] == [], "all are gone")


@conforms("[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status")
def test_status(ns, pair):
    cluster, (_, make) = ns.cluster, pair
    volume, claim = make("one")
    patched = cluster.patch(f"{volume}/status", {"status": {"message": "StatusPatched", "reason": "E2E patchStatus"}}).ok()
    assert patched["status"]["message"] == "StatusPatched" and patched["status"]["phase"] == "Bound"
    updated = cluster.update(f"{volume}/status", lambda shown: shown["status"].update(message="StatusUpdated"))
    assert updated["status"]["message"] == "StatusUpdated"
    found = cluster.get(f"{volume}/status").ok()
    assert (found["status"]["message"], found["status"]["reason"]) == ("StatusUpdated", "E2E patchStatus")

    said = {"type": "StatusPatched", "status": "True", "reason": "E2E"}
    patched = cluster.patch(f"{claim}/status", {"status": {"conditions": [said]}}, "strategic-merge").ok()
    assert condition(patched, "StatusPatched") == "True"
    # the claim also tells whether a pod uses it, at any time
    cluster.update(f"{claim}/status", lambda shown: shown["status"]["conditions"].append({**said, "type": "StatusUpdate"}))
    found = cluster.get(f"{claim}/status").ok()
    assert condition(found, "StatusPatched") == condition(found, "StatusUpdate") == "True"
    assert found["status"]["phase"] == "Bound"
