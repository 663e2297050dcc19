"""Who a container is and what it may do."""

from support import BUSYBOX, conforms


@conforms("[sig-node] Security Context When creating a container with runAsUser should run the container with uid 65534 [LinuxOnly] [NodeConformance]")
def test_user(ns):
    assert ns.output("id -u", container={"securityContext": {"runAsUser": 65534}}) == "65534\n"


@conforms("[sig-node] Security Context When creating a pod with privileged should run the container as unprivileged when false [LinuxOnly] [NodeConformance]")
def test_unprivileged(ns):
    command = "ip link add dummy0 type dummy || true"
    assert "Operation not permitted" in ns.output(command, container={"securityContext": {"privileged": False}})
    assert "not permitted" not in ns.output(command, "may", container={"securityContext": {"privileged": True}})


@conforms("[sig-node] Security Context When creating a pod with readOnlyRootFilesystem should run the container with writable rootfs when readOnlyRootFilesystem=false [NodeConformance]")
def test_writable_root(ns):
    assert ns.output("echo hi > /file && cat /file", container={"securityContext": {"readOnlyRootFilesystem": False}}) == "hi\n"


@conforms("[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should not allow privilege escalation when false [LinuxOnly] [NodeConformance]")
def test_no_escalation(ns):
    # busybox's su complains unless it is effectively root
    volumes = [{"name": "work", "emptyDir": {}}]
    mount = [{"name": "work", "mountPath": "/work"}]
    copy = ["sh", "-c", "busybox cp /bin/busybox /work/su && chmod 4755 /work/su"]
    init = {"name": "init", "image": BUSYBOX, "volumeMounts": mount, "command": copy}

    def said(name, allowed):
        context = {"runAsUser": 1000, "allowPrivilegeEscalation": allowed}
        container = {"securityContext": context, "volumeMounts": mount}
        command = "grep NoNewPrivs /proc/self/status; /work/su root </dev/null 2>&1; true"
        return ns.output(command, name, container=container, volumes=volumes, initContainers=[init])

    refused, allowed = said("refused", False), said("allowed", True)
    assert "NoNewPrivs:\t1" in refused and "must be suid" in refused
    assert "NoNewPrivs:\t0" in allowed and "must be suid" not in allowed
