"""Names in pods: of services, of pods, of others, and whom a pod asks."""

import socket
import struct

import pytest
from support import conforms, edit, server, until

ZONE = "svc.cluster.local"
LABELS = {"app": "web"}
HTTP = [{"name": "http", "port": 80}]


@pytest.fixture
def client(ns):
    ns.pod("sleep 100000", "client")
    ns.until_ready("client")

    def run(command):
        return ns.exec("client", command)

    return run


def addresses(said):
    """Those that nslookup prints below the line of the name server."""
    _, _, found = said.partition("\n\n")
    return {line.split(": ", 1)[1] for line in found.splitlines() if line.startswith("Address: ")}


def until_resolves(client, called, *wanted):
    until(lambda: addresses(client(f"nslookup -type=a {called}")) == set(wanted), f"{called} is {wanted}")


def partial(client, called):
    """The address that a program takes for a name without dot at its end, by the domains that are searched."""
    said = client(f"busybox timeout 30 wget -O /dev/null http://{called}:80/ 2>&1")
    return said.partition(f"Connecting to {called}:80 (")[2].partition(":80)")[0]


def over_tcp(cluster, called):
    """The last address of the answer to a question over TCP."""
    at = cluster.get("/api/v1/namespaces/kube-system/services/kube-dns").ok()["spec"]["clusterIP"]
    labels = b"".join(bytes([len(it)]) + it.encode() for it in called.split("."))
    query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    with socket.create_connection((at, 53), timeout=30) as asking:
        asking.sendall(struct.pack("!H", len(query)) + query)
        # the length may come by itself
        with asking.makefile("rb") as answer:
            said = answer.read(*struct.unpack("!H", answer.read(2)))
    assert struct.unpack("!2H", said[2:4] + said[6:8])[1] >= 1 and said[3] & 15 == 0, said
    return socket.inet_ntoa(said[len(query):][12:16])


def service(ns, name, **spec):
    return ns.create("services", {"metadata": {"name": name}, "spec": {"selector": LABELS, "ports": HTTP, **spec}})["spec"]


@conforms("[sig-network] DNS should provide DNS for the cluster")
def test_cluster(client, cluster):
    at = cluster.get("/api/v1/namespaces/default/services/kubernetes").ok()["spec"]["clusterIP"]
    until_resolves(client, f"kubernetes.default.{ZONE}", at)
    assert over_tcp(cluster, f"kubernetes.default.{ZONE}") == at
    for called in ("kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.{ZONE}"):
        assert partial(client, called) == at


@conforms("[sig-network] DNS should resolve DNS of partial qualified names for services [LinuxOnly]")
def test_partial(ns, client):
    ns.until_ready(server(ns, "web", metadata={"labels": LABELS}))
    at = service(ns, "one")["clusterIP"]
    service(ns, "headless", clusterIP="None")
    pod = ns.get("pods/web")["status"]["podIP"]
    for called, address in (("one", at), ("headless", pod)):
        until_resolves(client, f"{called}.{ns.name}.{ZONE}", address)
        for form in (called, f"{called}.{ns.name}", f"{called}.{ns.name}.svc", f"{called}.{ns.name}.{ZONE}"):
            assert partial(client, form) == address
        assert f"_http._tcp.{called}.{ns.name}.{ZONE}" in client(f"nslookup -type=srv _http._tcp.{called}.{ns.name}.{ZONE}")


@conforms("[sig-network] DNS should provide DNS for services")
def test_services(ns, client, cluster):
    ns.until_ready(server(ns, "web", metadata={"labels": LABELS}))
    at = service(ns, "one")["clusterIP"]
    service(ns, "headless", clusterIP="None")
    pod = ns.get("pods/web")["status"]["podIP"]
    for called, address in (("one", at), ("headless", pod)):
        whole = f"{called}.{ns.name}.{ZONE}"
        until_resolves(client, whole, address)
        assert over_tcp(cluster, whole) == address
        said = client(f"nslookup -type=srv _http._tcp.{whole}")
        target = said.partition("service = ")[2].split()
        assert target[2] == "80" and target[3].endswith(whole), said
        until_resolves(client, target[3], address)
    reverse = ".".join(reversed(at.split(".")))
    assert f"{reverse}.in-addr.arpa\tname = one.{ns.name}.{ZONE}" in client(f"nslookup {at}")


@conforms("[sig-network] DNS should provide /etc/hosts entries for the cluster")
def test_hosts(ns, client):
    service(ns, "names", clusterIP="None")
    ns.until_ready(ns.pod("sleep 100000", "querier", metadata={"labels": LABELS}, hostname="one", subdomain="names"))
    at = ns.get("pods/querier")["status"]["podIP"]
    hosts = ns.exec("querier", "cat /etc/hosts").splitlines()
    assert "127.0.0.1\tlocalhost" in hosts
    assert f"{at}\tone.names.{ns.name}.{ZONE}\tone" in hosts
    assert ns.exec("querier", "hostname; hostname -f").split() == ["one", f"one.names.{ns.name}.{ZONE}"]
    assert f"{ns.get('pods/client')['status']['podIP']}\tclient" in client("cat /etc/hosts").splitlines()


@conforms("[sig-network] DNS should provide DNS for pods for Hostname")
def test_hostname(ns, client):
    service(ns, "names", clusterIP="None")
    ns.until_ready(ns.pod("sleep 100000", "querier", metadata={"labels": LABELS}, hostname="one", subdomain="names"))
    at = ns.get("pods/querier")["status"]["podIP"]
    until_resolves(client, f"one.names.{ns.name}.{ZONE}", at)
    assert partial(client, "one.names") == at


@conforms("[sig-network] DNS should provide DNS for pods for Subdomain")
def test_subdomain(ns, client):
    service(ns, "names", clusterIP="None")
    pods = {}
    for called in ("one", "two"):
        ns.until_ready(ns.pod("sleep 100000", called, metadata={"labels": LABELS}, hostname=called, subdomain="names"))
        pods[called] = ns.get(f"pods/{called}")["status"]["podIP"]
    until_resolves(client, f"names.{ns.name}.{ZONE}", *pods.values())
    for called, at in pods.items():
        until_resolves(client, f"{called}.names.{ns.name}.{ZONE}", at)


@conforms("[sig-network] DNS should provide DNS for ExternalName services")
def test_external_name(ns, client):
    ns.create("services", {"metadata": {"name": "away"}, "spec": {"type": "ExternalName", "externalName": "foo.example.com"}})
    whole = f"away.{ns.name}.{ZONE}"

    def leads_to(name):
        return f"canonical name = {name}" in client(f"nslookup -type=cname {whole}")

    until(lambda: leads_to("foo.example.com"), "the first name")
    edit(ns, "services/away", "v1", lambda it: it["spec"].update(externalName="bar.example.com"))
    until(lambda: leads_to("bar.example.com"), "the second name")
    changed = edit(ns, "services/away", "v1", lambda it: it.update(spec={"type": "ClusterIP", "ports": HTTP}))
    until_resolves(client, whole, changed["spec"]["clusterIP"])
    assert not leads_to("bar.example.com")


@conforms("[sig-network] DNS should support configurable pod DNS nameservers")
def test_name_servers(ns):
    config = {"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"], "options": [{"name": "ndots", "value": "2"}]}
    said = ns.output("cat /etc/resolv.conf", dnsPolicy="None", dnsConfig=config)
    assert sorted(said.splitlines()) == ["nameserver 1.1.1.1", "options ndots:2", "search resolv.conf.local"]
