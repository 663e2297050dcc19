"""Reviews of what a subject may do."""

from support import conforms, until

API = "/apis/authorization.k8s.io/v1"


@conforms("[sig-auth] SubjectReview should support SubjectReview API operations")
def test_reviews(cluster, ns):
    uid = cluster.post(ns.path("serviceaccounts"), {"metadata": {"name": "case"}}).ok()["metadata"]["uid"]
    user = f"system:serviceaccount:{ns.name}:case"
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{ns.name}"]
    attributes = {"namespace": ns.name, "verb": "list", "resource": "configmaps"}

    def told():
        """What both reviews say, and what the account gets itself."""
        spec = {"resourceAttributes": attributes, "user": user, "groups": groups, "uid": uid}
        wide = cluster.post(f"{API}/subjectaccessreviews", {"spec": spec}).ok()
        here = {"metadata": {"namespace": ns.name}, "spec": spec}
        local = cluster.post(f"{API}/namespaces/{ns.name}/localsubjectaccessreviews", here)
        assert wide["spec"]["user"] == user and local.ok()["kind"] == "LocalSubjectAccessReview"
        got = cluster.get(ns.path("configmaps"), Impersonate_User=user, Impersonate_Uid=uid)
        return wide["status"]["allowed"], local.json["status"]["allowed"], got.status

    assert told() == (False, False, 403)
    ns.apply(f"""
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {{name: reads}}
        rules: [{{apiGroups: [""], resources: [configmaps], verbs: [list]}}]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: {{name: reads}}
        roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads}}
        subjects: [{{kind: ServiceAccount, name: case, namespace: {ns.name}}}]
    """)
    # what may be done follows the rules a moment later
    until(lambda: told() == (True, True, 200), "the binding counts")
