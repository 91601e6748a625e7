"""What the command line refuses because it does not go together, in whole sentences."""

import re

import pytest

from tests.support import run

PAIR = "int a; int b;"
CREATED_FIRST = "--atomic makes a new object: "
REFUSALS = [
    (["create", "NAME", "--replace"], "--replace goes with --atomic"),
    (["create", "NAME", "--atomic", "--no-excl"], CREATED_FIRST + "not --no-excl but --replace goes with it"),
    (["create", "NAME", "--atomic", "--trunc"], CREATED_FIRST + "--trunc does not go with it"),
    (["read", "NAME", "--type", "int", "--struct", PAIR], "--type and --struct exclude each other"),
    (["read", "NAME", "--hex", "--type", "int"], "--hex and --type exclude each other"),
    (["read", "NAME", "--text", "--struct", PAIR], "--text and --struct exclude each other"),
    (["read", "NAME", "--raw", "--json"], "--raw and --json exclude each other"),
    (["read", "NAME", "--hex", "--json"], "--hex and --json exclude each other"),
    (["read", "NAME", "a"], "a FIELD goes with --struct"),
    (["read", "NAME", "--struct", PAIR, "--json", "--csv"], "--csv and --json exclude each other"),
    (["read", "NAME", "--elf", "x"], "--elf goes with --struct"),
    (["read", "NAME", "--header", "x.h"], "--header goes with --struct"),
    (["read", "NAME", "--struct", PAIR, "--endian", "big"], "--endian goes with --type"),
    (["read", "NAME", "--count", "0"], "--count goes with --type or --struct"),
    (["read", "NAME", "--length", "0", "--struct", PAIR], "--length and --struct exclude each other"),
    (
        ["read", "NAME", "-n", "1", "--type", "int", "-c", "1"],
        "--length and --count exclude each other",
    ),
    (["read", "NAME", "--raw", "--watch"], "--raw and --watch exclude each other"),
    (["write", "NAME", "--type", "int", "--fill", "0", "1"], "--type and --fill exclude each other"),
    (["write", "NAME", "--type", "int"], "--type needs a VALUE"),
    (["write", "NAME", "--struct", PAIR], "--struct needs a VALUE or --from"),
    (["write", "NAME", "--fill", "0", "x"], "--fill takes no VALUE"),
    (["write", "NAME", "--input", "/dev/null", "x"], "--input takes no VALUE"),
    (["write", "NAME", "x", "y"], "more than one VALUE; quote a text with spaces, or give a --type"),
    (["write", "NAME", "x", "--endian", "big"], "--endian goes with --type"),
    (["write", "NAME", "x", "--header", "x.h"], "--header goes with --struct"),
    (["write", "NAME", "x", "--mode", "600"], "--mode goes with --create"),
    (["write", "NAME", "x", "-n", "0"], "--length goes with --fill, --input and standard input"),
    (["write", "NAME", "x", "--create", "--replace"], "--replace goes with --atomic"),
    (["write", "NAME", "x", "--atomic"], "--atomic goes with --create: it makes a new object"),
    (
        ["write", "NAME", "x", "--create", "--atomic", "--lock"],
        "--atomic needs no --lock: nobody sees the object before it is complete",
    ),
    (["wait", "NAME", "== 1"], "a CONDITION needs --type or --struct"),
    (["wait", "NAME", "--struct", PAIR], "--struct needs a CONDITION"),
    (["wait", "NAME", "--gone", "--type", "int", "== 1"], "--gone takes no CONDITION"),
    (["wait", "NAME", "--length", "1", "--gone"], "--length goes with --changed"),
    (["wait", "NAME", "--offset", "1"], "--offset goes with a CONDITION or --changed"),
    (["wait", "NAME", "--print"], "--print goes with a CONDITION or --fuller-than"),
    (["stat", "NAME", "--format", "", "--json"], "--format and --json exclude each other"),
    (["stat", "NAME", "--format", "%s", "--holders"], "--format and --holders exclude each other"),
    (["ls", "--null", "--json"], "--null and --json exclude each other"),
    (["ls", "--null", "--watch"], "--null and --watch exclude each other"),
    (["holders", "--unlinked", "NAME"], "--unlinked takes no PATTERN"),
    (["holders", "--unlinked", "--quiet"], "--unlinked and --quiet exclude each other"),
    (["holders", "--quiet"], "--quiet needs a PATTERN"),
    (["holders", "--quiet", "NAME", "--watch"], "--quiet and --watch exclude each other"),
    (["lock", "--nonblock", "--timeout", "0", "NAME", "true"], "--nonblock and --timeout exclude each other"),
    (["sem", "wait", "NAME", "--nonblock", "--timeout", "0"], "--nonblock and --timeout exclude each other"),
    (["metrics", "--output", "x", "--listen", "[::1]:1"], "--output and --listen exclude each other"),
]


@pytest.mark.parametrize(("args", "problem"), REFUSALS, ids=[" ".join(args) for args, _ in REFUSALS])
def test_refusal(name: str, args: list[str], problem: str) -> None:
    result = run(*(name if arg == "NAME" else arg for arg in args))
    assert (result.status, result.out) == (2, b"")
    message, hint = result.errors.splitlines()
    path = " ".join(args[:2]) if args[0] == "sem" else args[0]
    assert message == f"shmctl: {path}: {problem}"
    assert re.match(f"hint: .*shmctl {path} ", hint)
