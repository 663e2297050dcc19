"""What people do every day with Docker's SDK for Python, with testcontainers and with aiodocker.

Talks to the engine that DOCKER_HOST names, which has the images busybox:1 and redis:7, and nothing else of its own.
Prints one line for each check, and fails when one of them did.
"""

import asyncio
import base64
import contextlib
import io
import json
import socket
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import aiodocker
import docker
from checks import check, name, run, until
from docker.errors import APIError, BuildError, ContainerError, ImageNotFound, NotFound
from docker.types import Healthcheck, LogConfig, Mount
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy, PortWaitStrategy
from testcontainers.redis import RedisContainer

BUSYBOX = "busybox:1"
SERVER = "echo hello > /tmp/index.html; echo serving; exec httpd -f -p 8080 -h /tmp"


@contextlib.contextmanager
def container(client, command="sleep 1000", **options):
    made = client.containers.run(BUSYBOX, command, detach=True, **options)
    try:
        yield made
    finally:
        with contextlib.suppress(NotFound):
            made.remove(force=True, v=True)


@contextlib.contextmanager
def raises(kind, status=None, saying=""):
    try:
        yield
    except kind as error:
        assert status is None or error.status_code == status, error
        assert saying in str(error), error
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


def tar_of(**files):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return archive.getvalue()


# -- the engine ------------------------------------------------------------------------------------------------------


@check
def the_engine_tells_about_itself(client):
    assert client.ping()
    assert client.version()["ApiVersion"] == client.api.api_version
    info = client.info()
    assert info["OSType"] == "linux" and info["NCPU"] > 0 and info["Swarm"]["LocalNodeState"] == "inactive"
    assert {"Images", "Containers", "Volumes"} <= client.df().keys()


@check
def a_swarm_is_refused_as_where_there_is_none(client):
    with raises(APIError, 503):
        client.services.list()
    client.swarm.leave(force=True)
    assert client.plugins.list() == []
    with raises(NotFound):
        client.plugins.get("nothing")


@check
def where_nothing_is_pruned_nothing_is_told(client):
    filters = {"label": name("nobody")}
    assert client.containers.prune(filters)["ContainersDeleted"] is None
    assert client.images.prune(filters)["ImagesDeleted"] is None
    assert client.networks.prune(filters)["NetworksDeleted"] is None
    assert client.volumes.prune(filters)["VolumesDeleted"] == []


# -- containers ------------------------------------------------------------------------------------------------------


@check
def a_command_runs_and_its_output_comes_back(client):
    assert client.containers.run(BUSYBOX, "echo hello", remove=True) == b"hello\n"
    both = client.containers.run(BUSYBOX, ["sh", "-c", "echo out; echo err >&2"], remove=True, stderr=True)
    assert sorted(both.split()) == [b"err", b"out"]
    with raises(ContainerError, saying="non-zero exit status 3"):
        client.containers.run(BUSYBOX, ["sh", "-c", "exit 3"], remove=True)
    with raises(ImageNotFound):
        client.containers.create("no-such-image:here")
    box = client.containers.create(BUSYBOX, "no-such-program")
    with raises(APIError, 400, "executable file not found"):
        box.start()
    box.remove()


@check
def a_container_takes_its_everyday_options(client):
    options = {
        "name": name("options"),
        "hostname": "box",
        "environment": {"A": "1"},
        "labels": {"of": "test"},
        "working_dir": "/tmp",
        "user": "nobody",
        "mem_limit": "64m",
        "nano_cpus": 500_000_000,
        "cap_drop": ["ALL"],
        "read_only": True,
        "tmpfs": {"/scratch": "size=1m"},
        "extra_hosts": {"other": "192.0.2.7"},
        "log_config": LogConfig(type="json-file", config={"max-size": "1m"}),
        "ulimits": [docker.types.Ulimit(name="nofile", soft=1000, hard=2000)],
    }
    with container(client, **options) as box:
        seen = box.exec_run(["sh", "-c", "hostname; echo $A; pwd; id -u; ulimit -n; cat /etc/hosts"]).output.decode()
        assert seen.startswith("box\n1\n/tmp\n65534\n1000\n") and "192.0.2.7\tother" in seen, seen
        host = box.attrs["HostConfig"]
        assert host["Memory"] == 64 << 20 and host["NanoCpus"] == 500_000_000 and host["ReadonlyRootfs"]
        assert [c.id for c in client.containers.list(filters={"label": "of=test"})] == [box.id]
        assert client.containers.get(options["name"]).short_id == box.id[:12]


@check
def a_life_from_start_to_removal(client):
    with container(client, ["sh", "-c", "trap 'exit 7' TERM; echo listens; while :; do sleep 0.1; done"]) as box:
        box.start()  # 304: it runs already
        box.pause()
        box.reload()
        assert box.status == "paused"
        box.unpause()
        other = name("renamed")
        box.rename(other)
        box.update(mem_limit="32m", memswap_limit="64m")
        until(lambda: box.logs() == b"listens\n", "it listens for the signal")
        box.restart(timeout=10)
        box.reload()
        assert box.name == other and box.status == "running" and box.attrs["HostConfig"]["Memory"] == 32 << 20
        with raises(APIError, 409, "in use by container"):
            client.containers.create(BUSYBOX, "true", name=other)
        with raises(APIError, 409):
            box.remove()
        # a first process without a handler does not hear of the signal
        until(lambda: box.logs().count(b"listens") == 2, "it listens for the signal")
        box.stop(timeout=60)
        assert box.wait()["StatusCode"] == 7
        box.stop()  # 304: it has ended already
        with raises(APIError, 409, "is not running"):
            box.exec_run("true")
    with raises(NotFound, 404, "No such container"):
        client.containers.get(other)


@check
def a_wait_ends_with_a_run_that_is_followed_by_another(client):
    policy = {"Name": "always", "MaximumRetryCount": 0}
    with container(client, ["sh", "-c", "sleep 0.5; exit 4"], restart_policy=policy) as box:
        assert box.wait()["StatusCode"] == 4
        until(lambda: box.reload() or box.attrs["RestartCount"] > 0, "a restart")


@check
def logs_at_once_and_as_they_come(client):
    # of two streams it is not known which one came first, unless a while lies between
    with container(client, ["sh", "-c", "echo one; echo two >&2; sleep 2; echo three; sleep 1000"]) as box:
        follow = box.logs(stream=True, follow=True, stderr=False)
        assert [next(follow), next(follow)] == [b"one\n", b"three\n"]
        follow.close()
        assert sorted(box.logs().split()) == [b"one", b"three", b"two"]
        assert box.logs(stdout=False) == b"two\n" and box.logs(tail=1) == b"three\n"
        assert box.logs(stdout=True, stderr=False, timestamps=True, tail=1).split()[0].endswith(b"Z")
        assert box.logs(since=int(time.time()) + 1000) == b""


@check
def exec_in_all_its_ways(client):
    with container(client) as box:
        code, output = box.exec_run(["sh", "-c", "echo $A $PWD; exit 5"], environment={"A": "b"}, workdir="/tmp")
        assert (code, output) == (5, b"b /tmp\n")
        said = box.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
        assert said.output == (b"out\n", b"err\n"), said
        assert box.exec_run("echo terminal", tty=True).output == b"terminal\r\n"
        assert b"".join(box.exec_run(["seq", "3"], stream=True).output) == b"1\n2\n3\n"
        # a terminal whose start did not say so comes in frames, as the client reads it then
        api = client.api
        exec_id = api.exec_create(box.id, "echo framed", tty=True)["Id"]
        assert api.exec_start(exec_id) == b"framed\r\n" and api.exec_inspect(exec_id)["ExitCode"] == 0
        assert box.exec_run("no-such-program").exit_code == 127
        detached = api.exec_create(box.id, "touch /detached")["Id"]
        api.exec_start(detached, detach=True)
        until(lambda: api.exec_inspect(detached)["ExitCode"] == 0, "the end of a detached exec")
        # the window's size is told before the process of the exec can be there, or after: without one stty complains
        told = "for i in $(seq 600); do [ \"$(stty size 2>&1)\" = '33 77' ] && break; sleep 0.1; done; stty size"
        sized = api.exec_create(box.id, ["sh", "-c", told], tty=True)["Id"]
        terminal = api.exec_start(sized, tty=True, stream=True)
        api.exec_resize(sized, height=33, width=77)
        shown = b"".join(terminal)
        assert shown == b"33 77\r\n", shown
    with container(client, group_add=["1234"]) as box:
        assert box.exec_run("id -G", user="1:2").output == b"2 1234\n"


@check
def what_was_asked_for_is_shown_as_it_was(client):
    data = Mount("/data", name("shown"), no_copy=True)
    ports = {"80/tcp": None, "81/tcp": ("127.0.0.1", None), "82/tcp": ("127.0.0.1", "23400-23410")}
    with container(client, ports=ports, mounts=[data]) as box:
        box.reload()
        shown = box.attrs["HostConfig"]
        asked = {port: [one["HostPort"] for one in bindings] for port, bindings in shown["PortBindings"].items()}
        assert asked == {"80/tcp": [""], "81/tcp": [""], "82/tcp": ["23400-23410"]}, asked
        assert shown["Mounts"][0]["VolumeOptions"] == {"NoCopy": True}, shown["Mounts"]
        published = {port: int(bindings[0]["HostPort"]) for port, bindings in box.ports.items()}
        assert len(published) == 3 and 23400 <= published["82/tcp"] <= 23410 and all(published.values()), published
    client.volumes.get(data["Source"]).remove()


@check
def input_over_sockets(client):
    with container(client) as box:
        api = client.api
        exec_id = api.exec_create(box.id, "cat", stdin=True)["Id"]
        stream = api.exec_start(exec_id, socket=True)
        stream._sock.sendall(b"to the exec")
        stream._sock.shutdown(socket.SHUT_WR)
        assert stream.read() == b"\x01\0\0\0\0\0\0\x0bto the exec"
        assert api.exec_inspect(exec_id)["ExitCode"] == 0
    box = client.containers.create(BUSYBOX, "cat", stdin_open=True)
    stream = box.attach_socket(params={"stdin": 1, "stream": 1})
    box.start()
    stream._sock.sendall(b"to the container\n")
    until(lambda: box.logs() == b"to the container\n", "what was written to who only writes")
    stream._sock.shutdown(socket.SHUT_WR)
    assert box.wait()["StatusCode"] == 0
    stream.close()
    box.remove()


@check
def who_hangs_up_leaves_the_rest_alone(client):
    with container(client, ["sh", "-c", "while :; do echo line; sleep 0.05; done"]) as box:
        for _ in range(20):
            stream = client.api.attach_socket(box.id, params={"stdout": 1, "stream": 1})
            stream.read(8)
            stream.close()
            events = client.events(decode=True)
            follow = box.logs(stream=True, follow=True)
            next(follow)
            follow.close()
            events.close()
        box.reload()
        assert box.status == "running" and client.ping()


@check
def files_go_in_and_out(client):
    with container(client) as box:
        assert box.put_archive("/tmp", tar_of(**{"in.txt": b"content"}))
        assert box.exec_run("cat /tmp/in.txt").output == b"content"
        chunks, stat = box.get_archive("/tmp/in.txt")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            assert tar.extractfile("in.txt").read() == b"content"
        assert (stat["name"], stat["size"]) == ("in.txt", 7)
        with raises(NotFound):
            box.get_archive("/nowhere")
        box.exec_run("touch /added")
        changed = {change["Path"]: change["Kind"] for change in box.diff()}
        assert changed["/added"] == 1 and changed["/tmp/in.txt"] == 1 and "/etc" not in changed, changed
        with tarfile.open(fileobj=io.BytesIO(b"".join(box.export()))) as tar:
            assert "added" in tar.getnames()


@check
def a_look_from_outside(client):
    with container(client, ports={"8080/tcp": None}, mem_limit="64m") as box:
        box.reload()
        assert int(box.ports["8080/tcp"][0]["HostPort"]) > 0
        assert any("sleep 1000" in " ".join(process) for process in box.top()["Processes"])
        stats = box.stats(stream=False)
        assert stats["memory_stats"]["limit"] == 64 << 20 and stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0
        stream = box.stats(decode=True)
        assert next(stream)["id"] == box.id
        stream.close()


@check
def health_is_watched(client):
    # half of it is not said: null, as other clients send it
    healthy = Healthcheck(test=["CMD", "test", "-f", "/ready"], interval=200_000_000, start_period=60_000_000_000, retries=None)
    with container(client, healthcheck=healthy) as box:
        assert box.reload() or box.health == "starting"
        box.exec_run("touch /ready")
        until(lambda: box.reload() or box.health == "healthy", "healthy")


@check
def a_restart_is_no_end_to_who_looks(client):
    # as compose looks, which otherwise ends an `up` whose last container was restarted
    with container(client) as box:
        seen = {}
        with contextlib.closing(client.events(decode=True, filters={"container": box.id})) as stream:
            again = threading.Thread(target=lambda: box.restart(timeout=0))
            again.start()
            for event in stream:
                seen[event["Action"]] = client.api.inspect_container(box.id)["State"]["Running"]
                if event["Action"] == "restart":
                    break
            again.join()
        assert seen["die"] and seen["stop"] and seen["start"] and seen["restart"], seen
        # a container's events are not those of its networks
        assert "disconnect" not in seen and "connect" not in seen, seen


@check
def events_are_told(client):
    seen, ready = [], threading.Event()
    label = name("watched")
    stream = client.events(decode=True, filters={"label": label, "type": "container"})

    def listen():
        ready.set()
        for event in stream:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    ready.wait()
    client.containers.run(BUSYBOX, "true", labels=[label], remove=True)
    listener.join(60)
    wanted = ["create", "start", "die", "destroy"]
    assert [action for action in seen if action in wanted] == wanted, seen


# -- images ----------------------------------------------------------------------------------------------------------


@check
def an_image_is_built_and_runs(client):
    tag = name("built")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "Dockerfile").write_text(
            "FROM busybox:1 AS base\nARG WHO\nRUN echo hello $WHO > /greeting\n"
            'FROM base\nCOPY file /file\nLABEL by=test\nCMD ["cat", "/greeting", "/file"]\n'
        )
        Path(directory, "file").write_text("from the context\n")
        options = {"path": directory, "tag": tag, "buildargs": {"WHO": "you"}, "rm": True}
        image, said = client.images.build(**options)
        again, cached = client.images.build(**options)
    said, cached = ("".join(line.get("stream", "") for line in lines) for lines in (said, cached))
    assert f"Successfully tagged {tag}:latest" in said and "Using cache" in cached and again.id == image.id
    assert image.labels["by"] == "test" and image.attrs["Config"]["OnBuild"] is None
    assert client.containers.run(tag, remove=True) == b"hello you\nfrom the context\n"
    client.images.remove(tag)
    with raises(ImageNotFound, 404):
        client.images.get(tag)


@check
def a_build_that_fails_says_why(client):
    with raises(BuildError, saying="returned a non-zero code: 3"):
        client.images.build(fileobj=io.BytesIO(b"FROM busybox:1\nRUN echo why >&2; exit 3\n"), forcerm=True)
    with raises(APIError, saying="unknown instruction"):
        client.images.build(fileobj=io.BytesIO(b"FROM busybox:1\nRUNN true\n"))


@check
def a_classic_build_tells_of_each_stage_and_cleans_names(client):
    dockerfile = b"FROM busybox:1 AS one\nCOPY f /one\nFROM busybox:1\nCOPY --from=one /one /two\nCOPY d/../f /three\n"
    context = tar_of(**{"Dockerfile": dockerfile, "d/../f": b"cleaned\n", "d/x": b""})
    tag = name("stages")
    told = list(client.api.build(fileobj=io.BytesIO(context), custom_context=True, tag=tag, decode=True))
    ids = [line["aux"]["ID"] for line in told if "aux" in line]
    assert len(ids) == 2 and client.images.get(tag).id == ids[1] != ids[0], told
    assert client.containers.run(tag, "cat /two /three", remove=True) == b"cleaned\ncleaned\n"
    client.images.remove(tag)
    outside = tar_of(**{"Dockerfile": b"FROM busybox:1\n", "d/../../f": b"no\n"})
    with raises(APIError, saying="climbs out"):
        client.images.build(fileobj=io.BytesIO(outside), custom_context=True)


def asks_buildkit(client, body, **query):
    """The request as programs make it that have no session: what the engine told, line by line."""
    api, query = client.api, {"version": "2", **query}
    headers = {"Content-Type": "application/x-tar"}
    with api._post(api._url("/build"), data=body, params=query, headers=headers, stream=True) as answer:
        api._raise_for_status(answer)
        return [json.loads(line) for line in answer.iter_lines() if line]


@check
def buildkit_builds_a_context_in_the_request(client):
    tag = name("sent")
    dockerfile = b"FROM busybox:1\nARG WHO\nCOPY . /in/\nRUN --mount=type=tmpfs,target=/t echo hello $WHO > /greeting\n"
    files = {"Dockerfile": dockerfile, ".dockerignore": b"secret\n", "file": b"from the context\n", "secret": b"no\n"}
    told = asks_buildkit(client, tar_of(**files), t=tag, buildargs=json.dumps({"WHO": "you"}))
    traces = [base64.b64decode(line["aux"]) for line in told if line.get("id") == "moby.buildkit.trace"]
    assert any(b"[2/3] COPY . /in/" in trace for trace in traces), told
    [made] = [line["aux"]["ID"] for line in told if line.get("id") == "moby.image.id"]
    assert client.images.get(tag).id == made
    said = client.containers.run(tag, "sh -c 'cat /greeting /in/file; ls -A /in'", remove=True)
    assert said == b"hello you\nfrom the context\n.dockerignore\nDockerfile\nfile\n", said
    client.images.remove(tag)
    told = asks_buildkit(client, tar_of(Dockerfile=b"FROM busybox:1\nRUN exit 3\n"))
    assert "did not complete successfully: exit code: 3" in told[-1]["error"], told
    # a directory of the client's needs a session
    told = asks_buildkit(client, b"", remote="client-session")
    assert "no active sessions" in told[-1]["error"], told


@check
def buildkit_takes_a_context_from_a_second_request(client):
    tag, build = name("sent"), uuid.uuid4().hex
    context = tar_of(Dockerfile=b"FROM busybox:1\nCOPY f /\n", f=b"apart\n")
    sends = threading.Thread(target=lambda: asks_buildkit(client, context, buildid=f"upload-request:{build}"))
    sends.start()
    told = asks_buildkit(docker.from_env(), b"", remote="upload-request", buildid=build, t=tag)
    sends.join()
    assert told[-1].get("id") == "moby.image.id", told
    assert client.containers.run(tag, "cat /f", remove=True) == b"apart\n"
    client.images.remove(tag)


@check
def images_are_tagged_saved_and_loaded(client):
    first, second = name("tagged"), name("tagged")
    image = client.images.get(BUSYBOX)
    assert image.tag(first, "1") and image.tag(second)
    saved = b"".join(client.images.get(f"{first}:1").save(named=f"{first}:1"))
    client.images.remove(f"{first}:1")
    loaded = client.images.load(saved)
    assert [found.id for found in loaded] == [image.id]
    found = client.images.list(first)[0].tags
    assert f"{first}:1" in found and f"{second}:latest" in found, found
    for tag in (f"{first}:1", second):
        client.images.remove(tag)
    with raises(docker.errors.ImageLoadError):
        client.images.load(b"no archive at all")
    assert image.history()[0]["Size"] > 0


@check
def a_container_becomes_an_image(client):
    tag = name("committed")
    with container(client, ["sh", "-c", "echo kept > /kept; sleep 1000"]) as box:
        until(lambda: box.exec_run("cat /kept").exit_code == 0, "the file")
        image = box.commit(tag, changes='CMD ["cat", "/kept"]')
        assert client.containers.run(tag, remove=True) == b"kept\n"
    client.images.remove(image.id)
    # what has just ended is no hindrance
    with container(client, "true") as box:
        client.images.remove(box.commit(tag).id)


# -- volumes and networks --------------------------------------------------------------------------------------------


@check
def a_volume_keeps_what_containers_write(client):
    volume = client.volumes.create(name("data"), labels={"of": "test"})
    mounts = [Mount("/data", volume.name)]
    client.containers.run(BUSYBOX, ["sh", "-c", "echo kept > /data/file"], mounts=mounts, remove=True)
    read = {"volumes": {volume.name: {"bind": "/d", "mode": "ro"}}, "remove": True}
    assert client.containers.run(BUSYBOX, "cat /d/file", **read) == b"kept\n"
    with raises(ContainerError):
        client.containers.run(BUSYBOX, "touch /d/other", **read)
    with container(client, mounts=mounts), raises(APIError, 409, "volume is in use"):
        volume.remove()
    assert [found.name for found in client.volumes.list(filters={"label": "of=test"})] == [volume.name]
    volume.remove()
    with raises(NotFound):
        client.volumes.get(volume.name)


@check
def names_resolve_in_a_network_of_its_own(client):
    network = client.networks.create(name("net"), driver="bridge", labels={"of": "test"})
    try:
        with container(client, ["sh", "-c", SERVER]) as server:
            network.connect(server, aliases=["web"])
            network.reload()
            assert [member.id for member in network.containers] == [server.id]
            fetch = ["wget", "-q", "-O-", "http://web:8080/"]
            with container(client, network=network.name) as box:
                until(lambda: box.exec_run(fetch).output == b"hello\n", "an answer by name")
            network.disconnect(server)
            server.reload()
            assert network.name not in server.attrs["NetworkSettings"]["Networks"]
    finally:
        network.remove()
    with raises(NotFound):
        client.networks.get(network.id)


# -- versions of the API ---------------------------------------------------------------------------------------------


@check
def old_versions_are_spoken(_):
    for version, kind in [("1.24", "raw"), ("1.41", "raw"), ("1.42", "multiplexed"), ("1.51", "multiplexed")]:
        client = docker.DockerClient.from_env(version=version)
        assert client.containers.run(BUSYBOX, "echo old", remove=True) == b"old\n", version
        with container(client, "echo logged") as box:
            box.wait()
            api = client.api
            answer = api._get(api._url("/containers/{0}/logs", box.id), params={"stdout": 1})
            assert answer.headers["Content-Type"] == f"application/vnd.docker.{kind}-stream", version
        image = client.images.get(BUSYBOX).attrs
        minor = int(version.split(".")[1])
        assert ("ContainerConfig" in image, "VirtualSize" in image) == (minor < 45, minor < 44), version
        client.close()
    with raises(APIError, 400, "too new"):
        docker.DockerClient.from_env(version="1.99").info()


# -- testcontainers --------------------------------------------------------------------------------------------------


@check
def testcontainers_waits_for_a_server(_):
    web = DockerContainer(BUSYBOX).with_command(["sh", "-c", SERVER]).with_exposed_ports(8080)
    for strategy in (LogMessageWaitStrategy("serving"), PortWaitStrategy(8080), HttpWaitStrategy(8080, "/index.html")):
        with web.waiting_for(strategy) as running:
            url = f"http://{running.get_container_host_ip()}:{running.get_exposed_port(8080)}/index.html"
            until(lambda: answers(url) == b"hello\n", "an answer")
            assert running.get_logs()[0] == b"serving\n"
            assert running.exec(["cat", "/tmp/index.html"]).output == b"hello\n"


def answers(url):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(url, timeout=10).read()


@check
def testcontainers_mounts_and_connects(_):
    with tempfile.TemporaryDirectory() as directory, Network() as network:
        Path(directory, "index.html").write_text("mounted")
        web = DockerContainer(BUSYBOX).with_command("httpd -f -p 80 -h /www").with_volume_mapping(directory, "/www")
        with web.with_network(network).with_network_aliases("web"):
            other = DockerContainer(BUSYBOX).with_command("sleep 1000").with_env("A", "b").with_network(network)
            with other as box:
                fetch = "wget -q -O- http://web/index.html"
                until(lambda: box.exec(fetch).output == b"mounted", "an answer by name")
                assert box.exec(["sh", "-c", "echo $A"]).output == b"b\n"


@check
def testcontainers_has_a_redis(_):
    with RedisContainer("redis:7") as redis:
        client = redis.get_client()
        assert client.set("key", "value") and client.get("key") == b"value"


# -- aiodocker -------------------------------------------------------------------------------------------------------


@check
def aiodocker_runs_and_watches(_):
    asyncio.run(of_aiodocker())


async def of_aiodocker():
    async with aiodocker.Docker() as client:
        assert (await client.version())["Os"] == "linux"
        config = {"Image": BUSYBOX, "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
        box = await client.containers.create(config)
        async with box.attach(stdin=True, stdout=True, stderr=True) as stream:
            await box.start()
            await stream.write_in(b"round and back\n")
            message = await stream.read_out()
            assert (message.stream, message.data) == (1, b"round and back\n")
        await box.delete(force=True)
        box = await client.containers.run({"Image": BUSYBOX, "Cmd": ["cat"], "OpenStdin": True})
        websocket = await box.websocket(stdin=True, stdout=True, stream=True)
        await websocket.send_str("by message\n")
        assert (await websocket.receive()).data == b"by message\n"
        await websocket.close()
        assert (await box.show())["State"]["Running"]
        await box.delete(force=True)
        box = await client.containers.run({"Image": BUSYBOX, "Cmd": ["sh", "-c", "echo logged; sleep 1000"]})
        async for line in box.log(stdout=True, follow=True):
            assert line == "logged\n", line
            break
        execution = await box.exec(["sh", "-c", "cat; exit 3"], stdin=True)
        async with execution.start() as stream:
            await stream.write_in(b"to the exec")
            assert (await stream.read_out()).data == b"to the exec"
        await box.put_archive("/tmp", tar_of(**{"a.txt": b"a"}))
        assert (await box.get_archive("/tmp/a.txt")).extractfile("a.txt").read() == b"a"
        assert (await box.stats(stream=False))[0]["name"]
        await box.delete(force=True)
        built = tar_of(Dockerfile=b"FROM busybox:1\nRUN echo built > /built\n")
        tag = name("aio")
        lines = await client.images.build(fileobj=io.BytesIO(built), tag=tag, encoding="identity")
        assert any("Successfully tagged" in line.get("stream", "") for line in lines), lines
        await client.images.delete(tag)


# --------------------------------------------------------------------------------------------------------------------


def main(wanted):
    client = docker.from_env()
    failed = run(wanted, client)
    left = [box.name for box in client.containers.list(all=True)]
    if left:
        failed.append(f"containers are left: {left}")
    sys.exit(f"failed: {failed}" if failed else 0)


main(sys.argv[1:])
