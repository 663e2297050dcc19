"""Checks of a client library: they run one after the other, and which of them fail is told at the end."""

import time
import traceback
import uuid

# long enough for a loaded machine; nothing is measured by it
PATIENCE = 120
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def run(wanted, *given):
    """Runs those that are wanted by name, or all, each with what is given; returns the names of those that fail."""
    failed = []
    for function in CHECKS:
        if wanted and function.__name__ not in wanted:
            continue
        try:
            function(*given)
            print("ok    ", function.__name__, flush=True)
        except Exception:
            failed.append(function.__name__)
            print("FAILED", function.__name__, traceback.format_exc(), sep="\n", flush=True)
    return failed


def name(of):
    return f"{of}-{uuid.uuid4().hex[:8]}"


def until(look, what, patience=PATIENCE):
    """Looks again until it sees something, and returns that."""
    end = time.monotonic() + patience
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)
