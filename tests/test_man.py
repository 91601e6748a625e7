import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest

from shmctl.cli.group import COMMANDS, cli
from tests.documents import ROOT, Step, check_session, fences, private_shm, steps

MAN = ROOT / "man"
COMMAND_PAGES = ["shmctl.1", *(f"shmctl-{name}.1" for name in COMMANDS)]
TOPIC_PAGES = ["shmctl.5", "shmctl.7", "shmctl-leaks.7", "shmctl-struct.7"]
PAGES = COMMAND_PAGES + TOPIC_PAGES
SECTIONS = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "EXIT STATUS",
    "ERRORS",
    "EXAMPLES",
    "SEE ALSO",
]


@cache
def rendered(page: str) -> str:
    done = subprocess.run(
        ["mandoc", "-T", "utf8", "-O", "width=200", page_path(page)], capture_output=True, check=True
    )
    return re.sub(".\b", "", done.stdout.decode())


def source(page: str) -> str:
    name = page.removeprefix("shmctl-").removesuffix(".1") if page in COMMAND_PAGES else page
    return (MAN / "src" / f"{name}.md").read_text()


def examples(page: str) -> list[Step]:
    text = source(page).partition("\n# EXAMPLES\n")[2].partition("\n# ")[0]
    return [step for _, block in fences(text) for step in steps(block)]


def params(page: str) -> list[click.Parameter]:
    with click.Context(cli, info_name="shmctl", **cli.context_settings) as root:
        if page == "shmctl.1":
            return cli.get_params(root)
        command = cli.get_command(root, page.removeprefix("shmctl-").removesuffix(".1"))
        assert command is not None
        found = command.get_params(click.Context(command, parent=root))
        if isinstance(command, click.Group):
            found += [param for inner in command.commands.values() for param in inner.params]
        return found


def test_share_is_what_the_generator_makes() -> None:
    script = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location('generate', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(json.dumps(module.files()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, str(MAN / "generate.py")], capture_output=True, check=True
    )
    made = json.loads(done.stdout)
    generated = (*MAN.glob("man?/*"), *ROOT.glob("completions/*"))
    there = {str(path.relative_to(ROOT)): path.read_text() for path in generated}
    stale = sorted(path for path in made.keys() | there.keys() if made.get(path) != there.get(path))
    assert not stale, "run .venv/bin/python man/generate.py"
    installed = [Path(path).name for path in made if path.startswith("man/man")]
    assert sorted(PAGES) == sorted(installed)


def page_path(page: str) -> str:
    return str(MAN / f"man{page[-1]}" / page)


@pytest.mark.parametrize("page", COMMAND_PAGES)
def test_page_has_every_section_in_order(page: str) -> None:
    headings = re.findall(r'^\.SH "(.+)"$', Path(page_path(page)).read_text(), re.M)
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS


@pytest.mark.parametrize("page", TOPIC_PAGES)
def test_topic_has_the_sections_of_a_manual_page(page: str) -> None:
    headings = re.findall(r'^\.SH "(.+)"$', Path(page_path(page)).read_text(), re.M)
    assert headings[:2] == ["NAME", "DESCRIPTION"]
    assert headings[-2:] == ["EXAMPLES", "SEE ALSO"]


@pytest.mark.parametrize("page", PAGES)
def test_pages_that_it_refers_to_are_there(page: str) -> None:
    """Those of ours: what else a machine has, nobody can say."""
    referred = re.findall(r"\\fB(shmctl(?:\\-[a-z]+)?)\\fR\((\d)\)", Path(page_path(page)).read_text())
    assert referred
    for title, section in referred:
        assert f"{title.replace(chr(92), '')}.{section}" in PAGES


@pytest.mark.parametrize("page", COMMAND_PAGES)
def test_page_has_every_option(page: str) -> None:
    text = Path(page_path(page)).read_text().partition('.SH "OPTIONS"')[2].partition(".SH")[0]
    tagged = re.findall(r"^\.TP\n(.+)$", text, re.M)
    documented = re.findall(r"\\fB((?:\\-)+[^\\]+(?:\\-[^\\]+)*)\\fR", "\n".join(tagged))
    options = [
        opt for param in params(page) if isinstance(param, click.Option)
        for opt in (*param.opts, *param.secondary_opts)
    ]  # fmt: skip
    assert {option.replace("\\-", "-") for option in documented} >= set(options)


@pytest.mark.parametrize("page", PAGES)
def test_page_is_clean(page: str) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", page_path(page)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")


@pytest.mark.parametrize("page", PAGES)
def test_groff_has_nothing_to_say(page: str) -> None:
    done = subprocess.run(
        ["man", "--warnings", "--encoding=UTF-8", "--local-file", "-Tutf8", "-Z", page_path(page)],
        env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


@pytest.mark.parametrize("page", PAGES)
def test_examples_can_be_copied_from_the_page(page: str) -> None:
    shown = rendered(page)
    assert examples(page)
    for step in examples(page):
        for line in (*step.command.splitlines(), *step.shown):
            assert line in shown


def test_apropos_finds_it(tmp_path: Path) -> None:
    manuals = tmp_path / "man"
    for folder in MAN.glob("man?"):
        shutil.copytree(folder, manuals / folder.name)
    subprocess.run(["mandb", "--quiet", "--create", manuals], check=True)
    found = subprocess.run(
        ["apropos", "--manpath", manuals, "shared memory"], capture_output=True, text=True, check=True
    ).stdout
    pages = {line.partition(" - ")[0].strip() for line in found.splitlines()}
    assert {"shmctl (1)", "shmctl (7)", "shmctl-create (1)"} <= pages


def test_main_page_names_every_command() -> None:
    for name in COMMANDS:
        assert f"shmctl-{name}(1)" in rendered("shmctl.1")


@pytest.mark.needs_root
@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, tmp_path: Path) -> None:
    session = examples(page)
    # It runs among the processes of the whole machine: none is ended by what it is called.
    assert not [step.command for step in session if re.search(r"\b(pkill|killall)\b", step.command)]
    check_session(session, tmp_path, wrapper=private_shm())
