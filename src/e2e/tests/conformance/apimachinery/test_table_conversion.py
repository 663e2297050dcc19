"""Tables: what has no columns can not be shown as one."""

from support import conforms

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@conforms(
    "[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata"
)
def test_review(cluster):
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    cluster.post(path, review, accept=TABLE).refused(406, "NotAcceptable", "only the following media types are accepted")
    assert cluster.post(path, review, accept=f"{TABLE},application/json").ok()["status"]["allowed"] is True
