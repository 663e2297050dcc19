#!/usr/bin/env python3
"""Makes assets/kubernetes/types.tsv anew for a release of Kubernetes, from packages that carry its published facts:

    types.py DEFINITIONS PROTOBUF GO OLD > NEW

DEFINITIONS is `_definitions.json` of a release in the Python package `kubernetes-validate`; PROTOBUF is the directory `src` of
the crate `k8s-pb`; GO is `usr/share/gocode/src/k8s.io` of Debian's packages golang-k8s-api-dev, golang-k8s-apimachinery-dev and
golang-k8s-apiextensions-apiserver-dev, unpacked; OLD is the table as it stands. What OLD says and no package does is kept: defaults,
what is of a feature that is off by default (`off`: upstream's `kube_features.go`), and numbers of fields that are younger than the
crate. Of lists, and of fields that are younger than GO, it says which zeros count (`zero`), and those are always there that must be, for Go has no
`omitempty` for them, and the metadata, spec and status of a kind, which Go holds by value.
"""
import json
import re
import sys
from pathlib import Path

import go_types

GROUPS = {
    "core/v1", "apps/v1", "batch/v1", "autoscaling/v1", "autoscaling/v2", "policy/v1", "networking/v1", "storage/v1",
    "certificates/v1", "coordination/v1", "discovery/v1", "events/v1", "flowcontrol/v1", "node/v1", "rbac/v1", "scheduling/v1",
    "admissionregistration/v1", "authentication/v1", "authorization/v1", "resource/v1", "storagemigration/v1",
}
SPECIAL = {
    "meta.v1.Time": "time", "meta.v1.MicroTime": "microtime", "resource.Quantity": "quantity",
    "intstr.IntOrString": "intorstring", "runtime.RawExtension": "raw", "meta.v1.FieldsV1": "raw",
    "meta.v1.Duration": "duration", "apiextensions.v1.JSON": "any",
    "apiextensions.v1.JSONSchemaPropsOrArray": "any", "apiextensions.v1.JSONSchemaPropsOrBool": "any",
    "apiextensions.v1.JSONSchemaPropsOrStringArray": "any",
}


def short(name):
    """io.k8s.api.core.v1.Pod -> core.v1.Pod"""
    name = name.removeprefix("#/$defs/")
    for prefix in ("io.k8s.apimachinery.pkg.apis.", "io.k8s.apimachinery.pkg.api.", "io.k8s.apimachinery.pkg.util.",
                   "io.k8s.apimachinery.pkg.", "io.k8s.apiextensions-apiserver.pkg.apis.", "io.k8s.kube-aggregator.pkg.apis.",
                   "io.k8s.api."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def wanted_of(definitions):
    """The types of what is served, and whatever they refer to, of other versions too."""
    schemas = {short(long): schema for long, schema in definitions.items()}
    wanted, more = set(), [name for name in schemas if is_served(name)]
    while more:
        name = more.pop()
        if name in wanted:
            continue
        wanted.add(name)
        more += [short(of) for of in re.findall(r'"\$ref": "([^"]*)"', json.dumps(schemas.get(name, {})))]
    return wanted


def is_served(name):
    parts = name.split(".")
    if parts[0] in ("meta", "apiextensions", "apiregistration"):
        return parts[1] == "v1"
    return len(parts) == 3 and f"{parts[0]}/{parts[1]}" in GROUPS


def type_of(schema):
    if "$ref" in schema:
        name = short(schema["$ref"])
        return SPECIAL.get(name, name)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(k for k in kind if k != "null")
    match kind:
        case "array":
            return "[]" + type_of(schema["items"])
        case "object":
            return "map[string]" + (type_of(schema["additionalProperties"]) if schema.get("additionalProperties") else "any")
        case "integer":
            return schema.get("format", "int64")
        case "number":
            return "double"
        case "boolean":
            return "bool"
        case "string":
            return "bytes" if schema.get("format") == "byte" else "string"
    return "any"


def facts_of(schema, required, api_names):
    facts = []
    if required:
        facts.append("required")
    enum = [value for value in schema.get("enum", []) if value not in (None, "")]
    if enum and not api_names:
        facts.append("enum=" + "|".join(str(value) for value in enum))
    match schema.get("x-kubernetes-list-type"):
        case "map":
            facts.append("map=" + ",".join(schema["x-kubernetes-list-map-keys"]))
        case "set":
            facts.append("set")
    if schema.get("x-kubernetes-map-type") == "atomic":
        facts.append("atomic")
    strategy = schema.get("x-kubernetes-patch-strategy", "").split(",")
    if "merge" in strategy:
        key = schema.get("x-kubernetes-patch-merge-key")
        facts.append(f"merge={key}" if key else "merge")
    if "retainKeys" in strategy:
        facts.append("retainKeys")
    return facts


def protobuf(root):
    """message -> [(rust name, number, type)]"""
    messages = {}
    for file in sorted(root.rglob("mod.rs")):
        place = [p for p in file.relative_to(root).parts[:-1] if p not in ("api", "apimachinery", "apiextensions_apiserver",
                 "kube_aggregator", "pkg", "apis", "util", "metrics")]
        package = ".".join(place)
        if not re.fullmatch(r"[a-z]+\.v1|[a-z]+\.v2|resource|runtime|intstr", package):
            continue
        for struct, body in re.findall(r"pub struct (\w+) \{\n(.*?)\n\}", file.read_text(), re.DOTALL):
            fields = re.findall(r"#\[prost\(([^]]*?)\)\]\s*pub (?:r#)?(\w+):\s*([^/#]*?),\s*(?=\n|$)", body, re.DOTALL)
            messages[f"{package}.{struct}".lower()] = [
                (rust, int(re.search(r'tag = "(\d+)"', how)[1]), re.sub(r"\s", "", kind)) for how, rust, kind in fields
            ]
    return messages


def plain(name):
    return re.sub(r"[-_$]", "", name).lower()


def package_of(name):
    return name.rsplit(".", 1)[0]


def inlined(kind, package, rows, numbers):
    """The message whose fields are all fields of `rows`: its Go struct is embedded."""
    inner = f"{package}.{kind.rstrip('>').split('<')[-1].split('::')[-1]}"
    by_plain = {plain(field) for field in rows}
    fields = numbers.get(inner.lower())
    own = lambda rust, kind: plain(rust) in by_plain or inlined(kind, package, rows, numbers)
    return inner if fields and all(own(rust, kind) for rust, _, kind in fields) else None


def main():
    definitions, root, old_file = json.load(open(sys.argv[1]))["$defs"], Path(sys.argv[2]), Path(sys.argv[4])
    numbers, sources = protobuf(root), go_types.Sources(Path(sys.argv[3]))
    kinds = {short(long) for long, schema in definitions.items() if "x-kubernetes-group-version-kind" in schema}
    old, extra = {}, {}
    for line in old_file.read_text().splitlines():
        if line.startswith("#") or not line:
            continue
        name, field, number, kind, *facts = line.split("\t")
        facts = facts[0].split(" ") if facts and facts[0] else []
        old[(name, field)] = (number, kind, facts)
        extra.setdefault(name, []).append(field)
    table, orphans = {}, []
    wanted = wanted_of(definitions)
    for long, schema in definitions.items():
        name = short(long)
        if name not in wanted or name in SPECIAL or "properties" not in schema:
            if name in wanted and name not in SPECIAL:
                table[name] = {"-": ("-", "object", [])}
            continue
        rows = {}
        if schema.get("x-kubernetes-map-type") == "atomic":
            rows["-"] = ("-", "object", ["atomic"])
        for field, of in schema["properties"].items():
            if field in ("apiVersion", "kind") and "x-kubernetes-group-version-kind" in schema:
                continue
            facts = facts_of(of, field in schema.get("required", []), field in ("apiVersion", "kind"))
            rows[field] = ("-", type_of(of), facts)
        table[name] = rows
    flattened = {}
    for name, rows in list(table.items()):
        by_plain = {plain(field): field for field in rows}
        for rust, number, kind in numbers.get(name.lower(), []):
            field = by_plain.get(plain(rust))
            if field is None and plain(rust).endswith("ref") and plain(rust) + "erence" in by_plain:
                field = by_plain[plain(rust) + "erence"]
            if field is not None:
                rows[field] = (str(number), *rows[field][1:])
                continue
            known = [f for f in extra.get(name, []) if old[(name, f)][0] == str(number)]
            if known and known[0] in rows:
                rows[known[0]] = (str(number), *rows[known[0]][1:])
            elif known and known[0] == "~":
                inner = old[(name, "~")][1]
                rows["~"] = (str(number), inner, [])
                flattened[name] = inner
            elif inner := inlined(kind, package_of(name), rows, numbers):
                rows["~"] = (str(number), inner, [])
                flattened[name] = inner
            else:
                orphans.append(f"{name}.{rust} = {number} ({kind})")
    # what the protobuf messages hold as one and JSON as fields of the outer; the innermost first
    depth = lambda name: depth(flattened[name]) + 1 if name in flattened else 0
    for name, inner in sorted(flattened.items(), key=lambda pair: depth(pair[0])):
        theirs = {plain(rust): number for rust, number, _ in numbers.get(inner.lower(), [])}
        table.setdefault(inner, {})
        for field in [f for f in table[name] if plain(f) in theirs and table[name][f][0] == "-"]:
            _, kind, facts = table[name].pop(field)
            table[inner][field] = (str(theirs[plain(field)]), kind, facts)
        deeper = flattened.get(inner)
        while deeper:
            table[name] = {f: row for f, row in table[name].items() if f not in table.get(deeper, {})}
            deeper = flattened.get(deeper)
    for name, fields in extra.items():
        rows = table.setdefault(name, {}) if name not in definitions else table[name]
        for field in fields:
            number, kind, facts = old[(name, field)]
            if field not in rows:
                # lists and options have messages and are not published
                if name not in (short(d) for d in definitions) or field.startswith("~"):
                    rows[field] = (number, kind, facts)
                continue
            have, have_kind, have_facts = rows[field]
            if have == "-":
                have = number
            elif number != "-" and have != number:
                orphans.append(f"{name}.{field}: {have} here, {number} there")
            kept = [f for f in facts if f in ("zero", "off", "always") or f.startswith("default=")]
            rows[field] = (have, have_kind, have_facts + [f for f in kept if f not in have_facts])
    # of types that OLD does not know: zero counts where the field is required or a number, which Go's newer types point to
    for name, rows in table.items():
        for field, (number, kind, facts) in rows.items():
            if name not in extra and ("required" in facts or kind in ("int32", "int64", "bool")) and kind in ("int32", "int64", "bool", "string", "double"):
                rows[field] = (number, kind, facts + ["zero"])
            if name.startswith("apiextensions."):
                # definitions do not travel as protobuf: their unions have messages of their own
                rows[field] = ("-", *rows[field][1:])
    for name, rows in table.items():
        for field, (number, kind, facts) in rows.items():
            if field in "-~":
                continue
            is_always_there = sources.is_always_there(name, field)
            if is_always_there is None:
                is_part = name in kinds and field in ("metadata", "spec", "status")
                is_always_there = "always" in facts or "required" in facts or is_part
            facts = [fact for fact in facts if fact != "always"]
            if kind in go_types.SCALARS and (counts := sources.counts_zero(name, field)) is not None:
                facts = [fact for fact in facts if fact != "zero"]
                facts.insert(facts[:1].count("required"), "zero") if counts else None
            rows[field] = (number, kind, facts + ["always"] * is_always_there)
    out = ["# What the fields of the built-in types are; made by scripts/lib/types.py, which says from what.",
           "# type, field (- the type itself, ~ a message whose fields are the type's own), protobuf number, type of the value, facts:",
           "# required, enum=A|B, map=KEYS and set (lists whose items have owners), atomic, merge[=KEY] and retainKeys (strategic merge),",
           "# default=JSON, zero (a zero, or an empty list, that was sent counts; Go leaves the others out), off (of a feature that is off",
           "# by default: it is published, and dropped from what a client sends), always (Go writes it also where it is nothing: a struct",
           "# that it holds by value, and what has no omitempty)"]
    for name in sorted(table):
        for field, (number, kind, facts) in sorted(table[name].items(), key=lambda row: (row[1][0] == "-" and row[0] != "-", int(row[1][0]) if row[1][0] != "-" else 0, row[0])):
            out.append("\t".join([name, field, number, kind] + ([" ".join(facts)] if facts else [])))
    print("\n".join(out))
    for orphan in orphans:
        print("no field for", orphan, file=sys.stderr)


main()
