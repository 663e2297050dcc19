"""Service accounts, their tokens, and what pods have of them."""

import base64
import json
import time

import pytest
import urllib3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from support import conforms, name, until

MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount"


def review(cluster, token, *audiences):
    body = {"spec": {"token": token, **({"audiences": list(audiences)} if audiences else {})}}
    return cluster.post("/apis/authentication.k8s.io/v1/tokenreviews", body).ok()["status"]


def account(ns, named, **more):
    return ns.cluster.post(ns.path("serviceaccounts"), {"metadata": {"name": named}, **more}).ok()


@conforms("[sig-auth] ServiceAccounts should mount an API token into pods")
def test_mounted(cluster, ns):
    account(ns, "mounted")
    said = ns.output(f"cd {MOUNTED}; cat token; echo; cat namespace; echo; cat ca.crt", serviceAccountName="mounted")
    token, namespace, authority = said.split("\n", 2)
    assert namespace == ns.name
    assert authority.strip() == ns.get("configmaps/kube-root-ca.crt")["data"]["ca.crt"].strip()
    status = review(cluster, token)
    user = f"system:serviceaccount:{ns.name}:mounted"
    # the token is bound to the pod, which is there as long as it is not deleted
    assert status["authenticated"] and status["user"]["username"] == user
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{ns.name}", "system:authenticated"}
    assert groups <= set(status["user"]["groups"])
    assert status["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["pod"]


@conforms("[sig-auth] ServiceAccounts should allow opting out of API token automount")
@pytest.mark.parametrize("of_account", [None, True, False])
@pytest.mark.parametrize("of_pod", [None, True, False])
def test_automount(ns, of_account, of_pod):
    def says(value):
        return {} if value is None else {"automountServiceAccountToken": value}

    account(ns, "case", **says(of_account))
    # that it runs would show no more
    ns.pod("true", serviceAccountName="case", nodeSelector={"no": "node"}, **says(of_pod))
    mounts = ns.get("pods/pod")["spec"]["containers"][0].get("volumeMounts", [])
    wanted = of_account is not False if of_pod is None else of_pod
    assert ([it["mountPath"] for it in mounts] == [MOUNTED]) == wanted


@conforms("[sig-auth] ServiceAccounts should mount projected service account token")
def test_projected(cluster, ns):
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 6000, "audience": "case"}}
    said = ns.output(
        "cat /var/run/secrets/tokens/token",
        container={"volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/tokens"}]},
        volumes=[{"name": "token", "projected": {"sources": [source]}}],
    )
    status = review(cluster, said, "case")
    assert status["authenticated"] and status["user"]["username"] == f"system:serviceaccount:{ns.name}:default"
    assert not review(cluster, said, "other").get("authenticated")
    claims = parts(said)[1]
    assert claims["aud"] == ["case"] and claims["exp"] - claims["iat"] == 6000


@conforms("[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview")
def test_token_request(cluster, ns):
    account(ns, "case")
    asked = {"spec": {"expirationSeconds": 600}}
    status = cluster.post(ns.path("serviceaccounts/case/token"), asked).ok()["status"]
    assert status["token"] and status["expirationTimestamp"]
    reviewed = review(cluster, status["token"])
    assert reviewed["authenticated"] and reviewed.get("error", "") == ""
    assert reviewed["user"]["username"] == f"system:serviceaccount:{ns.name}:case"
    cluster.delete(ns.path("serviceaccounts/case")).ok()
    assert not review(cluster, status["token"]).get("authenticated")


@conforms("[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace")
def test_root_certificate(cluster, ns):
    path = ns.path("configmaps/kube-root-ca.crt")
    until(lambda: cluster.get(path).status == 200, "it is there")
    data = cluster.get(path).ok()["data"]
    assert data["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    cluster.delete(path).ok()
    until(lambda: cluster.get(path).status == 200 and cluster.get(path).json["data"] == data, "it is there again")
    cluster.update(path, lambda shown: shown.update(data={"ca.crt": ""}))
    until(lambda: cluster.get(path).ok()["data"] == data, "it is what it was")


@conforms("[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount")
def test_lifecycle(cluster, ns):
    path, label = ns.path("serviceaccounts"), name("case")
    some = f"labelSelector=case%3D{label}"
    made = cluster.post(path, {"metadata": {"name": "case", "labels": {"case": label}}}).ok()
    patched = cluster.patch(f"{path}/case", {"automountServiceAccountToken": False}, kind="strategic-merge").ok()
    assert patched["automountServiceAccountToken"] is False
    [found] = cluster.get(f"/api/v1/serviceaccounts?{some}").ok()["items"]
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    cluster.delete(f"{path}?{some}").ok()
    ns.until_gone("serviceaccounts/case")
    at = made["metadata"]["resourceVersion"]
    events = cluster.watch(path, lambda seen: seen[-1][0] == "DELETED", resourceVersion=at, labelSelector=f"case%3D{label}")
    assert [(kind, it["automountServiceAccountToken"]) for kind, it in events] == [("MODIFIED", False), ("DELETED", False)]


@conforms("[sig-auth] ServiceAccounts should update a ServiceAccount")
def test_update(cluster, ns):
    account(ns, "case", automountServiceAccountToken=False)
    updated = cluster.update(ns.path("serviceaccounts/case"), lambda shown: shown.update(automountServiceAccountToken=True))
    assert updated["automountServiceAccountToken"] is True
    assert ns.get("serviceaccounts/case")["automountServiceAccountToken"] is True


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token):
    """Header and claims, what is signed, and the signature."""
    header, claims, signature = token.split(".")
    return json.loads(unpadded(header)), json.loads(unpadded(claims)), f"{header}.{claims}".encode(), unpadded(signature)


@conforms("[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer")
def test_issuer(cluster, ns):
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 7200, "audience": "case"}}
    said = ns.output(
        f"cat /tokens/token; echo; cat {MOUNTED}/token",
        container={"volumeMounts": [{"name": "token", "mountPath": "/tokens"}]},
        volumes=[{"name": "token", "projected": {"sources": [source]}}],
    )
    token, access = said.split()
    header, claims, signed, signature = parts(token)
    # a service account may ask, and nobody who is not known
    configuration = cluster.client.configuration
    pool = urllib3.PoolManager(ca_certs=configuration.ssl_ca_cert)

    def get(path, **headers):
        return pool.request("GET", configuration.host + path, headers=headers)

    assert get("/.well-known/openid-configuration").status == 403
    bearer = {"Authorization": f"Bearer {access}"}
    answer = get("/.well-known/openid-configuration", **bearer)
    assert answer.status == 200, answer.data
    found = answer.json()
    assert found["issuer"] == claims["iss"]
    assert header["alg"] in found["id_token_signing_alg_values_supported"]
    assert "public" in found["subject_types_supported"] and "id_token" in found["response_types_supported"]
    path = "/" + found["jwks_uri"].split("/", 3)[3]
    keys = {key["kid"]: key for key in get(path, **bearer).json()["keys"]}
    verify(keys[header["kid"]], signed, signature)

    assert claims["aud"] == ["case"]
    assert claims["iat"] - 60 < time.time() < claims["exp"]
    assert claims["sub"] == f"system:serviceaccount:{ns.name}:default"
    bound = claims["kubernetes.io"]
    assert (bound["namespace"], bound["serviceaccount"]["name"], bound["pod"]["name"]) == (ns.name, "default", "pod")


def verify(key, signed, signature):
    """Raises for a signature that is not the key's."""
    numbers = {part: int.from_bytes(unpadded(key[part]), "big") for part in ("n", "e", "x", "y") if part in key}
    if key["kty"] == "RSA":
        public = rsa.RSAPublicNumbers(numbers["e"], numbers["n"]).public_key()
        return public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    public = ec.EllipticCurvePublicNumbers(numbers["x"], numbers["y"], ec.SECP256R1()).public_key()
    halves = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    return public.verify(encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))
