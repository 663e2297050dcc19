"""Hooks after a container's start and before its end."""

import pytest
from support import STAY, conforms, until

# tells of each request: `url:/PATH`
SERVE = "mkdir /www && echo hi > /www/poststart && echo hi > /www/prestop && httpd -f -vv -p 8080 -h /www 2>&1"


def started(ns, name):
    ns.until_ready(name)
    return ns.get(f"pods/{name}")["status"]["podIP"]


@pytest.mark.parametrize(
    ("hook", "action"),
    [
        pytest.param(
            "postStart", "exec",
            marks=conforms("[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart exec hook properly [NodeConformance]"),
        ),
        pytest.param(
            "postStart", "httpGet",
            marks=conforms("[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart http hook properly [NodeConformance]"),
        ),
        pytest.param(
            "preStop", "exec",
            marks=conforms("[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop exec hook properly [NodeConformance]"),
        ),
        pytest.param(
            "preStop", "httpGet",
            marks=conforms("[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly [NodeConformance]"),
        ),
    ],
)
def test_hook(ns, hook, action):
    probe = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    address = started(ns, ns.pod(SERVE, "handler", container=probe))
    path = f"/{hook.lower()}"
    handler = {
        "exec": {"command": ["sh", "-c", f"wget -qO- http://{address}:8080{path}"]},
        "httpGet": {"host": address, "port": 8080, "path": path},
    }
    ns.pod(STAY, "hooked", container={"lifecycle": {hook: {action: handler[action]}}}, terminationGracePeriodSeconds=5)
    ns.until_ready("hooked")
    if hook == "preStop":
        assert f"url:{path}" not in ns.log("handler")
        ns.cluster.delete(ns.path("pods/hooked")).ok()
        ns.until_gone("pods/hooked")
    until(lambda: f"url:{path}" in ns.log("handler"), "the hook's request")
