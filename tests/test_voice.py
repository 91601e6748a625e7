"""What a person reads keeps to the voice: none of the phrases that read as translated."""

import ast
import re
from pathlib import Path

import pytest

from tests.documents import ROOT

BARRED = {
    "'bears' a name": r"\bbears?\b|\bbearer\b",
    "'is to be'": r"\b(is|are|was|were) to be\b",
    "'has to tell'": r"\b(has|have|had) to tell\b",
    "'it is told'": r"\b(is|are|was|were|be) told\b|\busers are told\b",
    "causal 'for'": (
        r", for (it|they|the|an?|this|that|what|nobody|nothing) \w+ (is|are|has|have|can|may|takes?|grows?)\b"
    ),
    "'as ever'": r"\bas ever\b",
    "'deed'": r"\bdeeds?\b",
    "'whoever'": r"\bwhoever\b",
    "'stands in'": r"\bstands? in\b",
    "'tells how'": r"\btells? (how|what|why|whether|where)\b",
}
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("contrib/**/*.md"),
    *ROOT.glob("packaging/**/*.md"),
    *ROOT.glob("man/src/*.md"),
]
MODULES = [
    path for part in ("shmctl", "man", "docs", "bench", "packaging") for path in ROOT.glob(f"{part}/**/*.py")
]


def faults(text: str) -> list[str]:
    return [
        f"{what}: …{text[max(0, match.start() - 40) : match.end() + 20]!r}…"
        for what, pattern in BARRED.items()
        for match in re.finditer(pattern, text, re.I)
    ]


def words_of(module: Path) -> str:
    """The comments, docstrings and messages of a module."""
    source = module.read_text()
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    ]
    return "\n\n".join([*texts, *re.findall(r"# (.*)", source)])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    assert faults(re.sub(r"\s+", " ", text)) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules(module: Path) -> None:
    assert faults(re.sub(r"\s+", " ", words_of(module))) == []


def test_a_fault_is_found() -> None:
    text = "Whoever bears it is to be read, for it has grown as ever. It has to tell and is told: deeds."
    assert len(faults(text)) == len(BARRED) - 3
