"""What is done before a pod is killed."""

from support import STAY, conforms, until


@conforms("[sig-node] PreStop should call prestop when killing a pod")
def test_pre_stop(ns):
    probe = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    ns.pod("mkdir /www && echo ok > /www/write && httpd -f -vv -p 8080 -h /www 2>&1", "server", container=probe)
    address = ns.until_ready("server")["status"]["podIP"]
    hook = {"preStop": {"exec": {"command": ["wget", "-qO-", f"http://{address}:8080/write"]}}}
    ns.pod(STAY, "tester", container={"lifecycle": hook}, terminationGracePeriodSeconds=10)
    ns.until_ready("tester")
    assert "url:/write" not in ns.log("server")
    ns.cluster.delete(ns.path("pods/tester")).ok()
    until(lambda: "url:/write" in ns.log("server"), "the hook's request")
    ns.until_gone("pods/tester")
