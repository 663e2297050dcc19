"""report.py REPORTS CONFORMANCE_YAML KNOWN [ONLY]: what came of the tests, by the JUnit files below REPORTS. Prints each failure, with
the reason where KNOWN has it, and writes all into REPORTS/table.tsv. Ends with 1 where a failure has no known reason, or a test that
CONFORMANCE_YAML names (of those that ONLY matches) has not run."""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def one_line(text):
    return " ".join((text or "").split())


def suite(path):
    """The names of all conformance tests: upstream's list, a YAML whose texts go over several lines."""
    names = []
    for text in re.findall(r"^-? *codename: (.*?)^ +description:", path.read_text(), re.M | re.S):
        text = one_line(text)
        quoted_once = text.startswith("'")
        names.append(one_line(text[1:-1].replace("''", "'") if quoted_once else json.loads(text)))
    return names


def outcomes(directory):
    """Of each test that ran: whether it passed, its seconds, and what it says."""
    found = {}
    for path in sorted(directory.glob("*/junit_*.xml")):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            if case.find("skipped") is not None:
                continue
            name = one_line(case.get("name").removeprefix("Kubernetes e2e suite ").removeprefix("[It] "))
            failure = case.find("failure")
            words = "" if failure is None else one_line(failure.text)
            found[name] = (failure is None, float(case.get("time")), words)
    return found


def main():
    directory, listed, known_file = map(pathlib.Path, sys.argv[1:4])
    only = re.compile(sys.argv[4] if len(sys.argv) > 4 else "")
    rows = [line.split("\t") for line in known_file.read_text().splitlines() if not line.startswith("#")]
    known = {one_line(name): reason for name, reason in rows}
    ran = outcomes(directory)
    with open(directory / "table.tsv", "w") as table:
        for name, (passed, seconds, words) in sorted(ran.items()):
            print("pass" if passed else "FAIL", f"{seconds:.1f}", name, words[:400], sep="\t", file=table)
    failed = sorted(name for name, (passed, *_) in ran.items() if not passed)
    unknown = [name for name in failed if name not in known]
    missing = [name for name in suite(listed) if only.search(name) and name not in ran]
    for name in failed:
        print(f"FAIL  {name}\n      {known.get(name) or 'NOT KNOWN: ' + ran[name][2][:400]}")
    for name in missing:
        print(f"NOT RUN  {name}")
    for name in sorted(known):
        if name in ran and ran[name][0]:
            print(f"passes now, and is still in {known_file.name}: {name}")
    print(f"{len(ran) - len(failed)} of {len(ran)} passed; {len(failed) - len(unknown)} failed for a known reason, "
          f"{len(unknown)} for another; {len(missing)} have not run")
    return 1 if unknown or missing else 0


sys.exit(main())
