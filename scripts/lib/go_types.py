"""What Go writes of a struct although there is nothing in it, or a zero, read from the sources of a release of Kubernetes.

Upstream compares objects as Go writes them (structured-merge-diff, `FieldCacheEntry.CanOmit`): `omitempty` leaves out nil, and what is
no length, or zero, but never a struct; `omitzero` leaves out that too. What is always there nobody adds and nobody removes.
"""
import re

# of each package of the table its directory below k8s.io, where it is not that of an API group
PLACES = {
    "meta.v1": "apimachinery/pkg/apis/meta/v1",
    "apiextensions.v1": "apiextensions-apiserver/pkg/apis/apiextensions/v1",
    "apiregistration.v1": "kube-aggregator/pkg/apis/apiregistration/v1",
}
# of the table's types those that have a zero which Go leaves out
SCALARS = {"string", "bytes", "int32", "int64", "double", "bool"}
PLAIN = {"string", "bool", "byte", "int", "int32", "int64", "uint8", "float64", "interface{}", "any"}


class Sources:
    def __init__(self, root):
        self.root, self.packages = root, {}

    def package(self, place):
        """Its types by their names in small letters: what each is (`struct`, or another type), its fields, and what its file imports."""
        if place not in self.packages:
            types = {}
            for file in sorted((self.root / place).glob("*.go")):
                if file.name.endswith("_test.go"):
                    continue
                text = re.sub(r"^[ \t]*//[^\n]*|/\*.*?\*/", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
                paths = re.findall(r'^\s*(?:import )?(\w+)? *"k8s\.io/([\w./-]+)"', text, re.MULTILINE)
                imports = {alias or path.rsplit("/", 1)[-1]: path for alias, path in paths}
                for name, what in re.findall(r"^type (\w+)(?: =)? +(\S[^\n]*?)\s*$", text, re.MULTILINE):
                    types[name.lower()] = (what.removesuffix(" {"), [], imports)
                for name, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
                    types[name.lower()] = ("struct", fields_of(body), imports)
            self.packages[place] = types
        return self.packages[place]

    def is_always_there(self, name, field):
        """Of a field of a type of the table (`core.v1.Pod`); `None` where the sources have no such field."""
        if (found := self.find(name, field)) is None:
            return None
        *where, kind, options = found
        return "omitzero" not in options and ("omitempty" not in options or self.is_struct(*where, kind))

    def counts_zero(self, name, field):
        """Whether a zero, or an empty text, that somebody sent is told from nothing: Go points to it. `None` as above."""
        if (found := self.find(name, field)) is None:
            return None
        *_, kind, _ = found
        return kind.startswith("*") or self.is_always_there(name, field)

    def find(self, name, field):
        package, name = name.rsplit(".", 1)
        places = [PLACES.get(package, "api/" + package.replace(".", "/"))]
        if name.lower() not in self.package(places[0]):
            # a type that was promoted since: as its last version before
            group = (self.root / places[0]).parent
            places = sorted((str(version.relative_to(self.root)) for version in group.glob("v*")), reverse=True)
        return next(filter(None, (self.field(place, name, field) for place in places)), None)

    def field(self, place, name, wanted):
        _, fields, imports = self.package(place).get(name.lower(), ("", [], {}))
        for field, kind, options in fields:
            if field == wanted:
                return place, imports, kind, options
            if field is None and (inner := self.field(*qualified(place, imports, kind.lstrip("*")), wanted)):
                return inner
        return None

    def is_struct(self, place, imports, kind):
        """That is held by value."""
        if kind in PLAIN or kind.startswith(("*", "[]", "map[")):
            return False
        place, name = qualified(place, imports, kind)
        what, _, imports = self.package(place)[name.lower()]
        return what == "struct" or self.is_struct(place, imports, what)


def fields_of(body):
    """[(name as JSON has it, or None of what is embedded; type; options)]"""
    fields = []
    for line in body.splitlines():
        if tag := re.search(r'`.*?json:"([^"]*)"', line):
            name, *options = tag[1].split(",")
            *_, kind = line[: line.index("`")].split(None, 1)
            fields.append((None if "inline" in options else name, kind.strip(), options))
    return fields


def qualified(place, imports, kind):
    of, _, name = kind.rpartition(".")
    return (imports[of], name) if of else (place, name)
