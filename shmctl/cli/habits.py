"""What users of other tools type, and the shmctl command that does it. Loaded only when a command has failed.

Each hint is the whole command, ready to be typed; what goes before its colon says why.
"""

import errno
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import click

from shmctl.cli import peers
from shmctl.core.errors import InputError, ShmError
from shmctl.core.names import SHELL_PREFIX, shell_words


def synonym(path: str, name: str, rest: Sequence[str]) -> str | None:
    """Return the command that does what ``name`` does elsewhere, whole, or None."""
    if name.startswith("/"):
        return f"{path} stat {shell_words([name, *rest])}"
    if name == "watch":
        return _typed(path, "read {0} --watch" if rest else "ls --watch", name, rest)
    for template, names in (peers.ROOT if path == "shmctl" else peers.SEM).items():
        if name.lower().replace("_", "-") in names.replace("_", "-").split():
            return _typed(path, template if " " in template else f"{template} {{all}}", name, rest)
    return None


def _typed(path: str, template: str, name: str, rest: Sequence[str]) -> str:
    """Fill in a template."""
    if "{each}" in template:
        names = [word for word in rest if not word.startswith("-")] or ["NAME"]
        return " && ".join(f"{path} {template.replace('{each}', shell_words([each]))}" for each in names[:3])
    words = {"all": shell_words(rest), "rest": shell_words(rest[1:]), "name": name}

    def fill(match: "re.Match[str]") -> str:
        key, _, default = match[1].partition(":")
        if key.isdigit():
            return shell_words(rest[int(key) : int(key) + 1]) or default or "NAME"
        return words[key] if key else words["all"] or "NAME"

    return f"{path} {re.sub(r'{(.*?)}', fill, template)}".rstrip()


def advice(command: str | None, args: Sequence[str], problem: Exception) -> str | None:
    """Return what was meant by a command line that failed, as the whole command, or None."""
    if command is None:
        option = getattr(problem, "option_name", None)
        return f"shmctl {peers.COMMANDS[option]}" if option in peers.COMMANDS else None
    first = command.split()[0]
    if first not in args:
        return None
    start = args.index(first) + len(command.split())
    line = _Line(command, args[:start], list(args[start:]))
    if isinstance(problem, click.NoSuchOption):
        return _of_option(line, problem.option_name)
    for ask in _OPERANDS.get(command, ()):
        hint = ask(line, problem)
        if hint:
            return hint
    return None


class _Line:
    """A command line: the command with the options before it, and its words."""

    def __init__(self, command: str, head: Sequence[str], words: list[str]) -> None:
        self.command = command
        self.head = head
        self.words = words

    @property
    def operands(self) -> list[str]:
        """The words that do not look like options."""
        return [word for word in self.words if word == "-" or not word.startswith("-")]

    def with_words(self, words: Sequence[str], head: Sequence[str] = ()) -> str:
        """Return the whole command with other words."""
        return f"shmctl {shell_words([*head, *self.head, *words])}".rstrip()


def _of_option(line: _Line, option: str) -> str | None:
    place = next((at for at, word in enumerate(line.words) if _has(word, option)), None)
    if place is None:
        return None
    word = line.words[place]
    if option in peers.GLOBAL:
        length = 1 + (peers.GLOBAL[option] if word == option else 0)
        others = line.words[:place] + line.words[place + length :]
        return line.with_words(others, line.words[place : place + length])
    special = _SPECIAL.get((line.command, option.lstrip("-")))
    return special(line, place) if special else _of_peer(line, place, option)


def _of_peer(line: _Line, place: int, option: str) -> str | None:
    """Another option, or none, in the place of a peer's."""
    meaning = peers.OPTIONS.get(line.command, {}).get(option)
    if meaning is None:
        return None
    why, colon, new = meaning.rpartition(": ")
    inserted = _replaced(line.words[place], option, new.split())
    return why + colon + line.with_words([*line.words[:place], *inserted, *line.words[place + 1 :]])


def _has(word: str, option: str) -> bool:
    """Whether a word is an option, has its value attached, or is a cluster with its letter."""
    if option.startswith("--"):
        return word.partition("=")[0] == option
    return word[:1] == "-" and word[:2] != "--" and option[1] in word


def _replaced(word: str, option: str, new: list[str]) -> list[str]:
    """Return the words in place of one: its value, or the cluster's other letters, stay."""
    if option.startswith("--"):
        _, equals, value = word.partition("=")
        return [*new[:-1], new[-1] + equals + value] if new else [value] if value else []
    rest = word.replace(option[1], "", 1)
    return [*([] if rest == "-" else [rest]), *new]


_REFERENCES = {"truncate": "%s", "chmod": "%a", "chown": "%u:%g"}


def _by_reference(line: _Line, place: int) -> str:
    """Take over what another object has."""
    _, equals, value = line.words[place].partition("=")
    length = 1 if equals else 2
    other = value if equals else "".join(line.words[place + 1 : place + 2]) or "OTHER"
    names = shell_words(line.words[:place] + line.words[place + length :])
    taken = f'"$(shmctl stat -f {_REFERENCES[line.command]} {shell_words([other])})"'
    return f"shmctl {line.command} {'-s ' if line.command == 'truncate' else ''}{taken} {names}"


def _appending(line: _Line, place: int) -> str:
    words = line.words[:place] + line.words[place + 1 :]
    name = shell_words(line.operands[:1]) or "NAME"
    return f'{line.with_words(words)} --grow -o "$(shmctl stat -f %s {name})"'


def _to_rm(line: _Line, place: int) -> str:
    return f"shmctl rm {shell_words(line.words)}"


def _shell(line: _Line, place: int) -> str:
    """flock(1)'s ``-c``: the shell's command comes last."""
    words = line.words[:place] + line.words[place + 1 :]
    name = next((word for word in words if word.startswith("/")), "NAME")
    others = [word for word in words if word != name]
    return line.with_words([name, "sh", "-c", " ".join(others) or "CMD"])


_SPECIAL: dict[tuple[str, str], Callable[[_Line, int], str]] = {
    **{(command, "reference"): _by_reference for command in _REFERENCES},
    **{("unlink", option): _to_rm for option in ("f", "i", "v", "r", "force", "verbose")},
    **{("write", option): _appending for option in ("a", "append")},
    **{("lock", option): _shell for option in ("c", "command")},
    ("truncate", "r"): _by_reference,
}
Ask = Callable[[_Line, Exception], str | None]


def _size_operand(option: str) -> Ask:
    """A number among the names: it takes an option."""

    def ask(line: _Line, problem: Exception) -> str | None:
        text = str(problem)
        if option == "--size" and isinstance(problem, InputError) and "a unit" in text:
            return _joined_unit(line, text)
        if "looks like" not in text and "--size" not in str(getattr(problem, "param", "")) + problem_text(
            problem
        ):
            return None
        numbers = [word for word in line.operands if re.match(r"[+<>/%]?[0-9]", word)]
        if not numbers:
            return None
        # '/4' is a SIZE to truncate, and a name as well.
        number = min(numbers, key=lambda word: word.startswith("/"))
        words = list(line.words)
        words.remove(number)
        return line.with_words([*words, option, number])

    return ask


def _joined_unit(line: _Line, text: str) -> str | None:
    unit = text.split("'")[1]
    place = line.words.index(unit) if unit in line.words else 0
    if not place or not line.words[place - 1][-1:].isdigit():
        return None
    joined = line.words[place - 1] + unit
    return line.with_words([*line.words[: place - 1], joined, *line.words[place + 1 :]])


def problem_text(problem: Exception) -> str:
    """Return an error's sentence."""
    return problem.format_message() if isinstance(problem, click.ClickException) else str(problem)


def _swapped(line: _Line, problem: Exception) -> str | None:
    """The name before what should stand before it."""
    first, *others = line.operands or [""]
    if first.startswith("/") and others and not others[0].startswith("/") and _is_input(problem):
        options = [word for word in line.words if word.startswith("-")]
        return line.with_words([*options, others[0], first, *others[1:]])
    return None


def _is_input(problem: Exception) -> bool:
    return isinstance(problem, click.UsageError | InputError)


def _extra(template: str) -> Ask:
    """More operands than there may be: the command that takes them."""

    def ask(line: _Line, problem: Exception) -> str | None:
        if "unexpected extra argument" not in problem_text(problem):
            return None
        return _typed("shmctl", template, line.command, line.operands)

    return ask


def _text_first(line: _Line, problem: Exception) -> str | None:
    """``write hello /a``: the object comes first."""
    if not isinstance(problem, ShmError) or (problem.call, problem.errno) != ("shm_open", errno.ENOENT):
        return None
    for at, (text, name) in enumerate(pairwise(line.words)):
        if name.startswith("/") and text[:1] not in ("/", "-") and line.operands == [text, name]:
            return line.with_words([*line.words[:at], name, text, *line.words[at + 2 :]])
    return None


def _unquoted(line: _Line, problem: Exception) -> str | None:
    """Several words that should be one."""
    if "more than one VALUE" not in problem_text(problem):
        return None
    options = [word for word in line.words if word.startswith("-")]
    name, *texts = line.operands or ["NAME"]
    return "quote a text of several words: " + line.with_words([*options, name, " ".join(texts)])


def _condition(line: _Line, problem: Exception) -> str | None:
    """``== 5`` in two words, or a value alone."""
    operators = [at for at, word in enumerate(line.words) if re.fullmatch(r"[=!<>]=|[<>&=]", word)]
    if not _is_input(problem):
        return None
    if operators and operators[0] + 1 < len(line.words):
        at = operators[0]
        before = at - 1 if "--struct" in line.words and at else at
        parts = ["==" if word == "=" else word for word in line.words[before : at + 2]]
        words = [*line.words[:before], " ".join(parts), *line.words[at + 2 :]]
        return f"quote the condition: {line.with_words(words)}"
    if "invalid condition" in str(problem) and line.words and re.fullmatch(r"-?[0-9.]+", line.words[-1]):
        return line.with_words([*line.words[:-1], f"== {line.words[-1]}"])
    return None


def _field(line: _Line, problem: Exception) -> str | None:
    """Operands of read that are not fields: another name, a length, a type."""
    others = line.operands[1:]
    if "a FIELD goes with" not in problem_text(problem) or not others:
        return None
    if others[0].startswith("/"):
        return _typed("shmctl", "read {each}", "read", line.operands)
    words = list(line.words)
    words.remove(others[0])
    if others[0][:1].isdigit():
        return line.with_words([*words, "--length", others[0]])
    return line.with_words([*words, "--type", others[0]])


def _whole_directory(line: _Line, problem: Exception) -> str | None:
    """``ls /dev/shm``: it is all of it anyway."""
    words = [word for word in line.words if word.rstrip("/") != SHELL_PREFIX.rstrip("/")]
    return line.with_words(words) if len(words) < len(line.words) and _is_input(problem) else None


def _octal(line: _Line, problem: Exception) -> str | None:
    """A mode in letters: new objects take octal."""
    match = re.match(r"invalid mode '(.*)'", str(problem))
    if not match or match[1] not in line.words:
        return None
    from shmctl.core.symbolic import parse_symbolic

    text = match[1]
    if re.fullmatch(r"-?(?:[r-][w-][x-]){3}", text):
        text = ",".join(
            f"{who}={part.replace('-', '')}" for who, part in zip("ugo", _thirds(text), strict=True)
        )
    try:
        mode = parse_symbolic(text, umask=0).apply(0)
    except InputError:
        return None
    return line.with_words([f"{mode:03o}" if word == match[1] else word for word in line.words])


def _thirds(text: str) -> list[str]:
    text = text[-9:]
    return [text[:3], text[3:6], text[6:]]


_OPERANDS: dict[str, tuple[Ask, ...]] = {
    "create": (_size_operand("--size"), _octal),
    "truncate": (_size_operand("--size"),),
    "sem create": (_size_operand("--value"), _octal),
    "write": (_text_first, _unquoted, _octal),
    "read": (_field,),
    "wait": (_condition,),
    "chmod": (_swapped,),
    "chown": (_swapped,),
    "unlink": (_extra("rm {}"),),
    "df": (_whole_directory, _extra("ls {}")),
    "doctor": (_extra("stat {}"),),
    "ls": (_whole_directory,),
    "holders": (_whole_directory,),
    "leaks": (_whole_directory,),
    "gc": (_whole_directory,),
}
