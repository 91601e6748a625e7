"""The guides in docs/ keep their word: their console blocks are run, in order, and print what they show."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.documents import ROOT, SCRIPTS, check_session, fences, private_shm, session_of
from tests.support import let_all_in, python_for_all, run_command

DOCS = ROOT / "docs"
# Pages without sessions. The library's examples are Python: tests/api runs them.
REFERENCE = [DOCS / f"{name}.md" for name in ("install", "library", "stable", "upgrade")]
GUIDES = sorted(page for page in DOCS.glob("*.md") if page not in REFERENCE)
PAGES = [ROOT / "README.md", ROOT / "contrib/README.md", *REFERENCE, *GUIDES]
# The page about containers is in need of a host that has no others: with processes of its own.
HOST = private_shm("--pid", "--fork", "--kill-child", "--mount-proc", size="1G")

guides = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)}


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.fixture
def for_all(tmp_path: Path) -> dict[str, str]:
    """An environment in which user nobody may run shmctl, too."""
    let_all_in(tmp_path)
    command = tmp_path / ".bin" / "shmctl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {python_for_all()} -P -m shmctl "$@"\n')
    command.chmod(0o755)
    return {"PATH": f"{command.parent}:{SCRIPTS}:{os.environ['PATH']}"}


@pytest.mark.needs_root
@guides
def test_sessions_run(guide: Path, tmp_path: Path, for_all: dict[str, str]) -> None:
    steps = session_of(guide.read_text(), tmp_path)
    assert len(steps) > 10
    check_session(steps, tmp_path, wrapper=HOST if guide.stem == "containers" else private_shm(), env=for_all)


@guides
def test_what_is_not_run_makes_sense(guide: Path) -> None:
    for language, block in fences(guide.read_text()):
        if language == "yaml":
            assert list(yaml.safe_load_all(block))
        elif language == "json":
            json.loads(block)
        elif language == "toml":
            tomllib.loads(block)
        elif language == "sh":
            checked = run_command(["bash", "-n", "-c", block])
            assert (checked.status, checked.errors) == (0, ""), block
        else:
            # What `session_of` knows, and what programs print elsewhere.
            assert language in ("console", "c", "python", "text"), f"nothing checks a block of {language!r}"


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {ROOT / link for link in links(ROOT / "README.md")}
    assert GUIDES
    assert not [page.name for page in (*GUIDES, *REFERENCE) if page not in linked]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
