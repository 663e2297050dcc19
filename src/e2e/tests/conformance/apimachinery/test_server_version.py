"""The version of the server."""

import re

from support import conforms


@conforms("[sig-api-machinery] server version should find the server version")
def test_version(cluster):
    shown = cluster.get("/version").ok()
    assert re.fullmatch(r"[1-9]", shown["major"]) and re.fullmatch(r"[0-9]{1,2}", re.sub(r"[^0-9]+", "", shown["minor"]))
    assert shown["gitVersion"].startswith(f"v{shown['major']}.{shown['minor']}.")
