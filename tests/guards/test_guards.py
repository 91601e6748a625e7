"""Each row of SECURITY.md, and each environment, has guards that can be taken out as the code is now."""

import pytest

from tests.documents import ROOT
from tests.guards.guard import Guard, all_guards
from tests.guards.surgery import Package
from tests.test_security import NAMED, ROWS, functions_of

GUARDS = all_guards()
ENVIRONMENTS = "tests/e2e/test_environments.py"


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(ROOT / "shmctl")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.row[:40]} | {guard.guard[:40]}")
def test_it_can_be_taken_out(guard: Guard, package: Package) -> None:
    assert guard.tests and guard.guard.endswith(".")
    assert package.changed(guard.changes)


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
