"""A line of bash as far as the cursor: its words without quotes, and how a word goes on inside them.

bash gives a completion function the line as it was typed, and puts what the
function answers into it as it is.
"""

import os
import re
from typing import NamedTuple

_PLAIN = re.compile(r"[\w%+,./:=@-]")
# What a backslash protects between double quotes. The exclamation mark it does not.
_DOUBLE = '$`"\\'
_ANSI_C = {
    "a": "\a",
    "b": "\b",
    "e": "\33",
    "E": "\33",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_NUMBER = re.compile(r"x([0-9a-fA-F]{1,2})|([0-7]{1,3})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})")


class Word(NamedTuple):
    """A word: its ``text`` without quotes, and what the cursor at its end is in.

    ``raw`` is what readline takes for the word, which it splits at more
    characters than bash; ``quote`` is the one that is open: ``'``, ``"``,
    ``$'`` or none.
    """

    text: str
    raw: str
    quote: str

    def completed(self, value: str) -> str | None:
        """What replaces ``raw`` so that the word means ``value``; None if nothing can."""
        if not value.startswith(self.text):
            return None
        replacement = self.raw + quoted(value.removeprefix(self.text), self.quote)
        # Readline closes the quote, unless what it puts in seems to end in one already.
        return (
            replacement + self.quote[-1]
            if self.quote and replacement.endswith(self.quote[-1])
            else replacement
        )


def parse(line: str, breaks: str) -> list[Word]:
    """The words of ``line``, the last one being the cursor's; ``breaks`` are COMP_WORDBREAKS."""
    reader = _Reader(line, breaks)
    while reader.at < len(line):
        reader.step()
    return [*reader.words, Word(reader.text, line[reader.start : reader.end], reader.quote)]


class _Reader:
    def __init__(self, line: str, breaks: str) -> None:
        self.words: list[Word] = []
        self.text = ""
        self.quote = ""
        # Where readline's word begins, and where it ends.
        self.start, self.end = 0, len(line)
        self.at = 0
        self._in_word = False
        self._line = line
        self._breaks = breaks

    def step(self) -> None:
        """Take in the next character, or all of an escape."""
        character = self._line[self.at]
        self.at += 1
        if character == "\\" and self.quote != "'":
            self._escape()
        elif self.quote:
            self._in_quotes(character)
        elif character in " \t\n":
            if self._in_word:
                self.words.append(Word(self.text, "", ""))
            self.text, self._in_word, self.start = "", False, self.at
        else:
            self._plain(character)

    def _escape(self) -> None:
        self._in_word = True
        if self.at == len(self._line):
            self.end -= 1  # what it protects is still to come
            return
        character = self._line[self.at]
        if self.quote == "$'":
            self._ansi_c_escape(character)
            return
        self.text += "\\" + character if self.quote and character not in _DOUBLE else character
        self.at += 1

    def _ansi_c_escape(self, character: str) -> None:
        number = _NUMBER.match(self._line, self.at)
        if number is None:
            self.text += _ANSI_C.get(character, character)
            self.at += 1
            return
        two_digits, octal, *code_point = number.groups()
        if two_digits or octal:
            byte = int(two_digits, 16) if two_digits else int(octal, 8) & 0xFF
            self.text += os.fsdecode(bytes([byte]))
        else:
            self.text += chr(int(code_point[0] or code_point[1], 16))
        self.at = number.end()

    def _in_quotes(self, character: str) -> None:
        if character == self.quote[-1]:
            self.quote = ""
        else:
            self.text += character

    def _plain(self, character: str) -> None:
        self._in_word = True
        if character == "'" and self._line[self.at - 2 : self.at - 1] == "$":
            self.text = self.text.removesuffix("$")
            self.quote = "$'"
        elif character in "'\"":
            self.quote = character
        else:
            self.text += character
        if character in self._breaks:
            self.start = self.at


def quoted(text: str, quote: str) -> str:
    """``text`` as it goes on inside ``quote``, which stays open."""
    if quote == "'" and any(map(_is_special, text)):
        # Readline closes with the same character.
        return "'$'" + quoted(text, "$'")
    return "".join(_quoted(character, quote) for character in text)


def _is_special(character: str) -> bool:
    """Whether it has to be spelled as an escape: it would not print, or is a byte that is not UTF-8."""
    return character != " " and not character.isprintable()


def _quoted(character: str, quote: str) -> str:
    if quote == "$'":
        return _ansi_c_quoted(character) if _is_special(character) or character in "'\\" else character
    if _is_special(character):
        return f"{quote}$'{_ansi_c_quoted(character)}'{quote}"
    if not quote:
        return character if _PLAIN.fullmatch(character) else "\\" + character
    if character == quote or (quote == '"' and character == "!"):
        return f"{quote}\\{character}{quote}"
    return "\\" + character if quote == '"' and character in _DOUBLE else character


def _ansi_c_quoted(character: str) -> str:
    if character in "'\\":
        return "\\" + character
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
