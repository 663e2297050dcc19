"""All that a projected volume may have, in one."""

from support import conforms, with_volumes


@conforms("[sig-storage] Projected combined should project all components that make up the projection API [Projection] [NodeConformance]")
def test_combined(ns):
    for kind in ["configmaps", "secrets"]:
        field = "data" if kind == "configmaps" else "stringData"
        ns.cluster.post(ns.path(kind), {"metadata": {"name": "it"}, field: {"data": f"of {kind}\n"}}).ok()
    sources = [
        {"configMap": {"name": "it", "items": [{"key": "data", "path": "configmap-data"}]}},
        {"secret": {"name": "it", "items": [{"key": "data", "path": "secret-data"}]}},
        {"downwardAPI": {"items": [{"path": "podname", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
    ]
    command = "cd /all; cat configmap-data secret-data podname; echo; grep -c '^ey' token"
    said = ns.output(command, **with_volumes({"all": {"projected": {"sources": sources}}}))
    assert said == "of configmaps\nof secrets\npod\n1\n"
