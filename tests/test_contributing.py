"""CONTRIBUTING.md keeps its word: its steps make a command, and none of them can be left out unseen."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.documents import ROOT, SCRIPTS
from tests.support import environment

pytestmark = pytest.mark.long

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
STEPS = re.findall(
    r"^\d\. .*?^   (`{3,})\w+\n(.*?)^   \1$", GUIDE.partition("## Add a command")[2], re.MULTILINE | re.DOTALL
)
# In the copy: what holds for every command, and what holds for this one.
CHECKS = (
    "test_every_command or test_summaries or test_every_option_has or test_every_path"
    " or test_share_is or test_main_page or size"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    copy = tmp_path / "shmctl"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.egg-info", "e2e", "bench")
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def follow(tree: Path, step: str) -> None:
    """Do what a step's block says; its first line names a file, and the line that the others go below."""
    first, _, text = textwrap.dedent(step).partition("\n")
    named = re.fullmatch(r"(?:#|<!--) ([\w/.]+)(?:: (.+?))?(?: -->)?", first)
    if named is None:
        assert first == ".venv/bin/python man/generate.py"
        subprocess.run([sys.executable, "-B", "man/generate.py"], cwd=tree, env=env(tree), check=True)
        return
    path, anchor = tree / named[1], named[2]
    if anchor is None:
        path.write_text(text)
        return
    before = path.read_text()
    assert f"{anchor}\n" in before
    gap = "\n" if path.suffix == ".md" else ""
    # Each release of the changelog has such a line: the newest stands first.
    path.write_text(before.replace(f"{anchor}\n{gap}", f"{anchor}\n{gap}{text}", 1))


def env(tree: Path) -> dict[str, str]:
    return environment({"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"})


def run(tree: Path, *argv: str | Path) -> tuple[int, str]:
    done = subprocess.run(argv, cwd=tree, env=env(tree), capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def check(tree: Path) -> tuple[int, str]:
    files = ["tests/test_contracts.py", "tests/test_man.py"]
    return run(
        tree, sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", CHECKS, *files,
        # or it would shut the folder of the tests that run meanwhile
        f"--basetemp={tree.parent / 'tests'}",
    )  # fmt: skip


def test_the_guide_has_its_steps() -> None:
    assert len(STEPS) == 6


def test_the_steps_make_a_command(tree: Path) -> None:
    for _, step in STEPS:
        follow(tree, step)
    status, output = check(tree)
    assert status == 0, output
    passed = re.search(r"(\d+) passed", output)
    assert passed
    assert int(passed[1]) >= 12, output
    for tool in (["check"], ["format", "--check"]):
        assert run(tree, SCRIPTS / "ruff", *tool, "shmctl/commands/size.py", "shmctl/cli/group.py")[0] == 0
    status, output = run(tree, sys.executable, "-m", "shmctl", "size", "--help")
    assert status == 0
    assert "Print the sizes of objects" in output


@pytest.mark.parametrize("left_out", range(len(STEPS)), ids=lambda number: f"without-{number + 1}")
def test_no_step_can_be_left_out(tree: Path, left_out: int) -> None:
    for number, (_, step) in enumerate(STEPS):
        if number != left_out:
            try:
                follow(tree, step)
            except subprocess.CalledProcessError:
                return  # the generator says what it misses
    status, output = check(tree)
    assert status != 0, output


def test_hooks_are_in_order() -> None:
    subprocess.run([SCRIPTS / "pre-commit", "validate-config", ROOT / ".pre-commit-config.yaml"], check=True)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    programs = {hook["entry"].split()[0] for hook in hooks}
    assert {Path(program).name for program in programs} == {"ruff", "mypy", "lint-imports", "python"}
    assert all(
        program.startswith(".venv/bin/") and (SCRIPTS / Path(program).name).exists() for program in programs
    )
