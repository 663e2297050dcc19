"""VolumeAttributesClasses as the API has them."""

from support import all_operations, conforms, name

PATH = "/apis/storage.k8s.io/v1/volumeattributesclasses"


@conforms("[sig-storage] VolumeAttributesClass [FeatureGate:VolumeAttributesClass] should run through the lifecycle of a VolumeAttributesClass")
def test_lifecycle(cluster):
    body = {"driverName": "e2e-fake-csi-driver", "parameters": {"iops": "100"}}
    all_operations(cluster, "storage.k8s.io/v1", "volumeattributesclasses", body)
    made = name("class")
    cluster.post(PATH, {"metadata": {"name": made}, **body}).ok()
    try:
        cluster.patch(f"{PATH}/{made}", {"parameters": {"iops": "200"}}).refused(422, "updates to parameters are forbidden")
        cluster.patch(f"{PATH}/{made}", {"driverName": "other"}).refused(422, "driverName")
    finally:
        cluster.delete(f"{PATH}/{made}").ok()
