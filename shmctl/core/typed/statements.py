"""The statements of a C declaration, and what each of them is: so that members can stand inline."""

from collections.abc import Iterator

from shmctl.core.typed.csource import Token


def joins(kind: str) -> bool:
    """Whether a statement of this kind is a member, when the text is members inline."""
    return kind in ("member", "anonymous")


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
    """``typedef``, ``definition`` (of a tag or an enum), ``anonymous`` (structure) or ``member``."""
    words = [token.text for token in statement]
    if words[0] in ("typedef", "_Static_assert", "static_assert"):
        return "typedef"
    if words[0] not in ("struct", "union", "enum"):
        return "member"
    if words[-2] == "}":
        return "anonymous" if words[1] == "{" and words[0] != "enum" else "definition"
    return "definition" if len(words) == 3 else "member"
