#!/usr/bin/env python3
"""Measures Docker engines beside each other: the same images and the same client, a turn each, on the spot.

usage: bench_docker.py MONOPOD DOCKER-CLI [--engine DIRECTORY | --host unix://SOCKET] [--buildx DIRECTORY] [--only WORD] [--out FILE]

--engine: dockerd, containerd and runc are in DIRECTORY (usr/bin, usr/sbin), and are started for this. --host: one that runs.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

import bench_images as images
from bench_engines import REGISTRY, Debian, Given, Monopod
from docker_client import Client

FEW, MANY = 5, 30  # samples of what takes seconds, and of what takes milliseconds
IDLE = 20  # seconds
READY = 0.1  # seconds for a shell to have said what it does at the stop signal: before that, nothing stops a first process
CONTAINERS = 10  # for the memory of one
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"]  # ends when it is told to


class Bench:
    def __init__(self, cli, work, buildx):
        self.cli, self.work = cli, work
        self.config = os.path.join(work, "cli")
        os.makedirs(self.config)
        with open(os.path.join(self.config, "config.json"), "w") as file:
            json.dump({"cliPluginsExtraDirs": [buildx]} if buildx else {}, file)
        self.context = os.path.join(work, "context")
        images.context(self.context)
        images.small(self.archive("small"))
        self.large = images.large_layers()

    def archive(self, name):
        return os.path.join(self.work, f"{name}.tar")

    def docker(self, engine, *arguments, buildkit=False, check=True):
        env = os.environ | {
            "DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CONFIG": self.config, "DOCKER_BUILDKIT": str(int(buildkit)),
        }
        done = subprocess.run([self.cli, *arguments], env=env, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise SystemExit(f"{engine.name}: docker {' '.join(arguments)}: {done.stderr[-500:]}")
        return done.stdout.strip()

    def rows(self):
        """(name, samples, what is measured, what is done before it, what is done after it). What comes before hands over."""
        docker, small = self.docker, images.SMALL

        def busy(engine):
            container = docker(engine, "run", "-d", small, *SLEEP)
            time.sleep(READY)
            return container

        remove = lambda e, id: docker(e, "rm", "-f", id)
        cli = [
            ("version", MANY, lambda e, _: docker(e, "version"), None, None),
            ("ps -a", MANY, lambda e, _: docker(e, "ps", "-a"), None, None),
            ("run --rm small true", MANY, lambda e, _: docker(e, "run", "--rm", small, "true"), None, None),
            ("run -d small", MANY, lambda e, _: docker(e, "run", "-d", small, *SLEEP), None, lambda e, _, id: remove(e, id)),
            ("exec true", MANY, lambda e, id: docker(e, "exec", id, "true"), busy, lambda e, id, _: remove(e, id)),
            ("stop", MANY, lambda e, id: docker(e, "stop", id), busy, lambda e, id, _: remove(e, id)),
            ("rm -f, running", MANY, remove, busy, None),
        ]
        api = [
            ("API: version", MANY, lambda e, _: e.client.call("GET", "/version"), None, None),
            ("API: containers", MANY, lambda e, _: e.client.call("GET", "/containers/json", all=1), None, None),
            ("API: create, start, wait, removed", MANY, lambda e, _: e.client.run_and_remove(small, ["true"]), None, None),
            ("API: create", MANY, lambda e, _: e.client.create(small, ["true"]), None, lambda e, _, id: e.client.remove(id)),
            ("API: start", MANY, lambda e, id: e.client.start(id), lambda e: e.client.create(small, SLEEP), lambda e, id, _: e.client.remove(id)),
            ("API: exec true", MANY, lambda e, id: e.client.exec(id, ["true"]), busy, lambda e, id, _: e.client.remove(id)),
            ("API: stop", MANY, lambda e, id: e.client.call("POST", f"/containers/{id}/stop"), busy, lambda e, id, _: e.client.remove(id)),
            ("API: remove, running", MANY, lambda e, id: e.client.remove(id), busy, None),
        ]
        return cli + api + self.builds() + self.moves()

    def builds(self):
        build = lambda e, *more, **how: self.docker(e, "build", "-q", "-t", "bench/built", *more, self.context, **how)
        rows = [
            ("build, 20 steps, cold", FEW, lambda e, _: build(e, "--no-cache"), None, None),
            ("build, 20 steps, cached", FEW * 2, lambda e, _: build(e), None, None),
        ]
        if os.path.getsize(os.path.join(self.config, "config.json")) > 2:
            rows += [
                ("BuildKit: build, 20 steps, cold", FEW, lambda e, _: build(e, "--no-cache", buildkit=True), None, None),
                ("BuildKit: build, 20 steps, cached", FEW * 2, lambda e, _: build(e, buildkit=True), None, None),
            ]
        return rows

    def moves(self):
        """Each sample moves an image that neither engine has seen."""
        docker = self.docker
        there = lambda number: f"{REGISTRY}/bench/large:{number}"
        self.numbers = iter(range(1000))

        def archive(engine):
            if engine is self.engines[0]:
                self.number = next(self.numbers)
                images.large(self.archive("large"), there(self.number), self.large)
            os.sync()
            return self.number

        def here(engine):
            number = archive(engine)
            docker(engine, "load", "-i", self.archive("large"))
            os.sync()
            return number

        def in_registry(engine):
            number = archive(engine)
            engine.registry.take(self.archive("large"), there(number))
            os.sync()
            return number

        return [
            ("load, 200 MB, 8,000 files", FEW, lambda e, _: docker(e, "load", "-i", self.archive("large")), archive, None),
            ("save", FEW, lambda e, n: self.docker_to_nothing(e, "save", there(n)), here, None),
            ("push", FEW, lambda e, n: docker(e, "push", there(n)), here, None),
            ("pull", FEW, lambda e, n: docker(e, "pull", there(n)), in_registry, None),
        ]

    def docker_to_nothing(self, engine, *arguments):
        env = os.environ | {"DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CONFIG": self.config}
        subprocess.run([self.cli, *arguments], env=env, check=True, stdout=subprocess.DEVNULL)

    def measure(self, only):
        results = []
        for name, samples, work, before, after in self.rows():
            if only and only not in name:
                continue
            took = {engine.name: [] for engine in self.engines}
            for engine in self.engines:
                engine.forget_peaks()
                engine.client = Client(engine.socket)
            for sample in range(samples + 1):
                for engine in self.engines:
                    given = before(engine) if before else None
                    began = time.monotonic()
                    got = work(engine, given)
                    # the first warms up
                    if sample > 0:
                        took[engine.name].append((time.monotonic() - began) * 1000)
                    if after:
                        after(engine, given, got)
            results.append((name, {engine: summary(ms) for engine, ms in took.items()}))
            show(name, [f"{p50:.0f} / {p99:.0f}" for p50, p99 in results[-1][1].values()], ratio(results[-1][1]))
            if samples == FEW:
                peaks = [f"{e.memory(e.daemons(), 'VmHWM'):.0f}" for e in self.engines]
                show("    resident at most meanwhile, MB", peaks)
        return results

    def idle(self):
        """Before anything was asked of them."""
        time.sleep(5)
        before = [e.ticks() for e in self.engines]
        time.sleep(IDLE)
        hertz = os.sysconf("SC_CLK_TCK")
        percent = [(e.ticks() - b) / hertz / IDLE * 100 for e, b in zip(self.engines, before)]
        show("idle, CPU of one core", [f"{p:.2f} %" for p in percent])
        self.resident("idle, resident, MB")
        self.resident("    of that not from files, MB", "RssAnon")

    def resident(self, name, field="VmRSS"):
        memory = {e.name: (e.memory(e.daemons(), field),) * 2 for e in self.engines}
        show(name, [f"{m:.0f}" for m, _ in memory.values()], ratio(memory))

    def containers(self):
        each = []
        for engine in self.engines:
            without = engine.memory(engine.pids(), "Pss")
            ids = [self.docker(engine, "run", "-d", images.SMALL, *SLEEP) for _ in range(CONTAINERS)]
            each.append((engine.memory(engine.pids(), "Pss") - without) / CONTAINERS)
            self.docker(engine, "rm", "-f", *ids)
        show("memory for a container, MB (PSS)", [f"{mb:.1f}" for mb in each])


def version(engine):
    """Of the parts that are the engine's own."""
    said = Client(engine.socket).call("GET", "/version")["Components"]
    parts = {part["Name"].lower(): part["Version"].split("+")[0] for part in said}
    return " / ".join(parts[name] for name in ("engine", "containerd") if name in parts)


def summary(milliseconds):
    ordered = sorted(milliseconds)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def ratio(results):
    values = [p50 for p50, _ in results.values()]
    return f"{values[1] / values[0]:.1f} x" if len(values) == 2 else ""


def show(name, cells, last=""):
    print(f"{name:<42}" + "".join(f"{cell:>20}" for cell in cells) + f"{last:>10}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("monopod")
    parser.add_argument("docker")
    parser.add_argument("--engine")
    parser.add_argument("--host")
    parser.add_argument("--buildx")
    parser.add_argument("--only")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-docker-") as work:
        bench = Bench(asked.docker, work, asked.buildx)
        bench.engines = [Monopod(os.path.abspath(asked.monopod), os.path.join(work, "monopod"))]
        try:
            if asked.engine:
                bench.engines.append(Debian(os.path.abspath(asked.engine), os.path.join(work, "docker")))
            elif asked.host:
                bench.engines.append(Given(asked.host, os.path.join(work, "peer")))
            compare(bench, asked.only)
        finally:
            for engine in bench.engines:
                engine.close()


def compare(bench, only):
    show("", [e.name for e in bench.engines], "ratio")
    show("", [version(engine) for engine in bench.engines])
    if not only:
        bench.idle()
    for engine in bench.engines:
        bench.docker(engine, "load", "-i", bench.archive("small"))
    show("milliseconds: median / 99th", [])
    bench.measure(only)
    if not only:
        bench.containers()
        bench.resident("afterwards, resident, MB")


main()
