"""The API server as a way to pods and services."""

import pytest
from support import conforms, server, until

# says the method and the path that it was asked for
ANSWER = r"""
read -r method path version
while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
said="$method $path"
[ "$method" != HEAD ] || said=
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "${#said}" "$said"
"""
METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
LABELS = {"app": "web"}


def run(ns):
    """A pod that says what it was asked for, below a service."""
    command = f"cat > /tmp/answer <<'END'\n{ANSWER}\nEND\nbusybox nc -ll -p 80 -e sh /tmp/answer"
    ns.pod(command, "web", metadata={"labels": LABELS}, container={"ports": [{"name": "http", "containerPort": 80}]})
    ns.create("services", {"metadata": {"name": "web"}, "spec": {"selector": LABELS, "ports": [{"port": 80}]}})
    ns.until_ready("web")
    ns.until("endpoints/web", lambda it: it.get("subsets"))


def ask(cluster, method, path):
    answer = cluster.request(method, path, accept="*/*")
    assert answer.status == 200, f"{method} {path}: {answer.status} {answer.text}"
    return answer.text


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            "", marks=conforms("[sig-network] Proxy version v1 A set of valid responses are returned for both pod and service Proxy")
        ),
        pytest.param(
            "/some/path?with=query",
            marks=conforms("[sig-network] Proxy version v1 A set of valid responses are returned for both pod and service ProxyWithPath"),
        ),
    ],
)
def test_methods(ns, cluster, path):
    run(ns)
    for at in ("pods/web", "services/web"):
        for method in METHODS:
            where = ns.path(f"{at}/proxy{path}")
            if not path and method in ("GET", "HEAD"):
                moved = cluster.request(method, f"{where}?method={method}", accept="*/*")
                assert moved.status == 301 and moved.headers["Location"].endswith(f"{at}/proxy/?method={method}")
                where += "/"
            expected = "" if method == "HEAD" else f"{method} {path or '/'}"
            until(lambda method=method, where=where: cluster.request(method, where, accept="*/*").status == 200, f"{method} {where}")
            assert ask(cluster, method, where) == expected


@conforms("[sig-network] Proxy version v1 should proxy through a service and a pod")
def test_ports(ns, cluster):
    for called, port in (("one", 160), ("two", 162)):
        server(ns, called, port, metadata={"labels": {"app": called}}, container={"ports": [{"name": "http", "containerPort": port}]})
        ns.until_ready(called)
    ports = [{"name": "number", "port": 80, "targetPort": 160}, {"name": "named", "port": 81, "targetPort": "http"}]
    ns.create("services", {"metadata": {"name": "web"}, "spec": {"selector": {"app": "one"}, "ports": ports}})
    ns.until("endpoints/web", lambda it: it.get("subsets"))
    for at in ("web:80", "web:81", "web:number", "web:named", "http:web:80", "http:web:named"):
        until(lambda at=at: cluster.get(ns.path(f"services/{at}/proxy/"), accept="*/*").text == "one\n", f"services/{at}")
    for at, said in (("one:160", "one\n"), ("http:one:160", "one\n"), ("two:162", "two\n"), ("two", "two\n")):
        path = ns.path(f"pods/{at}/proxy/")
        until(lambda path=path, said=said: cluster.get(path, accept="*/*").text == said, f"pods/{at}")
    assert cluster.get(ns.path("services/web:82/proxy/")).status >= 500
    assert cluster.get(ns.path("services/https:web:80/proxy/")).status >= 500
