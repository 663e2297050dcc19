"""PodTemplates as the API has them."""

from support import BUSYBOX, conforms, name


def template(name, **labels):
    spec = {"containers": [{"name": "nginx", "image": BUSYBOX}]}
    return {"metadata": {"name": name, "labels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}


@conforms("[sig-node] PodTemplates should run the lifecycle of PodTemplates")
def test_lifecycle(ns):
    cluster, label = ns.cluster, name("template")
    everywhere = f"/api/v1/podtemplates?labelSelector=case={label}"
    assert cluster.get(everywhere).ok()["items"] == []
    cluster.post(ns.path("podtemplates"), template("one", case=label)).ok()
    assert cluster.get(everywhere).ok()["items"][0]["template"]["spec"]["restartPolicy"] == "Always"
    change = {"metadata": {"labels": {"podtemplate": "patched"}}, "template": {"spec": {"terminationGracePeriodSeconds": 3}}}
    cluster.patch(ns.path("podtemplates/one"), change, "strategic-merge").ok()
    found = ns.get("podtemplates/one")
    assert found["metadata"]["labels"] == {"case": label, "podtemplate": "patched"}
    assert found["template"]["spec"]["terminationGracePeriodSeconds"] == 3
    assert found["template"]["spec"]["containers"][0]["image"] == BUSYBOX
    cluster.delete(ns.path("podtemplates/one")).ok()
    assert cluster.get(everywhere).ok()["items"] == []


@conforms("[sig-node] PodTemplates should delete a collection of pod templates")
def test_collection(ns):
    for it in ["one", "two", "three"]:
        ns.cluster.post(ns.path("podtemplates"), template(it, **{"podtemplate-set": "true"})).ok()
    ns.cluster.post(ns.path("podtemplates"), template("other")).ok()
    selected = "podtemplates?labelSelector=podtemplate-set=true"
    assert len(ns.get(selected)["items"]) == 3
    ns.cluster.delete(ns.path(selected)).ok()
    assert [it["metadata"]["name"] for it in ns.get("podtemplates")["items"]] == ["other"]


@conforms("[sig-node] PodTemplates should replace a pod template")
def test_replace(ns):
    before = ns.cluster.post(ns.path("podtemplates"), template("one")).ok()
    before["template"]["metadata"]["annotations"] = {"updated": "true"}
    after = ns.cluster.put(ns.path("podtemplates/one"), before).ok()
    assert after["template"]["metadata"]["annotations"] == {"updated": "true"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    ns.cluster.put(ns.path("podtemplates/one"), before).refused(409, "the object has been modified")
