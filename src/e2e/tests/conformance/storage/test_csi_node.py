"""CSINodes as the API has them."""

from support import all_operations, conforms, name

PATH = "/apis/storage.k8s.io/v1/csinodes"


@conforms("[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode")
def test_lifecycle(cluster):
    driver = {"name": "driver", "nodeID": "id", "topologyKeys": ["zone"], "allocatable": {"count": 10}}
    all_operations(cluster, "storage.k8s.io/v1", "csinodes", {"spec": {"drivers": [driver]}})
    made = name("csinode")
    cluster.post(PATH, {"metadata": {"name": made}, "spec": {"drivers": []}}).ok()
    try:
        twice = {"spec": {"drivers": [{"name": "one", "nodeID": "id"}, {"name": "one", "nodeID": "id"}]}}
        cluster.patch(f"{PATH}/{made}", twice).refused(422, "Duplicate value")
        driver = {"name": "one", "nodeID": "id", "topologyKeys": None}
        assert cluster.patch(f"{PATH}/{made}", {"spec": {"drivers": [driver]}}).ok()["spec"]["drivers"][0]["nodeID"] == "id"
        cluster.patch(f"{PATH}/{made}", {"spec": {"drivers": [{**driver, "nodeID": "other"}]}}).refused(422, "field is immutable")
    finally:
        cluster.delete(f"{PATH}/{made}")
