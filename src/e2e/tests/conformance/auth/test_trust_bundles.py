"""Authorities that pods are given to believe: ClusterTrustBundles, and the volumes that have them."""

import random
import re

import pytest
from servers import certificate_for
from support import conforms, name, with_volumes

PATH = "/apis/certificates.k8s.io/v1/clustertrustbundles"
BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")


class Bundles:
    """Bundles of one case, and of one signer of its own; they belong to no namespace."""

    def __init__(self, cluster):
        self.cluster, self.label = cluster, name("case")
        self.signer = f"example.com/{self.label}"

    def make(self, labels=None, signer=True):
        """The name of a new bundle, and its one authority as PEM."""
        pem = certificate_for([])[0].decode()
        spec = {"trustBundle": pem, **({"signerName": self.signer} if signer else {})}
        prefix = f"example.com:{self.label}:" if signer else ""
        metadata = {"name": f"{prefix}{name('bundle')}", "labels": {"case": self.label, **(labels or {})}}
        return self.cluster.post(PATH, {"metadata": metadata, "spec": spec}).ok()["metadata"]["name"], pem

    def delete(self):
        self.cluster.delete(f"{PATH}?labelSelector=case%3D{self.label}")


@pytest.fixture
def bundles(cluster):
    made = Bundles(cluster)
    yield made
    made.delete()


def trust(path="anchors.pem", **chosen):
    return {"clusterTrustBundle": {"path": path, **chosen}}


def projected(*sources):
    return {"projected": {"sources": list(sources)}}


def authorities(said):
    """The certificates of a file, of which nothing else is in it and none twice."""
    found = BLOCK.findall(said)
    assert "".join(found) == said and len(set(found)) == len(found), said
    return set(found)


@conforms("[sig-auth] [FeatureGate:ClusterTrustBundle] [FeatureGate:ClusterTrustBundleProjection] should be able to mount a single ClusterTrustBundle by name")
def test_by_name(bundles, ns):
    bundle, pem = bundles.make(signer=False)
    command = "stat -L -c %a /trust/anchors.pem && cat /trust/anchors.pem"
    said = ns.output(command, "there", **with_volumes({"trust": projected(trust(name=bundle))}))
    assert said == f"644\n{pem}"
    source = trust(name="does-not-exist", optional=True)
    assert ns.output(command, "optional", **with_volumes({"trust": projected(source)})) == "644\n"


@pytest.mark.parametrize(
    ("selector", "optional", "live", "dead"),
    [
        pytest.param(
            {"matchLabels": {"alive": "true"}}, {}, True, False, id="selected",
            marks=conforms("[sig-auth] [FeatureGate:ClusterTrustBundle] [FeatureGate:ClusterTrustBundleProjection] should be capable to mount multiple trust bundles by signer+labels can combine multiple CTBs with signer name and label selector"),
        ),
        pytest.param(
            {}, {}, True, True, id="all",
            marks=conforms("[sig-auth] [FeatureGate:ClusterTrustBundle] [FeatureGate:ClusterTrustBundleProjection] should be capable to mount multiple trust bundles by signer+labels can combine all signer CTBs with an empty label selector"),
        ),
        pytest.param(
            None, {"optional": True}, False, False, id="no-selector",
            marks=conforms("[sig-auth] [FeatureGate:ClusterTrustBundle] [FeatureGate:ClusterTrustBundleProjection] should be capable to mount multiple trust bundles by signer+labels should start if only signer name and nil label selector + optional=true"),
        ),
        pytest.param(
            {"matchLabels": {"alive": "perhaps"}}, {"optional": True}, False, False, id="none-fits",
            marks=conforms("[sig-auth] [FeatureGate:ClusterTrustBundle] [FeatureGate:ClusterTrustBundleProjection] should be capable to mount multiple trust bundles by signer+labels should start if only signer name and explicit label selector matches nothing + optional=true"),
        ),
    ],
)
def test_by_signer(bundles, ns, selector, optional, live, dead):
    alive = {bundles.make({"alive": "true"})[1] for _ in range(2)}
    others = {bundles.make({"alive": "false"})[1]}
    # of nobody, and labelled like those that are wanted
    bundles.make({"alive": "true"}, signer=False)
    chosen = {"signerName": bundles.signer, **optional, **({} if selector is None else {"labelSelector": selector})}
    said = ns.output("cat /trust/anchors.pem", **with_volumes({"trust": projected(trust(**chosen))}))
    assert authorities(said) == (alive if live else set()) | (others if dead else set())


@conforms("[sig-auth] [FeatureGate:ClusterTrustBundle] [FeatureGate:ClusterTrustBundleProjection] should be able to specify multiple CTB volumes")
def test_volumes(bundles, ns):
    bundle, pem = bundles.make(signer=False)
    dead = {bundles.make({"alive": "false"})[1] for _ in range(2)}
    bundles.make({"alive": "true"})
    of_signer = trust(signerName=bundles.signer, labelSelector={"matchLabels": {"alive": "false"}})
    volumes = {"named": projected(trust(name=bundle)), "signed": projected(of_signer)}
    said = ns.output("cat /named/anchors.pem; echo and; cat /signed/anchors.pem", **with_volumes(volumes))
    named, signed = said.split("and\n")
    assert named == pem and authorities(signed) == dead


@conforms("[sig-auth] [FeatureGate:ClusterTrustBundle] [FeatureGate:ClusterTrustBundleProjection] should be able to mount a big number (>100) of CTBs")
def test_many(bundles, ns):
    made = [bundles.make() for _ in range(150)]
    index = random.randrange(len(made))
    sources = [trust(f"{at}.pem", name=bundle) for at, (bundle, _) in enumerate(made)]
    pem = made[index][1]
    said = ns.output(f"cat /trust/{index}.pem; ls /trust | wc -l", "files", **with_volumes({"trust": projected(*sources)}))
    assert said == f"{pem}{len(made)}\n"
    each = {f"trust-{at}": projected(source) for at, source in enumerate(sources)}
    assert ns.output(f"cat /trust-{index}/{index}.pem", "volumes", **with_volumes(each)) == pem
    joined = trust(signerName=bundles.signer, labelSelector={})
    said = ns.output("cat /trust/anchors.pem", "joined", **with_volumes({"trust": projected(joined)}))
    assert authorities(said) == {pem for _, pem in made}
