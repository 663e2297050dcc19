"""Kinds of priority and fairness."""

import pytest
from support import all_operations, conforms

STATUS = {"conditions": [{"type": "Case", "status": "True", "reason": "Case", "message": "told by a case"}]}


@pytest.mark.parametrize(
    ("resource", "kind", "spec"),
    [
        pytest.param(
            "flowschemas", "FlowSchema",
            {
                "matchingPrecedence": 10000,
                "priorityLevelConfiguration": {"name": "global-default"},
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [
                    {
                        "subjects": [{"kind": "User", "user": {"name": "nobody-of-this-name"}}],
                        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                    }
                ],
            },
            marks=conforms("[sig-api-machinery] API priority and fairness should support FlowSchema API operations"),
        ),
        pytest.param(
            "prioritylevelconfigurations", "PriorityLevelConfiguration",
            {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}},
            marks=conforms("[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations"),
        ),
    ],
)
def test_operations(cluster, resource, kind, spec):
    api = "flowcontrol.apiserver.k8s.io/v1"
    all_operations(cluster, api, resource, {"apiVersion": api, "kind": kind, "spec": spec}, status=STATUS)
