"""Ports of the node that lead to pods."""

import urllib.error
import urllib.request

from support import conforms, server, udp_answer, udp_server, until


def answer(address, port):
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=1) as said:
            return said.read().decode().strip()
    except (OSError, urllib.error.URLError):
        return None


@conforms(
    "[sig-network] HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol [LinuxOnly]"
)
def test_no_conflict(ns, cluster):
    node = cluster.get("/api/v1/nodes").ok()["items"][0]["status"]["addresses"]
    at = next(it["address"] for it in node if it["type"] == "InternalIP")
    # below those that the kernel gives to whoever connects
    port = 20323

    def ports(address, protocol="TCP"):
        return {"ports": [{"containerPort": 8080, "hostPort": port, "hostIP": address, "protocol": protocol}]}

    server(ns, "one", 8080, container=ports("127.0.0.1"))
    server(ns, "two", 8080, container=ports(at))
    udp_server(ns, "three", 8080, container=ports(at, "UDP"))
    for pod in ("one", "two", "three"):
        ns.until_ready(pod)
    until(lambda: answer("127.0.0.1", port) == "one", "the first answers at its address")
    until(lambda: answer(at, port) == "two", "the second at its")
    until(lambda: udp_answer(at, port) == "three", "the third over UDP")
