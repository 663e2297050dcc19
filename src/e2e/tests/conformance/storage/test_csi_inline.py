"""CSIDrivers, and pods that have volumes of them."""

import pytest
from support import BUSYBOX, all_operations, conforms, name

PATH = "/apis/storage.k8s.io/v1/csidrivers"
SPEC = {"attachRequired": False, "podInfoOnMount": True, "volumeLifecycleModes": ["Ephemeral"]}


@conforms("[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver")
def test_driver(cluster):
    all_operations(cluster, "storage.k8s.io/v1", "csidrivers", {"spec": SPEC})


@pytest.fixture
def driver(cluster):
    made = name("inline-driver")
    cluster.post(PATH, {"metadata": {"name": made}, "spec": SPEC}).ok()
    yield made
    cluster.delete(f"{PATH}/{made}")


@conforms("[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API")
def test_pod(ns, driver):
    source = {"driver": driver, "readOnly": False, "volumeAttributes": {"size": "1"}}
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    # nobody is to run it
    ns.pod(container=mount, volumes=[{"name": "data", "csi": source}], nodeSelector={"none": "such"})
    pod = ns.get("pods/pod")
    assert next(it for it in pod["spec"]["volumes"] if it["name"] == "data") == {"name": "data", "csi": source}
    assert driver in [it["metadata"]["name"] for it in ns.cluster.get(PATH).ok()["items"]]
    ns.cluster.patch(ns.path("pods/pod"), {"metadata": {"labels": {"patched": "true"}}}).ok()
    assert [it["metadata"]["name"] for it in ns.get("pods?labelSelector=patched=true")["items"]] == ["pod"]
    spec = {"containers": [{"name": "main", "image": BUSYBOX}], "volumes": [{"name": "data", "csi": {"readOnly": True}}]}
    answer = ns.cluster.post(ns.path("pods"), {"metadata": {"name": "bad"}, "spec": spec})
    answer.refused(422, "spec.volumes[0].csi.driver", "Required value")
    ns.cluster.delete(ns.path("pods/pod")).ok()
    ns.until_gone("pods/pod")
