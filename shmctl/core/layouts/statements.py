"""The statements of a C declaration, and what each of them is: so that members can stand inline."""

from collections.abc import Iterator, Sequence

from shmctl.core.layouts.cdialect import is_mark
from shmctl.core.layouts.csource import Token, refuse

MEMBERS = frozenset(("member", "anonymous", "pack"))
"""The kinds of statements that go into the structure, when the text is members inline."""


def split_statements(tokens: list[Token]) -> Iterator[list[Token]]:
    """``tokens`` cut after each ``;`` outside brackets; the last gets one where it has none."""
    statement: list[Token] = []
    depth = 0
    for token in tokens:
        depth += {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(token.text, 0)
        statement.append(token)
        if depth == 0 and token.text == ";":
            if len(statement) > 1:
                yield statement
            statement = []
    if statement:
        yield [*statement, statement[-1]._replace(text=";")]


def kind_of(statement: list[Token]) -> str:
    """``typedef``, ``definition`` (of a tag or enum), ``anonymous`` (structure), ``pack`` or ``member``."""
    words = [token.text for token in statement]
    if is_mark(statement):
        return "pack"
    if words[0] in ("typedef", "_Static_assert", "static_assert"):
        return "typedef"
    if words[0] not in ("struct", "union", "enum"):
        return "member"
    if words[-2] == "}":
        return "anonymous" if words[1] == "{" and words[0] != "enum" else "definition"
    return "definition" if len(words) == 3 else "member"


def refuse_late_packs(statements: Sequence[Sequence[Token]], kinds: Sequence[str]) -> None:
    """Raise InputError for ``#pragma pack`` after a member: what is said before the first holds for all."""
    first = next(index for index, kind in enumerate(kinds) if kind in MEMBERS - {"pack"})
    if "pack" in kinds[first:]:
        late = statements[kinds.index("pack", first)][0]
        refuse(late, "#pragma pack between members is not supported")
