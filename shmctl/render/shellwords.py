"""Names as words of a shell, quoted as ls(1) and the %N of stat(1) quote them."""

# These mean something in double quotes, or stat(1) takes them for such.
_SPECIAL_IN_DOUBLE_QUOTES = frozenset('!"#$&()*;<=>?[\\^`{|}~')
_LETTERS = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def shell_word(name: bytes) -> str:
    """``name`` in quotes, so that a shell reads its very bytes; what would not print is in ``$'\\n'``."""
    text = name.decode("utf-8", "surrogateescape")
    if "'" in text and text.isprintable() and _SPECIAL_IN_DOUBLE_QUOTES.isdisjoint(text):
        return f'"{text}"'
    return "'" + "".join(_pieces(text)) + "'"


def _pieces(text: str) -> list[str]:
    """What stands between the outer quotes."""
    pieces = []
    escaping = False
    for character in text:
        if not character.isprintable():
            pieces.append(("" if escaping else "'$'") + _escaped(character))
        elif character == "'":
            pieces.append(r"'\''")
        else:
            pieces.append(("''" if escaping else "") + character)
        escaping = not character.isprintable()
    return pieces


def _escaped(character: str) -> str:
    data = character.encode("utf-8", "surrogateescape")
    return _LETTERS.get(character) or "".join(f"\\{byte:03o}" for byte in data)
