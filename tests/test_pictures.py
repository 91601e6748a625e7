"""The pictures of README.md and the guides show what the program shows."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT

DOCS = ROOT / "docs"
# What is measured is no picture of what the program shows: bench/growth.py draws it.
PICTURES = sorted(path.name for path in DOCS.glob("*.svg") if path.name != "growth.svg")


def words(svg: str) -> list[str]:
    """What a picture says, without lines, and with N for each number: those differ from run to run."""
    shown = html.unescape(" ".join(re.findall(r"<text [^>]*>([^<]*)</text>", svg)))
    shown = shown.replace("seconds", "second").replace("─", "")
    return [re.sub(r"0x[0-9a-f]+|\d+", "N", word) for word in shown.split()]


@pytest.mark.needs_root
def test_pictures_are_true(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "pictures.py"), str(tmp_path)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == PICTURES
    for name in PICTURES:
        drawn, kept = (words((folder / name).read_text()) for folder in (tmp_path, DOCS))
        assert drawn == kept, f"{name} is out of date: run docs/pictures.py"
        assert len(kept) > 10


def test_every_picture_is_shown() -> None:
    pages = [ROOT / "README.md", *DOCS.glob("*.md")]
    shown = {
        name
        for page in pages
        for name in re.findall(r"!\[[^]]+\]\((?:docs/)?([a-z]+\.svg)\)", page.read_text())
    }
    assert sorted(shown) == PICTURES
