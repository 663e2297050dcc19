"""ControllerRevisions: the history of a DaemonSet, and what may be done with it."""

from support import conforms, name, template, until

GROUP = "apps/v1"


@conforms("[sig-apps] ControllerRevision [Serial] should manage the lifecycle of a ControllerRevision")
def test_lifecycle(ns, cluster):
    labels = {"case": name("history")}
    selector = f"case%3D{labels['case']}"
    spec = {"selector": {"matchLabels": labels}, "template": template(labels, nodeSelector={"no": "node"})}
    owner = ns.create("daemonsets", {"metadata": {"name": "each"}, "spec": spec}, GROUP)["metadata"]
    everywhere = f"/apis/apps/v1/controllerrevisions?labelSelector={selector}"
    path = ns.path("controllerrevisions", GROUP)

    def until_revisions(*wanted):
        def look():
            items = sorted(cluster.get(everywhere).ok()["items"], key=lambda it: it["revision"])
            return items if [it["revision"] for it in items] == list(wanted) else None

        return until(look, f"revisions {wanted}")

    first = until_revisions(1)[0]
    first_name = first["metadata"]["name"]
    assert first["metadata"]["ownerReferences"][0]["uid"] == owner["uid"]
    container = first["data"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "busybox:1"
    patched = cluster.patch(f"{path}/{first_name}", {"metadata": {"labels": {"patched": "true"}}}).ok()
    assert patched["metadata"]["labels"] == {**first["metadata"]["labels"], "patched": "true"}

    metadata = {"name": "second", "labels": labels, "ownerReferences": first["metadata"]["ownerReferences"]}
    made = cluster.post(path, {"metadata": metadata, "data": first["data"], "revision": 2}).ok()
    until_revisions(1, 2)
    made["metadata"]["labels"]["updated"] = "true"
    assert cluster.put(f"{path}/second", made).ok()["metadata"]["labels"]["updated"] == "true"
    cluster.delete(f"{path}/{first_name}").ok()
    left = until_revisions(2)
    assert [it["metadata"]["name"] for it in left] == ["second"], "it has the same template, so no other is needed"
    cluster.delete(f"{path}?labelSelector={selector},updated%3Dtrue").ok()
    until(lambda: cluster.get(f"{path}/second").status == 404, "the second is gone")

    newer = {"spec": {"template": {"spec": {"containers": [{"name": "main", "command": ["sleep", "5000"]}]}}}}
    cluster.patch(ns.path("daemonsets/each", GROUP), newer, kind="strategic-merge").ok()

    def commands():
        items = sorted(cluster.get(everywhere).ok()["items"], key=lambda it: it["revision"])
        return [it["data"]["spec"]["template"]["spec"]["containers"][0]["command"] for it in items]

    until(lambda: len(commands()) >= 1 and commands()[-1] == ["sleep", "5000"], "the change has a revision")
    cluster.delete(f"{path}?labelSelector={selector}").ok()
    until(lambda: commands() in ([], [["sleep", "5000"]]), "only what is in use is made again")
