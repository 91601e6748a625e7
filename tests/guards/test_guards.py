"""Each row of SECURITY.md, and each environment, has guards that can be taken out as the code is now."""

import pytest

from tests.documents import ROOT
from tests.guards.guard import Guard, all_guards
from tests.test_security import NAMED, ROWS, functions_of

GUARDS = all_guards()
ENVIRONMENTS = "tests/e2e/test_environments.py"


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.row[:40]} | {guard.guard[:40]}")
def test_it_stands_where_it_is_taken_out(guard: Guard) -> None:
    assert guard.changes and guard.tests and guard.guard.endswith(".")
    for change in guard.changes:
        assert change.file.startswith("shmctl/") and change.old != change.new
        assert (ROOT / change.file).read_text().count(change.old) == 1, change


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_each_test_of_a_threat_watches_over_a_guard(row: str) -> None:
    watching = {test for guard in GUARDS if row.startswith(f"| {guard.row}") for test in guard.tests}
    assert watching == {f"{path}::{name}" for path, name in NAMED.findall(row)}


def test_each_guard_is_of_a_threat_or_an_environment() -> None:
    environments = {name for name in functions_of(ENVIRONMENTS) if name.startswith("test_")}
    assert {guard.row for guard in GUARDS if guard.row.startswith("test_")} == environments
    for guard in GUARDS:
        rows = [row for row in ROWS if row.startswith(f"| {guard.row}")]
        of_environment = guard.tests == (f"{ENVIRONMENTS}::{guard.row}",)
        assert len(rows) + of_environment == 1, guard
