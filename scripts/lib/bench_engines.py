"""The engines that are measured, each in a network of its own with a registry beside it, and what takes them away again."""

import os
import shutil
import signal
import subprocess
import time

REGISTRY = "127.0.0.1:5000"
PATIENCE = 60  # seconds for an engine to answer


class Engine:
    """An engine behind a unix socket. `programs`: where the programs are whose memory and CPU are its own."""

    def __init__(self, name, socket, programs):
        self.name, self.socket, self.programs = name, socket, programs
        self.registry = None

    def pids(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                program = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if program.startswith(self.programs):
                found.append(int(pid))
        return found

    def daemons(self):
        """Without the small process beside each container."""
        return [pid for pid in self.pids() if not name_of(pid).startswith(("monopod-shim", "containerd-shim"))]

    def memory(self, pids, field):
        """Megabytes: VmRSS, VmHWM, or Pss."""
        return sum(read_field(pid, field) for pid in pids) / 1024

    def ticks(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total

    def forget_peaks(self):
        for pid in self.daemons():
            with open(f"/proc/{pid}/clear_refs", "w") as file:
                file.write("5")

    def close(self):
        if self.registry:
            self.registry.close()


class Given(Engine):
    """One that runs already, on this machine's own network."""

    def __init__(self, host, work):
        super().__init__("peer", host.removeprefix("unix://"), "\0")
        self.registry = Registry(os.path.join(work, "peer"), [])

    def pids(self):
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if name_of(pid).startswith(("dockerd", "containerd"))]


class Started(Engine):
    """Starts `command` in namespaces of its own."""

    def __init__(self, name, socket, programs, work, unshare, command, env):
        super().__init__(name, socket, programs)
        os.makedirs(work)
        self.work = work
        self.log = open(os.path.join(work, "log"), "wb")
        self.child = subprocess.Popen(
            ["unshare", "--net", "--mount", *unshare, "sh", "-c", f"ip link set lo up; {command}"],
            env=os.environ | env, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
        )
        self.until_it_answers()
        inside = self.child.pid if not unshare else children(self.child.pid)[0]
        self.enter = ["nsenter", "--net", "--target", str(inside)]
        self.registry = Registry(work, self.enter)

    def until_it_answers(self):
        deadline = time.monotonic() + PATIENCE
        ask = ["curl", "-sf", "--unix-socket", self.socket, "http://docker/version"]
        while subprocess.run(ask, stdout=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > deadline or self.child.poll() is not None:
                with open(self.log.name, errors="replace") as log:
                    raise SystemExit(f"{self.name} does not start:\n{log.read()[-2000:]}")
            time.sleep(0.05)

    def close(self):
        super().close()
        self.child.kill()
        self.child.wait()
        self.log.close()


class Monopod(Started):
    def __init__(self, program, work):
        # under a name of its own, by which its processes are known
        self.profile = "benchdocker"
        os.makedirs(work, exist_ok=True)
        own = os.path.join(work, "monopod")
        shutil.copy(program, own)
        self.run = [own, "-p", self.profile]
        self.env = {"HOME": work, "KUBECONFIG": os.path.join(work, "kubeconfig")}
        super().__init__(
            "monopod", f"/run/monopod/{self.profile}/docker.sock", own, os.path.join(work, "engine"), [],
            f"exec {' '.join(self.run)} start --foreground --insecure-registry {REGISTRY}", self.env,
        )

    def close(self):
        subprocess.run([*self.enter, *self.run, "delete"], env=os.environ | self.env, stdout=subprocess.DEVNULL)
        super().close()


class Debian(Started):
    """dockerd, containerd and runc, unpacked into a directory. Its PID namespace ends with it, and so does whatever it started."""

    CGROUP = "bench-docker"

    def __init__(self, directory, work):
        config = os.path.join(work, "daemon.json")
        os.makedirs(work, exist_ok=True)
        with open(config, "w") as file:
            file.write("{}")
        self.data = os.path.join(work, "data")
        socket = os.path.join(work, "docker.sock")
        path = ":".join([f"{directory}/usr/bin", f"{directory}/usr/sbin", f"{directory}/usr/libexec/docker", os.environ["PATH"]])
        super().__init__(
            "Docker", socket, directory, os.path.join(work, "engine"), ["--pid", "--fork", "--kill-child", "--mount-proc"],
            "mount -t tmpfs run /run && exec dockerd --storage-driver overlay2 "
            f"--config-file {config} --data-root {self.data} --exec-root {work}/exec --pidfile {work}/pid "
            f"--cgroup-parent {self.CGROUP} -H unix://{socket}", {"PATH": path},
        )

    def close(self):
        dockerd = children(self.child.pid)
        for pid in dockerd:
            os.kill(pid, signal.SIGTERM)
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            pass
        super().close()
        subprocess.run(["find", "/sys/fs/cgroup", "-path", f"*/{self.CGROUP}*", "-type", "d", "-delete"], stderr=subprocess.DEVNULL)


class Registry:
    """Debian's docker-registry, in the engine's network."""

    def __init__(self, work, enter):
        os.makedirs(work, exist_ok=True)
        self.work, self.enter = work, enter
        data = os.path.join(work, "registry")
        config = os.path.join(work, "registry.yml")
        with open(config, "w") as file:
            file.write(
                f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {data}}}}}\n"
                f"http: {{addr: '{REGISTRY}'}}\n"
            )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.child = subprocess.Popen([*enter, "docker-registry", "serve", config], **quiet)
        deadline = time.monotonic() + PATIENCE
        while subprocess.run([*enter, "curl", "-sf", f"http://{REGISTRY}/v2/"], **quiet).returncode != 0:
            if time.monotonic() > deadline or self.child.poll() is not None:
                raise SystemExit("docker-registry does not start")
            time.sleep(0.05)

    def take(self, archive, name):
        """An image out of a file, without any of the engines."""
        copy = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"]
        subprocess.run([*self.enter, *copy, f"docker-archive:{archive}", f"docker://{name}"], check=True, env=os.environ | {"TMPDIR": self.work})

    def close(self):
        self.child.terminate()
        self.child.wait()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def read_field(pid, field):
    """Of a process that may just have ended."""
    try:
        with open(f"/proc/{pid}/{'smaps_rollup' if field == 'Pss' else 'status'}") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(field + ":"))
    except OSError:
        return 0
