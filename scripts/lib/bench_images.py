"""What the Docker half is measured with: a small image with a shell, a large one, and a directory to build. Always the same bytes."""

import hashlib
import io
import json
import os
import random
import shutil
import tarfile

SMALL = "bench/small:1"
LAYERS = 5
FILES = 8000  # of the large image, in all
BYTES = 200_000_000
TOOLS = ["sh", "true", "sleep", "mkdir", "echo", "cat", "cp", "ls", "touch", "rm", "ln", "chmod", "seq"]


def small(path):
    """One layer: busybox and links to it."""
    layer = Layer()
    with open("/bin/busybox", "rb") as busybox:
        layer.file("bin/busybox", busybox.read(), 0o755)
    for tool in TOOLS:
        layer.link(f"bin/{tool}", "busybox")
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive(path, SMALL, [layer.done()])


def large_layers():
    """Programs, libraries and sources, as it were: half of it text, half hardly to be packed; most files are small."""
    pick = random.Random(1)
    sizes = [pick.lognormvariate(8.5, 1.7) for _ in range(FILES)]
    scale = BYTES / sum(sizes)
    words = [pick.randbytes(pick.randint(2, 5)).hex().encode() for _ in range(4000)]
    layers = []
    for number in range(LAYERS):
        layer = Layer()
        mine = sizes[number::LAYERS]
        for at, size in enumerate(mine):
            if at % 20 == 0:
                layer.directory(f"usr/lib/part{number}/directory{at // 20}")
            content = text(pick, words, int(size * scale)) if at % 2 else pick.randbytes(int(size * scale))
            layer.file(f"usr/lib/part{number}/directory{at // 20}/file{at}", content)
        layers.append(layer.done())
    return layers


def large(path, name, layers):
    """The same again in layers that nobody has seen: else it would have to be removed before it comes once more, and ext4
    looks for a free inode a long time where many were freed a moment ago."""
    first = Layer()
    first.file("usr/lib/name", name.encode())
    mark = first.done()[:1024]
    archive(path, name, [mark + layer for layer in layers])


def text(pick, words, size):
    page = b" ".join(pick.choices(words, k=min(size // 6 + 1, 5000)))
    return (page * (size // len(page) + 1))[:size]


class Layer:
    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.GNU_FORMAT)

    def add(self, name, kind, mode, content=b"", target=""):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size, entry.linkname, entry.mtime = kind, mode, len(content), target, 1_700_000_000
        self.tar.addfile(entry, io.BytesIO(content))

    def file(self, name, content, mode=0o644):
        self.add(name, tarfile.REGTYPE, mode, content)

    def directory(self, name):
        self.add(name, tarfile.DIRTYPE, 0o755)

    def link(self, name, target):
        self.add(name, tarfile.SYMTYPE, 0o777, target=target)

    def done(self):
        self.tar.close()
        return self.bytes.getvalue()


def archive(path, name, contents):
    """As `docker save` wrote it for most of its life: a tar for each layer."""
    config = {
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(c).hexdigest() for c in contents]},
    }
    files = [f"layer{n}/layer.tar" for n in range(len(contents))]
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": files}]
    entries = [*zip(files, contents), ("config.json", json.dumps(config).encode()), ("manifest.json", json.dumps(manifest).encode())]
    with tarfile.open(path, "w") as tar:
        for entry, content in entries:
            member = tarfile.TarInfo(entry)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def context(directory):
    """A Dockerfile of 20 steps, and some 4 MB in 200 files to copy."""
    pick = random.Random(2)
    shutil.rmtree(directory, ignore_errors=True)
    for number in range(200):
        path = os.path.join(directory, "src", f"part{number % 10}", f"file{number}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(pick.randbytes(20_000))
    with open(os.path.join(directory, "app.sh"), "w") as file:
        file.write("#!/bin/sh\necho hello\n")
    with open(os.path.join(directory, "Dockerfile"), "w") as file:
        file.write(DOCKERFILE)


DOCKERFILE = f"""FROM {SMALL}
ENV STAGE=build
WORKDIR /work
COPY app.sh /app.sh
RUN chmod 755 /app.sh
COPY src/part0 src/part0
RUN mkdir out && cat src/part0/* > out/part0
ENV LEVEL=1
COPY src/part1 src/part1
RUN cat src/part1/* > out/part1
ENV LEVEL=2
RUN echo $LEVEL > out/level
COPY src src
RUN cp -r src out/src
RUN rm -r src/part9
ENV LEVEL=3
RUN for n in $(seq 100); do echo $n > out/$n; done
LABEL stage=done
RUN ls out > list
CMD ["/app.sh"]
"""
