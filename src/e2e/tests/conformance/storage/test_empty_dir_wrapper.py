"""Volumes that are made of the same stuff do not meet."""

from support import STAY, conforms, with_volumes

MANY = 50


@conforms("[sig-storage] EmptyDir wrapper volumes should not conflict")
def test_no_conflict(ns):
    ns.cluster.post(ns.path("configmaps"), {"metadata": {"name": "it"}, "data": {"data-1": "of the map\n"}}).ok()
    ns.cluster.post(ns.path("secrets"), {"metadata": {"name": "it"}, "stringData": {"data-1": "of the secret\n"}}).ok()
    ns.pod(STAY, **with_volumes({"map": {"configMap": {"name": "it"}}, "secret": {"secret": {"secretName": "it"}}}))
    ns.until_ready("pod")
    assert ns.exec("pod", "cat /map/data-1 /secret/data-1") == "of the map\nof the secret\n"


@conforms("[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps [Serial]")
def test_no_race(ns):
    for n in range(MANY):
        ns.cluster.post(ns.path("configmaps"), {"metadata": {"name": f"map-{n}"}, "data": {"data-1": f"{n}\n"}}).ok()
    volumes = {f"map-{n}": {"configMap": {"name": f"map-{n}"}} for n in range(MANY)}
    command = f"cd /; cat {' '.join(f'map-{n}/data-1' for n in range(MANY))}"
    names = [ns.pod(command, f"pod-{n}", **with_volumes(volumes)) for n in range(5)]
    for name in names:
        assert ns.until_phase(name, "Succeeded", "Failed")["status"]["phase"] == "Succeeded"
        assert ns.log(name) == "".join(f"{n}\n" for n in range(MANY))
