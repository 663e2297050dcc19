"""What volumes get their files from, each by a plain and by a projected volume."""

import pytest
from support import conforms


class Source:
    def __init__(self, kind, projected=False):
        self.kind, self.projected = kind, projected

    def volume(self, defaultMode=None, **what):
        mode = {} if defaultMode is None else {"defaultMode": defaultMode}
        if self.projected:
            return {"projected": {"sources": [{self.kind: what}], **mode}}
        return {self.kind: {**what, **mode}}


class Keyed(Source):
    """Objects whose keys become files; `field` takes what they hold as text."""

    def __init__(self, kind, plural, field, name_field="name", projected=False):
        super().__init__(kind, projected)
        self.plural, self.field, self.name_field = plural, field, name_field

    def volume(self, name="data", **more):
        return super().volume(**{self.name_field: name}, **more)

    def make(self, ns, data, name="data", **more):
        return ns.create(self.plural, {"metadata": {"name": name}, self.field: data, **more})

    def path(self, ns, name="data"):
        return ns.path(f"{self.plural}/{name}")


SOURCES = {
    "config_map": Keyed("configMap", "configmaps", "data"),
    "projected_config_map": Keyed("configMap", "configmaps", "data", projected=True),
    "secret": Keyed("secret", "secrets", "stringData", name_field="secretName"),
    "projected_secret": Keyed("secret", "secrets", "stringData", projected=True),
    "downward_api": Source("downwardAPI"),
    "projected_downward_api": Source("downwardAPI", projected=True),
}


def each(*values, **lines):
    """The same case for some sources: parameters that are the source and then `values`; each shows its line."""
    return [pytest.param(SOURCES[it], *values, marks=conforms(line), id=it) for it, line in lines.items()]


def for_each(**lines):
    """The case is one for each of the sources, its parameter `source`."""
    return pytest.mark.parametrize("source", each(**lines))
