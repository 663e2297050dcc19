"""The kinds of dynamic resource allocation as an API."""

import pytest
from support import all_operations, conforms

GROUP = "resource.k8s.io/v1"
CLAIM = {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": "example.com"}}]}}
SLICE = {
    "driver": "example.com", "nodeName": "no-node", "devices": [{"name": "device-0"}],
    "pool": {"name": "pool", "generation": 1, "resourceSliceCount": 1},
}
TOLD = {
    "type": "Case", "status": "True", "reason": "Case", "message": "told by a case", "lastTransitionTime": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("resource", "spec", "namespaced", "status"),
    [
        pytest.param(
            "deviceclasses", {"selectors": [{"cel": {"expression": 'device.driver == "example.com"'}}]}, False, None,
            marks=conforms("[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceClass"),
        ),
        pytest.param(
            "devicetaintrules", {"deviceSelector": {"driver": "example.com"}, "taint": {"key": "example.com/case", "effect": "None"}},
            False, {"conditions": [TOLD]}, marks=conforms("[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceTaintRule"),
        ),
        pytest.param(
            "resourceclaims", CLAIM, True,
            {"allocation": {"devices": {"results": [
                {"request": "one", "driver": "example.com", "pool": "pool", "device": "device-0"}
            ]}}},
            marks=conforms("[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaim"),
        ),
        pytest.param(
            "resourceclaimtemplates", {"spec": CLAIM}, True, None,
            marks=conforms("[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate"),
        ),
        pytest.param(
            "resourceslices", SLICE, False, None,
            marks=conforms("[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceSlice"),
        ),
    ],
)
def test_operations(ns, cluster, resource, spec, namespaced, status):
    all_operations(cluster, GROUP, resource, {"spec": spec}, ns.name if namespaced else None, status)
