"""Requests for certificates: of whoever asks, and of a node for a pod."""

import base64
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from servers import certificate_for
from support import all_operations, condition, conforms, name

API = "certificates.k8s.io/v1"
PATH = f"/apis/{API}/certificatesigningrequests"


def request(signer="example.com/case"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "case")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return {
        "apiVersion": API,
        "kind": "CertificateSigningRequest",
        "spec": {
            "request": base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode(),
            # nobody acts for it
            "signerName": signer,
            "expirationSeconds": 3600,
            "usages": ["digital signature", "key encipherment", "server auth"],
        },
    }


@conforms("[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations")
def test_operations(cluster):
    certificate = base64.b64encode(certificate_for([])[0]).decode()
    all_operations(cluster, API, "certificatesigningrequests", request(), status={"certificate": certificate})

    verbs = {it["name"]: set(it["verbs"]) for it in cluster.get(f"/apis/{API}").ok()["resources"]}
    assert verbs["certificatesigningrequests/approval"] == {"get", "patch", "update"}
    one = f"{PATH}/{name('case')}"
    signer = f"example.com/{one.rpartition('/')[2]}"
    made = cluster.post(PATH, {**request(signer), "metadata": {"name": one.rpartition("/")[2]}}).ok()
    try:
        assert [it["metadata"]["uid"] for it in cluster.get(f"{PATH}?fieldSelector=spec.signerName%3D{signer}").ok()["items"]] == [
            made["metadata"]["uid"]
        ]
        assert made["spec"]["username"] and "system:authenticated" in made["spec"]["groups"]
        told = {"type": "Approved", "status": "True", "reason": "Case", "message": "told by a case"}
        # who may approve is asked for more than the status
        changed = cluster.patch(f"{one}/status", {"status": {"conditions": [told]}})
        assert changed.status == 422 or condition(changed.ok(), "Approved") is None
        other = {**told, "type": "StatusUpdate"}
        updated = cluster.update(f"{one}/status", lambda shown: shown.setdefault("status", {}).update(conditions=[other]))
        assert condition(updated, "StatusUpdate") == "True"
        patched = cluster.patch(f"{one}/approval", {"metadata": {"annotations": {"patched": "yes"}}}).ok()
        assert patched["metadata"]["annotations"]["patched"] == "yes"
        updated = cluster.update(f"{one}/approval", lambda shown: shown["status"]["conditions"].append(told))
        assert condition(updated, "Approved") == condition(updated, "StatusUpdate") == "True" and "certificate" not in updated["status"]
        assert condition(cluster.get(f"{one}/approval").ok(), "Approved") == "True"
        both = cluster.patch(f"{one}/approval", {"status": {"conditions": [other, told, {**told, "type": "Denied"}]}})
        both.refused(422, "Approved and Denied conditions are mutually exclusive")
    finally:
        cluster.delete(one)


def pod_request():
    """What a node asks for a pod, and the status that a signer answers with."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    spec = {
        "signerName": "example.com/case", "podName": "pod", "podUID": "1", "serviceAccountName": "default",
        "serviceAccountUID": "2", "nodeName": "no-node", "nodeUID": "3", "maxExpirationSeconds": 86400,
        "stubPKCS10Request": base64.b64encode(asked.public_bytes(serialization.Encoding.DER)).decode(),
    }
    begin = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(minutes=1)
    end = begin + datetime.timedelta(hours=1)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "case")])
    built = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    signed = built.not_valid_before(begin).not_valid_after(end).sign(key, hashes.SHA256())

    def at(when):
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    issued = {"type": "Issued", "status": "True", "reason": "Case", "message": "told by a case", "lastTransitionTime": at(begin)}
    status = {
        "certificateChain": signed.public_bytes(serialization.Encoding.PEM).decode(), "conditions": [issued],
        "notBefore": at(begin), "beginRefreshAt": at(begin + datetime.timedelta(minutes=15)), "notAfter": at(end),
    }
    return spec, status


@conforms("[sig-auth] PodCertificateRequest API [Privileged:ClusterAdmin] should support PodCertificateRequest API operations")
def test_pod_operations(cluster, ns):
    spec, status = pod_request()
    all_operations(cluster, API, "podcertificaterequests", {"spec": spec}, ns.name, status)
