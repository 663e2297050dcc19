"""A registry of images on the machine itself."""

import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Registry:
    """A registry of images on the machine itself: what is put into it can be pulled as what `put` returns."""

    def __init__(self):
        self.blobs, self.manifests, self.pulls = {}, {}, []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content, media = registry.find(self.path)
                self.send_response(200 if content else 404)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content or b"")

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def find(self, path):
        *_, kind, reference = path.split("/")
        if path == "/v2/":
            return b"{}", "application/json"
        if kind == "manifests":
            self.pulls.append(reference)
            return self.manifests.get(reference), "application/vnd.oci.image.manifest.v1+json"
        return self.blobs.get(reference), "application/octet-stream"

    def put(self, name, files, **config):
        """An image with these files, and of the machine's busybox those that are None; `config` is the image's own."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            for path, content in files.items():
                content = Path("/bin/busybox").read_bytes() if content is None else content.encode()
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), 0o755
                tar.addfile(entry, io.BytesIO(content))
        layer = layer.getvalue()
        root = {"type": "layers", "diff_ids": [digest(layer)]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": config, "rootfs": root}).encode()
        described = [
            {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(blob), "size": len(blob)}
            for kind, blob in [("config.v1+json", config), ("layer.v1.tar", layer)]
        ]
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described[0], "layers": described[1:],
        }).encode()
        self.blobs.update({digest(config): config, digest(layer): layer})
        self.manifests.update({"1": manifest, digest(manifest): manifest})
        return f"127.0.0.1:{self.server.server_port}/{name}:1"


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
