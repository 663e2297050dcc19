"""Whose /etc/hosts is."""

from support import BUSYBOX, conforms

MANAGED = "# Kubernetes-managed hosts file."


def container(name, **more):
    return {"name": name, "image": BUSYBOX, "command": ["sleep", "1000"], **more}


@conforms("[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file [NodeConformance]")
def test_etc_hosts(ns):
    mount = {"volumeMounts": [{"name": "hosts", "mountPath": "/etc/hosts"}]}
    volumes = [{"name": "hosts", "hostPath": {"path": "/etc/hosts", "type": "File"}}]
    plain = {"containers": [container("one"), container("two"), container("own", **mount)], "volumes": volumes}
    host = {"containers": [container("one"), container("own", **mount)], "volumes": volumes, "hostNetwork": True}
    for name, spec in [("plain", plain), ("host", host)]:
        spec = {**spec, "terminationGracePeriodSeconds": 0}
        ns.cluster.post(ns.path("pods"), {"metadata": {"name": name}, "spec": spec}).ok()
        ns.until_ready(name)
    managed = {
        (pod, it["name"]): MANAGED in ns.exec(pod, "cat /etc/hosts", it["name"])
        for pod, spec in [("plain", plain), ("host", host)]
        for it in spec["containers"]
    }
    expected = {"plain": {"one": True, "two": True, "own": False}, "host": {"one": False, "own": False}}
    assert managed == {(pod, name): it for pod, names in expected.items() for name, it in names.items()}
    assert f"{ns.get('pods/plain')['status']['podIP']}\tplain" in ns.exec("plain", "cat /etc/hosts", "one")
