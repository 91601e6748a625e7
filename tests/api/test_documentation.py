"""What the documentation of the library shows happens, its pages render, and type checkers understand it."""

import doctest
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import shmctl
from shmctl.api import findings, looking, memory, records, semaphores, structs, waiting
from tests.api.programs import python
from tests.documents import ROOT, fences
from tests.support import environment, path_of

LIBRARY = (ROOT / "docs/library.md").read_text()
MODULES: tuple[ModuleType, ...] = (shmctl, findings, looking, memory, records, semaphores, structs, waiting)


def own_names(text: str, prefix: str) -> str:
    """The example with names that nobody else has: ``/box`` and the like stand for any name."""
    text = text.replace("/box", prefix).replace("/mutex", f"{prefix}-mutex")
    return text.replace("made-there", f"{prefix[1:]}-theirs")


def failures(text: str, name: str) -> str:
    """What the examples in ``text`` print that they do not show."""
    test = doctest.DocTestParser().get_doctest(own_names(text, name), {"shmctl": shmctl}, "text", None, 0)
    assert test.examples
    report: list[str] = []
    options = doctest.ELLIPSIS
    doctest.DocTestRunner(optionflags=options).run(test, out=report.append)
    return "".join(report)


def docstrings() -> Iterator[tuple[str, str]]:
    finder = doctest.DocTestFinder(exclude_empty=True, parser=doctest.DocTestParser())
    for module in MODULES:
        for test in finder.find(module, globs={}):
            if test.examples:
                yield test.name, test.docstring or ""


DOCSTRINGS = dict(docstrings())


@pytest.mark.parametrize("where", DOCSTRINGS)
def test_docstrings_show_what_happens(where: str, name: str) -> None:
    assert failures(DOCSTRINGS[where], name) == ""


def test_there_are_examples() -> None:
    names = {where.rpartition(".")[2] for where in DOCSTRINGS}
    assert names >= {"create", "buffer", "Struct", "wait", "lock", "Semaphore"}


def test_an_example_that_lies_is_found(name: str) -> None:
    assert "Expected:" in failures(">>> shmctl.list('/box')\n[1]\n", name)


def test_the_page_shows_what_happens(name: str) -> None:
    blocks = [text for language, text in fences(LIBRARY) if language == "pycon"]
    assert len(blocks) >= 6
    assert failures("\n".join(blocks).replace("…", "..."), name) == ""
    assert not path_of(name).exists()


def test_the_page_tells_how_to_keep_the_tracker_away(name: str) -> None:
    (program,) = (text for language, text in fences(LIBRARY) if language == "python")
    with shmctl.create(name, size=8):
        assert python(program.replace('"box"', repr(name[1:]))) == ""
        assert path_of(name).exists()


PUBLIC = [name for names in shmctl._HOMES.values() for name in names]


def test_every_name_is_documented() -> None:
    for exported in PUBLIC:
        value = getattr(shmctl, exported)
        assert inspect.getdoc(value), exported
        if inspect.isclass(value) and value.__module__.startswith("shmctl.api"):
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and attribute != "of":
                    data = inspect.ismemberdescriptor(member)  # of a record, told in its docstring
                    assert data or inspect.getdoc(member), f"{exported}.{attribute}"


@pytest.mark.parametrize("function", [n for n in PUBLIC if inspect.isfunction(getattr(shmctl, n))])
def test_functions_tell_what_they_raise_and_their_source(function: str) -> None:
    text = inspect.getdoc(getattr(shmctl, function)) or ""
    assert "Raises" in text
    assert "ValueError" in text
    assert re.search(r"[a-z_0-9]+\([1-8]\)", text)


def test_pages_render(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/render.py", tmp_path],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "shmctl.html").read_text()
    for exported in PUBLIC:
        assert f'id="{exported}"' in page
    assert "@private" not in page


USER = """
import numpy
import shmctl
from shmctl import ShmError, create

with create("/x", 8, reserve=True) as box:
    reveal_type(box)
    reveal_type(box.read(0, 4))
    reveal_type(box.buffer)
    reveal_type(box.stat().kind)
    box.write(bytearray(4), offset=4)
    box.write(numpy.zeros(1).data)
    layout = shmctl.Struct("int x;")
    layout.write(box, {"x": 1})
    reveal_type(layout.read(box))
reveal_type(shmctl.list("*"))
reveal_type(shmctl.holders("/x")[0].fds)
reveal_type(shmctl.leaks()[0].verdict)
reveal_type(shmctl.wait("/x", "x == 1", struct=layout))
with shmctl.lock("/x", timeout=1.0) as nothing:
    reveal_type(nothing)
with shmctl.Semaphore.create("/x", 1) as mutex:
    reveal_type(mutex.value)
try:
    shmctl.unlink("/x")
except ShmError as error:
    reveal_type(error.symbol)
shmctl.open("/x", writable="yes")
shmctl.creat("/x")
"""
REVEALED = """
shmctl.api.memory.SharedMemory
bytes
memoryview[int]
shmctl.core.models.Kind
dict[str, Any]
list[shmctl.api.records.Info]
tuple[int, ...]
shmctl.core.inspect.verdicts.Verdict
list[int | float | bool | str]
None
int
str
"""


def test_a_users_program_is_typed(tmp_path: Path) -> None:
    """In another folder, as with any package that is installed, and with mypy at its strictest."""
    (tmp_path / "program.py").write_text(USER)
    options = ("--strict", "--no-error-summary", "--hide-error-context")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "program.py"],
        cwd=tmp_path,
        env=environment({"PYTHONWARNINGS": "default"}),
        capture_output=True,
        text=True,
        check=False,
    )
    revealed = [text.replace("builtins.", "") for text in re.findall(r'Revealed type is "(.*)"', done.stdout)]
    assert revealed == REVEALED.split("\n")[1:-1], done.stdout + done.stderr
    errors = re.findall(r"error: (.*)  \[(.*)\]", done.stdout)
    assert [code for _, code in errors] == ["arg-type", "attr-defined"], done.stdout
