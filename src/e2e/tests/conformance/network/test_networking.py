"""Pods reach pods, and so does the node."""

import sys

import pytest
from support import conforms, server, udp_server, until

ASK = """
import socket
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(1)
asking.connect(('{at}', 8080))
asking.send(b'who')
print(asking.recv(100).decode())
"""


def answer(ns, asking, at, protocol):
    """What the pod at that address says to another."""
    if protocol == "http":
        return ns.exec(asking, f"busybox timeout 2 wget -qO- http://{at}:8080/").strip()
    return ns.exec(asking, f'busybox chroot /machine {sys.executable} -c "{ASK.format(at=at)}"').strip()


def peers(ns, protocol):
    """Some that answer, by name; returns their addresses."""
    run = server if protocol == "http" else udp_server
    for called in ("one", "two"):
        run(ns, called, 8080)
    return {called: ns.until_ready(called)["status"]["podIP"] for called in ("one", "two")}


@pytest.mark.parametrize(
    "protocol",
    [
        pytest.param(
            "http",
            marks=conforms(
                "[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: http [NodeConformance]"
            ),
        ),
        pytest.param(
            "udp",
            marks=conforms(
                "[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: udp [NodeConformance]"
            ),
        ),
    ],
)
def test_between_pods(ns, protocol):
    found = peers(ns, protocol)
    for asking in found:
        for called, at in found.items():
            until(lambda asking=asking, called=called, at=at: answer(ns, asking, at, protocol) == called, f"{called} answers {asking}")


@pytest.mark.parametrize(
    "protocol",
    [
        pytest.param(
            "http",
            marks=conforms(
                "[sig-network] Networking Granular Checks: Pods should function for node-pod communication: http [LinuxOnly] [NodeConformance]"
            ),
        ),
        pytest.param(
            "udp",
            marks=conforms(
                "[sig-network] Networking Granular Checks: Pods should function for node-pod communication: udp [LinuxOnly] [NodeConformance]"
            ),
        ),
    ],
)
def test_from_node(ns, protocol):
    found = peers(ns, protocol)
    mount = {"volumeMounts": [{"name": "machine", "mountPath": "/machine"}]}
    volumes = [{"name": "machine", "hostPath": {"path": "/"}}]
    ns.until_ready(ns.pod("sleep 100000", "node", hostNetwork=True, container=mount, volumes=volumes))
    for called, at in found.items():
        until(lambda called=called, at=at: answer(ns, "node", at, protocol) == called, f"{called} answers the node")
