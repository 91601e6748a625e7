"""Finds a piece of the package by its function and by what it does, and takes it out of the syntax tree.

Nothing here depends on the file or line that code stands in, nor on how it is formatted.
"""

import ast
import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
Edit = Callable[[], None]
_HOLE = re.compile(r"_\d")


class MatchError(AssertionError):
    """Not one piece of the code, but none or several, fit what a change says."""


class Place(NamedTuple):
    """A definition: its dotted name, and its node in the tree of the file that it is in."""

    name: str
    node: Scope


class Package:
    """The modules below ``folder``, which is shmctl/ or a copy; it is only read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts = {path: path.read_text() for path in sorted(folder.rglob("*.py"))}
        self._names = [
            (place.name, path) for path in self._texts for place in self._places(path, self._parsed(path))
        ]

    def changed(self, changes: Sequence[Mapping[str, str]]) -> dict[Path, str]:
        """The files in which the changes (see guard.py) are made, as Python that is like them but for that.

        MatchError: none or several pieces of the code are what a change means.
        """
        trees: dict[Path, ast.Module] = {}
        for change in changes:
            path = self._file_of(change["in"])
            tree = trees.setdefault(path, self._parsed(path))
            place = next(each for each in self._places(path, tree) if _is_called(each.name, change["in"]))
            before = ast.dump(place.node)
            _one_edit(place, change)()
            if ast.dump(place.node) == before:
                raise MatchError(f"{place.name}: {dict(change)} changes nothing")
        texts = {path: ast.unparse(ast.fix_missing_locations(tree)) for path, tree in trees.items()}
        for path, text in texts.items():
            compile(text, path, "exec")
        return texts

    def _file_of(self, name: str) -> Path:
        found = [(full, path) for full, path in self._names if _is_called(full, name)]
        if len(found) != 1:
            names = ", ".join(full for full, _ in found) or "none"
            raise MatchError(f"in = {name!r}: one definition has to have this name; found: {names}")
        return found[0][1]

    def _parsed(self, path: Path) -> ast.Module:
        return ast.parse(self._texts[path])

    def _places(self, path: Path, tree: ast.Module) -> Iterator[Place]:
        return _definitions(tree.body, ".".join(path.relative_to(self._folder.parent).with_suffix("").parts))


def _is_called(full: str, name: str) -> bool:
    return f".{full}".endswith(f".{name}")


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[Place]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield Place(f"{prefix}.{node.name}", node)
            yield from _definitions(node.body, f"{prefix}.{node.name}")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (Place(f"{prefix}.{each.id}", node) for each in targets if isinstance(each, ast.Name))


def _one_edit(place: Place, change: Mapping[str, str]) -> Edit:
    kind, words = next((kind, change[kind]) for kind in (*_KINDS, "begin", "returns") if kind in change)
    if kind in _KINDS:
        edits = list(_KINDS[kind](place.node, words, change))
        if len(edits) != 1:
            raise MatchError(f"{place.name}: {len(edits)} places for {kind} = {words!r}; it has to be one")
        return edits[0]
    assert isinstance(place.node, ast.FunctionDef), f"{place.name} is no function"
    function = place.node
    if kind == "begin":
        return _insertion(function.body, _statements(words), after=ast.get_docstring(function) is not None)
    return lambda: function.body.__setitem__(slice(None), [ast.Return(_expression(words))])


# What is taken out


def _statement(scope: ast.AST, words: str, change: Mapping[str, str]) -> Iterator[Edit]:
    """The outermost statement that mentions the words, a compound one in its first line."""
    found = [
        (body, statement)
        for body in _bodies(scope)
        for statement in body
        if _mentions(_head(statement), words)
    ]
    inner = {id(node) for _, each in found for node in ast.walk(each) if node is not each}
    for body, statement in found:
        if id(statement) not in inner:
            yield _replacement(body, statement, _statements(change.get("becomes", "pass")))


def _condition(scope: ast.AST, words: str, change: Mapping[str, str]) -> Iterator[Edit]:
    """The condition of an if, elif or while that mentions the words; it becomes false."""
    for node in ast.walk(scope):
        if isinstance(node, ast.If | ast.While | ast.IfExp) and _mentions(node.test, words):
            yield _assignment(node, "test", _expression(change.get("becomes", "False")))


def _handler(scope: ast.AST, words: str, change: Mapping[str, str]) -> Iterator[Edit]:
    """The except of an error: it catches others, or begins with other statements."""
    for node in ast.walk(scope):
        if isinstance(node, ast.ExceptHandler) and node.type is not None and _mentions(node.type, words):
            if "begin" in change:
                yield _insertion(node.body, _statements(change["begin"]))
            else:
                yield _assignment(node, "type", _expression(change["becomes"]))


def _part(scope: ast.AST, words: str, _change: Mapping[str, str]) -> Iterator[Edit]:
    """The smallest part that mentions the words: an operand of |, and, or; an item; an argument of a call."""
    parts = [part for part in _parts(scope) if _mentions(part[0], words)]
    for node, edit in parts:
        inner = {id(each) for each in ast.walk(node)} - {id(node)}
        if not any(id(other) in inner for other, _ in parts):
            yield edit


def _expressions(scope: ast.AST, words: str, change: Mapping[str, str]) -> Iterator[Edit]:
    """The expression that has the shape of the words: ... is whatever stands there, _1 is put in again."""
    pattern = _expression(words)
    for parent in ast.walk(scope):
        for field, index, node in _children(parent):
            holes: dict[str, ast.expr] = {}
            if isinstance(node, ast.expr) and _matches(pattern, node, holes):
                yield _assignment(parent, field, _filled(_expression(change["becomes"]), holes), index)


def _argument(scope: ast.AST, words: str, change: Mapping[str, str]) -> Iterator[Edit]:
    """The argument that a call gives this name, in a call that mentions `of`."""
    for call in ast.walk(scope):
        if isinstance(call, ast.Call) and _mentions(call, change.get("of", words)):
            for keyword in call.keywords:
                if keyword.arg == words:
                    yield _assignment(keyword, "value", _expression(change["becomes"]))


_KINDS: dict[str, Callable[[ast.AST, str, Mapping[str, str]], Iterator[Edit]]] = {
    "statement": _statement,
    "condition": _condition,
    "handler": _handler,
    "part": _part,
    "argument": _argument,
    "expression": _expressions,
}


def _parts(scope: ast.AST) -> Iterator[tuple[ast.AST, Edit]]:
    """Each part that can be taken out of what it stands in, with the edit that does it."""
    for parent in ast.walk(scope):
        for field, index, node in _children(parent):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
                yield node.left, _assignment(parent, field, node.right, index)
                yield node.right, _assignment(parent, field, node.left, index)
        match parent:
            case ast.BoolOp():
                yield from ((each, _removal(parent.values, each)) for each in parent.values)
            case ast.Tuple() | ast.List() | ast.Set():
                yield from ((each, _removal(parent.elts, each)) for each in parent.elts)
            case ast.Call():
                yield from ((each, _removal(parent.args, each)) for each in parent.args)
                yield from ((each, _removal(parent.keywords, each)) for each in parent.keywords)
            case ast.Dict():
                for i, key in enumerate(parent.keys):
                    if key is not None:
                        yield key, _pair_removal(parent, i)


# The edits


def _replacement(body: list[Any], statement: ast.stmt, new: list[ast.stmt]) -> Edit:
    def edit() -> None:
        i = body.index(statement)
        body[i : i + 1] = new

    return edit


def _insertion(body: list[ast.stmt], new: list[ast.stmt], *, after: int = 0) -> Edit:
    return lambda: body.__setitem__(slice(after, after), new)


def _assignment(parent: ast.AST, field: str, new: ast.AST, index: int | None = None) -> Edit:
    if index is None:
        return lambda: setattr(parent, field, new)
    return lambda: getattr(parent, field).__setitem__(index, new)


def _removal(items: list[Any], item: ast.AST) -> Edit:
    return lambda: items.remove(item)


def _pair_removal(mapping: ast.Dict, i: int) -> Edit:
    def edit() -> None:
        del mapping.keys[i], mapping.values[i]

    return edit


# The tree


def _children(parent: ast.AST) -> Iterator[tuple[str, int | None, Any]]:
    for field, value in ast.iter_fields(parent):
        if isinstance(value, list):
            yield from ((field, i, each) for i, each in enumerate(value))
        else:
            yield field, None, value


def _bodies(scope: ast.AST) -> Iterator[list[Any]]:
    for node in ast.walk(scope):
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield value


def _head(statement: ast.stmt) -> ast.AST | None:
    """What a statement says itself: the first line of a compound one; None for a docstring."""
    match statement:
        case ast.If() | ast.While():
            return statement.test
        case ast.For():
            return statement.iter
        case ast.With():
            return ast.Tuple([item.context_expr for item in statement.items])
        case ast.Try() | ast.FunctionDef() | ast.ClassDef() | ast.Expr(value=ast.Constant()):
            return None
    return statement


def _mentions(node: ast.AST | None, words: str) -> bool:
    text = "" if node is None else ast.unparse(node)
    return any(re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text) for each in (words, _normal(words)))


def _normal(words: str) -> str:
    """The words as ast.unparse writes them, if they are an expression."""
    try:
        return ast.unparse(_expression(words))
    except SyntaxError:
        return words


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _statements(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def _matches(pattern: Any, node: Any, holes: dict[str, ast.expr]) -> bool:  # noqa: PLR0911 - a case for each kind of node
    match pattern, node:
        case ast.Constant(value=value), _ if value is ...:
            return True
        case ast.Name(id=name), ast.expr() if _HOLE.fullmatch(name):
            return ast.dump(holes.setdefault(name, node)) == ast.dump(node)
        case ast.Name(id=name), ast.Attribute(attr=attribute):
            return name == attribute  # however it is imported
        case ast.Call(), ast.Call() if pattern.args and _is_rest(pattern.args[-1]):
            given = pattern.args[:-1]
            return _matches([pattern.func, *given], [node.func, *node.args[: len(given)]], holes)
        case list(), list():
            return len(pattern) == len(node) and all(map(_matches, pattern, node, [holes] * len(node)))
        case ast.expr_context(), ast.expr_context():
            return True
        case ast.AST(), ast.AST():
            fields = pattern._fields
            return type(pattern) is type(node) and all(
                _matches(getattr(pattern, each, None), getattr(node, each, None), holes) for each in fields
            )
    return bool(pattern == node)


def _is_rest(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Constant) and argument.value is ...


class _Filling(ast.NodeTransformer):
    def __init__(self, holes: Mapping[str, ast.expr]) -> None:
        self._holes = holes

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self._holes.get(node.id, node))


def _filled(expression: ast.expr, holes: Mapping[str, ast.expr]) -> ast.expr:
    filled: ast.expr = _Filling(holes).visit(expression)
    return filled
