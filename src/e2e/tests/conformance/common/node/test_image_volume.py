"""Images as volumes."""

from support import Registry, conforms


@conforms("[sig-node] ImageVolume should succeed with pod and pull policy of Always [LinuxOnly] [MinimumKubeletVersion:1.35]")
def test_image_volume(ns):
    registry = Registry()
    image = registry.put("data", {"dir/file": "content\n", "file": "more\n"})
    volumes = [{"name": "data", "image": {"reference": image, "pullPolicy": "Always"}}]
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/volume"}]}
    said = "cat /volume/dir/file /volume/file; echo x > /volume/file || true"
    for name in ["first", "second"]:
        asked = len(registry.pulls)
        printed = ns.output(said, name, container=mount, volumes=volumes)
        assert printed.startswith("content\nmore\n") and "Read-only file system" in printed
        assert len(registry.pulls) > asked
    registry.server.shutdown()
