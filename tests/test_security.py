"""SECURITY.md is a contract, too: each threat has tests, and they are there."""

import ast
import re
from functools import cache

import pytest

from tests.documents import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
ROWS = [
    line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| ---"))
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_there_are_threats() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_each_threat_has_an_answer_and_tests_that_exist(row: str) -> None:
    _, threat, answer, tests, _ = row.split("|")
    assert threat.strip().endswith(".") and answer.strip().endswith(".")
    found = NAMED.findall(tests)
    assert found
    # Nothing but tests stands there.
    assert not NAMED.sub("", tests).strip()
    for path, name in found:
        assert name in functions_of(path), f"{path}::{name}"
