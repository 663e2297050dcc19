"""A Node as the API has it."""

from support import conforms, name, until

PATH = "/api/v1/nodes"


@conforms("[sig-node] Node Lifecycle should run through the lifecycle of a node")
def test_lifecycle(cluster):
    made, label = name("fake"), name("case")
    selected = f"{PATH}?labelSelector=case={label}"
    # nothing is to be placed there
    body = {"metadata": {"name": made, "labels": {"case": label}}, "spec": {"unschedulable": True}}
    cluster.post(PATH, body).ok()
    try:
        assert cluster.get(f"{PATH}/{made}").ok()["spec"]["unschedulable"]
        cluster.post(PATH, body).refused(409, "AlreadyExists")
        patched = cluster.patch(f"{PATH}/{made}", {"metadata": {"labels": {"patched": "true"}}}, "strategic-merge").ok()
        assert patched["metadata"]["labels"]["patched"] == "true" and patched["metadata"]["labels"]["case"] == label
        assert [it["metadata"]["name"] for it in cluster.get(f"{selected},patched=true").ok()["items"]] == [made]

        def updated():
            found = cluster.get(f"{PATH}/{made}").ok()
            found["metadata"].setdefault("annotations", {})["updated"] = "true"
            answer = cluster.put(f"{PATH}/{made}", found)
            return answer.status != 409 and answer.ok()

        assert until(updated, "the update")["metadata"]["annotations"]["updated"] == "true"

        status = {"status": {"conditions": [{"type": "Patched", "status": "True"}], "capacity": {"example.com/thing": "1"}}}
        patched = cluster.patch(f"{PATH}/{made}/status", status, "strategic-merge").ok()
        assert "Patched" in [it["type"] for it in patched["status"]["conditions"]]
        assert cluster.get(f"{PATH}/{made}/status").ok()["status"]["capacity"] == {"example.com/thing": "1"}
        cluster.delete(selected).ok()
        cluster.get(f"{PATH}/{made}").refused(404, f'nodes \\"{made}\\" not found')
    finally:
        cluster.delete(f"{PATH}/{made}")
