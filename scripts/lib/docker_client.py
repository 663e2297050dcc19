"""A small client of the Docker Engine API: one kept-alive connection over a unix socket, and nothing but the standard library."""

import http.client
import json
import socket
import urllib.parse


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    def __init__(self, path):
        self.path = path
        self.connection = UnixConnection(path)

    def call(self, method, route, body=None, **query):
        """The answer's content, parsed where it is JSON; None where there is none. Refusals end the program."""
        if query:
            route += "?" + urllib.parse.urlencode(query)
        content = json.dumps(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if content else {}
        self.connection.request(method, route, content, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300 and answer.status != 304:
            raise SystemExit(f"{method} {route}: {answer.status} {text[:300].decode(errors='replace')}")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def create(self, image, command, **host):
        body = {"Image": image, "Cmd": command, "HostConfig": host}
        return self.call("POST", "/containers/create", body)["Id"]

    def start(self, container):
        self.call("POST", f"/containers/{container}/start")

    def wait(self, container):
        """Until it has ended; to be asked before it is removed."""
        return self.call("POST", f"/containers/{container}/wait")["StatusCode"]

    def run_and_remove(self, image, command):
        """What `docker run --rm` asks: the wait goes out on a connection of its own, before the start."""
        container = self.create(image, command, AutoRemove=True)
        other = UnixConnection(self.path)
        other.request("POST", f"/containers/{container}/wait?condition=removed")
        answer = other.getresponse()  # its head comes at once, its body when the container is gone
        self.start(container)
        code = json.loads(answer.read())["StatusCode"]
        other.close()
        if code != 0:
            raise SystemExit(f"{command} ended with {code}")

    def exec(self, container, command):
        made = self.call("POST", f"/containers/{container}/exec", {"Cmd": command, "AttachStdout": True})["Id"]
        self.call("POST", f"/exec/{made}/start", {})
        code = self.call("GET", f"/exec/{made}/json")["ExitCode"]
        if code != 0:
            raise SystemExit(f"exec {command} ended with {code}")

    def remove(self, container):
        self.call("DELETE", f"/containers/{container}", force="true")
