"""What gcc adds to C, brought to what the parser knows, or refused: never dropped where layout depends on it.

Attributes and ``#pragma pack`` leave the text here. Where they pack a
structure, its first member becomes ``int MARK_n;``, n being the greatest
alignment of a member in bytes, or 0. Outside of structures such a mark tells
what ``#pragma pack`` is in force from there on.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from shmctl.core.layouts.csource import Token, refuse
from shmctl.core.layouts.values import quote

MARK = "__shm_pack_"

_SPELLINGS = {
    "__const": "const", "__const__": "const", "__volatile": "volatile", "__volatile__": "volatile",
    "__inline": "inline", "__inline__": "inline", "__signed": "signed", "__signed__": "signed",
    "__restrict": "restrict", "__restrict__": "restrict", "__extension__": "",
}  # fmt: skip
_HARMLESS = re.compile(
    "unused|deprecated|noreturn|format|nonnull|pure|const|malloc|warn_unused_result|visibility|cold|hot|leaf|"
    "always_inline|noinline|nothrow|returns_nonnull|alloc_size|sentinel|used|weak|may_alias|unavailable|"
    "designated_init|constructor|destructor|access|flatten|artificial|gnu_inline|format_arg"
)
_LAYOUT_WORDS = frozenset(("_Alignas", "alignas", "__declspec", "_Pragma", "asm", "__asm", "__asm__"))
_UNKNOWN_TYPES = frozenset(("_BitInt", "typeof", "__typeof__", "__typeof", "typeof_unqual", "__int128"))
_RESERVED = re.compile(r"__shm_|__cffi_|_cffi_|__dotdotdot|__stdcall$|__cdecl$|WINAPI$")
_MAX_DEPTH = 100


def screen(tokens: list[Token]) -> list[Token]:
    """``tokens`` in plain C with pack marks; InputError for what would change layout in another way."""
    return list(_mark_packed(_strip_attributes(_plain(tokens))))


def _plain(tokens: list[Token]) -> list[Token]:
    plain = []
    for token in tokens:
        if token.text in _LAYOUT_WORDS:
            refuse(token, f"{token.text} is not supported: it may change the layout")
        if token.text in _UNKNOWN_TYPES:
            refuse(token, f"{token.text} is not supported")
        if _RESERVED.match(token.text):
            refuse(token, f"the name {quote(token.text)} is reserved")
        text = _SPELLINGS.get(token.text, token.text)
        if text:
            plain.append(token._replace(text=text))
    for first, second in pairwise(plain):
        if first.text == second.text == "[":
            refuse(first, "[[…]] attributes are not supported: they may change the layout")
    _check_brackets(plain)
    return plain


def _check_brackets(tokens: list[Token]) -> None:
    closing = {"(": ")", "[": "]", "{": "}"}
    opened: list[Token] = []
    derivations = 0
    for token in tokens:
        # a parser's time grows with the square of a declarator's pointers and arrays
        derivations = 0 if token.text in ",;{}" else derivations + (token.text in "*[")
        if derivations > _MAX_DEPTH:
            refuse(token, f"more than {_MAX_DEPTH} pointers and arrays in one declaration")
        if token.text in closing:
            opened.append(token)
            if len(opened) > _MAX_DEPTH:
                refuse(token, f"nested more than {_MAX_DEPTH} deep")
        elif token.text in closing.values() and (not opened or closing[opened.pop().text] != token.text):
            refuse(token, f"this {token.text} closes nothing")
    if opened:
        refuse(opened[-1], f"this {opened[-1].text} is never closed")


def _strip_attributes(tokens: list[Token]) -> list[Token]:
    """Take out ``__attribute__``: harmless ones vanish, ``packed`` marks the structure that it belongs to."""
    kept: list[Token] = []
    bodies: list[int] = []  # where in kept each open { stands
    last_body = -1
    pack_next = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token.text in ("__attribute__", "__attribute"):
            end = _group_end(tokens, index + 1, token)
            if _is_packed(tokens[index:end]):
                if kept and kept[-1].text in ("struct", "union"):
                    pack_next = True
                elif kept and kept[-1].text == "}" and _is_structure(kept, last_body):
                    kept.insert(last_body + 1, token._replace(text=MARK + "1"))
                else:
                    refuse(token, "packed is supported only beside the braces of a struct or union")
            index = end
            continue
        kept.append(token)
        if token.text == "{":
            bodies.append(len(kept) - 1)
            if pack_next:
                kept.append(token._replace(text=MARK + "1"))
                pack_next = False
        elif token.text == "}":
            last_body = bodies.pop()
        elif token.text == ";" and pack_next:
            refuse(token, "packed is supported only where the structure is defined")
        index += 1
    return kept


def _group_end(tokens: list[Token], start: int, where: Token) -> int:
    """The index after the bracketed group that starts at ``start``; brackets are known to match."""
    if start >= len(tokens) or tokens[start].text != "(":
        refuse(where, "__attribute__ must be followed by ((…))")
    depth = 0
    for index in range(start, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index + 1
    return len(tokens)


def _is_packed(group: list[Token]) -> bool:
    """Whether the attribute is ``packed``; refuse it unless it is that or harmless."""
    words = [token.text for token in group[3:-2]]
    names, depth = [], 0
    for word in words:
        if depth == 0 and word not in ",()":
            names.append(word.strip("_"))
        depth += {"(": 1, ")": -1}.get(word, 0)
    for name in names:
        if name != "packed" and not _HARMLESS.fullmatch(name):
            refuse(group[0], f"__attribute__(({quote(name)})) is not supported: it may change the layout")
    return "packed" in names


def _is_structure(tokens: list[Token], body: int) -> bool:
    """Whether the ``{`` at ``body`` opens a struct's or union's members."""
    before = [token.text for token in tokens[max(0, body - 2) : body]]
    return before[-1:] in (["struct"], ["union"]) or (
        before[:1] in (["struct"], ["union"]) and bool(re.match(r"[A-Za-z_]", before[-1]))
    )


_PACK = re.compile(r"\(((?P<push>push)|(?P<pop>pop))?(,[A-Za-z_]\w*)?,?(?P<number>[0-9]+)?\)")


def _mark_packed(tokens: list[Token]) -> Iterator[Token]:
    """Apply ``#pragma pack`` to the structures that begin under it, and write out the marks."""
    pack, stack = 0, list[int]()
    depth = index = 0
    before, is_news = ";", False
    while index < len(tokens):
        token = tokens[index]
        if token.text == "#":
            end = next((i for i in range(index, len(tokens)) if tokens[i][1:] != token[1:]), len(tokens))
            if index + 1 >= end or tokens[index + 1].text != "pragma":
                refuse(token, "this # is not understood")
            if depth:
                refuse(token, "#pragma pack inside a structure is not supported")
            pack = _pragma_pack(token, "".join(t.text for t in tokens[index + 3 : end]), pack, stack)
            is_news = True
            index = end
            continue
        if is_news and not depth and before == ";":
            yield from _mark(token, pack)
            is_news = False
        before = token.text
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        marked = token.text == MARK + "1"
        if not marked:
            yield token
        packs_all = token.text == "{" and pack and _is_structure(tokens, index)
        already = index + 1 < len(tokens) and tokens[index + 1].text == MARK + "1"
        if marked or (packs_all and not already):
            yield from _mark(token, 1 if marked else pack)
        index += 1


def _mark(where: Token, pack: int) -> Iterator[Token]:
    return (where._replace(text=text) for text in ("int", f"{MARK}{pack}", ";"))


def is_mark(statement: Sequence[Token]) -> bool:
    """Whether a statement is nothing but a mark."""
    return len(statement) == 3 and statement[1].text.startswith(MARK)


def _pragma_pack(where: Token, text: str, current: int, stack: list[int]) -> int:
    """The alignment limit after ``#pragma pack`` with ``text``, which begins at ``(``; 0 is none."""
    match = _PACK.fullmatch(text)
    number = int(match["number"][:9]) if match and match["number"] else None
    if match is None or number not in (None, 0, 1, 2, 4, 8, 16):
        refuse(where, f"#pragma pack{quote(text)} is not understood")
    if match["push"]:
        stack.append(current)
        return current if number is None else number
    if match["pop"]:
        if not stack:
            refuse(where, "#pragma pack(pop) has no push before it")
        previous = stack.pop()
        return previous if number is None else number
    return number or 0
