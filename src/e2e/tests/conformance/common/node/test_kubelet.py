"""What becomes of a command in a pod."""

from support import conforms, until


@conforms("[sig-node] Kubelet when scheduling a busybox command in a pod should print the output to logs [NodeConformance]")
def test_logs(ns):
    assert ns.output("echo 'Hello World'") == "Hello World\n"


def terminated(ns):
    statuses = ns.get("pods/pod")["status"].get("containerStatuses", [])
    return statuses and (statuses[0]["state"].get("terminated") or statuses[0].get("lastState", {}).get("terminated"))


@conforms("[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason [NodeConformance]")
def test_reason(ns):
    ns.pod(container={"command": ["false"]}, restartPolicy="Always")
    end = until(lambda: terminated(ns), "the end")
    assert end["reason"] == "Error" and end["exitCode"] == 1


@conforms("[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete [NodeConformance]")
def test_deletion(ns):
    ns.pod(container={"command": ["false"]}, restartPolicy="Always")
    until(lambda: terminated(ns), "the end")
    ns.cluster.delete(ns.path("pods/pod")).ok()
    ns.until_gone("pods/pod")


@conforms("[sig-node] Kubelet when scheduling an agnhost Pod with hostAliases should write entries to /etc/hosts [NodeConformance]")
def test_host_aliases(ns):
    aliases = [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]
    hosts = ns.output("cat /etc/hosts", hostAliases=aliases)
    assert "# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n" in hosts


@conforms("[sig-node] Kubelet when scheduling a read only busybox container should not write to root filesystem [LinuxOnly] [NodeConformance]")
def test_read_only(ns):
    said = ns.output("echo test > /file; cat /file; true", container={"securityContext": {"readOnlyRootFilesystem": True}})
    assert "can't create /file: Read-only file system" in said
