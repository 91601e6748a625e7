"""Files end by line 400, functions by their 50th; what is longer has its reason here."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.documents import ROOT

FILE_MAX, FUNCTION_MAX = 400, 50
FILES = {
    "shmctl/core/posix.py": "one function a call",
    "shmctl/core/proc.py": "one function a file of /proc",
    "tests/api/test_memory.py": "one class, method by method",
    "tests/core/inspect/test_families.py": "a table of families files, right and wrong",
    "tests/core/layouts/test_declarations.py": "a table of declarations, right and wrong",
    "tests/e2e/inspect/test_doctor.py": "a row for each thing that can be wrong with a host",
    "tests/e2e/inspect/test_leaks.py": "one command, reason by reason",
    "tests/e2e/inspect/test_truth_table.py": "a row for each way to hold an object",
    "tests/e2e/sync/test_run.py": "one command, each way in which CMD can end",
    "tests/e2e/sync/test_sem.py": "a test for each thing that can stand where a semaphore should be",
    "tests/e2e/sync/test_wait.py": "one command, condition by condition",
    "tests/e2e/test_atomic.py": "creation and replacement under the same watchers",
    "tests/e2e/test_c_programs.py": "the C programs stand beside what shmctl does with them",
    "tests/e2e/test_environments.py": "a test for each environment, on the same jobs",
    "tests/e2e/test_never_lose.py": "a race or a limit a test, with its C program",
    "tests/e2e/test_streams.py": "a test for each kind of descriptor at either end",
    "tests/e2e/test_trace.py": "reads two traces of every call, and compares them",
    "tests/fuzz/words.py": "the grammar of every command line",
    "tests/test_contracts.py": "a row of budgets for each way to start a command",
}
FUNCTIONS = {
    "shmctl/commands/ls.py::command": "a parameter and a few lines for each of many options",
    "tests/core/layouts/test_declarations.py::test_declarations_are_laid_out_as_gcc_does": "a table",
    "tests/core/layouts/test_declarations.py::test_each_kind_of_value_is_written_and_shown": "a table",
    "tests/fuzz/words.py::family_files": "a part for each key of a file",
}
SOURCES = sorted(
    path
    for top in ("shmctl", "tests", "man", "bench", "docs", "packaging")
    for path in (ROOT / top).rglob("*.py")
)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def long_functions(path: Path) -> Iterator[str]:
    """Functions of a file that are too long, their docstrings not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines - docstring.count("\n") - bool(docstring) > FUNCTION_MAX:
                yield f"{named(path)}::{node.name}"


def test_files() -> None:
    check({named(path) for path in SOURCES if path.read_text().count("\n") > FILE_MAX}, FILES)


def test_functions() -> None:
    check({function for path in SOURCES for function in long_functions(path)}, FUNCTIONS)


def check(long: set[str], reasons: Mapping[str, str]) -> None:
    assert not long - reasons.keys(), "divide it, or say here why it is so long"
    assert not reasons.keys() - long, "this is no longer too long: take its row out"
